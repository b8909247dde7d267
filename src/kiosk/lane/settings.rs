//! What a lane is made of, from the configuration.

use crate::config::{self, Config, Mode};
use crate::parking::lane::settings::Problem;
use crate::parking::lane::signal::Times as SignalTimes;
use crate::parking::lane::{Delivered, Settings, Times, Undecided, Way};

/// `None` where the kiosk stands at no gate.
pub fn settings(config: &Config) -> Option<Settings> {
    config.gate.as_ref().map(|gate| of(gate, way(config)))
}

/// What is wrong with `[gate]`.
pub fn problems(config: &Config) -> Vec<Problem> {
    settings(config).map(|settings| settings.problems()).unwrap_or_default()
}

fn way(config: &Config) -> Way {
    match config.parking.as_ref().map(|parking| parking.mode) {
        Some(Mode::Exit) => Way::Out,
        Some(Mode::Entry | Mode::PayStation) | None => Way::In,
    }
}

fn of(gate: &config::Gate, way: Way) -> Settings {
    Settings {
        way,
        presence: gate.presence.is_some(),
        safety: gate.safety.is_some(),
        closing: gate.closing.is_some(),
        opened: gate.opened.is_some(),
        closed: gate.closed.is_some(),
        fire: gate.fire.is_some(),
        lowers: gate.lower.is_some(),
        undecided: match gate.undecided {
            config::Undecided::ClosedAndCall => Undecided::ClosedAndCall,
            config::Undecided::OpenAndRecord => Undecided::OpenAndRecord,
        },
        delivered: match gate.delivered {
            config::GateDelivered::Passed => Delivered::Passed,
            config::GateDelivered::Opened => Delivered::Opened,
        },
        tries: gate.tries,
        // All lanes of the site count together; one lane alone does not know who is inside.
        places: None,
        free_again: gate.free_again,
        times: Times {
            pulse: gate.pulse.0,
            rest: gate.rest.0,
            travel: gate.travel.0,
            pass: gate.pass.0,
            back_out: gate.back_out.0,
            gap: gate.gap.0,
            signal: SignalTimes {
                occupied: gate.occupied.0,
                clear: gate.clear.0,
                calm: gate.calm.0,
                stuck: gate.stuck.0,
                silent: gate.silent.0,
                ..SignalTimes::default()
            },
            fire_repeat: gate.fire_repeat.0,
            fire_release: gate.fire_release.0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a file leaves out is what the lane takes as usual.
    #[test]
    fn the_defaults_are_the_lanes_own() {
        let least: config::Gate = toml::from_str("name = \"entry-1\"\nraise = \"gate-raise\"\n").unwrap();
        let bare = Settings {
            presence: false,
            safety: false,
            closing: false,
            opened: false,
            closed: false,
            fire: false,
            lowers: false,
            ..Settings::whole(Way::Out)
        };
        assert_eq!(of(&least, Way::Out), bare);
        assert_eq!(bare.problems(), []);
    }
}
