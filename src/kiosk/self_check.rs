//! The self-check: after a start nothing is sold before what the machine needs for it has proved itself once.
//!
//! Policy: it waits for nothing and asks nothing by itself, so it does not slow a start. What the parts say anyway is what it
//! goes by: the board has spoken (with every relay claimed and made inactive, and every input read, or that this is not
//! so), the glass has shown a frame or said that it can't, the ledger was verified and has taken the record of the start, and the
//! configuration is what is on record. What a part says against itself is a reason of its own; what says nothing in time
//! has failed the check.

use std::time::Duration;

use super::{Input, Kiosk};
use crate::sale::event::{Condition, Event};
use crate::sale::{Conditions, SelfCheck};
use crate::vocabulary::Mono;

/// What has said nothing by then has failed.
const LATE: Duration = Duration::from_secs(30);

/// How it stands. `altered`: why the configuration is not as it was recorded.
fn check(conditions: &Conditions, now: Mono, altered: Option<&str>) -> SelfCheck {
    if let Some(why) = altered {
        return SelfCheck::Failed(why.to_owned());
    }
    let silent = match (conditions.board_answers.is_some(), conditions.glass_has_spoken) {
        (true, true) => return SelfCheck::Passed,
        (false, _) => "the board has not answered",
        (true, false) => "the glass has shown nothing",
    };
    match now.since(Mono::default()) >= LATE {
        false => SelfCheck::Pending(format!("{silent} yet")),
        true => SelfCheck::Failed(format!("{silent} within {} s", LATE.as_secs())),
    }
}

impl Kiosk {
    /// After every turn, until it is passed.
    pub(super) fn check_itself(&mut self) {
        if self.checked || self.state.conditions.ledger_failed.is_some() {
            return;
        }
        let found = check(&self.state.conditions, self.clock.now(), self.in_force.altered.as_deref());
        if found == self.state.conditions.self_check {
            return;
        }
        match &found {
            SelfCheck::Passed => tracing::info!("the self-check is passed"),
            SelfCheck::Pending(what) => tracing::debug!(what, "the self-check goes on"),
            SelfCheck::Failed(why) => tracing::error!(why, "the self-check has failed, so nothing is sold"),
        }
        self.checked = found == SelfCheck::Passed;
        self.step(Event::Condition(Condition::SelfCheck(found)));
    }

    /// Somebody has to look at it once more when the time is up.
    pub(super) fn end_the_self_check(&self) {
        let inputs = self.edges.inputs.clone();
        let end = move |_| drop(inputs.send(Input::Nudge));
        self.edges.supervisor.job(
            self.edges.runtime.handle(),
            "the end of the self-check",
            async { tokio::time::sleep(LATE).await },
            end,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::edges::tests::rig;
    use super::*;
    use crate::vocabulary::StopReason;

    /// A kiosk whose board is well, and whose glass has not shown anything yet.
    #[test]
    fn a_kiosk_without_a_frame_says_why_it_does_not_sell() {
        let mut rig = rig(|| ());
        let touch = |kiosk: &mut Kiosk, name: &str| {
            kiosk.take(Input::Event(Event::Touch(name.parse().unwrap())));
            kiosk.show();
        };
        rig.until(|kiosk| kiosk.state.conditions.board_answers == Some(true));
        for name in ["start", "product:cola", "pay"] {
            touch(&mut rig.kiosk, name);
        }
        assert!(rig.kiosk.state.orders.is_empty());
        let told = rig.kiosk.told.as_ref().unwrap();
        assert_eq!((told.selling, told.alarms().len()), (false, 0));
        assert_eq!(told.reasons, [StopReason::SelfCheck("the glass has shown nothing yet".into())]);
        rig.kiosk.take(Input::Event(Event::Condition(Condition::Glass { dark: None })));
        rig.kiosk.show();
        assert!(rig.kiosk.checked && rig.kiosk.told.as_ref().unwrap().selling);
        touch(&mut rig.kiosk, "pay");
        assert_eq!(rig.kiosk.state.orders.len(), 1);
        rig.kiosk.end();
    }

    #[test]
    fn who_says_nothing_has_failed_and_who_speaks_has_not() {
        let [early, late] = [Mono(29_999), Mono(30_000)];
        let said =
            |board_answers, glass_has_spoken| Conditions { board_answers, glass_has_spoken, ..Conditions::default() };
        let pending = |what: &str| SelfCheck::Pending(what.into());
        let failed = |what: &str| SelfCheck::Failed(what.into());
        for (conditions, at, found) in [
            (said(None, false), early, pending("the board has not answered yet")),
            (said(None, true), early, pending("the board has not answered yet")),
            (said(Some(true), false), early, pending("the glass has shown nothing yet")),
            (said(None, true), late, failed("the board has not answered within 30 s")),
            (said(Some(true), false), late, failed("the glass has shown nothing within 30 s")),
            // That it does not answer is a reason of its own.
            (said(Some(false), true), early, SelfCheck::Passed),
            (said(Some(true), true), late, SelfCheck::Passed),
        ] {
            assert_eq!(check(&conditions, at, None), found, "{conditions:?}");
        }
        assert_eq!(check(&said(Some(true), true), early, Some("it was changed")), failed("it was changed"));
    }
}
