//! Amounts as Alipay writes them: yuan with two decimals, `0.01`. No floating point on the way.

use crate::vocabulary::{Minor, decimal};

/// What one charge may be, in fen: 0.01 to 100,000,000 yuan (`total_amount` of alipay.trade.precreate).
pub(super) const CHARGEABLE: std::ops::RangeInclusive<Minor> = 1..=10_000_000_000;

/// `amount` is not negative.
pub(super) fn write(amount: Minor) -> String {
    decimal(amount.unsigned_abs(), 2)
}

/// Fen of `20`, `20.5` or `20.50`; `None` for everything else, such as signs, exponents and a third decimal.
pub(super) fn read(text: &str) -> Option<Minor> {
    let (yuan, fen) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str, most: usize| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(yuan, 12) || !digits(fen, 2) {
        return None;
    }
    let fen_value: Minor = fen.parse().ok()?;
    Some(yuan.parse::<Minor>().ok()? * 100 + if fen.len() == 1 { fen_value * 10 } else { fen_value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(amount in 0i64..=10_000_000_000) {
            let text = write(amount);
            prop_assert_eq!(read(&text), Some(amount));
            let (yuan, fen) = text.split_once('.').unwrap();
            prop_assert_eq!(fen.len(), 2);
            prop_assert_eq!(yuan.parse::<i64>().unwrap() * 100 + fen.parse::<i64>().unwrap(), amount);
        }
    }

    #[test]
    fn only_plain_decimals_are_amounts() {
        for (text, fen) in
            [("0.01", 1), ("20.00", 2000), ("20", 2000), ("20.5", 2050), ("0", 0), ("100000000.00", 10_000_000_000)]
        {
            assert_eq!(read(text), Some(fen), "{text}");
        }
        for bad in [
            "",
            ".",
            "1.",
            ".5",
            "-1.00",
            "+1.00",
            "1e2",
            "1.005",
            "1,00",
            " 1.00",
            "1.00 ",
            "0x10",
            "１.00",
            "9999999999999",
            "NaN",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
