//! The EVA-DTS data file of the machine (EVA Data Transfer Standard 6.1): what an operator's audit software reads.
//!
//! Policy: it is made of the ledger's records alone; the configuration says what the machine and its slots are called. The
//! counters of a whole life are what all records add up to, those since the last reset what has been added behind the
//! newest cash-up. A vend is a unit that the customer has, by an order that was paid; tests and gifts are counted apart. What was
//! refunded was not vended, so no counter can tell of it: how many refunds there were stands in a line of its own, their
//! money in the cash-up's report. Nothing is ever paid in cash.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Zoned;
use jiff::tz::TimeZone;

use super::reader::Entry;
use super::{LedgerError, Reader, When};
use crate::sale::Order;
use crate::sale::order::Item;
use crate::vocabulary::{Currency, Grant, Minor, Wall};

/// The manufacturer's code and number that a file begins with: three letters and seven digits.
const SENDER: &str = "KIO0000001";

/// What the ledger does not know of the machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its id, which is its serial and its asset number too.
    pub id: String,
    /// Where it stands.
    pub place: String,
    pub currency: Currency,
    pub zone: TimeZone,
    /// In the order of the planogram.
    pub slots: Vec<Selection>,
}

/// What a slot sells now.
#[derive(Debug, Clone)]
pub struct Selection {
    pub slot: String,
    pub product: String,
    pub price: Minor,
    pub capacity: u32,
}

/// Units and what they cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    number: i64,
    value: Minor,
}

/// Of a whole life, and since the last reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    init: Count,
    reset: Count,
}

impl Counts {
    fn add(&mut self, price: Minor, since_reset: bool) {
        self.init.add(price);
        if since_reset {
            self.reset.add(price);
        }
    }

    /// As machine-wide segments have it.
    fn value_first(&self) -> String {
        let Self { init, reset } = self;
        format!("{}*{}*{}*{}", init.value, init.number, reset.value, reset.number)
    }

    /// As a product's segments have it.
    fn number_first(&self) -> String {
        let Self { init, reset } = self;
        format!("{}*{}*{}*{}", init.number, init.value, reset.number, reset.value)
    }
}

impl Count {
    fn add(&mut self, price: Minor) {
        self.number += 1;
        self.value += price;
    }
}

/// What came out, by why it might.
#[derive(Debug, Clone, Copy, Default)]
struct Vends {
    paid: Counts,
    test: Counts,
    free: Counts,
}

impl Vends {
    fn of(&mut self, grant: Option<Grant>) -> &mut Counts {
        match grant {
            None => &mut self.paid,
            Some(Grant::Test) => &mut self.test,
            Some(Grant::Free | Grant::Ticket | Grant::Season | Grant::NothingDue) => &mut self.free,
        }
    }
}

/// What the records add up to.
#[derive(Debug, Default)]
struct Audit {
    all: Vends,
    by_outlet: BTreeMap<String, Vends>,
    claims: u64,
    refunds: u64,
    /// Orders in another currency than the machine's now, which no counter can hold.
    foreign: u64,
}

impl Reader {
    /// The file's text, with the line ends of the standard; `now` is when it is read.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn eva_dts(&self, machine: &Machine, now: &Zoned) -> Result<String, LedgerError> {
        let wrap = LedgerError::sqlite(&self.path);
        // One read transaction: a daemon may be writing.
        let _moment = self.connection.unchecked_transaction().map_err(&wrap)?;
        let resets: (u64, u64, When) = self
            .connection
            .query_row(
                "SELECT count(*), coalesce(max(seq), 0), max(wall) FROM record
                 WHERE order_id IS NULL AND kind = 'cashed-up'",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .map_err(&wrap)?;
        let mut audit = Audit::default();
        self.each_order(|entries| {
            audit.take(entries, machine.currency, resets.1);
            Ok(())
        })?;
        let stock = self
            .connection
            .prepare("SELECT slot, count FROM stock")
            .and_then(|mut query| query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
            .map_err(&wrap)?;
        Ok(written(machine, &audit, &stock, (resets.0, resets.2), now))
    }
}

impl Audit {
    /// One order, by its records with the number of each. `reset`: the number of the newest cash-up.
    fn take(&mut self, entries: &[Entry], currency: Currency, reset: u64) {
        let Some(order) = Order::fold(entries.iter().map(|entry| &entry.record)) else { return };
        if order.currency != currency {
            self.foreign += 1;
            return;
        }
        self.claims += u64::from(order.claim_open());
        self.refunds += order.charges.iter().flat_map(|charge| &charge.refunds).count() as u64;
        let before = Order::fold(entries.iter().filter(|entry| entry.seq <= reset).map(|entry| &entry.record));
        for (unit, item) in order.items.iter().enumerate().filter(|(_, item)| item.sold()) {
            let sold_before = before.as_ref().and_then(|before| before.items.get(unit)).is_some_and(Item::sold);
            let outlet = item.attempts.last().map_or("-", |attempt| attempt.outlet.name());
            let slot = self.by_outlet.entry(outlet.to_owned()).or_default();
            slot.of(order.grant()).add(item.price, !sold_before);
            self.all.of(order.grant()).add(item.price, !sold_before);
        }
    }
}

/// Segments with the line ends of the standard.
#[derive(Default)]
struct Segments {
    text: String,
    /// Since `ST`, with it.
    count: usize,
    checked_from: usize,
}

impl Segments {
    fn put(&mut self, segment: &str) {
        self.count += 1;
        // Empty fields at the end are left out.
        self.text.push_str(segment.trim_end_matches('*'));
        self.text.push_str("\r\n");
    }

    fn begin(&mut self) {
        self.checked_from = self.text.len();
        self.count = 0;
        self.put("ST*001*0001");
    }

    fn end(&mut self) {
        let check = crc(&self.text.as_bytes()[self.checked_from..]);
        self.put(&format!("G85*{check:04X}"));
        let all = self.count + 1;
        self.put(&format!("SE*{all}*0001"));
    }
}

fn written(
    machine: &Machine,
    audit: &Audit,
    stock: &BTreeMap<String, u32>,
    (resets, last): (u64, When),
    now: &Zoned,
) -> String {
    let (id, currency) = (field(&machine.id, 20), machine.currency);
    let software = software();
    let mut out = Segments::default();
    out.put(&format!("DXS*{SENDER}*VA*V0/6*1"));
    out.begin();
    out.put(&format!("ID1*{id}*KIOSKD*{software}*{}**{id}*6*1", field(&machine.place, 30)));
    out.put(&format!("ID4*{}*1{:03}*{}", currency.digits(), currency.numeric(), currency.code()));
    out.put(&format!("ID5*{}", now.strftime("%Y%m%d*%H%M%S")));
    out.put(&format!("VA1*{}", audit.all.paid.value_first()));
    out.put(&format!("VA2*{}", audit.all.test.value_first()));
    out.put(&format!("VA3*{}", audit.all.free.value_first()));
    out.put("CA2*0*0*0*0");
    out.put(&format!("DA1*{id}*QRPAY*{software}**{id}"));
    out.put(&format!("DA2*{}", audit.all.paid.value_first()));
    out.put("DA4*0*0");
    let named = |selection: &&Selection| selection.slot.clone();
    let known: Vec<String> = machine.slots.iter().map(|selection| named(&selection)).collect();
    for Selection { slot, product, price, capacity } in &machine.slots {
        let left = stock.get(slot).copied().unwrap_or_default();
        let name = field(&product.to_ascii_uppercase(), 20);
        // So many are dispensed at once, and it is present.
        out.put(&format!("PA1*{}*{price}*{name}*{capacity}*{left}*1*0", field(slot, 6)));
        product_counts(&mut out, slot, *price, audit.by_outlet.get(slot));
    }
    // What was sold from places that are not there any more.
    for (outlet, vends) in audit.by_outlet.iter().filter(|(outlet, _)| !known.contains(outlet)) {
        out.put(&format!("PA1*{}*0*FORMER", field(outlet, 6)));
        product_counts(&mut out, outlet, 0, Some(vends));
    }
    let time = |zoned: &Zoned| zoned.strftime("%Y%m%d*%H%M").to_string();
    let last = last.and_then(|wall| Wall(wall).timestamp());
    let last = last.map_or("*".to_owned(), |last| time(&last.to_zoned(machine.zone.clone())));
    out.put(&format!("EA3*{resets}*{}**{last}***{resets}*{resets}", time(now)));
    let mut words = format!("open claims {} refunds {}", audit.claims, audit.refunds);
    if audit.foreign > 0 {
        let _ = write!(words, " orders in another currency {}", audit.foreign);
    }
    out.put(&format!("MA5*KIOSKD*{}", field(&words, 100)));
    out.end();
    out.put("DXE*1*1");
    out.text
}

fn product_counts(out: &mut Segments, slot: &str, price: Minor, vends: Option<&Vends>) {
    let vends = vends.copied().unwrap_or_default();
    let paid = vends.paid.number_first();
    out.put(&format!("PA2*{paid}"));
    out.put(&format!("PA3*{}", vends.test.number_first()));
    out.put(&format!("PA4*{}", vends.free.number_first()));
    out.put(&format!("PA7*{}*DA*0*{price}*{paid}", field(slot, 6)));
}

/// Four digits of the program's version: 0.1.0 is `0100`.
fn software() -> String {
    let mut parts = env!("CARGO_PKG_VERSION").split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    let [major, minor, patch] = [(); 3].map(|()| parts.next().unwrap_or_default());
    format!("{}{}{:02}", major % 10, minor % 10, patch % 100)
}

/// At most so many characters of printable ASCII, with what means something in a segment escaped.
fn field(text: &str, most: usize) -> String {
    let mut field = String::new();
    for c in text.chars().take(most) {
        match c {
            '*' | '^' => {
                let _ = write!(field, "^{:02X}^", u32::from(c));
            }
            ' '..='~' => field.push(c),
            _ => field.push('?'),
        }
    }
    field
}

/// CRC-16/ARC: polynomial 8005 reflected, beginning with 0.
fn crc(bytes: &[u8]) -> u16 {
    let step = |crc: u16, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 };
    bytes.iter().fold(0, |crc, byte| (0..8).fold(crc ^ u16::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_is_the_standards() {
        assert_eq!(crc(b"123456789"), 0xBB3D);
        assert_eq!(crc(b""), 0);
    }

    #[test]
    fn nothing_in_a_field_ends_it() {
        assert_eq!(field("a*b^c\r\nd", 20), "a^2A^b^5E^c??d");
        assert_eq!(field("2 號月台", 20), "2 ???");
        assert_eq!(field("abcdef", 3), "abc");
    }

    #[test]
    fn empty_fields_at_the_end_are_left_out_and_segments_are_counted() {
        let mut out = Segments::default();
        out.put("DXS*a");
        out.begin();
        out.put("EA3*0***");
        out.end();
        let checked = "ST*001*0001\r\nEA3*0\r\n";
        let wanted = format!("DXS*a\r\n{checked}G85*{:04X}\r\nSE*4*0001\r\n", crc(checked.as_bytes()));
        assert_eq!(out.text, wanted);
    }
}
