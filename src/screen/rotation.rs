//! From the frame to a panel's memory, turned as the panel is mounted.
//!
//! Screen memory is often write-combined: it is written in runs, from the lowest address up, and never read.

use super::paint::Frame;
use crate::vocabulary::Rect;

/// Pixels a side of the squares in which a quarter turn is made, so that the columns it reads stay in the cache.
const TILE: i32 = 32;

/// How far the picture is turned on the panel, clockwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rotation {
    #[default]
    None,
    /// 90°
    Right,
    /// 180°
    Half,
    /// 270°
    Left,
}

impl Rotation {
    /// Of 0, 90, 180 and 270.
    pub fn degrees(degrees: u32) -> Option<Self> {
        Some(match degrees {
            0 => Self::None,
            90 => Self::Right,
            180 => Self::Half,
            270 => Self::Left,
            _ => return None,
        })
    }

    /// The size of the picture on a panel of that size; and the other way round.
    pub fn turned(self, (width, height): (u32, u32)) -> (u32, u32) {
        match self {
            Self::None | Self::Half => (width, height),
            Self::Right | Self::Left => (height, width),
        }
    }

    /// Where a rectangle of a picture of `width` × `height` is on the panel.
    pub fn rect(self, rect: Rect, width: i32, height: i32) -> Rect {
        let Rect { x, y, w, h } = rect;
        match self {
            Self::None => rect,
            Self::Right => Rect { x: height - y - h, y: x, w: h, h: w },
            Self::Half => Rect { x: width - x - w, y: height - y - h, w, h },
            Self::Left => Rect { x: y, y: width - x - w, w: h, h: w },
        }
    }
}

/// Memory that a panel shows, row by row.
pub struct Surface<'m> {
    pub bytes: &'m mut [u8],
    /// Bytes from one row to the next.
    pub pitch: usize,
}

impl Surface<'_> {
    /// Copies rectangles of the frame to where they belong. `encode` makes a pixel's bytes of XRGB. What lies outside of
    /// the memory is not written.
    pub fn copy<const N: usize>(
        &mut self,
        frame: &Frame,
        rects: &[Rect],
        rotation: Rotation,
        encode: impl Fn(u32) -> [u8; N] + Copy,
    ) {
        for rect in rects {
            let place = rotation.rect(rect.intersect(frame.bounds()), frame.width, frame.height);
            if matches!(rotation, Rotation::None | Rotation::Half) {
                self.copy_piece(frame, place, rotation, encode);
                continue;
            }
            for y in (place.y..place.y + place.h).step_by(TILE as usize) {
                for x in (place.x..place.x + place.w).step_by(TILE as usize) {
                    let tile = Rect { x, y, w: TILE, h: TILE }.intersect(place);
                    self.copy_piece(frame, tile, rotation, encode);
                }
            }
        }
    }

    /// `place` is on the panel.
    fn copy_piece<const N: usize>(
        &mut self,
        frame: &Frame,
        place: Rect,
        rotation: Rotation,
        encode: impl Fn(u32) -> [u8; N] + Copy,
    ) {
        let stride = frame.width as usize;
        let last = (frame.width - 1, frame.height - 1);
        for y in place.y..place.y + place.h {
            let start = y as usize * self.pitch + place.x as usize * N;
            let Some(row) = self.bytes.get_mut(start..start + place.w as usize * N) else { return };
            let row = row.as_chunks_mut::<N>().0;
            // The frame's pixel that comes first in the row; the others follow it in a straight line.
            let (first_x, first_y) = match rotation {
                Rotation::None => (place.x, y),
                Rotation::Right => (y, last.1 - place.x),
                Rotation::Half => (last.0 - place.x, last.1 - y),
                Rotation::Left => (last.0 - y, place.x),
            };
            let first = first_y as usize * stride + first_x as usize;
            let pixels = &frame.pixels[..];
            match rotation {
                Rotation::None => put(row, pixels[first..].iter().copied(), encode),
                Rotation::Right => put(row, (0..place.w as usize).map(|x| pixels[first - x * stride]), encode),
                Rotation::Half => put(row, pixels[..=first].iter().rev().copied(), encode),
                Rotation::Left => put(row, (0..place.w as usize).map(|x| pixels[first + x * stride]), encode),
            }
        }
    }
}

fn put<const N: usize>(row: &mut [[u8; N]], pixels: impl Iterator<Item = u32>, encode: impl Fn(u32) -> [u8; N]) {
    for (place, pixel) in row.iter_mut().zip(pixels) {
        *place = encode(pixel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Point;

    const ALL: [Rotation; 4] = [Rotation::None, Rotation::Right, Rotation::Half, Rotation::Left];

    /// Every pixel says where it is.
    fn numbered(width: i32, height: i32) -> Frame {
        let pixels = (0..width * height).map(|index| index as u32 + 1).collect();
        Frame { width, height, pixels }
    }

    /// Where a pixel goes, from the meaning of "clockwise" and nothing else.
    fn turned(rotation: Rotation, (x, y): (i32, i32), frame: &Frame) -> (i32, i32) {
        match rotation {
            Rotation::None => (x, y),
            // The top edge becomes the right edge.
            Rotation::Right => (frame.height - 1 - y, x),
            Rotation::Half => (frame.width - 1 - x, frame.height - 1 - y),
            // The top edge becomes the left edge.
            Rotation::Left => (y, frame.width - 1 - x),
        }
    }

    fn check(rotation: Rotation, width: i32, height: i32, rects: &[Rect]) {
        let frame = numbered(width, height);
        let (w, _) = rotation.turned((width as u32, height as u32));
        let pitch = w as usize * 4 + 12;
        let mut bytes = vec![0xee; pitch * width.max(height) as usize];
        let blank = bytes.clone();
        Surface { bytes: &mut bytes, pitch }.copy(&frame, rects, rotation, u32::to_le_bytes);
        let mut expected = blank;
        for (index, pixel) in frame.pixels.iter().enumerate() {
            let (x, y) = (index as i32 % width, index as i32 / width);
            if rects.iter().any(|rect| rect.contains(Point { x, y })) {
                let (x, y) = turned(rotation, (x, y), &frame);
                let at = y as usize * pitch + x as usize * 4;
                expected[at..at + 4].copy_from_slice(&pixel.to_le_bytes());
            }
        }
        assert_eq!(bytes, expected, "{rotation:?} {rects:?}");
    }

    #[test]
    fn every_pixel_goes_where_the_turn_takes_it_and_nothing_else_is_written() {
        for rotation in ALL {
            for (width, height) in [(1, 1), (7, 3), (70, 41), (33, 130)] {
                let whole = Rect { x: 0, y: 0, w: width, h: height };
                check(rotation, width, height, &[whole]);
                let middle = Rect { x: width / 3, y: height / 2, w: width / 2, h: height / 3 };
                check(rotation, width, height, &[middle, Rect { x: 0, y: 0, w: 1, h: 1 }]);
                check(rotation, width, height, &[Rect { x: width - 1, y: height - 1, w: 50, h: 50 }]);
                check(rotation, width, height, &[]);
            }
        }
    }

    #[test]
    fn memory_that_is_too_small_is_not_overrun() {
        for rotation in ALL {
            let mut bytes = [0; 40];
            let whole = Rect { x: 0, y: 0, w: 8, h: 8 };
            Surface { bytes: &mut bytes, pitch: 32 }.copy(&numbered(8, 8), &[whole], rotation, u32::to_le_bytes);
            assert_eq!(bytes[32..], [0; 8], "{rotation:?}: half a row is none");
        }
    }

    #[test]
    fn degrees_are_quarter_turns() {
        let right = [0, 90, 180, 270].map(Rotation::degrees);
        assert_eq!(right, ALL.map(Some));
        assert_eq!([45, 360, u32::MAX].map(Rotation::degrees), [None; 3]);
    }
}
