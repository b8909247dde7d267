//! Counts equal units into lines, as on a receipt: "cola, cola, water" is two colas and a water.

/// How often each thing is there, in the order in which each comes first. What is given may be several of it already.
pub fn counted<T: PartialEq>(units: impl IntoIterator<Item = (T, u32)>) -> Vec<(T, u32)> {
    let mut lines: Vec<(T, u32)> = Vec::new();
    for (thing, quantity) in units {
        match lines.iter_mut().find(|(known, _)| *known == thing) {
            Some((_, sum)) => *sum += quantity,
            None => lines.push((thing, quantity)),
        }
    }
    lines
}

/// A count with its word: 1 order, 2 orders.
pub fn plural(count: impl Into<i128>, one: &str) -> String {
    let count = count.into();
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_one_line() {
        assert_eq!(counted([("cola", 1), ("water", 1), ("cola", 2)]), [("cola", 3), ("water", 1)]);
        assert_eq!(counted::<&str>([]), []);
        assert_eq!([0u64, 1, 2].map(|count| plural(count, "order")), ["0 orders", "1 order", "2 orders"]);
    }
}
