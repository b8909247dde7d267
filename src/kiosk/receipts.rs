//! Makes a receipt's contents of an order, and a report's of what was taken.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::ledger::{CashUp, InCurrency, RailSum};
use crate::printer::{
    BillLine, CashUpSlip, ExitPass, Item, Receipt, Sums, Takings, TestPage, Ticket, TicketEntry, code_text,
};
use crate::sale::presented::CodeKind;
use crate::sale::{self, Order};
use crate::screen::language::Texts;
use crate::vocabulary::fee::Rate;
use crate::vocabulary::{Language, Minor, Money, RailName, Wall, counted};

use super::clock::Clock;

/// What every receipt of this kiosk has in common.
pub struct ReceiptHeader {
    config: Config,
    texts: Texts,
}

impl ReceiptHeader {
    pub fn new(config: &Config) -> Self {
        Self { config: config.clone(), texts: Texts::with(&config.glass.look.texts) }
    }

    /// The order's receipt in the language the glass has now.
    pub fn receipt(&self, order: &Order, state: &sale::State) -> Receipt {
        let language = &state.dialogue.language;
        let kiosk = &self.config.kiosk;
        let charge = order.bought().and_then(|id| order.charge(id)).or(order.charges.last());
        Receipt {
            merchant: kiosk.merchant.get(language).to_owned(),
            place: kiosk.place.get(language).to_owned(),
            kiosk: kiosk.id.clone(),
            order: order.id,
            short_code: order.short_code.clone(),
            time: Clock::wall().and_then(|wall| self.written(wall, language)),
            items: items(order, language),
            bill: self.bill(order, state),
            taxes: taxes(order),
            pickup: self.config.sale.pickup_numbers.then(|| order.short_code.pickup().to_owned()),
            amount: order.amount(),
            paid: order.paid(),
            refunded: order.refunded(),
            refund_pending: order.outstanding(),
            slip: order.slip(),
            rail: charge.and_then(|charge| self.label(&charge.rail, language)).unwrap_or_default(),
            payments: order.charges.iter().flat_map(|c| &c.payments).map(|p| p.id.clone()).collect(),
            pass: self.exit_pass(order, state),
            phone: kiosk.phone.clone(),
            language: language.clone(),
            currency: order.currency,
        }
    }

    /// What a car comes in with.
    pub fn ticket(&self, order: &Order, state: &sale::State) -> Option<Ticket> {
        let code = state.shop.code(order).filter(|code| code.kind == CodeKind::Ticket)?;
        let language = &state.dialogue.language;
        let kiosk = &self.config.kiosk;
        let written = |at| self.dated(at, language).unwrap_or_default();
        let (from, to) = code.entry?;
        let entry = match to {
            None => TicketEntry::Known(written(from)),
            Some(to) => TicketEntry::Unknown { not_before: written(from), not_after: written(to) },
        };
        Some(Ticket {
            merchant: kiosk.merchant.get(language).to_owned(),
            place: kiosk.place.get(language).to_owned(),
            site: code.site,
            lane: code.lane,
            number: code.number,
            entry,
            class: code.class.map(|class| class.get(language).to_owned()),
            plate: code.plate,
            code: code.code,
            phone: kiosk.phone.clone(),
            sign: Vec::new(),
            language: language.clone(),
        })
    }

    fn exit_pass(&self, order: &Order, state: &sale::State) -> Option<ExitPass> {
        let code = state.shop.code(order).filter(|code| code.kind == CodeKind::ExitPass)?;
        Some(ExitPass {
            leave_before: code.until.and_then(|at| self.minute(at, &state.dialogue.language)),
            code: code.code,
            number: code.number,
            only_at: None,
        })
    }

    fn bill(&self, order: &Order, state: &sale::State) -> Vec<BillLine> {
        let language = &state.dialogue.language;
        let line = |line: sale::presented::BillLine| BillLine {
            text: line.text.get(language).to_owned(),
            amount: line.amount,
        };
        state.shop.bill(order).into_iter().map(line).collect()
    }

    /// Date and time in the site's zone, without seconds.
    fn dated(&self, at: Wall, language: &Language) -> Option<String> {
        let there = at.timestamp()?.in_tz(&self.config.kiosk.time_zone).ok()?;
        Some(there.strftime(&self.texts.get(language, "date-minute", &[])).to_string())
    }

    /// The same; of today the time alone.
    fn minute(&self, at: Wall, language: &Language) -> Option<String> {
        let local = |at: Wall| at.timestamp()?.in_tz(&self.config.kiosk.time_zone).ok();
        let there = local(at)?;
        let today = Clock::wall().and_then(local).is_some_and(|now| now.date() == there.date());
        let format = if today { "%H:%M".to_owned() } else { self.texts.get(language, "date-minute", &[]) };
        Some(there.strftime(&format).to_string())
    }

    /// The text of the QR for a receipt that is not on paper.
    pub fn code(&self, order: &Order, state: &sale::State) -> String {
        code_text(&self.texts, &self.receipt(order, state), self.config.printer.receipt_url.as_deref())
    }

    /// A rail as its customers know it; `None` of one that is not configured any more.
    fn label(&self, rail: &RailName, language: &Language) -> Option<String> {
        let known = self.config.rails.iter().find(|known| known.name() == *rail)?;
        Some(known.label.get(language).to_owned())
    }

    /// A report in the operator's first language. `copy`: it was asked for again.
    pub fn cash_up(&self, report: &CashUp, copy: bool) -> CashUpSlip {
        let kiosk = &self.config.kiosk;
        let language = kiosk.languages.first().cloned().unwrap_or_else(|| Language::new("en"));
        let written = |at: Option<u64>| at.and_then(|wall| self.written(Wall(wall), &language));
        let name = |rail: &RailName| self.label(rail, &language).unwrap_or_else(|| rail.to_string());
        let mut takings: Vec<Takings> = report.currencies.values().map(|sums| takings(sums, &language, name)).collect();
        if takings.is_empty() {
            // Nothing was taken, and that is said in money, too.
            let (currency, total) = (kiosk.currency, sums(&RailSum::default()));
            takings.push(Takings { currency, rails: Vec::new(), total, products: Vec::new(), outstanding: 0 });
        }
        let foreign = report
            .foreign
            .iter()
            .map(|((rail, _), paid)| (name(rail), Money { amount: paid.paid, currency: paid.currency }));
        CashUpSlip {
            merchant: kiosk.merchant.get(&language).to_owned(),
            place: kiosk.place.get(&language).to_owned(),
            kiosk: kiosk.id.clone(),
            number: report.number.unwrap_or(0),
            copy,
            since: written(report.begin.at),
            until: written(report.end.at),
            after: (report.begin.seq, report.begin.hash.clone()),
            end: (report.end.seq, report.end.hash.clone()),
            takings,
            foreign: foreign.collect(),
            granted: report.granted.iter().map(|(why, units)| (*why, *units)).collect(),
            claims: report.claims.iter().map(|claim| (claim.order.short_code(), claim.open)).collect(),
            language,
        }
    }

    /// In the operator's first language, with their words in each.
    pub fn test_page(&self) -> TestPage {
        let kiosk = &self.config.kiosk;
        let language = kiosk.languages.first().cloned().unwrap_or_else(|| Language::new("en"));
        TestPage {
            time: Clock::wall().and_then(|wall| self.written(wall, &language)),
            kiosk: kiosk.id.clone(),
            place: kiosk.place.get(&language).to_owned(),
            samples: kiosk.languages.iter().map(|language| kiosk.merchant.get(language).to_owned()).collect(),
            language,
        }
    }

    /// Local time for people.
    fn written(&self, wall: Wall, language: &Language) -> Option<String> {
        let local = wall.timestamp()?.in_tz(&self.config.kiosk.time_zone).ok()?;
        Some(local.strftime(&self.texts.get(language, "date-time", &[])).to_string())
    }
}

fn takings(of: &InCurrency, language: &Language, name: impl Fn(&RailName) -> String) -> Takings {
    let products = of.products.iter().map(|(goods, sold)| {
        let name = match sold.label.get(language) {
            "" => goods.to_string(),
            name => name.to_owned(),
        };
        (name, sold.units, sold.sum)
    });
    Takings {
        currency: of.currency,
        rails: of.rails.iter().map(|(rail, sum)| (name(rail), sums(sum))).collect(),
        total: sums(&of.total()),
        products: products.collect(),
        outstanding: of.outstanding,
    }
}

fn sums(of: &RailSum) -> Sums {
    Sums {
        payments: of.payments,
        paid: of.paid,
        refunds: of.refunds,
        given_back: of.given_back(),
        fee: of.fee_known(),
        net: of.net(),
    }
}

/// Within the prices of what the customer keeps, by rate.
fn taxes(order: &Order) -> Vec<(Rate, Minor)> {
    let mut sold: BTreeMap<Rate, Minor> = BTreeMap::new();
    for item in order.items.iter().filter(|item| item.outcome != sale::view::Outcome::NotDelivered) {
        if let Some(rate) = item.tax {
            *sold.entry(rate).or_default() += item.price;
        }
    }
    sold.into_iter().map(|(rate, price)| (rate, rate.within(price))).collect()
}

/// Units of the same goods, price and fate on one line.
fn items(order: &Order, language: &Language) -> Vec<Item> {
    let units = order.items.iter().map(|item| ((&item.goods, item.label.get(language), item.price, item.outcome), 1));
    let line = |((_, name, price, outcome), quantity)| Item { name: str::to_owned(name), quantity, price, outcome };
    counted(units).into_iter().map(line).collect()
}
