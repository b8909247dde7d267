//! A code in a terminal that shows no pictures.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// A code of half blocks, a module a column and two a line, black on white whatever colours the terminal has; `None` where
/// it is wider than so many columns.
pub fn half_blocks(code: &str, columns: u16) -> Option<String> {
    let code = QrCode::with_error_correction_level(code, EcLevel::L).ok()?;
    // What is light is drawn: most terminals are dark, should one know no colours.
    let drawn = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    let wide = drawn.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    let lines = drawn.lines().map(|line| format!("\x1b[38;5;231;48;5;16m{line}\x1b[0m"));
    (wide <= usize::from(columns)).then(|| lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_half_blocks_has_every_module_and_its_quiet_zone() {
        let text = "weixin://wxpay/bizpayurl?pr=abcdefg";
        let drawn = half_blocks(text, 80).unwrap();
        let code = QrCode::with_error_correction_level(text, EcLevel::L).unwrap();
        let (wide, colors) = (code.width(), code.to_colors());
        let lines: Vec<Vec<char>> = drawn
            .lines()
            .map(|line| {
                let line = line.strip_prefix("\x1b[38;5;231;48;5;16m").unwrap().strip_suffix("\x1b[0m").unwrap();
                line.chars().collect()
            })
            .collect();
        assert_eq!(lines[0].len(), wide + 8);
        // White is drawn, black is not.
        let light = |x: usize, y: usize| match lines[y / 2][x] {
            '█' => true,
            '▀' => y.is_multiple_of(2),
            '▄' => !y.is_multiple_of(2),
            ' ' => false,
            other => panic!("{other:?}"),
        };
        for y in 0..wide {
            for x in 0..wide {
                let dark = colors[y * wide + x] == qrcode::Color::Dark;
                assert_eq!(light(x + 4, y + 4), !dark, "{x}, {y}");
            }
        }
        assert!((0..wide + 8).all(|x| light(x, 0) && light(x, 3) && light(x, wide + 4)), "the quiet zone");
        assert_eq!(half_blocks(text, 20), None);
    }
}
