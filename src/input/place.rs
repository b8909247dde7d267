//! Maps a touch sensor's coordinates to a place on the picture.

use crate::config::Calibration;
use crate::vocabulary::Spot;

/// The range that a device announces for one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Axis {
    least: i32,
    most: i32,
}

impl Axis {
    /// `None` for a range with nothing in it.
    pub fn new(least: i32, most: i32) -> Option<Self> {
        (least < most).then_some(Self { least, most })
    }

    fn part(self, value: i32) -> f64 {
        let (least, most) = (f64::from(self.least), f64::from(self.most));
        (f64::from(value) - least) / (most - least)
    }
}

/// How the sensor lies on the panel, and the panel under the picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mounting {
    pub x: Axis,
    pub y: Axis,
    /// From the sensor to the panel.
    pub calibration: Calibration,
    /// Degrees by which the picture is turned on the panel, clockwise: 0, 90, 180 or 270.
    pub rotation: u32,
}

impl Mounting {
    /// What lies outside of the announced range or beside the picture counts as its edge: sensors reach a little over
    /// it, and nothing to be touched lies there.
    pub fn spot(&self, x: i32, y: i32) -> Spot {
        let (u, v) = self.calibration.apply(self.x.part(x), self.y.part(y));
        let (x, y) = match self.rotation {
            90 => (v, 1.0 - u),
            180 => (1.0 - u, 1.0 - v),
            270 => (1.0 - v, u),
            _ => (u, v),
        };
        Spot { x: x.clamp(0.0, 1.0), y: y.clamp(0.0, 1.0) }
    }
}

/// Where a place of the picture is on the panel, 0 to 1: the other way round than [`Mounting::spot`].
pub(super) fn on_panel(Spot { x, y }: Spot, rotation: u32) -> (f64, f64) {
    match rotation {
        90 => (1.0 - y, x),
        180 => (1.0 - x, 1.0 - y),
        270 => (y, 1.0 - x),
        _ => (x, y),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Point;

    fn mounting(calibration: &str, rotation: u32) -> Mounting {
        let axis = |most| Axis::new(0, most).unwrap();
        Mounting { x: axis(4000), y: axis(1000), calibration: Calibration::parse(calibration).unwrap(), rotation }
    }

    #[test]
    fn the_axis_range_is_the_panel() {
        let plain = mounting("1 0 0 0 1 0", 0);
        assert_eq!(plain.spot(1000, 500), Spot { x: 0.25, y: 0.5 });
        assert_eq!(plain.spot(1000, 500).pixel((1280, 800)), Point { x: 320, y: 400 });
        assert_eq!(plain.spot(4000, 1000).pixel((1280, 800)), Point { x: 1279, y: 799 });
        assert_eq!(plain.spot(-7, 70_000).pixel((1280, 800)), Point { x: 0, y: 799 });
    }

    /// The example of libinput's documentation: https://wayland.freedesktop.org/libinput/doc/latest/absolute-axes.html
    #[test]
    fn a_matrix_turns_and_moves() {
        let right = mounting("0 -1 1 1 0 0", 0);
        assert_eq!(right.spot(1000, 0), Spot { x: 1.0, y: 0.25 });
        let half_wide = mounting("0.5 0 0.25 0 1 0", 0);
        assert_eq!(half_wide.spot(4000, 0), Spot { x: 0.75, y: 0.0 });
    }

    /// A finger on the picture's top left corner, where that corner is on the panel.
    #[test]
    fn the_finger_turns_with_the_picture() {
        for (rotation, x, y) in [(0, 0, 0), (90, 4000, 0), (180, 4000, 1000), (270, 0, 1000)] {
            assert_eq!(mounting("1 0 0 0 1 0", rotation).spot(x, y), Spot { x: 0.0, y: 0.0 }, "{rotation}");
        }
        for rotation in [0, 90, 180, 270] {
            let spot = Spot { x: 0.25, y: 0.125 };
            let (u, v) = on_panel(spot, rotation);
            let there = mounting("1 0 0 0 1 0", rotation).spot((u * 4000.0) as i32, (v * 1000.0) as i32);
            assert_eq!(there, spot, "{rotation}");
        }
        // Turned clockwise, the picture's right end is at the panel's lower end.
        assert_eq!(mounting("1 0 0 0 1 0", 90).spot(2000, 1000), Spot { x: 1.0, y: 0.5 });
    }

    #[test]
    fn a_range_without_room_is_none() {
        assert!(Axis::new(0, 0).is_none() && Axis::new(5, -5).is_none());
        let all = Axis::new(i32::MIN, i32::MAX).unwrap();
        assert_eq!((all.part(i32::MIN), all.part(i32::MAX)), (0.0, 1.0));
    }
}
