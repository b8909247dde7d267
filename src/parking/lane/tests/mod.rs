//! The rules of a lane, told as what happens there. Everything at once is `tests/parking/lanes`.

mod doubt;
mod holding;
mod passing;
mod pulses;
mod restart;
mod trouble;

use std::time::Duration;

use super::*;
use crate::vocabulary::OrderId;

pub fn delivery(number: u64) -> DeliveryId {
    DeliveryId { order: OrderId::from_parts(number, 0), item: 0, attempt: 1 }
}

/// A lane, its ledger, and everything that it wanted done.
pub struct Story {
    pub lane: State,
    pub now: u64,
    pub ledger: Vec<Record>,
    pub done: Vec<Effect>,
    requests: u32,
}

impl Story {
    /// It is night: the gate is closed, nobody is there.
    pub fn begins(settings: Settings) -> Self {
        assert_eq!(settings.problems(), []);
        let lane = State::recover(settings, [], Mono(0));
        let mut story = Self { lane, now: 0, ledger: Vec::new(), done: Vec::new(), requests: 0 };
        story.starts();
        story
    }

    pub fn whole(way: Way) -> Self {
        Self::begins(Settings::whole(way))
    }

    fn starts(&mut self) {
        self.event(Event::Started);
        for input in [Input::Presence, Input::Safety, Input::Closing, Input::Opened, Input::Fire] {
            self.says(input, Level::Inactive);
        }
        self.says(Input::Closed, Level::Active);
        self.pass(1_000);
    }

    /// A power cut, and what the disk remembers. Nobody has said anything of the inputs yet.
    pub fn restarts(&mut self) {
        (self.now, self.done) = (0, Vec::new());
        self.lane = State::recover(self.lane.settings.clone(), &self.ledger, Mono(0));
        self.event(Event::Started);
    }

    pub fn event(&mut self, event: Event) -> Step {
        let step = next(&mut self.lane, event, Mono(self.now));
        self.done.extend(step.at_once.iter().cloned());
        self.ledger.extend(step.records.iter().cloned());
        self.done.extend(step.effects.iter().cloned());
        step
    }

    pub fn says(&mut self, input: Input, level: Level) -> Step {
        self.event(Event::Input { input, level })
    }

    pub fn on(&mut self, input: Input) {
        self.says(input, Level::Active);
    }

    pub fn off(&mut self, input: Input) {
        self.says(input, Level::Inactive);
    }

    /// So many milliseconds, with every tick that the lane wants.
    pub fn pass(&mut self, millis: u64) {
        let until = self.now + millis;
        let mut ticks = 0;
        while let Some(wake) = self.lane.next_wake(Mono(self.now)).filter(|wake| wake.0 <= until) {
            ticks += 1;
            assert!(wake.0 > self.now && ticks < 10_000, "it wants to be woken too often");
            self.now = wake.0;
            self.event(Event::Tick);
        }
        self.now = until;
        self.event(Event::Tick);
    }

    pub fn asks(&mut self, what: Ask) -> RequestId {
        self.requests += 1;
        let request = RequestId::parse(&format!("r{}-{}", self.requests, self.ledger.len())).unwrap();
        let reason = Reason::parse("the driver has called").unwrap();
        self.event(Event::Asked { request: request.clone(), actor: Actor::Menu, reason, what });
        request
    }

    /// The arm goes up, as its switches see it.
    pub fn arm_goes_up(&mut self) {
        self.off(Input::Closed);
        self.pass(1_500);
        self.on(Input::Opened);
        self.pass(100);
    }

    pub fn arm_goes_down(&mut self) {
        self.off(Input::Opened);
        self.pass(1_500);
        self.on(Input::Closed);
        self.pass(100);
    }

    /// A car comes to the line.
    pub fn car_comes(&mut self) {
        self.on(Input::Presence);
        self.pass(1_000);
    }

    /// One comes to the line, and may pass.
    pub fn car_may_pass(&mut self, number: u64) {
        self.car_comes();
        self.event(Event::Authorised { delivery: delivery(number) });
    }

    /// It comes under the arm, and its tail is over the presence loop still.
    pub fn car_comes_under(&mut self) {
        self.on(Input::Safety);
        self.pass(600);
    }

    /// From there it drives on.
    pub fn car_drives_on(&mut self) {
        self.off(Input::Presence);
        self.pass(300);
        self.on(Input::Closing);
        self.pass(400);
        self.off(Input::Safety);
        self.pass(600);
        self.off(Input::Closing);
    }

    pub fn car_drives_through(&mut self) {
        self.car_comes_under();
        self.car_drives_on();
        self.pass(600);
    }

    /// One car with a ticket, from its coming to the closed gate; after it both switches have proved themselves.
    pub fn one_car(&mut self, number: u64) {
        self.car_may_pass(number);
        self.arm_goes_up();
        self.car_drives_through();
        self.arm_goes_down();
        self.pass(6_000);
    }

    pub fn raised(&self) -> usize {
        self.pulses(Relay::Raise)
    }

    pub fn lowered(&self) -> usize {
        self.pulses(Relay::Lower)
    }

    fn pulses(&self, which: Relay) -> usize {
        self.done.iter().filter(|effect| matches!(effect, Effect::Energise { relay, .. } if *relay == which)).count()
    }

    pub fn answers(&self) -> Vec<(DeliveryId, Answer)> {
        let answer = |effect: &Effect| match effect {
            Effect::Answer { delivery, answer } => Some((*delivery, *answer)),
            _ => None,
        };
        self.done.iter().filter_map(answer).collect()
    }

    pub fn calls(&self) -> Vec<Call> {
        let call = |effect: &Effect| match effect {
            Effect::Call(call) => Some(*call),
            _ => None,
        };
        self.done.iter().filter_map(call).collect()
    }

    pub fn wrote(&self, record: &Record) -> usize {
        self.ledger.iter().filter(|known| *known == record).count()
    }

    pub fn alarms(&self) -> Vec<Alarm> {
        self.lane.alarms().iter().copied().collect()
    }
}

#[test]
fn a_lane_that_can_not_be_built_says_what_to_write_instead() {
    let mut settings = Settings::whole(Way::In);
    (settings.safety, settings.opened, settings.presence) = (false, false, false);
    (settings.delivered, settings.undecided, settings.tries) = (Delivered::Opened, Undecided::OpenAndRecord, 9);
    (settings.places, settings.free_again) = (Some(3), 4);
    settings.times.pass = Duration::from_secs(1);
    settings.times.travel = Duration::from_millis(700);
    let told = settings.problems();
    let wanted = [
        ("lower", "safety = "),
        ("delivered", "delivered = \"passed\""),
        ("undecided", "closed-and-call"),
        ("tries", "1 to 5"),
        ("free_again", "4 of 3 places"),
        ("pass", "`pass` is 1s"),
        ("pulse", "travel"),
    ];
    assert_eq!(told.len(), wanted.len());
    for (problem, (key, said)) in told.iter().zip(wanted) {
        assert!(problem.key == key && problem.what.contains(said), "{said}: {problem:?}");
    }
}

#[test]
fn records_are_read_as_they_are_written() {
    let reason = Reason::parse("why").unwrap();
    let request = RequestId::parse("r1").unwrap();
    let operation = Authorisation::Operation { request: request.clone(), actor: Actor::Menu, reason: reason.clone() };
    let undecided = Authorisation::Undecided { number: 1, why: CantDecide::NoKey };
    let records = [
        Record::GateIntended { authorisation: Authorisation::Delivery { delivery: delivery(1) }, attempt: 1 },
        Record::GateIntended { authorisation: operation, attempt: 2 },
        Record::PassageEnded { authorisation: undecided, how: Ended::Withdrawn },
        Record::CarPassed { authorised: false },
        Record::Tailgated { sure: true },
        Record::WrongWay {},
        Record::GateReopened {},
        Record::GateClosed {},
        Record::KeptOpen { request: request.clone(), actor: Actor::Menu, reason: reason.clone() },
        Record::Released { request, actor: Actor::Menu, reason },
        Record::FireBegun {},
        Record::FireEnded {},
        Record::AlarmRaised(Alarm::Input { input: Input::Safety, fault: Fault::Stuck }),
        Record::AlarmCleared(Alarm::GateDoesNotMove),
        Record::Called(Call::CantDecide(CantDecide::NoPrice)),
        Record::Called(Call::Restarted),
        Record::CarsInside { inside: 3 },
        standing(),
    ];
    for record in records {
        let json = serde_json::to_value(&record).unwrap();
        assert!(json["kind"].is_string(), "{json}");
        assert_eq!(serde_json::from_value::<Record>(json).unwrap(), record);
    }
}

fn standing() -> Record {
    Record::Standing(Box::new(Standing {
        ended: vec![(delivery(3), Ended::Withdrawn), (delivery(4), Ended::Passed)],
        until: Some(delivery(2)),
        ours: true,
        was_held: true,
        undecided: 7,
        kept_open: Some(RequestId::parse("r1").unwrap()),
        alarms: vec![Alarm::Tailgated, Alarm::Input { input: Input::Safety, fault: Fault::Stuck }],
        inside: 9,
        full: true,
    }))
}

/// What stands for all records before it leaves the lane as they have, and says the same again.
#[test]
fn one_record_stands_for_all_before_it() {
    let settings = Settings { places: Some(10), free_again: 3, ..Settings::whole(Way::In) };
    let before = Record::GateIntended { authorisation: Authorisation::Delivery { delivery: delivery(1) }, attempt: 1 };
    let mut state = State::recover(settings.clone(), [&before, &standing()], Mono(0));
    let Some(Record::Standing(again)) = state.standing() else { panic!("nobody may pass") };
    let Record::Standing(said) = standing() else { unreachable!() };
    assert_eq!(BTreeSet::from_iter(&again.alarms), BTreeSet::from_iter(&said.alarms));
    assert_eq!(Standing { alarms: said.alarms.clone(), ..*again }, *said);
    for (nth, wanted) in [(1, Answer::Unknown), (2, Answer::Unknown), (3, Answer::Withdrawn), (4, Answer::Delivered)] {
        let step = next(&mut state, Event::Recalled { delivery: delivery(nth) }, Mono(1));
        assert!(step.effects.contains(&Effect::Answer { delivery: delivery(nth), answer: wanted }), "{nth}: {step:?}");
        let step = next(&mut state, Event::Authorised { delivery: delivery(nth) }, Mono(2));
        assert!(step.records.is_empty(), "{nth} raises nothing: {step:?}");
    }
    // Who may pass is in no such record.
    next(&mut state, Event::Authorised { delivery: delivery(5) }, Mono(3));
    assert_eq!(state.standing(), None);
}

/// A car has come between the decision to lower and the pulse: no try, and nothing is wrong with the relay.
#[test]
fn a_board_that_looks_once_more_and_does_not_lower_is_no_alarm() {
    let mut state = State::recover(Settings::whole(Way::In), [&Record::GateReopened {}], Mono(0));
    let inputs = [Input::Presence, Input::Safety, Input::Closing, Input::Closed, Input::Fire];
    for input in inputs {
        next(&mut state, Event::Input { input, level: Level::Inactive }, Mono(0));
    }
    next(&mut state, Event::Input { input: Input::Opened, level: Level::Active }, Mono(0));
    let lowers =
        |step: &Step| step.effects.iter().any(|effect| matches!(effect, Effect::Energise { relay: Relay::Lower, .. }));
    let mut now = 0;
    for _ in 0..5 {
        let step = loop {
            now += 100;
            let step = next(&mut state, Event::Tick, Mono(now));
            if lowers(&step) {
                break step;
            }
            assert!(now < 60_000, "it lowers again");
        };
        assert!(step.at_once.is_empty());
        let step = next(&mut state, Event::NotLowered, Mono(now));
        assert!(step.records.is_empty() && step.at_once.is_empty(), "{step:?}");
    }
    assert_eq!(state.alarms().len(), 0);
}
