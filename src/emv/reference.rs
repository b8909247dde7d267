//! A charge's number in the 25 characters that a QR's reference can have.
//!
//! The kiosk's charge number (`01J…_1`) has 28 characters and an underscore; an EMV reference label has 25, PIX takes
//! letters and digits only, and banks on the way turn everything into capitals. So: the order's number in base 36, 24
//! digits, and the attempt as one digit more. Nothing is lost and nothing is cut: 24 digits hold 124 bits, which is a
//! ULID until the year 2527. The reference of an order's second attempt differs from the first in the last character.

use crate::vocabulary::{ChargeId, OrderId};

/// Characters of a reference made here; always all of them.
pub const LENGTH: usize = 25;

const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// Bits of an order's number besides the time.
const ENTROPY: u32 = 80;

/// Capitals and digits, unique to the charge. `None` for a number that this kiosk does not make: not an order's and an
/// attempt, an attempt above 35, or an order of the year 2528.
pub fn reference(charge: &ChargeId) -> Option<String> {
    let (order, attempt) = charge.as_str().split_once('_')?;
    let attempt: usize = attempt.parse().ok()?;
    let order = OrderId::parse(order)?;
    // Anything written differently (lower case, a leading zero) would come back as another number.
    if ChargeId::of(order, attempt) != *charge {
        return None;
    }
    let mut rest = number(order)?;
    let mut text = [0; LENGTH];
    text[LENGTH - 1] = *DIGITS.get(attempt)?;
    for digit in text[..LENGTH - 1].iter_mut().rev() {
        *digit = DIGITS[(rest % 36) as usize];
        rest /= 36;
    }
    (rest == 0).then(|| text.iter().map(|digit| char::from(*digit)).collect())
}

/// The charge that a reference stands for, in capitals or not.
pub fn charge(reference: &str) -> Option<ChargeId> {
    if reference.len() != LENGTH {
        return None;
    }
    let mut number: u128 = 0;
    let (order, attempt) = reference.split_at_checked(LENGTH - 1)?;
    for digit in order.chars() {
        number = number * 36 + u128::from(digit.to_digit(36)?);
    }
    let order = OrderId::from_parts(u64::try_from(number >> ENTROPY).ok()?, number & ((1 << ENTROPY) - 1));
    Some(ChargeId::of(order, attempt.chars().next()?.to_digit(36)? as usize))
}

fn number(order: OrderId) -> Option<u128> {
    ulid::Ulid::from_string(&order.to_string()).ok().map(|ulid| ulid.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_known_one() {
        let made = ChargeId::parse("01JD3QHZ9WK2M4N6P8R0S2T4V6_1").unwrap();
        let text = reference(&made).unwrap();
        assert_eq!(text.len(), LENGTH);
        assert_eq!(charge(&text), Some(made));
        // 0 in base 36, and the first attempt.
        assert_eq!(
            reference(&ChargeId::of(OrderId::from_parts(0, 0), 1)).as_deref(),
            Some("0000000000000000000000001")
        );
        // 36 = "10".
        assert_eq!(
            reference(&ChargeId::of(OrderId::from_parts(0, 36), 35)).as_deref(),
            Some("000000000000000000000010Z")
        );
    }

    #[test]
    fn foreign_numbers_have_none() {
        let order = OrderId::from_parts(1_700_000_000_000, 7);
        for number in
            ["X", "abc_1", &format!("{order}_36"), &format!("{order}_01"), &format!("{order}_"), &order.to_string()]
        {
            assert_eq!(reference(&ChargeId::parse(number).unwrap()), None, "{number}");
        }
        let late = OrderId::from_parts((1 << 48) - 1, 0);
        assert_eq!(reference(&ChargeId::of(late, 1)), None);
        for text in ["", "***", "000000000000000000000000", "00000000000000000000000_1", "0000000000000000000000é1"] {
            assert_eq!(charge(text), None, "{text}");
        }
    }

    #[test]
    fn the_last_years_have_one_and_no_two_share_it() {
        // The largest that 124 bits hold.
        let last = OrderId::from_parts((1 << 44) - 1, (1 << 80) - 1);
        let made = ChargeId::of(last, 35);
        assert_eq!(charge(&reference(&made).unwrap()), Some(made));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn comes_back(millis in 0u64..1 << 44, entropy in 0u128..1 << 80, attempt in 0usize..36) {
            let made = ChargeId::of(OrderId::from_parts(millis, entropy), attempt);
            let text = reference(&made).unwrap();
            prop_assert_eq!(text.len(), LENGTH);
            prop_assert!(text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()));
            prop_assert_eq!(charge(&text.to_lowercase()), Some(made.clone()));
            prop_assert_eq!(charge(&text), Some(made));
        }

        #[test]
        fn any_text_gets_an_answer(text in ".{0,30}|[0-9A-Za-z]{25}") {
            if let Some(made) = charge(&text) {
                prop_assert_eq!(reference(&made).map(|again| again == text.to_uppercase()), Some(true));
            }
        }
    }
}
