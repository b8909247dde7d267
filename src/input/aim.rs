//! Whether touches come out where they were made, and the calibration that brings them there.
//!
//! Policy: a sensor that lies turned or mirrored on its panel is told apart from one that is a little beside, because the
//! first has a calibration of whole numbers, whichever finger has tried it.

use super::place::on_panel;
use crate::config::Calibration;
use crate::vocabulary::{Corner, Spot};

/// A finger that has touched the middle of a mark comes out no further from it, of the picture's width and height.
const TOLERANCE: f64 = 0.06;

/// How the sensor is read now, and where three touches came out, in the order of [`Corner::ALL`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aimed {
    pub came: [Spot; 3],
    pub calibration: Calibration,
    /// Degrees by which the picture is turned on the panel, clockwise: 0, 90, 180 or 270.
    pub rotation: u32,
}

/// What three touches say. `instead`: the calibration with which they would have come out where they were made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aim {
    True,
    /// In words.
    Turned {
        how: &'static str,
        instead: Calibration,
    },
    /// By so many hundredths of the picture, at most. `instead`: `None` where the touches lie on a line.
    Beside {
        percent: u32,
        instead: Option<Calibration>,
    },
}

/// A turned or mirrored picture: where a place at x and y comes out.
type Turn = fn(Spot) -> Spot;

const TURNS: [(&str, Turn); 7] = [
    ("mirrored left to right", |Spot { x, y }| Spot { x: 1.0 - x, y }),
    ("mirrored top to bottom", |Spot { x, y }| Spot { x, y: 1.0 - y }),
    ("turned by 180 degrees", |Spot { x, y }| Spot { x: 1.0 - x, y: 1.0 - y }),
    ("turned by 90 degrees clockwise", |Spot { x, y }| Spot { x: 1.0 - y, y: x }),
    ("turned by 90 degrees counterclockwise", |Spot { x, y }| Spot { x: y, y: 1.0 - x }),
    ("mirrored, with left and top exchanged", |Spot { x, y }| Spot { x: y, y: x }),
    ("mirrored, with left and bottom exchanged", |Spot { x, y }| Spot { x: 1.0 - y, y: 1.0 - x }),
];

impl Aimed {
    pub fn says(&self) -> Aim {
        let marks = Corner::ALL.map(Corner::spot);
        let furthest = self.furthest(marks);
        if furthest <= TOLERANCE {
            return Aim::True;
        }
        let turned = TURNS.iter().find(|(_, turn)| self.furthest(marks.map(turn)) <= TOLERANCE);
        let turned = turned.and_then(|(how, turn)| Some((*how, self.instead(marks.map(turn))?)));
        match turned {
            Some((how, instead)) => Aim::Turned { how, instead },
            None => Aim::Beside { percent: (furthest * 100.0).round() as u32, instead: self.instead(self.came) },
        }
    }

    fn furthest(&self, wanted: [Spot; 3]) -> f64 {
        let apart = |(a, b): (&Spot, &Spot)| (a.x - b.x).abs().max((a.y - b.y).abs());
        self.came.iter().zip(&wanted).map(apart).fold(0.0, f64::max)
    }

    /// The calibration by which touches that come out there now would come out on the marks.
    fn instead(&self, came: [Spot; 3]) -> Option<Calibration> {
        let sensor = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)];
        let back = Calibration::between(sensor.map(|(x, y)| self.calibration.apply(x, y)), sensor)?;
        let panel = |spot| on_panel(spot, self.rotation);
        let raw = came.map(|spot| {
            let (u, v) = panel(spot);
            back.apply(u, v)
        });
        Calibration::between(raw, Corner::ALL.map(|corner| panel(corner.spot())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::place::{Axis, Mounting};
    use super::*;

    const WRITTEN: [&str; 8] = [
        "1 0 0 0 1 0",
        "-1 0 1 0 1 0",
        "1 0 0 0 -1 1",
        "-1 0 1 0 -1 1",
        "0 -1 1 1 0 0",
        "0 1 0 -1 0 1",
        "0 1 0 1 0 0",
        "0 -1 1 -1 0 1",
    ];

    /// A sensor that needs one calibration and has another: where a finger on each mark comes out.
    fn aimed(needs: &str, has: &str, rotation: u32, jitter: f64) -> Aimed {
        let [needs, has] = [needs, has].map(|text| Calibration::parse(text).unwrap());
        let corners = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)];
        let to_sensor = Calibration::between(corners.map(|(x, y)| needs.apply(x, y)), corners).unwrap();
        let axis = Axis::new(0, 1_000_000).unwrap();
        let mounting = Mounting { x: axis, y: axis, calibration: has, rotation };
        let came = Corner::ALL.map(|corner| {
            let (u, v) = on_panel(corner.spot(), rotation);
            let (u, v) = to_sensor.apply(u + jitter, v - jitter);
            mounting.spot((u * 1e6).round() as i32, (v * 1e6).round() as i32)
        });
        Aimed { came, calibration: has, rotation }
    }

    #[test]
    fn however_it_lies_and_is_read_the_calibration_that_it_needs_is_found() {
        for needs in WRITTEN {
            for has in WRITTEN {
                for rotation in [0, 90, 180, 270] {
                    let says = aimed(needs, has, rotation, 0.03).says();
                    match says {
                        Aim::True => assert_eq!(needs, has),
                        Aim::Turned { instead, .. } => {
                            assert_ne!(needs, has);
                            assert_eq!(instead.to_string(), needs, "read as {has} on a picture turned by {rotation}");
                        }
                        Aim::Beside { .. } => panic!("{needs} read as {has}, {rotation}: {says:?}"),
                    }
                }
            }
        }
    }

    #[test]
    fn how_it_is_turned_is_said_as_a_person_sees_it() {
        let how = |needs| match aimed(needs, "1 0 0 0 1 0", 0, 0.0).says() {
            Aim::Turned { how, .. } => how,
            other => panic!("{needs}: {other:?}"),
        };
        assert_eq!(how("-1 0 1 0 1 0"), "mirrored left to right");
        assert_eq!(how("1 0 0 0 -1 1"), "mirrored top to bottom");
        assert_eq!(how("-1 0 1 0 -1 1"), "turned by 180 degrees");
        // The finger at the top left comes out at the bottom left, so it must be turned clockwise.
        assert_eq!(how("0 -1 1 1 0 0"), "turned by 90 degrees counterclockwise");
        assert_eq!(how("0 1 0 -1 0 1"), "turned by 90 degrees clockwise");
        assert_eq!(how("0 1 0 1 0 0"), "mirrored, with left and top exchanged");
        assert_eq!(how("0 -1 1 -1 0 1"), "mirrored, with left and bottom exchanged");
    }

    #[test]
    fn what_comes_out_beside_is_brought_to_the_marks() {
        for rotation in [0, 90] {
            let says = aimed("1.25 0 -0.125 0 1.25 -0.125", "1 0 0 0 1 0", rotation, 0.0).says();
            let Aim::Beside { percent: 8, instead: Some(instead) } = says else { panic!("{says:?}") };
            assert_eq!(instead.to_string(), "1.25 0 -0.125 0 1.25 -0.125");
        }
        let stuck = Aimed { came: [Spot { x: 0.5, y: 0.5 }; 3], ..aimed("1 0 0 0 1 0", "1 0 0 0 1 0", 0, 0.0) };
        assert_eq!(stuck.says(), Aim::Beside { percent: 40, instead: None });
    }
}
