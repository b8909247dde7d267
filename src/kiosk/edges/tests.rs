//! A kiosk whose board dies or hangs when the customer has paid.

use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use embedded_hal::digital::{ErrorType, InputPin, OutputPin};

use super::super::clock::Clock;
use super::super::configuration::InForce;
use super::super::{Kiosk, start};
use super::*;
use crate::board::{Backend, BoardError, SimulatedI2c};
use crate::ledger::DirectoryLock;
use crate::payment::Answer;
use crate::service::Heartbeat;
use crate::vocabulary::{
    ChargeRef, ChargeReport, Created, NewCharge, Payment, PaymentId, RefundReport, RefundRequest, Standing,
    UnknownDelivery,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Beside the pulse; short, and long enough for a board that is well.
const GRACE: Duration = Duration::from_secs(1);

/// What happens when a relay is switched on.
type Fate = Arc<dyn Fn() + Send + Sync>;

struct Wires(Fate);

struct Wire(Option<Fate>);

impl ErrorType for Wire {
    type Error = Infallible;
}

impl OutputPin for Wire {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.iter().for_each(|fate| fate());
        Ok(())
    }
}

impl InputPin for Wire {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(false)
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(true)
    }
}

impl Backend for Wires {
    type Output = Wire;
    type Input = Wire;
    type Bus = SimulatedI2c;

    fn output(&self, _: &str) -> Result<Wire, BoardError> {
        Ok(Wire(Some(Arc::clone(&self.0))))
    }

    fn input(&self, _: &str) -> Result<Wire, BoardError> {
        Ok(Wire(None))
    }

    fn bus(&self) -> Result<SimulatedI2c, BoardError> {
        Err(BoardError::NoWorld)
    }

    fn untouched(never: &Infallible) -> bool {
        match *never {}
    }
}

/// A provider at which every charge is paid as soon as it is made, and that gives back what it is asked for.
#[derive(Default)]
struct Generous {
    made: Mutex<BTreeMap<String, Payment>>,
    given_back: Mutex<i64>,
}

impl Generous {
    fn report(&self, charge: &ChargeRef) -> ChargeReport {
        let payments: Vec<Payment> =
            self.made.lock().unwrap().get(charge.charge.as_str()).cloned().into_iter().collect();
        let standing = if payments.is_empty() { Standing::Absent } else { Standing::Closed };
        ChargeReport { standing, payments, returned: 0, attach: None }
    }
}

impl Rail for Generous {
    fn create<'a>(&'a self, charge: &'a NewCharge) -> Answer<'a, Created> {
        let id = PaymentId::parse("paid").unwrap();
        let paid = Payment { id, amount: charge.amount, currency: charge.currency, order: charge.order };
        self.made.lock().unwrap().insert(charge.charge.as_str().to_owned(), paid);
        Box::pin(async { Ok(Created { payload: "pay here".into() }) })
    }

    fn query<'a>(&'a self, charge: &'a ChargeRef) -> Answer<'a, ChargeReport> {
        Box::pin(async { Ok(self.report(charge)) })
    }

    fn close<'a>(&'a self, _: &'a ChargeRef) -> Answer<'a, Option<ChargeReport>> {
        Box::pin(async { Ok(None) })
    }

    fn refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport> {
        *self.given_back.lock().unwrap() += refund.amount;
        Box::pin(async { Ok(RefundReport::Done) })
    }

    fn query_refund<'a>(&'a self, _: &'a RefundRequest) -> Answer<'a, RefundReport> {
        Box::pin(async { Ok(RefundReport::Absent) })
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

pub(in super::super) struct Rig {
    pub kiosk: Kiosk,
    pub queue: Receiver<Input>,
    pub inputs: Sender<Input>,
    rail: Arc<Generous>,
    /// Slips that would be printed.
    slips: Receiver<PrintJob>,
    _state: Arc<tempfile::TempDir>,
}

pub(in super::super) fn rig(fate: impl Fn() + Send + Sync + 'static) -> Rig {
    rig_in(&Arc::new(tempfile::tempdir().unwrap()), |_| (), fate)
}

/// The same with its ledger there, where an earlier run may have written one, and with another configuration.
pub(in super::super) fn rig_in(
    state: &Arc<tempfile::TempDir>,
    change: impl FnOnce(&mut Config),
    fate: impl Fn() + Send + Sync + 'static,
) -> Rig {
    let mut config: Config = toml::from_str(include_str!("../../../configs/vending.toml")).unwrap();
    config.state.directory = state.path().into();
    config.fleet = None;
    config.slots.truncate(1);
    config.slots[0].pulse.0 = Duration::from_millis(30);
    (config.board.door, config.board.tamper, config.board.drop_sensor) = (None, None, None);
    config.sale.unknown_delivery = UnknownDelivery::Refund;
    change(&mut config);
    let (inputs, queue) = channel();
    let supervisor = start::supervisor(inputs.clone());
    let to_board = inputs.clone();
    let report = Arc::new(move |event| drop(to_board.send(Input::Board(event))));
    let wires = Wires(Arc::new(fate));
    let board = board::start_on(&wires, &supervisor, &config, GRACE, report).unwrap();
    let rail = Arc::new(Generous::default());
    let (printer, slips) = channel();
    let updater = Updater::new(&config.update, &config.board.lines, None, &config.state.directory, 0);
    let edges = Edges {
        runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap(),
        board,
        glass: GlassHandle::default(),
        rails: config.rails.iter().map(|known| (known.name(), Arc::clone(&rail) as Arc<dyn Rail>)).collect(),
        gateway: None,
        printer,
        reboot: reboot::open(&config.board, None),
        updater: Arc::new(updater),
        trial: Trial::new(&config.state.directory),
        pin: None,
        supervisor,
        inputs: inputs.clone(),
    };
    let hold = Ok(DirectoryLock::take(&config.state.directory).unwrap());
    let kiosk = Kiosk::open(
        hold,
        config,
        InForce::file(std::path::Path::new("kiosk.toml"), "".into(), crate::kiosk::check::parse),
        Clock::start(),
        None,
        edges,
        Heartbeat::default(),
    )
    .unwrap();
    Rig { kiosk, queue, inputs, rail, slips, _state: Arc::clone(state) }
}

impl Rig {
    /// Turns the loop until something is so. Paper comes out whenever there is something to print.
    pub fn until(&mut self, there: impl Fn(&Kiosk) -> bool) {
        let by = Instant::now() + PATIENCE;
        while !there(&self.kiosk) {
            assert!(Instant::now() < by, "it never came: {:#?}", self.kiosk.state.orders);
            self.kiosk.tick_lane();
            let now = self.kiosk.clock.now();
            let wake = self.kiosk.state.next_wake(now).map_or(PATIENCE, |at| at.since(now));
            match self.queue.recv_timeout(wake.min(Duration::from_millis(50))) {
                Ok(input) => self.kiosk.take(input),
                Err(_) => self.kiosk.step(Event::Tick),
            }
            self.kiosk.show();
            for PrintJob { paper, .. } in self.slips.try_iter() {
                if let Paper::Slip { order, .. } = paper {
                    drop(self.inputs.send(Input::Event(Event::ReceiptDone { order, result: Ok(()) })));
                }
            }
        }
    }
}

/// One product for whoever pays, which is everybody.
pub(in super::super) fn sell(rig: &mut Rig) {
    let spoken = [Condition::Board { answers: true }, Condition::Glass { dark: None }];
    let product = rig.kiosk.config.slots[0].product.to_string();
    for condition in spoken {
        rig.inputs.send(Input::Event(Event::Condition(condition))).unwrap();
    }
    for touch in ["start", &format!("product:{product}"), "pay"] {
        rig.inputs.send(Input::Event(Event::Touch(touch.parse().unwrap()))).unwrap();
    }
}

#[test]
fn a_board_that_dies_after_the_payment_ends_the_kiosk_by_its_name() {
    let mut rig = rig(|| panic!("the board burns"));
    sell(&mut rig);
    let (over, goes_on) = channel::<()>();
    let stop = rig.inputs.clone();
    let patience = std::thread::spawn(move || {
        if goes_on.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            drop(stop.send(Input::Stop));
        }
    });
    let error = rig.kiosk.turn_until_stopped(&rig.queue).expect_err("it has lost its board");
    drop(over);
    patience.join().unwrap();
    assert_eq!(error.to_string(), "the board has ended: it has panicked: the board burns");
    // The next run finds the intent, and energises nothing.
    assert_eq!(rig.rail.made.lock().unwrap().len(), 1);
    rig.kiosk.end();
}

#[test]
fn a_board_that_hangs_after_the_payment_leaves_nobody_waiting() {
    let (hold, held) = channel::<()>();
    let held = Mutex::new(held);
    let mut rig = rig(move || {
        // Until the test is over.
        let _ = held.lock().unwrap().recv();
    });
    sell(&mut rig);
    let watched = start::parts(&rig.kiosk.edges, &Heartbeat::default(), rig.inputs.clone());
    let board = watched.into_iter().find(|part| part.name == "the board").expect("the watchdog sees the board");
    let began = Instant::now();
    let stop = rig.inputs.clone();
    // The slip comes when the customer's order is decided.
    let slips = std::mem::replace(&mut rig.slips, channel().1);
    let waiting = std::thread::spawn(move || {
        let slip = slips.recv_timeout(PATIENCE);
        drop(stop.send(Input::Stop));
        slip
    });
    rig.kiosk.turn_until_stopped(&rig.queue).unwrap();
    let slip = waiting.join().unwrap().expect("the order was never decided");
    assert!(began.elapsed() >= GRACE, "it was the deadline that decided");
    let Paper::Slip { receipt: slip, .. } = slip.paper else { panic!("{slip:?}") };
    assert_eq!(slip.paid, slip.amount);
    assert_eq!(slip.refunded + slip.refund_pending, slip.paid, "all of it goes back");
    assert_eq!(rig.kiosk.state.conditions.board_answers, Some(false), "and nothing is sold");
    assert!(!rig.kiosk.state.stop_reasons().is_empty());
    let beats = board.heartbeat.count();
    (board.nudge)();
    assert_eq!(board.heartbeat.count(), beats, "systemd will not hear of it, and begins anew");
    drop(hold);
    rig.kiosk.end();
}
