//! Goods (what an order is for), outlets (where they come out) and entitlements (why they may).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::text::read_and_written;
use super::{BadName, ChargeId, LaneId, ProductId, SlotId, StayId};

/// What an order is for. Written `product:cola`, `stay:S1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Goods {
    Product(ProductId),
    /// One car's time in a car park.
    Stay(StayId),
}

/// Where goods come out. Written `slot:A1`, `gate:exit-1`, `pass`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Outlet {
    Slot(SlotId),
    /// Opened by the delivery; what its sensor counts is cars that passed.
    Gate(LaneId),
    /// Nothing moves: the record of the delivery is the delivery, for example a stay that is paid at a pay station.
    Pass,
}

/// Why an order may be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entitlement {
    /// By the payment on this charge.
    Paid(ChargeId),
    Granted(Grant),
}

/// Why an order may be delivered although nothing is paid for it here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grant {
    /// The operator gives it away.
    Free,
    /// Somebody tries the machine: no revenue.
    Test,
    /// A ticket that was paid elsewhere or entitles by itself.
    Ticket,
    /// A season pass.
    Season,
    /// The price is nothing: a stay within the free minutes.
    NothingDue,
}

impl Goods {
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("product", id) => ProductId::parse(id).map(Self::Product),
            ("stay", id) => StayId::parse(id).map(Self::Stay),
            _ => None,
        }
    }

    pub fn product(&self) -> Option<&ProductId> {
        match self {
            Self::Product(product) => Some(product),
            Self::Stay(_) => None,
        }
    }
}

impl Outlet {
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None if text == "pass" => Some(Self::Pass),
            Some(("slot", id)) => SlotId::parse(id).map(Self::Slot),
            Some(("gate", id)) => LaneId::parse(id).map(Self::Gate),
            _ => None,
        }
    }

    /// As a person names one: a slot's name alone means the slot.
    ///
    /// # Errors
    /// It is no such name.
    pub fn named(text: &str) -> Result<Self, BadName> {
        match SlotId::parse(text) {
            Some(slot) => Ok(Self::Slot(slot)),
            None => Self::try_from(text.to_owned()),
        }
    }

    pub fn slot(&self) -> Option<&SlotId> {
        match self {
            Self::Slot(slot) => Some(slot),
            Self::Gate(_) | Self::Pass => None,
        }
    }

    /// Its own name, as it stands on the machine.
    pub fn name(&self) -> &str {
        match self {
            Self::Slot(slot) => slot.as_str(),
            Self::Gate(lane) => lane.as_str(),
            Self::Pass => "pass",
        }
    }
}

impl Grant {
    /// As in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Test => "test",
            Self::Ticket => "ticket",
            Self::Season => "season",
            Self::NothingDue => "nothing-due",
        }
    }
}

impl fmt::Display for Goods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Product(id) => write!(f, "product:{id}"),
            Self::Stay(id) => write!(f, "stay:{id}"),
        }
    }
}

impl fmt::Display for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slot(id) => write!(f, "slot:{id}"),
            Self::Gate(id) => write!(f, "gate:{id}"),
            Self::Pass => f.write_str("pass"),
        }
    }
}

read_and_written!(Goods, "kind of goods (`product:KEY` or `stay:NUMBER`)", usize::MAX);
read_and_written!(Outlet, "outlet (`slot:NAME`, `gate:LANE` or `pass`)", usize::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goods_and_outlets_are_read_as_they_are_written() {
        for text in ["product:cola", "stay:01K9"] {
            let goods = Goods::parse(text).unwrap();
            assert_eq!(goods.to_string(), text);
            assert_eq!(serde_json::from_str::<Goods>(&serde_json::to_string(&goods).unwrap()).unwrap(), goods);
        }
        for text in ["slot:A1", "gate:exit-1", "pass"] {
            let outlet = Outlet::parse(text).unwrap();
            assert_eq!(outlet.to_string(), text);
            assert_eq!(serde_json::from_str::<Outlet>(&serde_json::to_string(&outlet).unwrap()).unwrap(), outlet);
        }
        for bad in ["cola", "product:", "product:a b", "stay", "slot:", "gate", "pass:", "pass:A1", "slot:A1:B"] {
            assert_eq!((Goods::parse(bad), Outlet::parse(bad)), (None, None), "{bad}");
        }
    }

    #[test]
    fn a_grants_word_is_the_one_in_json() {
        for grant in [Grant::Free, Grant::Test, Grant::Ticket, Grant::Season, Grant::NothingDue] {
            assert_eq!(serde_json::to_value(grant).unwrap(), grant.word());
        }
    }
}
