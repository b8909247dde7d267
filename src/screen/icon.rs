//! Small pictures that need no word: lines on a grid of 24, drawn as wide as they are asked for.

use zeno::{Cap, Join, Mask, Stroke, Transform};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Icon {
    Check,
    Cross,
    Question,
    Alert,
    Wait,
    /// A hand that touches.
    Touch,
    /// A phone that scans.
    Scan,
    Wallet,
    Handset,
    Receipt,
    /// Money on its way back.
    Return,
    Search,
    Basket,
    Larger,
    Contrast,
    Next,
    Back,
    Clock,
    Tray,
    Wrench,
    Ticket,
}

/// Width of the lines on the grid.
const LINE: f32 = 2.0;
const GRID: f32 = 24.0;

impl Icon {
    /// SVG path data.
    fn path(self) -> &'static str {
        match self {
            Self::Ticket => {
                "M4 7 L20 7 L20 10.5 A1.5 1.5 0 0 0 20 13.5 L20 17 L4 17 L4 13.5 A1.5 1.5 0 0 0 4 10.5 Z M14 7 L14 9 M14 11 L14 13 M14 15 L14 17"
            }
            Self::Check => "M5 12.5 L10 17.5 L19.5 7",
            Self::Cross => "M6 6 L18 18 M18 6 L6 18",
            Self::Question => "M8.5 9 A3.6 3.6 0 1 1 13.4 12.3 C12.4 12.8 12 13.4 12 14.6 M12 18.6 L12 18.7",
            Self::Alert => "M12 5 L12 13.5 M12 18.4 L12 18.5",
            Self::Wait => {
                "M7 4 L17 4 M7 20 L17 20 M8 4 C8 9 12 10 12 12 C12 14 8 15 8 20 \
                           M16 4 C16 9 12 10 12 12 C12 14 16 15 16 20"
            }
            Self::Touch => {
                "M9 13 L9 6.5 A1.6 1.6 0 0 1 12.2 6.5 L12.2 11 L16.8 12.2 A2.4 2.4 0 0 1 18.6 14.8 \
                            L18 18.5 A3 3 0 0 1 15 21 L12.6 21 A3 3 0 0 1 10.2 19.8 L6.4 14.9 \
                            A1.5 1.5 0 0 1 8.6 12.8 Z M5.5 8.5 A5.2 5.2 0 1 1 15.8 8"
            }
            Self::Scan => {
                "M8.5 3 L15.5 3 A1.5 1.5 0 0 1 17 4.5 L17 19.5 A1.5 1.5 0 0 1 15.5 21 L8.5 21 \
                           A1.5 1.5 0 0 1 7 19.5 L7 4.5 A1.5 1.5 0 0 1 8.5 3 Z M3 12 L21 12"
            }
            Self::Wallet => {
                "M5 6 L17 6 A1.5 1.5 0 0 1 18.5 7.5 L18.5 9 M5 6 A2 2 0 0 0 3 8 L3 17.5 A2 2 0 0 0 5 19.5 \
                             L19 19.5 A2 2 0 0 0 21 17.5 L21 11 A2 2 0 0 0 19 9 L5 9 M16.6 14.2 L16.7 14.2"
            }
            Self::Handset => {
                "M6 4 L9 4 L10.8 8.4 L8.6 10 C9.6 12.4 11.6 14.4 14 15.4 L15.6 13.2 L20 15 L20 18 \
                              A2 2 0 0 1 18 20 C10.5 19.6 4.4 13.5 4 6 A2 2 0 0 1 6 4 Z"
            }
            Self::Receipt => {
                "M6 3.5 L18 3.5 L18 20.5 L16 19 L14 20.5 L12 19 L10 20.5 L8 19 L6 20.5 Z \
                              M9.5 8.5 L14.5 8.5 M9.5 13 L14.5 13"
            }
            Self::Return => "M8.5 5 L4.5 9 L8.5 13 M4.5 9 L14.5 9 A5 5 0 0 1 14.5 19 L9 19",
            Self::Search => "M10.5 4.5 A6 6 0 1 1 10.5 16.5 A6 6 0 1 1 10.5 4.5 M15 15 L20 20",
            Self::Basket => "M3.5 10 L20.5 10 L18.6 19.5 L5.4 19.5 Z M8 10 L11 4.5 M16 10 L13 4.5",
            Self::Larger => "M2.5 19 L8.5 5 L14.5 19 M4.7 14 L12.3 14 M18.5 8.5 L18.5 15.5 M15 12 L22 12",
            Self::Contrast => "M12 4 A8 8 0 1 1 12 20 A8 8 0 1 1 12 4 M12 4 L12 20 M15 6.5 L15 17.5 M18 8.5 L18 15.5",
            Self::Next => "M9 5 L16 12 L9 19",
            Self::Back => "M15 5 L8 12 L15 19",
            Self::Clock => "M12 4 A8 8 0 1 1 12 20 A8 8 0 1 1 12 4 M12 8 L12 12.4 L15 14.4",
            Self::Tray => "M12 3.5 L12 12 M8.5 8.8 L12 12.3 L15.5 8.8 M4 13 L4 19.5 L20 19.5 L20 13",
            Self::Wrench => {
                "M14.8 9.2 L18.6 5.4 A5 5 0 0 0 12.4 11.6 L5 19 A1.4 1.4 0 0 1 5 19 L5.4 19.4 \
                             A1.5 1.5 0 0 0 7.5 19.4 L14.2 12.7 A5 5 0 0 0 20.4 6.6 L16.6 10.4 Z"
            }
        }
    }
}

/// Coverage of each pixel of a square, row by row.
pub fn mask(icon: Icon, side: u32) -> Vec<u8> {
    let scale = side as f32 / GRID;
    let mut stroke = Stroke::new(LINE);
    stroke.cap(Cap::Round).join(Join::Round);
    let (mask, _) =
        Mask::new(icon.path()).style(stroke).transform(Some(Transform::scale(scale, scale))).size(side, side).render();
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn icons_fill_their_square_and_stay_in_it() {
        use Icon::*;
        let all = [
            Check, Cross, Question, Alert, Wait, Touch, Scan, Wallet, Handset, Receipt, Return, Search, Basket, Larger,
            Contrast, Next, Back, Clock, Tray, Wrench,
        ];
        for icon in all {
            let mask = mask(icon, 96);
            assert_eq!(mask.len(), 96 * 96, "{icon:?}");
            let dark = mask.iter().filter(|coverage| **coverage > 127).count();
            assert!(dark > 200 && dark < 96 * 96 / 2, "{icon:?}: {dark}");
            let edge = |index: &usize| [0, 95].contains(&(index % 96)) || [0, 95].contains(&(index / 96));
            assert!(!mask.iter().enumerate().any(|(index, coverage)| edge(&index) && *coverage > 0), "{icon:?}");
        }
    }
}
