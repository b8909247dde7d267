//! A world with a kiosk that a test plays.

use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use super::super::wallet::Behaviour;
use super::*;
use crate::payment::Rail;
use crate::payment::sandbox::{Sandbox, notice};
use crate::service::Supervisor;
use crate::vocabulary::{
    ChargeId, ChargeRef, Currency, NewCharge, OrderId, Point, RailError, Rect, RefundId, RefundReport, RefundRequest,
    Standing, Target,
};
use crate::world::{Ask, LineName, Scene, SlotWiring, ToWorld, Unsolicited, World, WorldError};

pub const WIDTH: i32 = 400;
pub const HEIGHT: i32 = 300;
const SOON: Duration = Duration::from_secs(60);
/// Shorter than a provider is slow, and long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(3);
/// In which nothing must come.
const MOMENT: Duration = Duration::from_millis(300);

pub struct Bench {
    pub world: Arc<SimulatedWorld>,
    folder: tempfile::TempDir,
}

/// What a `kioskd run` would be.
pub struct FakeKiosk {
    pub wire: Arc<World>,
    pub heard: Receiver<Unsolicited>,
}

impl Bench {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = SimulatedWorld::new(Parts {
            wallet: Arc::new(Wallet::open(&folder.path().join("wallet.db")).unwrap()),
            till: 0,
            panel: (WIDTH as u32, HEIGHT as u32),
            paper_columns: 384,
            door: Some("door".into()),
            timing: Timing { turn: Duration::from_millis(20), fall: Duration::from_millis(5) },
            proxy: None,
        })
        .unwrap();
        world.listen(UnixListener::bind(folder.path().join("world.sock")).unwrap()).unwrap();
        Self { world, folder }
    }

    pub fn kiosk(&self) -> FakeKiosk {
        let line = |name: &str, kind: &str| LineName { name: name.into(), kind: kind.into() };
        self.kiosk_with(vec![line("slot-A1", "relay"), line("door", "input")])
    }

    pub fn kiosk_with(&self, lines: Vec<LineName>) -> FakeKiosk {
        let (said, heard) = channel();
        let (socket, supervisor) = (self.folder.path().join("world.sock"), Supervisor::new(|_| ()));
        let wire = World::connect(&socket, &supervisor, move |what| drop(said.send(what))).unwrap();
        let slots = vec![SlotWiring { slot: "A1".into(), line: "slot-A1".into(), stock: 3 }];
        let panel = (WIDTH as u32, HEIGHT as u32);
        wire.tell(&ToWorld::Hello { lines, slots, panel }, &[]).unwrap();
        let kiosk = FakeKiosk { wire, heard };
        kiosk.frame("attract");
        self.until(|world| world.glass.scene().page == "attract");
        kiosk
    }

    pub fn until(&self, there: impl Fn(&SimulatedWorld) -> bool) {
        let by = Instant::now() + SOON;
        while !there(&self.world) {
            assert!(Instant::now() < by, "it never came");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn relay_is_on(&self) -> bool {
        self.world.machine.get_line("slot-A1").unwrap()
    }

    fn charges(&self) -> usize {
        self.world.wallet.book().unwrap()["charges"].as_array().unwrap().len()
    }

    fn arm(&self, point: CutPoint) {
        let cut = serde_json::json!({ "power": "cut", "at": point });
        self.world.switch(&serde_json::from_value(cut).unwrap()).unwrap();
    }
}

impl FakeKiosk {
    /// The whole panel in white.
    pub fn frame(&self, page: &str) {
        let rect = Rect { x: 0, y: 0, w: WIDTH, h: HEIGHT };
        let target = Target { name: "start".into(), rect, enabled: true };
        let scene = Scene { page: page.into(), order: Value::Null, targets: vec![target] };
        let white = vec![255; (WIDTH * HEIGHT * 4) as usize];
        self.wire.tell(&ToWorld::Frame { rects: vec![rect], scene }, &white).unwrap();
    }

    pub fn rail(&self) -> Sandbox {
        Sandbox::new(Arc::clone(&self.wire), TIMEOUT)
    }

    fn set_relay(&self, active: bool) -> Result<Value, WorldError> {
        self.wire.ask(Ask::SetLine { line: "slot-A1".into(), active }, TIMEOUT)
    }

    fn gone(&self) -> bool {
        let by = Instant::now() + SOON;
        while Instant::now() < by {
            match self.heard.recv_timeout(SOON) {
                Ok(Unsolicited::Gone) | Err(_) => return true,
                Ok(_) => {}
            }
        }
        false
    }

    fn notice(&self, within: Duration) -> Option<ChargeId> {
        while let Ok(heard) = self.heard.recv_timeout(within) {
            if let Unsolicited::RailNotice { body } = heard {
                return Some(notice(&body).unwrap().0);
            }
        }
        None
    }
}

pub fn new_charge(n: u128) -> NewCharge {
    let order = OrderId::from_parts(1_700_000_000_000, n);
    NewCharge {
        charge: ChargeId::of(order, 1),
        order,
        amount: 300,
        currency: Currency::from_code("CNY").unwrap(),
        life: Duration::from_secs(90),
        description: "Demo Drinks, cola".into(),
        attach: String::new(),
    }
}

fn charge_ref(new: &NewCharge) -> ChargeRef {
    ChargeRef { charge: new.charge.clone(), order: new.order, amount: new.amount, currency: new.currency }
}

fn block_on<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(what)
}

#[test]
fn a_kiosk_is_told_the_worlds_time_when_it_changes_and_whenever_it_starts() {
    let bench = Bench::new();
    let told = |kiosk: &FakeKiosk| match kiosk.heard.recv_timeout(SOON).unwrap() {
        Unsolicited::Clock { offset_ms } => offset_ms,
        other => panic!("{other:?}"),
    };
    let kiosk = bench.kiosk();
    assert!(kiosk.heard.recv_timeout(MOMENT).is_err(), "this machine's own time is not told");
    bench.world.set_ahead(7_200_000);
    assert_eq!(told(&kiosk), 7_200_000);
    bench.world.cut();
    assert!(kiosk.gone());
    let next = bench.kiosk();
    assert_eq!(told(&next), 7_200_000);
    bench.world.set_ahead(-60_000);
    assert_eq!(std::iter::from_fn(|| Some(told(&next))).find(|offset| *offset != 7_200_000), Some(-60_000));
}

#[test]
fn when_the_socket_ends_every_relay_drops_and_the_panel_is_dark() {
    let bench = Bench::new();
    assert_eq!(bench.world.state()["page"], "dark");
    assert!(!bench.world.touch(Point { x: 1, y: 1 }));
    let kiosk = bench.kiosk();
    kiosk.wire.tell(&ToWorld::State { document: json!({ "selling": true }) }, &[]).unwrap();
    bench.until(|world| world.state()["selling"] == true);
    assert_eq!(bench.world.state()["targets"][0]["name"], "start");
    kiosk.set_relay(true).unwrap();
    assert!(bench.relay_is_on());
    bench.world.cut();
    assert!(!bench.relay_is_on());
    let dark = json!({ "selling": false, "page": "dark", "order": null, "targets": [] });
    assert_eq!(bench.world.state(), dark);
    assert!(kiosk.gone());
    // The next one is served, and its machine remembers.
    let again = bench.kiosk();
    again.set_relay(true).unwrap();
    assert_eq!(bench.world.machine.report()["lines"][0]["pulses"], 2);
}

#[test]
fn a_whole_payment_over_the_wire() {
    let bench = Bench::new();
    let kiosk = bench.kiosk();
    let rail = kiosk.rail();
    let new = new_charge(1);
    let asked = charge_ref(&new);
    assert_eq!(block_on(rail.probe()), Ok(()));
    assert_eq!(block_on(rail.query(&asked)).unwrap().standing, Standing::Absent);
    let created = block_on(rail.create(&new)).unwrap();
    assert_eq!(block_on(rail.query(&asked)).unwrap().standing, Standing::Open);

    let paid = bench.world.act(&created.payload, Action::Pay).unwrap();
    assert!(matches!(paid, Outcome::Accepted { .. }));
    assert_eq!(kiosk.notice(SOON), Some(new.charge.clone()));
    let report = block_on(rail.query(&asked)).unwrap();
    assert_eq!((report.standing, report.payments[0].amount), (Standing::Closed, 300));
    assert_eq!(block_on(rail.close(&asked)), Ok(Some(report)), "what is paid is not closed");

    let refund = RefundRequest {
        refund: RefundId::of(&new.charge, 1),
        charge: new.charge.clone(),
        order: new.order,
        amount: 300,
        charged: new.amount,
        currency: new.currency,
    };
    assert_eq!(block_on(rail.query_refund(&refund)), Ok(RefundReport::Absent));
    assert_eq!(block_on(rail.refund(&refund)), Ok(RefundReport::Done));
    assert_eq!(block_on(rail.query_refund(&refund)), Ok(RefundReport::Done));
    assert_eq!(bench.world.wallet.book().unwrap()["charges"][0]["state"], "refunded");
}

#[test]
fn without_network_nothing_comes_through_in_either_direction() {
    let bench = Bench::new();
    let kiosk = bench.kiosk();
    let rail = kiosk.rail();
    let new = new_charge(1);
    let payload = block_on(rail.create(&new)).unwrap().payload;
    let network = |to: &str| bench.world.switch(&serde_json::from_value(json!({ "network": to })).unwrap()).unwrap();
    network("down");
    assert!(matches!(block_on(rail.create(&new_charge(2))), Err(RailError::Unknown(_))));
    assert_eq!(bench.charges(), 1);
    bench.world.act(&payload, Action::Pay).unwrap();
    assert_eq!(kiosk.notice(MOMENT), None);
    network("up");
    assert_eq!(block_on(rail.query(&charge_ref(&new))).unwrap().payments.len(), 1);
}

#[test]
fn a_slow_provider_does_not_hold_up_the_board() {
    let bench = Bench::new();
    let kiosk = bench.kiosk();
    bench.world.wallet.set_behaviour(Behaviour { slow_ms: 5_000, ..Behaviour::default() });
    let rail = kiosk.rail();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| block_on(rail.probe()));
        kiosk.set_relay(true).unwrap();
        assert!(!asked.is_finished());
        assert!(matches!(asked.join().unwrap(), Err(RailError::Unknown(_))));
    });
    // Then it is forged instead.
    let forge_next = vec![super::super::wallet::Ask::Probe];
    bench.world.wallet.set_behaviour(Behaviour { forge_next, ..Behaviour::default() });
    assert!(matches!(block_on(rail.probe()), Err(RailError::Unknown(_))));
    assert_eq!(block_on(rail.probe()), Ok(()));
}

#[test]
fn cut_points_kill_before_the_kiosk_hears_of_it() {
    let bench = Bench::new();
    let kiosk = bench.kiosk();
    bench.arm(CutPoint::RelayOn);
    assert_eq!(bench.world.switches()["kiosk"]["cut_at"], "relay-on");
    assert!(kiosk.set_relay(true).is_err());
    assert!(kiosk.gone());
    bench.until(|world| world.state()["page"] == "dark");
    assert!(!bench.relay_is_on());
    assert_eq!(bench.world.machine.report()["lines"][0]["pulses"], 1);

    let kiosk = bench.kiosk();
    bench.arm(CutPoint::ChargeCreateReceived);
    assert!(block_on(kiosk.rail().create(&new_charge(1))).is_err());
    assert_eq!(bench.charges(), 0);

    bench.until(|world| world.state()["page"] == "dark");
    let kiosk = bench.kiosk();
    bench.arm(CutPoint::ChargeCreated);
    assert!(block_on(kiosk.rail().create(&new_charge(1))).is_err());
    assert_eq!(bench.charges(), 1);

    bench.until(|world| world.state()["page"] == "dark");
    let kiosk = bench.kiosk();
    let payload = block_on(kiosk.rail().create(&new_charge(1))).unwrap().payload;
    bench.arm(CutPoint::PaymentBooked);
    bench.world.act(&payload, Action::Pay).unwrap();
    assert_eq!(kiosk.notice(MOMENT), None);
    assert_eq!(bench.world.wallet.book().unwrap()["charges"][0]["paid"], 300);

    bench.until(|world| world.state()["page"] == "dark");
    let kiosk = bench.kiosk();
    bench.arm(CutPoint::FramePay);
    kiosk.frame("pay");
    assert!(kiosk.gone());

    bench.until(|world| world.state()["page"] == "dark");
    let kiosk = bench.kiosk();
    bench.arm(CutPoint::Drop);
    kiosk.set_relay(true).unwrap();
    assert!(kiosk.gone());
    bench.until(|world| world.machine.report()["dropped"]["A1"] == 1);
}

#[test]
fn questions_wait_for_a_kiosk_that_is_starting_and_end_with_it() {
    let bench = Bench::new();
    let world = Arc::clone(&bench.world);
    let asker = std::thread::spawn(move || block_on(world.ask(Question::Orders)));
    let kiosk = bench.kiosk();
    let id = loop {
        if let Unsolicited::Question { id, ask: Question::Orders } = kiosk.heard.recv_timeout(SOON).unwrap() {
            break id;
        }
    };
    kiosk.wire.tell(&ToWorld::Answer { id, answer: json!({ "orders": [] }) }, &[]).unwrap();
    assert_eq!(asker.join().unwrap(), Ok(json!({ "orders": [] })));

    let world = Arc::clone(&bench.world);
    let asker = std::thread::spawn(move || block_on(world.ask(Question::Operations)));
    while !matches!(kiosk.heard.recv_timeout(SOON).unwrap(), Unsolicited::Question { .. }) {}
    bench.world.cut();
    assert_eq!(asker.join().unwrap(), Err(NoAnswer::Dead));
}

#[test]
fn the_door_is_an_input_and_switches_are_all_or_nothing() {
    let bench = Bench::new();
    let switch = |body: Value| bench.world.switch(&serde_json::from_value(body).unwrap());
    assert_eq!(switch(json!({ "door": "open" })), Err(Wrong::NoDoor));
    let kiosk = bench.kiosk();
    switch(json!({ "door": "open" })).unwrap();
    let heard = kiosk.heard.recv_timeout(SOON).unwrap();
    assert!(matches!(heard, Unsolicited::Input { line, active: true } if line == "door"));
    assert_eq!(bench.world.switches()["door"], "open");

    let wrong = switch(json!({ "network": "down", "slot": { "name": "Z9", "motor": "jam" } }));
    assert_eq!(wrong, Err(Wrong::NoSlot("Z9".into())));
    assert_eq!(bench.world.switches()["network"], "up");
    assert_eq!(switch(json!({})), Err(Wrong::Empty));
    assert_eq!(switch(json!({ "at": "drop" })), Err(Wrong::AtWithoutPower));
    switch(json!({ "slot": { "name": "A1", "motor": "double" } })).unwrap();
    kiosk.set_relay(true).unwrap();
    bench.until(|world| world.machine.report()["dropped"]["A1"] == 2);
}

#[test]
fn a_broken_frame_changes_nothing_and_a_broken_wire_ends() {
    let bench = Bench::new();
    let kiosk = bench.kiosk();
    let rects = vec![Rect { x: 0, y: 0, w: WIDTH + 1, h: 1 }];
    let scene = Scene { page: "pay".into(), ..Scene::default() };
    kiosk.wire.tell(&ToWorld::Frame { rects, scene }, &[0; 16]).unwrap();
    kiosk.set_relay(false).unwrap();
    assert_eq!(bench.world.glass.scene().page, "attract");

    let mut raw = std::os::unix::net::UnixStream::connect(bench.folder.path().join("world.sock")).unwrap();
    drop(kiosk);
    bench.world.cut();
    std::io::Write::write_all(&mut raw, &[255; 64]).unwrap();
    raw.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!(std::io::Read::read(&mut raw, &mut [0; 8]).unwrap_or(0), 0);
    bench.kiosk();
}
