//! What was sold.

use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use zbus::{Type, interface};

use super::error::Error;
use super::handle::KioskHandle;
use super::shown::{Claim, Shown};
use crate::ledger::Totals;
use crate::parking::report::{Of, Report};

pub(super) const INTERFACE: &str = "org.kioskd.Kiosk1.Sales";

/// Orders in one answer.
const MOST: u32 = 1_000;

#[derive(Clone)]
pub(super) struct Sales {
    kiosk: KioskHandle,
    news: watch::Receiver<Arc<Shown>>,
    /// Whose the car park's reports are; `None`: it is none of a car park.
    parking: Option<Of>,
}

impl Sales {
    pub fn new(kiosk: KioskHandle, news: watch::Receiver<Arc<Shown>>, parking: Option<Of>) -> Self {
        Self { kiosk, news, parking }
    }
}

/// An order in short; amounts are in the currency's minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct OrderLine {
    pub id: String,
    pub short_code: String,
    pub state: String,
    pub currency: String,
    pub amount: i64,
    pub paid: i64,
    pub refunded: i64,
}

/// Currency, orders, those on which something is open, paid, given back, still to go back.
type TotalLine = (String, u64, u64, i64, i64, i64);

/// What was sold. Amounts are in minor units: 300 is 3.00 CNY.
#[interface(name = "org.kioskd.Kiosk1.Sales")]
impl Sales {
    /// Open claims: order, short code, the cause's kind, and a sentence.
    #[zbus(property)]
    fn claims(&self) -> Vec<Claim> {
        self.news.borrow().claims.clone()
    }

    /// The newest orders, at most `limit` of them (1 to 1000), the newest first: number, short code, state, currency, amount,
    /// paid, and given back.
    #[zbus(out_args("orders"))]
    async fn orders(&self, limit: u32) -> Result<Vec<OrderLine>, Error> {
        if !(1..=MOST).contains(&limit) {
            return Err(Error::argument(format!("`{limit}` is not a number of orders; ask for 1 to {MOST}")));
        }
        let orders = self.kiosk.read(move |reader| reader.orders(limit as usize)).await?;
        Ok(orders["orders"].as_array().into_iter().flatten().map(line).collect())
    }

    /// What happened on one order: by its number or short code, by the number of a charge, a payment or a refund as the
    /// provider knows it, by a stay's ticket number or plate, by a time in UTC (`2026-11-29T10:15`) for the last order begun by then, or
    /// on the newest where it is empty: for people, and as JSON.
    #[zbus(out_args("text", "document"))]
    async fn story(&self, order: &str) -> Result<(String, String), Error> {
        let known = |c: char| c.is_alphanumeric() || "_-.: ".contains(c);
        if order.len() > 64 || !order.chars().all(known) {
            return Err(Error::argument(
                "This is not an order's number or short code, nor a provider's number, a ticket's number, a plate or a time",
            ));
        }
        let wanted = Some(order.to_owned()).filter(|order| !order.is_empty());
        let story = self.kiosk.read(move |reader| reader.why(wanted.as_deref())).await?;
        let story = story.ok_or_else(|| Error::no_such_order(order))?;
        Ok((story.to_string(), story.json().to_string()))
    }

    /// A report of what was taken, by its number, or what was taken since the last one where that is 0: for people, and as
    /// JSON.
    #[zbus(out_args("text", "document"))]
    async fn report(&self, number: u32) -> Result<(String, String), Error> {
        let report = self.kiosk.read(move |reader| reader.cash_up(number)).await?;
        let report = report.ok_or_else(|| Error::no_such_report(number))?;
        Ok((report.to_string(), report.json().to_string()))
    }

    /// What this kiosk of a car park has done in these days, `2026-11-01`, both included and at most 366: cars by the hour, what was paid
    /// by the lines of the bills, and unpaid exits: for people, and as JSON.
    #[zbus(out_args("text", "document"))]
    async fn parking(&self, from: &str, to: &str) -> Result<(String, String), Error> {
        let day = |text: &str| {
            let day = text.parse::<Date>().ok().filter(|day| day.to_string() == text);
            day.ok_or_else(|| Error::argument("This is no day; write 2026-11-01"))
        };
        let of = self.parking.clone().ok_or_else(Error::not_a_car_park)?;
        let report = Report::new(of, day(from)?, day(to)?);
        let mut report = report.map_err(|why| Error::argument(format!("There is no such report: {why}")))?;
        let report = self.kiosk.read(move |reader| reader.parking(&mut report).map(|()| report)).await?;
        Ok((report.to_string(), report.json().to_string()))
    }

    /// All orders of this ledger together, by currency: how many, how many on which something is open, paid, given back, and
    /// still to go back.
    #[zbus(out_args("totals"))]
    async fn totals(&self) -> Result<Vec<TotalLine>, Error> {
        let totals = self.kiosk.read(|reader| reader.totals()).await?;
        let line = |of: Totals| (of.currency, of.orders, of.open, of.paid, of.refunded, of.outstanding);
        Ok(totals.into_iter().map(line).collect())
    }
}

fn line(order: &Value) -> OrderLine {
    let text = |key: &str| order[key].as_str().unwrap_or_default().to_owned();
    let number = |key: &str| order[key].as_i64().unwrap_or_default();
    let [id, short_code, state, currency] = ["id", "short_code", "state", "currency"].map(text);
    let [amount, paid, refunded] = ["amount", "paid", "refunded"].map(number);
    OrderLine { id, short_code, state, currency, amount, paid, refunded }
}
