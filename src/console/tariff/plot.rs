//! The fee over the length of a stay as a picture, SVG or PNG: the same shapes, drawn twice.
//!
//! The PNG has letters of its own, three dots wide, because a picture for a report needs no more and a machine for tariffs has no
//! fonts.

use std::fmt::Write as _;
use std::io::Cursor;

use image::{ImageError, ImageFormat, Rgb, RgbImage};

use crate::parking::tariff::Point;
use crate::vocabulary::{Currency, Minor, decimal};

const WIDTH: i64 = 960;
const HEIGHT: i64 = 540;
const LEFT: i64 = 110;
const RIGHT: i64 = 30;
const TOP: i64 = 50;
const BOTTOM: i64 = 50;
/// Of a dot of a letter in the PNG.
const DOT: i64 = 3;
/// The tariff, and the one that it is compared with.
const COLORS: [[u8; 3]; 2] = [[0x0b, 0x57, 0xd0], [0xb3, 0x26, 0x1e]];
const GRID: [u8; 3] = [0xd0, 0xd5, 0xdd];
const TEXT: [u8; 3] = [0x10, 0x14, 0x18];

enum Shape {
    Line {
        from: (i64, i64),
        to: (i64, i64),
        width: i64,
        color: [u8; 3],
    },
    /// Ends at the point where `end`, else begins there; the point is its middle line.
    Text {
        at: (i64, i64),
        end: bool,
        text: String,
        color: [u8; 3],
    },
}

/// One or two curves on the same axes, each with its name.
pub struct Plot {
    shapes: Vec<Shape>,
}

impl Plot {
    /// Every curve begins at no minutes.
    pub fn new(curves: &[(String, Vec<Point>)], currency: Currency) -> Self {
        let points = || curves.iter().flat_map(|(_, points)| points);
        let longest = points().map(|point| i64::from(point.minutes)).max().unwrap_or(0).max(60);
        let most = points().map(|point| point.amount).max().unwrap_or(0).max(1);
        let step = tick(most);
        let top = most.div_ceil_to(step);
        let x = |minutes: i64| LEFT + minutes * (WIDTH - LEFT - RIGHT) / longest;
        let y = |amount: Minor| HEIGHT - BOTTOM - scaled(amount, HEIGHT - TOP - BOTTOM, top);
        let mut shapes = Vec::new();
        let mut line = |from, to, width, color| shapes.push(Shape::Line { from, to, width, color });
        let mut labels = Vec::new();
        let mut label = |at, end, text, color| labels.push(Shape::Text { at, end, text, color });
        for amount in (0..=top).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
            line((LEFT, y(amount)), (WIDTH - RIGHT, y(amount)), 1, GRID);
            label((LEFT - 8, y(amount)), true, decimal(amount.unsigned_abs(), currency.digits()), TEXT);
        }
        let hours = [1, 2, 3, 6, 12, 24, 48, 168, 720].into_iter().find(|hours| longest / 60 / hours <= 12);
        let hours = hours.unwrap_or(8_760) * 60;
        for minutes in (0..=longest).step_by(usize::try_from(hours).unwrap_or(usize::MAX)) {
            line((x(minutes), TOP), (x(minutes), HEIGHT - BOTTOM), 1, GRID);
            label((x(minutes) - 8, HEIGHT - BOTTOM + 20), false, format!("{}H", minutes / 60), TEXT);
        }
        label((LEFT - 8, TOP / 2), true, currency.code().to_owned(), TEXT);
        for (nth, (name, points)) in curves.iter().enumerate() {
            let color = COLORS[nth % COLORS.len()];
            let column = i64::try_from(nth).unwrap_or_default() * (WIDTH - LEFT) / 2;
            label((LEFT + 20 + column, TOP / 2), false, name.clone(), color);
            let Some(first) = points.first() else { continue };
            let mut at = (x(0), y(first.amount));
            for point in points {
                let to = (x(i64::from(point.minutes)), y(point.amount));
                // A price holds until another comes.
                if to.1 != at.1 {
                    line(at, (to.0, at.1), 3, color);
                    line((to.0, at.1), to, 3, color);
                    at = to;
                }
            }
            line(at, (x(i64::from(points.last().map_or(0, |last| last.minutes))), at.1), 3, color);
        }
        shapes.extend(labels);
        Self { shapes }
    }

    pub fn svg(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"15\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
        );
        for shape in &self.shapes {
            let written = match shape {
                Shape::Line { from, to, width, color } => writeln!(
                    svg,
                    "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"{}\" stroke-width=\"{width}\" \
                     stroke-linecap=\"square\"/>",
                    from.0,
                    from.1,
                    to.0,
                    to.1,
                    hex(*color)
                ),
                Shape::Text { at, end, text, color } => writeln!(
                    svg,
                    "<text x=\"{}\" y=\"{}\" text-anchor=\"{}\" fill=\"{}\">{}</text>",
                    at.0,
                    at.1 + 5,
                    if *end { "end" } else { "start" },
                    hex(*color),
                    escaped(text)
                ),
            };
            written.expect("a string takes everything");
        }
        svg + "</svg>\n"
    }

    /// # Errors
    /// The picture can't be encoded.
    pub fn png(&self) -> Result<Vec<u8>, ImageError> {
        let side = |pixels: i64| u32::try_from(pixels).unwrap_or_default();
        let mut picture = RgbImage::from_pixel(side(WIDTH), side(HEIGHT), Rgb([255; 3]));
        let mut fill = |x: i64, y: i64, width: i64, height: i64, color: [u8; 3]| {
            for y in y.max(0)..(y + height).min(HEIGHT) {
                for x in x.max(0)..(x + width).min(WIDTH) {
                    picture.put_pixel(side(x), side(y), Rgb(color));
                }
            }
        };
        for shape in &self.shapes {
            match shape {
                // Only level and upright ones are drawn.
                Shape::Line { from, to, width, color } => {
                    let (left, top) = (from.0.min(to.0), from.1.min(to.1));
                    let (long, high) = ((from.0 - to.0).abs(), (from.1 - to.1).abs());
                    fill(left - width / 2, top - width / 2, long + width, high + width, *color);
                }
                Shape::Text { at, end, text, color } => {
                    let glyphs: Vec<u16> = text.chars().map(glyph).collect();
                    let wide = i64::try_from(glyphs.len()).unwrap_or_default() * 4 * DOT;
                    let left = if *end { at.0 - wide } else { at.0 };
                    for (nth, dots) in (0..).zip(glyphs) {
                        for dot in (0..15).filter(|dot| dots & 1 << (14 - dot) != 0) {
                            let (x, y) = (left + (nth * 4 + dot % 3) * DOT, at.1 + (dot / 3) * DOT - 5 * DOT / 2);
                            fill(x, y, DOT, DOT, *color);
                        }
                    }
                }
            }
        }
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, ImageFormat::Png)?;
        Ok(bytes.into_inner())
    }
}

trait DivCeil {
    fn div_ceil_to(self, step: Self) -> Self;
}

impl DivCeil for Minor {
    /// The next multiple of `step`.
    fn div_ceil_to(self, step: Self) -> Self {
        (self + step - 1) / step * step
    }
}

/// 1, 2 or 5 and noughts, so that at most eight are in `most`.
fn tick(most: Minor) -> Minor {
    let mut power = 1;
    loop {
        if let Some(step) = [1, 2, 5].map(|digit| digit * power).into_iter().find(|step| most / step < 8) {
            return step;
        }
        power *= 10;
    }
}

fn scaled(amount: Minor, length: i64, top: Minor) -> i64 {
    i64::try_from(i128::from(amount) * i128::from(length) / i128::from(top)).unwrap_or_default()
}

fn hex([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Three dots wide and five high, a row after the other. What it does not know is a box.
fn glyph(character: char) -> u16 {
    match character.to_ascii_uppercase() {
        ' ' => 0,
        '.' => 0b000_000_000_000_010,
        '-' => 0b000_000_111_000_000,
        '0' => 0b111_101_101_101_111,
        '1' => 0b010_110_010_010_111,
        '2' => 0b111_001_111_100_111,
        '3' => 0b111_001_111_001_111,
        '4' => 0b101_101_111_001_001,
        '5' => 0b111_100_111_001_111,
        '6' => 0b111_100_111_101_111,
        '7' => 0b111_001_010_010_010,
        '8' => 0b111_101_111_101_111,
        '9' => 0b111_101_111_001_111,
        'A' => 0b010_101_111_101_101,
        'B' => 0b110_101_110_101_110,
        'C' => 0b011_100_100_100_011,
        'D' => 0b110_101_101_101_110,
        'E' => 0b111_100_110_100_111,
        'F' => 0b111_100_110_100_100,
        'G' => 0b011_100_101_101_011,
        'H' => 0b101_101_111_101_101,
        'I' => 0b111_010_010_010_111,
        'J' => 0b001_001_001_101_010,
        'K' => 0b101_101_110_101_101,
        'L' => 0b100_100_100_100_111,
        'M' => 0b101_111_111_101_101,
        'N' => 0b110_101_101_101_101,
        'O' => 0b010_101_101_101_010,
        'P' => 0b110_101_110_100_100,
        'Q' => 0b010_101_101_110_011,
        'R' => 0b110_101_110_101_101,
        'S' => 0b011_100_010_001_110,
        'T' => 0b111_010_010_010_010,
        'U' => 0b101_101_101_101_111,
        'V' => 0b101_101_101_101_010,
        'W' => 0b101_101_111_111_101,
        'X' => 0b101_101_010_101_101,
        'Y' => 0b101_101_010_010_010,
        'Z' => 0b111_001_010_100_111,
        _ => 0b111_101_101_101_111,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot {
        let points = |price: Minor| {
            (0..=600).map(move |minutes| Point { minutes, amount: price * i64::from(minutes.div_ceil(60)) })
        };
        let curves = [("Old & <new>".to_owned(), points(200).collect()), ("New".to_owned(), points(150).collect())];
        Plot::new(&curves, Currency::from_code("CNY").unwrap())
    }

    #[test]
    fn the_svg_is_drawn_and_names_are_only_text() {
        let svg = plot().svg();
        assert!(svg.contains("Old &amp; &lt;new&gt;") && svg.contains(">20.00</text>") && svg.contains(">10H</text>"));
        assert_eq!(svg.matches("#0b57d0\" stroke").count(), 2 * 10 + 1, "ten steps, and the rest");
    }

    #[test]
    fn the_png_has_both_curves() {
        let picture = image::load_from_memory(&plot().png().unwrap()).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (960, 540));
        for color in COLORS {
            assert!(picture.pixels().filter(|pixel| pixel.0 == color).count() > 1_000);
        }
        // What ten hours cost: 20.00 is the top line, and the red one stands three quarters as high.
        let lowest = |color: [u8; 3]| {
            picture
                .enumerate_pixels()
                .filter(|(x, y, pixel)| *x == 928 && *y > 45 && pixel.0 == color)
                .map(|(_, y, _)| y)
                .min()
        };
        assert_eq!([lowest(COLORS[0]), lowest(COLORS[1])], [Some(49), Some(159)]);
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!([1, 7, 8, 700, 2_000, 6_000].map(tick), [1, 1, 2, 100, 500, 1_000]);
    }
}
