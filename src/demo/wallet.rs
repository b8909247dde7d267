//! The pretend wallet provider: what a payer's app and a kiosk's rail talk to.
//!
//! Policy: it behaves like a real one. Everything it answers is in its book, on disk, first. The same number with the
//! same parameters is the same charge or refund; with others it is refused. Refunds never exceed payments. A payer is
//! told why a payment can't be made. Its misbehaviour is the misbehaviour of real providers, and only on demand.

mod book;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use book::BookError;
use book::{Book, Charge, Refund, Sums};

use crate::payment::sandbox::wire::{self, ChargeState, Message, Reply, Request, Says, Unverified, What};
use crate::vocabulary::{ChargeId, ChargeReport, Currency, Minor, RefundId, RefundReport, Standing};

const MAX_AMOUNT: Minor = 1_000_000_000;
const MAX_LIFE: Duration = Duration::from_secs(24 * 3600);
const MAX_DESCRIPTION: usize = 512;

/// What a request is about; for misbehaviour and for cut points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    Create,
    Query,
    Close,
    Refund,
    QueryRefund,
    Probe,
}

/// How the provider misbehaves; the default is not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Behaviour {
    /// One answer each is lost, after the request was carried out.
    pub lose_next: Vec<Ask>,
    /// One answer each has a signature that does not hold.
    pub forge_next: Vec<Ask>,
    /// Every answer comes so much later; at most a minute.
    pub slow_ms: u32,
    /// Nothing is carried out or answered; payers can still pay.
    pub down: bool,
    /// A close is answered, and the charge stays payable.
    pub close_not_holding: bool,
    /// The close of a paid charge gives the money back by itself.
    pub cancel_refunds: bool,
    /// New refunds are processing for so many questions before they are done.
    pub refund_processing: u32,
    /// New refunds fail.
    pub refund_failed: bool,
}

/// What a payer does with the code in front of the phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Pay,
    /// Two payments of the whole amount.
    PayTwice,
    /// Succeeds only once the charge was closed or has expired.
    PayLate,
    /// One minor unit less.
    PayWrongAmount,
    /// Scanned, not paid.
    Abandon,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum Outcome {
    Accepted { why: String },
    Refused { why: String },
}

/// What a payer's app shows after the scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offer {
    pub description: String,
    pub amount: Minor,
    pub currency: Currency,
    pub state: &'static str,
}

/// The provider's side of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    Answer {
        sealed: Value,
        after: Duration,
    },
    /// The kiosk hears nothing at all.
    Silence,
}

/// Which of the kiosks that share the provider.
pub type Till = usize;

pub struct Wallet {
    inner: Mutex<Inner>,
}

struct Inner {
    book: Book,
    behaviour: Behaviour,
    /// Sealed, not sent yet.
    notices: VecDeque<(ChargeId, Value)>,
    /// Who has asked for which charge in this run.
    tills: BTreeMap<ChargeId, Till>,
    /// Wall clock when the wallet was opened, and since when; a clock that is set meanwhile changes no charge's life.
    opened: (i64, Instant),
    ahead: Duration,
    any_late: bool,
}

impl Wallet {
    /// Opens the book at `path`, or begins one.
    pub fn open(path: &Path) -> Result<Self, BookError> {
        let book = Book::open(path)?;
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let any_late = book.any_late()?;
        Ok(Self {
            inner: Mutex::new(Inner {
                book,
                behaviour: Behaviour::default(),
                notices: VecDeque::new(),
                tills: BTreeMap::new(),
                opened: (millis(wall), Instant::now()),
                ahead: Duration::ZERO,
                any_late,
            }),
        })
    }

    /// Reads a kiosk's request; [`respond`](Self::respond) carries it out.
    pub fn read(sealed: &Value) -> Result<(Ask, Request), Unverified> {
        let request: Request = wire::open(Message::Request, sealed)?;
        let ask = match request.ask {
            What::Create { .. } => Ask::Create,
            What::Query { .. } => Ask::Query,
            What::Close { .. } => Ask::Close,
            What::Refund { .. } => Ask::Refund,
            What::QueryRefund { .. } => Ask::QueryRefund,
            What::Probe => Ask::Probe,
        };
        Ok((ask, request))
    }

    /// Carries out a request. It is in the book when this returns, whatever becomes of the answer.
    pub fn respond(&self, ask: Ask, request: Request) -> Result<Response, BookError> {
        let mut inner = self.lock();
        if inner.behaviour.down {
            return Ok(Response::Silence);
        }
        let says = match inner.carry_out(request.ask)? {
            Ok(says) => says,
            Err((code, why)) => Says::Refused { code: code.into(), why },
        };
        inner.pay_what_is_late()?;
        if take_one(&mut inner.behaviour.lose_next, ask) {
            return Ok(Response::Silence);
        }
        let mut sealed = wire::seal(Message::Answer, &Reply { nonce: request.nonce, says });
        if take_one(&mut inner.behaviour.forge_next, ask) {
            sealed["mac"] = Value::from("00".repeat(32));
        }
        let after = Duration::from_millis(u64::from(inner.behaviour.slow_ms.min(60_000)));
        Ok(Response::Answer { sealed, after })
    }

    /// What the payer's app shows for that code; `None` if it is not one of ours.
    pub fn offer(&self, payload: &str) -> Result<Option<Offer>, BookError> {
        let inner = self.lock();
        let Some(charge) = inner.book.scanned(payload)? else { return Ok(None) };
        let state = book::state(&charge, inner.book.sums(&charge.id)?, inner.now());
        Ok(Some(Offer { description: charge.description, amount: charge.amount, currency: charge.currency, state }))
    }

    /// What a payer does with the code. Payments are in the book when this returns.
    pub fn act(&self, payload: &str, action: Action) -> Result<Outcome, BookError> {
        let mut inner = self.lock();
        let outcome = inner.act(payload, action)?;
        inner.pay_what_is_late()?;
        Ok(match outcome {
            Ok(why) => Outcome::Accepted { why },
            Err(why) => Outcome::Refused { why },
        })
    }

    /// Lets time do its work: payments that were waiting for an expiry. Cheap while nobody waits.
    pub fn tick(&self) -> Result<(), BookError> {
        self.lock().pay_what_is_late()
    }

    /// Notices about that charge go to this till.
    pub fn belongs(&self, charge: ChargeId, till: Till) {
        self.lock().tills.insert(charge, till);
    }

    /// Notices about payments that nobody has sent yet, for that till; those about charges of an earlier run are for any.
    pub fn take_notices(&self, till: Till) -> Vec<Value> {
        let inner = &mut *self.lock();
        let (mine, others) = std::mem::take(&mut inner.notices)
            .into_iter()
            .partition(|(charge, _)| inner.tills.get(charge).is_none_or(|other| *other == till));
        inner.notices = others;
        let mine: VecDeque<(ChargeId, Value)> = mine;
        mine.into_iter().map(|(_, notice)| notice).collect()
    }

    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.lock().behaviour = behaviour;
    }

    pub fn behaviour(&self) -> Behaviour {
        self.lock().behaviour.clone()
    }

    /// The whole book, exactly as `GET /api/wallet` shows it.
    pub fn book(&self) -> Result<Value, BookError> {
        let inner = self.lock();
        inner.book.all(inner.now())
    }

    /// Moves the provider's clock; charges expire by it.
    pub fn advance(&self, by: Duration) {
        self.lock().ahead += by;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // What a panic could leave half done is a transaction, and that is rolled back.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A refusal: the provider's code and its words.
type Refusal = (&'static str, String);

impl Inner {
    fn now(&self) -> i64 {
        let (wall, since) = self.opened;
        wall + millis(since.elapsed() + self.ahead)
    }

    fn carry_out(&mut self, ask: What) -> Result<Result<Says, Refusal>, BookError> {
        Ok(match ask {
            What::Create { charge: id, order, amount, currency, life_ms, description } => {
                let payload = payload(&id);
                let life_ms = i64::try_from(life_ms).unwrap_or(i64::MAX);
                let expires_ms = self.now().saturating_add(life_ms);
                let (closed, pays_late) = (false, false);
                self.create(Charge {
                    id,
                    order,
                    amount,
                    currency,
                    life_ms,
                    description,
                    payload,
                    expires_ms,
                    closed,
                    pays_late,
                })?
            }
            What::Query { charge } => Ok(Says::Charge(self.describe(&charge)?)),
            What::Close { charge } => self.close(&charge)?,
            What::Refund { refund, charge, amount, currency } => self.refund(&refund, &charge, amount, currency)?,
            What::QueryRefund { refund, charge } => Ok(self.ask_refund(refund, charge)?),
            What::Probe => Ok(Says::Here),
        })
    }

    fn create(&mut self, new: Charge) -> Result<Result<Says, Refusal>, BookError> {
        let says = |c: Charge| Says::Created {
            charge: c.id,
            order: c.order,
            amount: c.amount,
            currency: c.currency,
            payload: c.payload,
        };
        if let Some(old) = self.book.charge(&new.id)? {
            let parameters = |c: &Charge| (c.order, c.amount, c.currency, c.life_ms, c.description.clone());
            return Ok(if parameters(&old) == parameters(&new) {
                Ok(says(old))
            } else {
                refuse("CHARGE_USED", "the number belongs to a charge with other parameters")
            });
        }
        if new.id.as_str().len() < 6 || new.id.order() != Some(new.order) {
            return Ok(refuse("PARAM_ERROR", "the charge's number does not belong to the order"));
        }
        if !(1..=MAX_AMOUNT).contains(&new.amount) {
            return Ok(refuse("PARAM_ERROR", "the amount is out of range"));
        }
        if !(1..=millis(MAX_LIFE)).contains(&new.life_ms) {
            return Ok(refuse("PARAM_ERROR", "the life is out of range"));
        }
        if new.description.len() > MAX_DESCRIPTION {
            return Ok(refuse("PARAM_ERROR", "the description is too long"));
        }
        self.book.commit(|book| book.add_charge(&new))?;
        Ok(Ok(says(new)))
    }

    fn describe(&self, id: &ChargeId) -> Result<ChargeState, BookError> {
        let (of, report) = match self.book.charge(id)? {
            Some(charge) => (Some((charge.order, charge.currency)), self.book.report(&charge, self.now())?),
            None => {
                (None, ChargeReport { standing: Standing::Absent, payments: Vec::new(), returned: 0, attach: None })
            }
        };
        Ok(ChargeState { charge: id.clone(), of, report })
    }

    fn close(&mut self, id: &ChargeId) -> Result<Result<Says, Refusal>, BookError> {
        let Some(charge) = self.book.charge(id)? else {
            return Ok(refuse("CHARGE_NOT_EXIST", "no such charge"));
        };
        let sums = self.book.sums(id)?;
        let left = sums.paid - sums.refunded - sums.under_way;
        if sums.paid > 0 && !self.behaviour.cancel_refunds {
            return Ok(refuse("CHARGE_PAID", "the charge is paid"));
        }
        if left > 0 {
            let back = Refund { charge: id.clone(), amount: left, report: RefundReport::Done, asks_left: 0 };
            self.book.commit(|book| book.add_refund(&format!("C_{id}_{}", sums.returned), &back, true))?;
        } else if !charge.closed && !self.behaviour.close_not_holding {
            self.book.commit(|book| book.close(id))?;
        }
        Ok(Ok(Says::Closed { charge: charge.id, order: charge.order }))
    }

    fn refund(
        &mut self,
        id: &RefundId,
        charge: &ChargeId,
        amount: Minor,
        currency: Currency,
    ) -> Result<Result<Says, Refusal>, BookError> {
        if let Some(old) = self.book.refund(id)? {
            if old.charge != *charge || old.amount != amount {
                return Ok(refuse("REFUND_USED", "the number belongs to a refund with other parameters"));
            }
            return Ok(Ok(self.look_at_refund(id.clone(), old)?));
        }
        let Some(of) = self.book.charge(charge)? else {
            return Ok(refuse("CHARGE_NOT_EXIST", "no such charge"));
        };
        let Sums { paid, refunded, under_way, .. } = self.book.sums(charge)?;
        if of.currency != currency {
            return Ok(refuse("PARAM_ERROR", "the charge is in another currency"));
        }
        if amount < 1 || amount > paid - refunded - under_way {
            return Ok(refuse("REFUND_EXCEEDS", "refunds would exceed what was paid"));
        }
        let asks_left = self.behaviour.refund_processing;
        let report = match asks_left {
            _ if self.behaviour.refund_failed => RefundReport::Failed,
            0 => RefundReport::Done,
            _ => RefundReport::Processing,
        };
        let refund = Refund { charge: charge.clone(), amount, report, asks_left };
        self.book.commit(|book| book.add_refund(id.as_str(), &refund, false))?;
        Ok(Ok(Says::Refund { refund: id.clone(), charge: charge.clone(), amount, report }))
    }

    fn ask_refund(&mut self, id: RefundId, charge: ChargeId) -> Result<Says, BookError> {
        match self.book.refund(&id)? {
            Some(refund) if refund.charge == charge => self.look_at_refund(id, refund),
            _ => Ok(Says::Refund { refund: id, charge, amount: 0, report: RefundReport::Absent }),
        }
    }

    /// A question about a refund brings a processing one nearer to its end.
    fn look_at_refund(&mut self, id: RefundId, mut refund: Refund) -> Result<Says, BookError> {
        if refund.report == RefundReport::Processing {
            refund.asks_left = refund.asks_left.saturating_sub(1);
            if refund.asks_left == 0 {
                refund.report = RefundReport::Done;
            }
            self.book.commit(|book| book.update_refund(&id, &refund))?;
        }
        Ok(Says::Refund { refund: id, charge: refund.charge, amount: refund.amount, report: refund.report })
    }

    fn act(&mut self, payload: &str, action: Action) -> Result<Result<String, String>, BookError> {
        let Some(charge) = self.book.scanned(payload)? else {
            return Ok(Err("this wallet knows no such code".into()));
        };
        let state = book::state(&charge, self.book.sums(&charge.id)?, self.now());
        let amounts = match (action, state) {
            (_, "paid" | "refunded") => return Ok(Err("this code has been paid already".into())),
            (Action::PayLate, _) => {
                self.book.commit(|book| book.set_pays_late(&charge.id, true))?;
                self.any_late = true;
                let when = if state == "open" { "pays once the charge is closed or has expired" } else { "pays now" };
                return Ok(Ok(when.into()));
            }
            (_, "closed") => return Ok(Err("the merchant has closed this code".into())),
            (_, "expired") => return Ok(Err("this code has expired".into())),
            (Action::Abandon, _) => return Ok(Ok("scanned, not paid".into())),
            (Action::PayWrongAmount, _) if charge.amount < 2 => {
                return Ok(Err("one minor unit less would be nothing".into()));
            }
            (Action::PayWrongAmount, _) => vec![charge.amount - 1],
            (Action::PayTwice, _) => vec![charge.amount; 2],
            (Action::Pay, _) => vec![charge.amount],
        };
        self.pay(&charge, &amounts)?;
        Ok(Ok("paid".into()))
    }

    /// Books the payments together, and a notice for each.
    fn pay(&mut self, charge: &Charge, amounts: &[Minor]) -> Result<(), BookError> {
        let now = self.now();
        self.book.commit(|book| amounts.iter().try_for_each(|amount| book.pay(&charge.id, *amount, now)))?;
        let state = self.describe(&charge.id)?;
        for payments in 1..=amounts.len() {
            let mut then = state.clone();
            then.report.payments.truncate(state.report.payments.len() - amounts.len() + payments);
            self.notices.push_back((charge.id.clone(), wire::seal(Message::Notice, &then)));
        }
        Ok(())
    }

    fn pay_what_is_late(&mut self) -> Result<(), BookError> {
        if !self.any_late {
            return Ok(());
        }
        for charge in self.book.late_and_due(self.now())? {
            self.pay(&charge, &[charge.amount])?;
        }
        self.any_late = self.book.any_late()?;
        Ok(())
    }
}

/// The text of a charge's QR. Short, so that the modules are large: at most 60 bytes.
fn payload(charge: &ChargeId) -> String {
    match charge.order() {
        Some(order) => format!("kioskpay://sandbox/{charge}?code={}", order.short_code()),
        None => format!("kioskpay://sandbox/{charge}"),
    }
}

fn refuse<T>(code: &'static str, why: &str) -> Result<T, Refusal> {
    Err((code, why.to_owned()))
}

fn take_one(list: &mut Vec<Ask>, ask: Ask) -> bool {
    let found = list.iter().position(|a| *a == ask);
    found.map(|i| list.remove(i)).is_some()
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}
