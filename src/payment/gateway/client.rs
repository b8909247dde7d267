//! The kiosk's client of the gateway, one for all its rails. It keeps the open questions, the notices that were taken,
//! and the count of rejected messages.
//!
//! Policy: every message has a nonce of its own, and the time it was sent by the gateway's clock, which the client
//! knows from the last answer; to the first message the gateway answers with nothing but the time, and the question is
//! asked again. A question is closed by the first answer that fits any of its messages. A notice is taken once; when
//! its consequences are on disk the client confirms it, and confirms it again when the gateway repeats it. Both
//! memories are bounded: an answer that is older than they reach counts as one to no question, and a notice that is
//! taken twice does no harm, because the ledger knows every payment by its id.

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

/// So many questions may be open; with each sent twice the gateway still has room for all.
const IN_FLIGHT: usize = 4;
/// So many nonces of questions that were answered or given up are remembered.
const PAST_REQUESTS: usize = 1024;
/// So many taken notices are remembered.
const NOTICES: usize = 1024;
const LONGEST_ID: usize = 64;
/// So often is a question asked again because the gateway takes it for an old one: gateways need not agree on the time.
const STALE_RETRIES: usize = 3;
/// A notice that comes again is confirmed again, because the confirmation may be lost, but not more often than this.
const CONFIRM_EVERY: Duration = Duration::from_secs(1);

/// The kiosk's name and key, and whom it believes.
pub struct GatewayClientConfig {
    /// `fleet/kiosk`; also the name of `signer`'s key.
    pub kiosk: String,
    pub signer: Signer,
    /// The keys of gateways, which may answer questions and send notices.
    pub gateway: Keys,
    /// The keys of the operator's own programs, which may only send notices of payments, on a rail whose payments no
    /// provider reports.
    pub operator: Keys,
}

/// A notice that is verified and was not taken before. Its report is what a query would have answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedNotice {
    pub id: String,
    /// The rail at the gateway.
    pub rail: String,
    pub charge: ChargeRef,
    pub report: ChargeReport,
}

impl VerifiedNotice {
    /// Checks that it is about this very charge.
    ///
    /// # Errors
    /// Its charge, order, amount or currency is another.
    pub fn is_about(&self, ours: &ChargeRef) -> Result<(), Rejected> {
        same_charge(ours, &self.charge)
    }
}

type Publish = Box<dyn Fn(Vec<u8>) -> bool + Send + Sync>;
type Tell = Box<dyn Fn(Rejections) + Send + Sync>;

/// The kiosk's client of the gateway.
pub struct GatewayClient {
    config: GatewayClientConfig,
    publish: OnceLock<Publish>,
    report_rejections: Tell,
    permits: Semaphore,
    inner: Mutex<Inner>,
}

struct Inner {
    rails: BTreeSet<String>,
    /// Those of them whose payments only the operator sees.
    operator_rails: BTreeSet<String>,
    /// The gateway's time of its last answer, in milliseconds since 1970, and when that answer came.
    time: Option<(u64, Instant)>,
    open: Vec<OpenQuestion>,
    /// Messages whose questions are closed, the oldest first.
    past: VecDeque<PastRequest>,
    /// Taken notices, the oldest first.
    notices: VecDeque<TakenNotice>,
    /// The number of questions so far.
    asked: u64,
    tally: Tally,
}

/// A message whose question is answered or given up.
struct PastRequest {
    nonce: String,
    /// Whether this message or another one of the same question was answered.
    answered: bool,
    /// This message's own answer may still come.
    reply_expected: bool,
}

struct OpenQuestion {
    number: u64,
    /// The nonces of the messages it was sent in.
    nonces: Vec<String>,
    rail: String,
    ask: Ask,
    answer: oneshot::Sender<Says>,
}

struct TakenNotice {
    id: String,
    rail: String,
    /// When it was last confirmed to the gateway; `None` before its consequences are on disk.
    confirmed: Option<Instant>,
}

impl GatewayClient {
    /// `report_rejections` hears of rejected messages worth an alarm: of the first at once, then at most every second.
    pub fn new(config: GatewayClientConfig, report_rejections: impl Fn(Rejections) + Send + Sync + 'static) -> Self {
        let inner = Inner {
            rails: BTreeSet::new(),
            operator_rails: BTreeSet::new(),
            time: None,
            open: Vec::new(),
            asked: 0,
            past: VecDeque::new(),
            notices: VecDeque::new(),
            tally: Tally::new(),
        };
        Self {
            config,
            publish: OnceLock::new(),
            report_rejections: Box::new(report_rejections),
            permits: Semaphore::new(IN_FLIGHT),
            inner: Mutex::new(inner),
        }
    }

    /// Connects it to the fleet's link, once. `publish` publishes a message on `pay/request`, and is false when it
    /// can't now.
    pub fn connect(&self, publish: impl Fn(Vec<u8>) -> bool + Send + Sync + 'static) {
        if self.publish.set(Box::new(publish)).is_err() {
            tracing::error!("the client of the gateway is connected already, and ignores a second link");
        }
    }

    /// What was rejected since the start.
    pub fn rejections(&self) -> Rejections {
        self.inner().tally.so_far()
    }

    /// Verifies and takes a message from `pay/reply`. `wall` is `None` while the kiosk's clock is not trusted.
    ///
    /// # Errors
    /// It answers no open question. It was counted, and has no other effect.
    pub fn reply(&self, message: &[u8], wall: Option<Wall>) -> Result<(), Rejected> {
        self.counted(self.take_reply(message, wall), wall)
    }

    /// Verifies and takes a message from `pay/notice`; `None` when it was taken before. The caller compares it with its
    /// own charge ([`VerifiedNotice::is_about`]) and calls [`committed`](Self::committed) or [`reject`](Self::reject).
    ///
    /// # Errors
    /// It can't be verified. It was counted, and has no other effect.
    pub fn notice(&self, message: &[u8], wall: Option<Wall>) -> Result<Option<VerifiedNotice>, Rejected> {
        self.counted(self.take_notice(message, wall), wall)
    }

    /// All consequences of a notice are on disk: it is confirmed, so that the provider stops repeating it.
    pub fn committed(&self, notice: &str) {
        let rail = {
            let mut inner = self.inner();
            let Some(taken) = inner.notices.iter_mut().find(|taken| taken.id == notice) else { return };
            taken.confirmed = Some(Instant::now());
            taken.rail.clone()
        };
        self.confirm(notice, &rail);
    }

    /// Rejects a notice that is not about a charge of this kiosk after all.
    pub fn reject(&self, notice: &str, why: Rejected, wall: Option<Wall>) {
        self.inner().notices.retain(|taken| taken.id != notice);
        self.count(why, wall);
    }

    pub(super) fn register(&self, rail: &str) {
        self.inner().rails.insert(rail.to_owned());
    }

    /// On this rail the operator's own programs may send notices.
    pub(super) fn register_operators(&self, rail: &str) {
        self.inner().operator_rails.insert(rail.to_owned());
    }

    /// Asks a question, and sends it once more in a new message when there is no answer after `repeat_after`. A charge
    /// is sent only once, because not every provider accepts the same one twice. It waits until there is an answer that
    /// fits; the caller has a time-out.
    ///
    /// # Errors
    /// The question can't be sent, or the gateway takes it for an old one again and again.
    pub(super) async fn ask(&self, rail: &str, ask: Ask, repeat_after: Duration) -> Result<Says, RailError> {
        let _permit = self.permits.acquire().await.map_err(|_| unknown("nothing is asked any more"))?;
        for _ in 0..STALE_RETRIES {
            match self.ask_now(rail, ask.clone(), repeat_after).await? {
                // The gateway has done nothing, and its time is known now: even a charge may be sent again.
                Says::Stale => {}
                says => return Ok(says),
            }
        }
        Err(unknown("the gateway takes every question for an old one"))
    }

    async fn ask_now(&self, rail: &str, ask: Ask, repeat_after: Duration) -> Result<Says, RailError> {
        let no_repeat = matches!(ask, Ask::Create(_));
        let (nonce, message) = self.signed(rail, ask.clone())?;
        let (answer, mut answered) = oneshot::channel();
        let open = self.open(nonce, rail, ask.clone(), answer);
        if !self.publish_now(message) {
            return Err(unknown("there is no connection to the gateway"));
        }
        let answer = match tokio::time::timeout(repeat_after, &mut answered).await {
            Ok(answer) => answer,
            Err(_) if no_repeat => answered.await,
            Err(_) => {
                // The connection it was sent on may be lost, and with it the question or its answer. When there is no
                // new connection yet, only an answer to the first message is left to wait for.
                let (nonce, message) = self.signed(rail, ask)?;
                if let Some(question) = self.inner().open.iter_mut().find(|question| question.number == open.number) {
                    question.nonces.push(nonce);
                }
                self.publish_now(message);
                answered.await
            }
        };
        answer.map_err(|_| unknown("the question was dropped"))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish_now(&self, message: Vec<u8>) -> bool {
        self.publish.get().is_some_and(|publish| publish(message))
    }

    /// Makes a signed message with a new nonce; answers with both.
    fn signed(&self, rail: &str, ask: Ask) -> Result<(String, Vec<u8>), RailError> {
        let mut bytes = [0u8; 16];
        getrandom::fill(&mut bytes).map_err(|e| unknown(format!("no random number for the question: {e}")))?;
        let nonce = HEXLOWER.encode(&bytes);
        let (kiosk, sent) = (self.config.kiosk.clone(), self.inner().gateway_time(Instant::now()));
        let request = Request { kiosk, rail: rail.to_owned(), nonce: nonce.clone(), sent, ask };
        let message = self.config.signer.sign(Purpose::PayRequest, &request);
        Ok((nonce, message.map_err(|e| unknown(format!("the question can't be written: {e}")))?))
    }

    fn open(&self, nonce: String, rail: &str, ask: Ask, answer: oneshot::Sender<Says>) -> QuestionGuard<'_> {
        let mut inner = self.inner();
        inner.asked += 1;
        let number = inner.asked;
        inner.open.push(OpenQuestion { number, nonces: vec![nonce], rail: rail.to_owned(), ask, answer });
        QuestionGuard { client: self, number }
    }

    fn take_reply(&self, message: &[u8], wall: Option<Wall>) -> Result<(), Rejected> {
        let (reply, _) = self.config.gateway.open::<Reply>(Purpose::PayReply, message)?;
        if reply.kiosk != self.config.kiosk {
            return Err(Rejected::Kiosk);
        }
        let mut inner = self.inner();
        let Some(question) = inner.open.iter().find(|question| question.nonces.contains(&reply.nonce)) else {
            return Err(inner.why_unmatched(&reply.nonce));
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
        inner.time = Some((reply.sent, Instant::now()));
        if let Some(question) = inner.close(number, Some(&reply.nonce)) {
            // The caller may have given up just now.
            drop(question.answer.send(reply.says));
        }
        Ok(())
    }

    fn take_notice(&self, message: &[u8], wall: Option<Wall>) -> Result<Option<VerifiedNotice>, Rejected> {
        let GatewayClientConfig { kiosk, gateway, operator, .. } = &self.config;
        let (by_operator, opened) = match gateway.open::<Notice>(Purpose::PayNotice, message) {
            Err(BadMessage::UnknownKey) => (true, operator.open(Purpose::PayNotice, message)),
            opened => (false, opened),
        };
        let (notice, _) = opened?;
        let Notice { id, rail, charge, report, .. } = notice;
        let mut inner = self.inner();
        if notice.kiosk != *kiosk {
            return Err(Rejected::Kiosk);
        } else if !inner.rails.contains(&rail) {
            return Err(Rejected::Rail);
        } else if !(1..=LONGEST_ID).contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Rejected::Number);
        } else if charge.charge.order() != Some(charge.order) {
            return Err(Rejected::Order);
        } else if by_operator && (!inner.operator_rails.contains(&rail) || !only_paid(&report)) {
            return Err(Rejected::Operator);
        }
        sane(&report)?;
        if let Some(taken) = inner.notices.iter_mut().find(|taken| taken.id == id) {
            // It is not on disk yet, or its confirmation may be lost.
            let now = Instant::now();
            if taken.confirmed.is_some_and(|confirmed| now >= confirmed + CONFIRM_EVERY) {
                taken.confirmed = Some(now);
                drop(inner);
                self.confirm(&id, &rail);
            }
            return Ok(None);
        }
        if expired(notice.expires, wall) {
            return Err(Rejected::Expired);
        }
        if inner.notices.len() == NOTICES {
            inner.notices.pop_front();
        }
        inner.notices.push_back(TakenNotice { id: id.clone(), rail: rail.clone(), confirmed: None });
        Ok(Some(VerifiedNotice { id, rail, charge, report }))
    }

    fn confirm(&self, notice: &str, rail: &str) {
        // Nothing is lost when this can't be said: the gateway repeats the notice.
        if let Ok((nonce, message)) = self.signed(rail, Ask::Noticed { notice: notice.to_owned() }) {
            self.inner().remember(PastRequest { nonce, answered: true, reply_expected: true });
            self.publish_now(message);
        }
    }

    fn counted<T>(&self, result: Result<T, Rejected>, wall: Option<Wall>) -> Result<T, Rejected> {
        result.inspect_err(|why| self.count(*why, wall))
    }

    fn count(&self, why: Rejected, wall: Option<Wall>) {
        let due = self.inner().tally.add(why, wall, Instant::now());
        match due {
            Some(so_far) => {
                tracing::warn!(reason = %why, count = so_far.count, "a message about a payment is rejected");
                (self.report_rejections)(so_far);
            }
            None => tracing::debug!(reason = %why, "a message about a payment is rejected"),
        }
    }
}

impl Inner {
    /// The gateway's time, in milliseconds since 1970, carried on by the monotonic clock, because the kiosk's own clock
    /// may be wrong; 0 before the first answer.
    fn gateway_time(&self, now: Instant) -> u64 {
        let since = |heard| u64::try_from(now.saturating_duration_since(heard).as_millis()).unwrap_or(u64::MAX);
        self.time.map_or(0, |(there, heard)| there.saturating_add(since(heard)))
    }

    fn why_unmatched(&mut self, nonce: &str) -> Rejected {
        let Some(past) = self.past.iter_mut().find(|past| past.nonce == nonce) else { return Rejected::Unasked };
        if !std::mem::take(&mut past.reply_expected) {
            return Rejected::Replayed;
        }
        if past.answered { Rejected::Again } else { Rejected::Late }
    }

    /// Closes a question. `answered` is the nonce of the message that was answered.
    fn close(&mut self, number: u64, answered: Option<&str>) -> Option<OpenQuestion> {
        let at = self.open.iter().position(|question| question.number == number)?;
        let mut question = self.open.swap_remove(at);
        for nonce in question.nonces.drain(..) {
            let reply_expected = answered != Some(&nonce);
            self.remember(PastRequest { nonce, answered: answered.is_some(), reply_expected });
        }
        Some(question)
    }

    fn remember(&mut self, past: PastRequest) {
        if self.past.len() == PAST_REQUESTS {
            self.past.pop_front();
        }
        self.past.push_back(past);
    }
}

/// An open question; dropping it gives the question up.
struct QuestionGuard<'a> {
    client: &'a GatewayClient,
    number: u64,
}

impl Drop for QuestionGuard<'_> {
    fn drop(&mut self) {
        self.client.inner().close(self.number, None);
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
