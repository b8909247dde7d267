//! The kiosk's side of the channel: which questions are open, which notices were taken, what was rejected. One for all
//! rails of the gateway.
//!
//! Policy: every message has a nonce of its own, and says when it was sent by the gateway's clock, as the last answer told
//! it; until there is one, the gateway answers with nothing but the time, and the question is asked again. A question is
//! used up by the first answer that fits, to whichever of its messages. A notice is taken once;
//! when its consequence is on disk the gateway is told so, and told again when it repeats the notice. Both memories are
//! bounded: an answer that is older than they reach is one to no question of ours, and a notice that is taken twice does
//! no harm, because the ledger knows every payment by its number.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use tokio::sync::{Semaphore, oneshot};

use super::rejected::{Rejected, Rejections, Tally};
use super::wire::{Ask, Notice, Reply, Request, Says};
use super::{MAX_PAYLOAD, unknown};
use crate::signed::jws::{BadMessage, Keys, Purpose, Signer};
use crate::vocabulary::{ChargeRef, ChargeReport, NewCharge, RailError, RefundRequest, Standing, Wall};

/// Questions at a time; with each sent twice the gateway still has room for all.
const AT_A_TIME: usize = 4;
/// Nonces of questions that are answered or given up.
const PAST: usize = 1024;
/// Notices taken.
const NOTICES: usize = 1024;
const LONGEST_NUMBER: usize = 64;
/// How often a question is asked anew because the gateway takes it for an old one: gateways need not agree on the time.
const STALE: usize = 3;
/// A notice that comes again was perhaps not heard to be taken; that is said again no more often than this.
const SAY_AGAIN: Duration = Duration::from_secs(1);

pub struct Settings {
    /// `fleet/kiosk`; also the name of `signer`'s key.
    pub kiosk: String,
    pub signer: Signer,
    /// Who may answer, and say by themselves that a charge was paid.
    pub gateway: Keys,
    /// Who may only say that a charge was paid, on a rail whose money nobody else sees: the operator's own programs.
    pub operator: Keys,
}

/// A notice that is believed and was not taken before. What it says is what a query would have said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noticed {
    pub id: String,
    /// The rail at the gateway.
    pub rail: String,
    pub charge: ChargeRef,
    pub report: ChargeReport,
}

impl Noticed {
    /// Whether it speaks of this very charge.
    ///
    /// # Errors
    /// When its order, amount or currency is another.
    pub fn is_about(&self, ours: &ChargeRef) -> Result<(), Rejected> {
        same_charge(ours, &self.charge)
    }
}

type Publish = Box<dyn Fn(Vec<u8>) -> bool + Send + Sync>;
type Tell = Box<dyn Fn(Rejections) + Send + Sync>;

pub struct Clerk {
    settings: Settings,
    publish: OnceLock<Publish>,
    tell: Tell,
    room: Semaphore,
    books: Mutex<Books>,
}

struct Books {
    rails: BTreeSet<String>,
    /// Those of them whose money only the operator sees.
    watched: BTreeSet<String>,
    /// The gateway's time when it last answered, and when that was.
    time: Option<(u64, Instant)>,
    open: Vec<Question>,
    /// Nonces that were used, the oldest first.
    past: VecDeque<Past>,
    /// The oldest first.
    notices: VecDeque<Taken>,
    /// Questions so far.
    asked: u64,
    tally: Tally,
}

/// A message whose question is answered or given up.
struct Past {
    nonce: String,
    /// By this message or another one of the same question.
    answered: bool,
    /// This message's own answer may still come.
    spare: bool,
}

struct Question {
    number: u64,
    /// Of the messages that it went out in.
    nonces: Vec<String>,
    rail: String,
    ask: Ask,
    answer: oneshot::Sender<Says>,
}

struct Taken {
    id: String,
    rail: String,
    /// When the gateway was last told that it is on disk.
    told: Option<Instant>,
}

impl Clerk {
    /// `tell` hears of rejected messages worth an alarm: of the first at once, then at most every second.
    pub fn new(settings: Settings, tell: impl Fn(Rejections) + Send + Sync + 'static) -> Self {
        let books = Books {
            rails: BTreeSet::new(),
            watched: BTreeSet::new(),
            time: None,
            open: Vec::new(),
            asked: 0,
            past: VecDeque::new(),
            notices: VecDeque::new(),
            tally: Tally::new(),
        };
        Self {
            settings,
            publish: OnceLock::new(),
            tell: Box::new(tell),
            room: Semaphore::new(AT_A_TIME),
            books: Mutex::new(books),
        }
    }

    /// Once, when there is a link: `publish` puts a message on `pay/request`, and is false when it can't now.
    pub fn connect(&self, publish: impl Fn(Vec<u8>) -> bool + Send + Sync + 'static) {
        if self.publish.set(Box::new(publish)).is_err() {
            tracing::error!("the gateway's clerk has a link already; the second is not used");
        }
    }

    /// What was rejected since the start.
    pub fn rejections(&self) -> Rejections {
        self.books().tally.so_far()
    }

    /// A message from `pay/reply`, by whomever. `wall` is nothing while the kiosk's clock is not to be trusted.
    ///
    /// # Errors
    /// When it answers no open question; nothing has happened then but that it was counted.
    pub fn reply(&self, message: &[u8], wall: Option<Wall>) -> Result<(), Rejected> {
        self.counted(self.take_reply(message, wall), wall)
    }

    /// A message from `pay/notice`, by whomever; `None` when it was taken before. The caller compares it with its own
    /// charge ([`Noticed::is_about`]) and calls [`committed`](Self::committed) or [`reject`](Self::reject).
    ///
    /// # Errors
    /// When it can't be believed; nothing has happened then but that it was counted.
    pub fn notice(&self, message: &[u8], wall: Option<Wall>) -> Result<Option<Noticed>, Rejected> {
        self.counted(self.take_notice(message, wall), wall)
    }

    /// All consequences of a notice are on disk: the gateway may tell the provider that it has arrived.
    pub fn committed(&self, notice: &str) {
        let rail = {
            let mut books = self.books();
            let Some(taken) = books.notices.iter_mut().find(|taken| taken.id == notice) else { return };
            taken.told = Some(Instant::now());
            taken.rail.clone()
        };
        self.say_taken(notice, &rail);
    }

    /// A notice is not about a charge of this kiosk after all.
    pub fn reject(&self, notice: &str, why: Rejected, wall: Option<Wall>) {
        self.books().notices.retain(|taken| taken.id != notice);
        self.count(why, wall);
    }

    pub(super) fn serves(&self, rail: &str) {
        self.books().rails.insert(rail.to_owned());
    }

    /// The money of this rail is seen by the operator, who may say so by himself.
    pub(super) fn watches(&self, rail: &str) {
        self.books().watched.insert(rail.to_owned());
    }

    /// Asks, and after `again` asks once more, in a new message; a charge is asked for only once, because not every
    /// provider takes the same one twice. The answer fits the question. Ends only with an answer, or when it can't be
    /// asked; whoever asks has a time-out.
    pub(super) async fn ask(&self, rail: &str, ask: Ask, again: Duration) -> Result<Says, RailError> {
        let _place = self.room.acquire().await.map_err(|_| unknown("nothing is asked any more"))?;
        for _ in 0..STALE {
            match self.ask_now(rail, ask.clone(), again).await? {
                // Nothing was looked at, and the time is known now: even a charge may be asked for again.
                Says::Stale => {}
                says => return Ok(says),
            }
        }
        Err(unknown("the gateway takes every question for an old one"))
    }

    async fn ask_now(&self, rail: &str, ask: Ask, again: Duration) -> Result<Says, RailError> {
        let once = matches!(ask, Ask::Create(_));
        let (nonce, message) = self.write(rail, ask.clone())?;
        let (answer, mut answered) = oneshot::channel();
        let open = self.open(nonce, rail, ask.clone(), answer);
        if !self.put_out(message) {
            return Err(unknown("there is no connection to the gateway"));
        }
        let answer = match tokio::time::timeout(again, &mut answered).await {
            Ok(answer) => answer,
            Err(_) if once => answered.await,
            Err(_) => {
                // The connection it went out on may be gone, and with it the question or its answer. A connection that is
                // not back yet leaves only the hope for the first.
                let (nonce, message) = self.write(rail, ask)?;
                if let Some(question) = self.books().open.iter_mut().find(|question| question.number == open.number) {
                    question.nonces.push(nonce);
                }
                self.put_out(message);
                answered.await
            }
        };
        answer.map_err(|_| unknown("the question was dropped"))
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_out(&self, message: Vec<u8>) -> bool {
        self.publish.get().is_some_and(|publish| publish(message))
    }

    /// A message with a new nonce, signed.
    fn write(&self, rail: &str, ask: Ask) -> Result<(String, Vec<u8>), RailError> {
        let mut bytes = [0u8; 16];
        getrandom::fill(&mut bytes).map_err(|e| unknown(format!("no random number for the question: {e}")))?;
        let nonce = HEXLOWER.encode(&bytes);
        let (kiosk, sent) = (self.settings.kiosk.clone(), self.books().time_there(Instant::now()));
        let request = Request { kiosk, rail: rail.to_owned(), nonce: nonce.clone(), sent, ask };
        let message = self.settings.signer.sign(Purpose::PayRequest, &request);
        Ok((nonce, message.map_err(|e| unknown(format!("the question can't be written: {e}")))?))
    }

    fn open(&self, nonce: String, rail: &str, ask: Ask, answer: oneshot::Sender<Says>) -> Open<'_> {
        let mut books = self.books();
        books.asked += 1;
        let number = books.asked;
        books.open.push(Question { number, nonces: vec![nonce], rail: rail.to_owned(), ask, answer });
        Open { clerk: self, number }
    }

    fn take_reply(&self, message: &[u8], wall: Option<Wall>) -> Result<(), Rejected> {
        let (reply, _) = self.settings.gateway.open::<Reply>(Purpose::PayReply, message)?;
        if reply.kiosk != self.settings.kiosk {
            return Err(Rejected::Kiosk);
        }
        let mut books = self.books();
        let Some(question) = books.open.iter().find(|question| question.nonces.contains(&reply.nonce)) else {
            return Err(books.no_question(&reply.nonce));
        };
        if question.rail != reply.rail {
            return Err(Rejected::Rail);
        }
        if expired(reply.expires, wall) {
            return Err(Rejected::Expired);
        }
        answers(&question.ask, &reply.says)?;
        let number = question.number;
        // It answers a question that is open, so it is not older than that.
        books.time = Some((reply.sent, Instant::now()));
        if let Some(question) = books.close(number, Some(&reply.nonce)) {
            // Whoever asked may have given up just now; then nobody has an answer.
            drop(question.answer.send(reply.says));
        }
        Ok(())
    }

    fn take_notice(&self, message: &[u8], wall: Option<Wall>) -> Result<Option<Noticed>, Rejected> {
        let Settings { kiosk, gateway, operator, .. } = &self.settings;
        let (by_operator, opened) = match gateway.open::<Notice>(Purpose::PayNotice, message) {
            Err(BadMessage::UnknownKey) => (true, operator.open(Purpose::PayNotice, message)),
            opened => (false, opened),
        };
        let (notice, _) = opened?;
        let Notice { id, rail, charge, report, .. } = notice;
        let mut books = self.books();
        if notice.kiosk != *kiosk {
            return Err(Rejected::Kiosk);
        } else if !books.rails.contains(&rail) {
            return Err(Rejected::Rail);
        } else if !(1..=LONGEST_NUMBER).contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Rejected::Number);
        } else if charge.charge.order() != Some(charge.order) {
            return Err(Rejected::Order);
        } else if by_operator && (!books.watched.contains(&rail) || !only_paid(&report)) {
            return Err(Rejected::Operator);
        }
        sane(&report)?;
        if let Some(taken) = books.notices.iter_mut().find(|taken| taken.id == id) {
            // Still on its way to the disk, or told already and perhaps not heard.
            let now = Instant::now();
            if taken.told.is_some_and(|told| now >= told + SAY_AGAIN) {
                taken.told = Some(now);
                drop(books);
                self.say_taken(&id, &rail);
            }
            return Ok(None);
        }
        if expired(notice.expires, wall) {
            return Err(Rejected::Expired);
        }
        if books.notices.len() == NOTICES {
            books.notices.pop_front();
        }
        books.notices.push_back(Taken { id: id.clone(), rail: rail.clone(), told: None });
        Ok(Some(Noticed { id, rail, charge, report }))
    }

    fn say_taken(&self, notice: &str, rail: &str) {
        // Nothing is lost when this can't be said: the gateway repeats the notice.
        if let Ok((nonce, message)) = self.write(rail, Ask::Noticed { notice: notice.to_owned() }) {
            self.books().remember(Past { nonce, answered: true, spare: true });
            self.put_out(message);
        }
    }

    fn counted<T>(&self, result: Result<T, Rejected>, wall: Option<Wall>) -> Result<T, Rejected> {
        result.inspect_err(|why| self.count(*why, wall))
    }

    fn count(&self, why: Rejected, wall: Option<Wall>) {
        let due = self.books().tally.add(why, wall, Instant::now());
        match due {
            Some(so_far) => {
                tracing::warn!(reason = %why, count = so_far.count, "a message about payments is not believed");
                (self.tell)(so_far);
            }
            None => tracing::debug!(reason = %why, "a message about payments is not believed"),
        }
    }
}

impl Books {
    /// The time at the gateway, carried on by the monotonic clock; 0 where it is not known. Our own clock may be wrong.
    fn time_there(&self, now: Instant) -> u64 {
        let since = |heard| u64::try_from(now.saturating_duration_since(heard).as_millis()).unwrap_or(u64::MAX);
        self.time.map_or(0, |(there, heard)| there.saturating_add(since(heard)))
    }

    fn no_question(&mut self, nonce: &str) -> Rejected {
        let Some(past) = self.past.iter_mut().find(|past| past.nonce == nonce) else { return Rejected::Unasked };
        if !std::mem::take(&mut past.spare) {
            return Rejected::Replayed;
        }
        if past.answered { Rejected::Again } else { Rejected::Late }
    }

    /// `answered`: the message whose answer it was.
    fn close(&mut self, number: u64, answered: Option<&str>) -> Option<Question> {
        let at = self.open.iter().position(|question| question.number == number)?;
        let mut question = self.open.swap_remove(at);
        for nonce in question.nonces.drain(..) {
            let spare = answered != Some(&nonce);
            self.remember(Past { nonce, answered: answered.is_some(), spare });
        }
        Some(question)
    }

    fn remember(&mut self, past: Past) {
        if self.past.len() == PAST {
            self.past.pop_front();
        }
        self.past.push_back(past);
    }
}

/// A question that somebody waits on; given up when nobody does any more.
struct Open<'a> {
    clerk: &'a Clerk,
    number: u64,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.clerk.books().close(self.number, None);
    }
}

fn expired(expires: u64, wall: Option<Wall>) -> bool {
    wall.is_some_and(|Wall(now)| now > expires)
}

/// Whether it is an answer to this very question.
fn answers(ask: &Ask, says: &Says) -> Result<(), Rejected> {
    match (ask, says) {
        (_, Says::Refused { .. } | Says::Unknown { .. } | Says::Stale) | (Ask::Probe, Says::Here) => Ok(()),
        (Ask::Create(new), Says::Created { charge, payload }) => {
            let NewCharge { charge: id, order, amount, currency, .. } = new;
            let asked = ChargeRef { charge: id.clone(), order: *order, amount: *amount, currency: *currency };
            same_charge(&asked, charge)?;
            let fits = (1..=MAX_PAYLOAD).contains(&payload.len()) && !payload.contains(char::is_control);
            if fits { Ok(()) } else { Err(Rejected::Payload) }
        }
        (Ask::Query(asked), Says::Charge { charge, report }) => {
            same_charge(asked, charge)?;
            sane(report)
        }
        (Ask::Close(asked), Says::Closed { charge, report }) => {
            same_charge(asked, charge)?;
            report.as_ref().map_or(Ok(()), sane)
        }
        (Ask::Refund(asked) | Ask::QueryRefund(asked), Says::Refund { refund, .. }) => same_refund(asked, refund),
        _ => Err(Rejected::Question),
    }
}

fn same_charge(ours: &ChargeRef, theirs: &ChargeRef) -> Result<(), Rejected> {
    // Whole, so that a new field can't be forgotten.
    if ours == theirs {
        Ok(())
    } else if ours.charge != theirs.charge {
        Err(Rejected::Charge)
    } else if ours.order != theirs.order {
        Err(Rejected::Order)
    } else if ours.currency != theirs.currency {
        Err(Rejected::Currency)
    } else {
        Err(Rejected::Amount)
    }
}

fn same_refund(ours: &RefundRequest, theirs: &RefundRequest) -> Result<(), Rejected> {
    let charge = |refund: &RefundRequest| ChargeRef {
        charge: refund.charge.clone(),
        order: refund.order,
        amount: refund.charged,
        currency: refund.currency,
    };
    if ours == theirs {
        return Ok(());
    }
    if ours.refund != theirs.refund {
        return Err(Rejected::Refund);
    }
    same_charge(&charge(ours), &charge(theirs))?;
    Err(Rejected::Amount)
}

/// What the operator may say of a charge: that it was paid, not that anything went back.
fn only_paid(report: &ChargeReport) -> bool {
    report.standing != Standing::Returning && !report.payments.is_empty() && report.returned == 0
}

/// A signature does not make a sum right: payments are more than nothing, and no more went back than came in.
fn sane(report: &ChargeReport) -> Result<(), Rejected> {
    let mut payments = report.payments.iter();
    let paid = payments.try_fold(0i64, |sum, p| if p.amount > 0 { sum.checked_add(p.amount) } else { None });
    match paid {
        Some(paid) if (0..=paid).contains(&report.returned) => Ok(()),
        _ => Err(Rejected::Sums),
    }
}
