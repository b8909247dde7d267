//! Where things are on the glass: places, rectangles, and what can be touched there. Pixels are those of the picture as
//! the customer sees it, from its upper left corner.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    pub x: i32,
    pub y: i32,
}

/// A place on the picture whatever its size: 0 to 1 from the left and from the top.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spot {
    pub x: f64,
    pub y: f64,
}

impl Spot {
    /// The middle of a pixel of a picture that size.
    pub fn of(Point { x, y }: Point, (width, height): (u32, u32)) -> Self {
        let along = |at: i32, pixels: u32| (f64::from(at) + 0.5) / f64::from(pixels.max(1));
        Self { x: along(x, width), y: along(y, height) }
    }

    /// The pixel there, of a picture that size.
    pub fn pixel(self, (width, height): (u32, u32)) -> Point {
        let along = |part: f64, pixels: u32| {
            let last = pixels.saturating_sub(1);
            ((part * f64::from(pixels)) as i32).clamp(0, i32::try_from(last).unwrap_or(i32::MAX))
        };
        Point { x: along(self.x, width), y: along(self.y, height) }
    }
}

/// Where a mark stands that is to be touched. Three of them tell every way in which a touch sensor can lie on the glass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Corner {
    TopLeft,
    TopRight,
    BottomLeft,
}

impl Corner {
    pub const ALL: [Self; 3] = [Self::TopLeft, Self::TopRight, Self::BottomLeft];

    /// So far from both sides, for a touch that comes out too far outside must be seen too.
    const INSIDE: f64 = 0.1;

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|corner| corner.name() == name)
    }

    /// As other programs write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::TopLeft => "top-left",
            Self::TopRight => "top-right",
            Self::BottomLeft => "bottom-left",
        }
    }

    /// The middle of its mark.
    pub fn spot(self) -> Spot {
        let (near, far) = (Self::INSIDE, 1.0 - Self::INSIDE);
        match self {
            Self::TopLeft => Spot { x: near, y: near },
            Self::TopRight => Spot { x: far, y: near },
            Self::BottomLeft => Spot { x: near, y: far },
        }
    }
}

impl fmt::Display for Corner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TopLeft => "the top left",
            Self::TopRight => "the top right",
            Self::BottomLeft => "the bottom left",
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rect {
    pub x: i32,
    pub y: i32,
    pub w: i32,
    pub h: i32,
}

impl Rect {
    pub fn contains(&self, Point { x, y }: Point) -> bool {
        (self.x..self.x + self.w).contains(&x) && (self.y..self.y + self.h).contains(&y)
    }

    /// The common part; empty where there is none.
    pub fn intersect(self, other: Rect) -> Rect {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let (right, bottom) = ((self.x + self.w).min(other.x + other.w), (self.y + self.h).min(other.y + other.h));
        Rect { x, y, w: (right - x).max(0), h: (bottom - y).max(0) }
    }

    /// The smallest that holds both.
    pub fn union(self, other: Rect) -> Rect {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let (right, bottom) = ((self.x + self.w).max(other.x + other.w), (self.y + self.h).max(other.y + other.h));
        Rect { x, y, w: right - x, h: bottom - y }
    }
}

/// A touchable thing by name and rectangle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub name: String,
    #[serde(flatten)]
    pub rect: Rect,
    pub enabled: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_is_where_its_middle_is() {
        for size in [(1, 1), (3, 7), (800, 1280), (1080, 1920), (4096, 4095)] {
            for (x, y) in [(0, 0), (size.0 / 3, size.1 / 2), (size.0 - 1, size.1 - 1)] {
                let point = Point { x: x as i32, y: y as i32 };
                assert_eq!(Spot::of(point, size).pixel(size), point, "{size:?}");
            }
        }
    }

    #[test]
    fn rectangles_meet_and_are_held_together() {
        let (a, b) = (Rect { x: 0, y: 0, w: 4, h: 4 }, Rect { x: 3, y: 2, w: 4, h: 1 });
        assert_eq!(a.intersect(b), Rect { x: 3, y: 2, w: 1, h: 1 });
        assert_eq!(a.union(b), Rect { x: 0, y: 0, w: 7, h: 4 });
        let apart = a.intersect(Rect { x: 9, ..b });
        assert_eq!((apart.w, apart.h), (0, 1));
        assert!(
            a.contains(Point { x: 3, y: 3 }) && !a.contains(Point { x: 4, y: 3 }) && !a.contains(Point { x: 3, y: -1 })
        );
    }
}
