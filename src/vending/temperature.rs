//! Goods that spoil: how long it has been too warm for each product. Pure.
//!
//! Policy: a product that was warmer than it may be for longer than it may be is not sold until somebody has refilled,
//! however cold it is by then. A thermometer that does not answer is not a cold one: that time counts as warm.

use std::time::Duration;

use crate::vocabulary::{Cause, Mono, ProductId};

/// What is known of each product that may not get warm.
#[derive(Debug, Clone, Default)]
pub struct TemperatureWatch {
    products: Vec<Bounded>,
}

#[derive(Debug, Clone)]
struct Bounded {
    product: ProductId,
    max_milli: i32,
    max_time: Duration,
    /// Since when it was not known to be cold enough.
    warm_since: Option<Mono>,
}

impl TemperatureWatch {
    /// Product, highest temperature in thousandths of a degree Celsius, and how long it may be warmer.
    pub fn new(products: impl IntoIterator<Item = (ProductId, i32, Duration)>) -> Self {
        let bounded = |(product, max_milli, max_time)| Bounded { product, max_milli, max_time, warm_since: None };
        Self { products: products.into_iter().map(bounded).collect() }
    }

    /// Takes a measurement, `None` where there was none, and says which products may not be sold any more, and why. It
    /// says so again at every measurement as long as it stays warm: a refill does not make it cold.
    pub fn measured(&mut self, milli: Option<i32>, now: Mono) -> Vec<(ProductId, Cause)> {
        let mut spoilt = Vec::new();
        for one in &mut self.products {
            if milli.is_some_and(|milli| milli <= one.max_milli) {
                one.warm_since = None;
                continue;
            }
            let since = *one.warm_since.get_or_insert(now);
            if now.since(since) >= one.max_time {
                let minutes = one.max_time.as_secs() / 60;
                spoilt.push((one.product.clone(), Cause::TooWarm { max_milli_c: one.max_milli, minutes }));
            }
        }
        spoilt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_AN_HOUR: Duration = Duration::from_secs(1_800);

    fn milk() -> TemperatureWatch {
        TemperatureWatch::new([(ProductId::parse("milk").unwrap(), 8_000, HALF_AN_HOUR)])
    }

    fn minute(n: u64) -> Mono {
        Mono::default() + Duration::from_secs(60 * n)
    }

    #[test]
    fn too_warm_too_long_spoils() {
        let mut milk = milk();
        assert!(milk.measured(Some(8_001), minute(0)).is_empty());
        assert!(milk.measured(Some(9_000), minute(29)).is_empty());
        let spoilt = milk.measured(Some(9_000), minute(30));
        assert_eq!(spoilt.len(), 1);
        assert_eq!(spoilt[0].1.to_string(), "not known to be at most 8 \u{b0}C for 30 min");
        assert_eq!(milk.measured(Some(20_000), minute(31)).len(), 1, "as long as it is warm");
        assert!(milk.measured(Some(4_000), minute(32)).is_empty());
    }

    #[test]
    fn loading_does_not_spoil() {
        let mut milk = milk();
        for n in 0..20 {
            assert!(milk.measured(Some(15_000), minute(n)).is_empty());
        }
        assert!(milk.measured(Some(8_000), minute(20)).is_empty());
        assert!(milk.measured(Some(15_000), minute(21)).is_empty());
        assert!(milk.measured(Some(15_000), minute(50)).is_empty(), "counted anew");
    }

    #[test]
    fn a_silent_thermometer_is_not_a_cold_one() {
        let mut milk = milk();
        assert!(milk.measured(None, minute(0)).is_empty());
        assert_eq!(milk.measured(None, minute(30)).len(), 1);
    }
}
