//! Alipay: the open platform's gateway, face-to-face payment (当面付) by a QR the payer scans.
//!
//! Policy, from Alipay's pages on face-to-face payment and its error tables:
//!
//! - `alipay.trade.precreate` makes a QR, not a trade. Until somebody scans it a query is answered `TRADE_NOT_EXIST`,
//!   which is [`Standing::Absent`]. `timeout_express` runs from the scan, so the QR's own `qr_code_timeout_express` is
//!   given too, and once the provider's time is known `time_expire`, which bounds both.
//! - A result nobody knows (time-out, 20000, a system error) is [`RailError::Unknown`]. A number is never used again,
//!   nor created twice: after a cancel, whatever it answered, its QR is dead.
//! - Paid is `TRADE_SUCCESS` or `TRADE_FINISHED` in a verified answer about this very order. `TRADE_CLOSED` is either
//!   unpaid and timed out or given back in full, our own refunds included: [`Standing::Closed`] and no payment, so it
//!   never makes one, and the sale forgets none it knows.
//! - A close is `alipay.trade.cancel`. It gives the money back when it comes after the payment, so none is sent,
//!   neither at first nor again, before a query that knows of no payment; what a query knows to be paid is reported and
//!   not closed. A payment that comes between the two is given back, and the cancel says so: `action=refund` is
//!   reported as the payment together with its return.
//! - A refund is one by its `out_request_no` and amount, however often asked for. It may take 10 s until a query shows
//!   it; `Absent` in that time makes the sale ask for the same refund again, which moves no money twice. A refusal is
//!   believed only when the refund can't be found either, because a repeat may be refused for what its first attempt
//!   has done. A refund that can't be found is done when its trade is closed: what was paid and is closed has gone back
//!   in full.
//! - [`RailError::Refused`] is for answers after which nothing can have happened. Queries are never refused: whatever
//!   keeps us from seeing a payment must take the QR away.
//!
//! Charges are in CNY. Signatures are RSA2 (SHA-256 with RSA), with plain keys or certificates.

mod attach;
mod certificate;
mod codes;
mod form;
mod notice;
mod offer;
#[cfg(test)]
mod tests;
mod wire;
mod yuan;

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::Offset;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

pub use attach::attach_matches;
pub use certificate::CertificateError;
use certificate::Certificates;
use codes::{never_created, never_refunded};
use offer::precreate;
use wire::{Params, Response, Verdict};

use super::clock::ProviderClock;
use super::http::{self, Client, HttpError};
use crate::payment::{Answer, Rail};
use crate::signed::keys::{SigningKey, VerifyingKey};
use crate::vocabulary::{
    ChargeId, ChargeRef, ChargeReport, Created, Currency, NewCharge, Payment, PaymentId, RailError, RefundReport,
    RefundRequest, Standing,
};

/// Longest text the glass turns into a QR, in bytes.
const LONGEST_PAYLOAD: usize = 512;
/// Alipay's times are China's.
const CHINA: Offset = Offset::constant(8);
/// Between two cancels when Alipay asks for another.
const CANCEL_PAUSE: Duration = Duration::from_millis(300);
/// No charge has this number.
const PROBE: &str = "kioskd_probe";

pub struct AlipayConfig {
    /// The gateway with its path: `https://openapi.alipay.com/gateway.do`.
    pub base_url: String,
    /// In place of the system's roots.
    pub ca: Option<PathBuf>,
    /// For one call of the rail, however many requests it takes.
    pub timeout: Duration,
    pub app_id: String,
    pub private_key: SigningKey,
    pub trust: Trust,
    /// Where Alipay posts its notifications; at most 256 characters.
    pub notify_url: Option<String>,
}

/// By what Alipay's signatures are known.
pub enum Trust {
    /// Alipay's public key.
    Key(VerifyingKey),
    /// PEM, as the open platform hands them out.
    Certificates { app_cert: Vec<u8>, alipay_cert: Vec<u8>, root_cert: Vec<u8> },
}

#[derive(Debug, thiserror::Error)]
pub enum AlipayConfigError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("the app certificate does not belong to the private key")]
    ForeignCertificate,
}

/// What Alipay said without being asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    Charge {
        charge: ChargeId,
        report: ChargeReport,
        /// See [`attach_matches`].
        attach: Option<String>,
    },
    /// Verified, and nothing a kiosk acts upon.
    Other,
}

pub struct Alipay {
    client: Client,
    /// Path and query of every request.
    target: String,
    timeout: Duration,
    app_id: String,
    private_key: SigningKey,
    alipay_key: VerifyingKey,
    certificates: Option<Certificates>,
    notify_url: Option<String>,
    clock: ProviderClock,
}

impl Alipay {
    /// # Errors
    /// When the address is none of a provider, the CA can't be read, or a certificate is not what it should be.
    pub fn new(config: AlipayConfig) -> Result<Self, AlipayConfigError> {
        let (origin, path) = split(&config.base_url);
        let client = Client::new(&[origin], config.ca.as_deref(), config.timeout)?;
        let (alipay_key, certificates) = match config.trust {
            Trust::Key(key) => (key, None),
            Trust::Certificates { app_cert, alipay_cert, root_cert } => {
                let certificates = Certificates::new(&app_cert, &alipay_cert, &root_cert)?;
                if !certificates.app_key.verifies(b"kioskd", &config.private_key.sign(b"kioskd")) {
                    return Err(AlipayConfigError::ForeignCertificate);
                }
                (certificates.alipay_key.clone(), Some(certificates))
            }
        };
        Ok(Self {
            client,
            target: format!("{path}?charset=utf-8"),
            timeout: config.timeout,
            app_id: config.app_id,
            private_key: config.private_key,
            alipay_key,
            certificates,
            notify_url: config.notify_url,
            clock: ProviderClock::default(),
        })
    }

    /// The time at Alipay.
    pub fn clock(&self) -> &ProviderClock {
        &self.clock
    }

    /// Reads a notification from the body of Alipay's POST. Answer it with the text `success` once it is dealt with.
    ///
    /// # Errors
    /// When it is not verified, is for another application, or says of a trade what can't be.
    pub fn notification(&self, form_body: &[u8]) -> Result<Notification, RailError> {
        let pairs = notice::verified(form_body, &self.alipay_key, self.alipay_cert_sn()).map_err(RailError::Unknown)?;
        if pairs.get("app_id").is_none_or(|app| *app != self.app_id) {
            return Err(unknown("a notification for another application"));
        }
        let Some(said) = notice::trade(pairs) else { return Ok(Notification::Other) };
        let charge = said.out_trade_no.as_deref().and_then(ChargeId::parse).filter(|charge| charge.order().is_some());
        // Another system of the merchant's sells under the same application.
        let Some(charge) = charge else { return Ok(Notification::Other) };
        let report = report(&charge, &said)?;
        Ok(Notification::Charge { charge, attach: report.attach.clone(), report })
    }

    fn alipay_cert_sn(&self) -> Option<&str> {
        self.certificates.as_ref().map(|certificates| certificates.alipay_cert_sn.as_str())
    }

    fn params(&self, method: &str, content: &Value, notified: bool) -> Params {
        let now = CHINA.to_datetime(self.clock.now());
        let mut params: Vec<(&str, String)> = vec![
            ("app_id", self.app_id.clone()),
            ("method", method.into()),
            ("format", "JSON".into()),
            ("charset", "utf-8".into()),
            ("sign_type", "RSA2".into()),
            ("timestamp", now.strftime("%Y-%m-%d %H:%M:%S").to_string()),
            ("version", "1.0".into()),
            ("biz_content", content.to_string()),
        ];
        if let Some(certificates) = &self.certificates {
            params.push(("app_cert_sn", certificates.app_cert_sn.clone()));
            params.push(("alipay_root_cert_sn", certificates.root_cert_sn.clone()));
        }
        if let Some(url) = self.notify_url.as_ref().filter(|_| notified) {
            params.push(("notify_url", url.clone()));
        }
        params.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// One request and its verified answer.
    async fn call(&self, method: &str, content: Value, notified: bool) -> Result<Response, RailError> {
        let body = wire::request(&self.params(method, &content, notified), &self.private_key);
        let kind = "application/x-www-form-urlencoded;charset=utf-8";
        let request = http::Request {
            method: http::Method::Post,
            target: self.target.clone(),
            headers: vec![("content-type", kind.into()), ("accept", "application/json".into())],
            body: body.into_bytes(),
        };
        let answer = self.client.send(request).await.map_err(|error| unknown(error.to_string()))?;
        // Believed on TLS alone: a request with a wrong time is refused, often without a signature.
        if let Some(date) = answer.header("date") {
            self.clock.learn(date);
        }
        if answer.status != 200 {
            return Err(unknown(format!("HTTP status {}", answer.status)));
        }
        wire::answer(&answer.body, method, &self.alipay_key, self.alipay_cert_sn()).map_err(RailError::Unknown)
    }

    /// What Alipay says of the trade; `None` where it knows none.
    async fn ask(&self, number: &str) -> Result<Option<Response>, RailError> {
        let said = self.call("alipay.trade.query", json!({ "out_trade_no": number }), false).await?;
        match said.verdict() {
            Verdict::Done if said.is_about(number) => Ok(Some(said)),
            Verdict::No("TRADE_NOT_EXIST") if said.is_not_about_another(number) => Ok(None),
            Verdict::Done | Verdict::No("TRADE_NOT_EXIST") => Err(another()),
            _ => Err(unsure(&said)),
        }
    }

    async fn create_within(&self, new: &NewCharge) -> Result<Created, RailError> {
        let refused = |code: &str, why: &str| Err(RailError::Refused { code: code.into(), why: why.into() });
        if new.currency.code() != "CNY" {
            return refused("currency", "Alipay charges in CNY");
        }
        if !yuan::CHARGEABLE.contains(&new.amount) {
            return refused("amount", "Alipay takes 0.01 to 100000000.00 CNY");
        }
        let number = new.charge.as_str();
        if self.clock.known().is_none() {
            // Any answer tells the time there. A request by a wrong one is refused, as if it were the charge.
            let _ = self.ask(PROBE).await;
        }
        let now = self.clock.known();
        let said = self.call("alipay.trade.precreate", precreate(new, now), true).await?;
        match said.verdict() {
            Verdict::Done if !said.is_about(number) => Err(another()),
            Verdict::Done => match said.qr_code {
                Some(payload) if (1..=LONGEST_PAYLOAD).contains(&payload.len()) => Ok(Created { payload }),
                _ => Err(unknown("an answer without a QR that fits")),
            },
            Verdict::No(sub) if said.is_not_about_another(number) && never_created(sub) => Err(no(&said)),
            Verdict::Gate if said.is_not_about_another(number) && now.is_some() => Err(no(&said)),
            _ => Err(unsure(&said)),
        }
    }

    async fn close_until(&self, asked: &ChargeRef, deadline: Instant) -> Result<Option<ChargeReport>, RailError> {
        let number = asked.charge.as_str();
        let mut cancelled = false;
        loop {
            if let Some(known) = self.ask(number).await?.map(|said| report(&asked.charge, &said)).transpose()?
                && !known.payments.is_empty()
            {
                // A cancel of which nobody knows what it did may still give it back.
                return if cancelled { Err(unknown("paid, while a cancel is not answered")) } else { Ok(Some(known)) };
            }
            cancelled = true;
            let said = self.call("alipay.trade.cancel", json!({ "out_trade_no": number }), false).await?;
            if !said.is_not_about_another(number) {
                return Err(another());
            }
            match said.verdict() {
                Verdict::Done | Verdict::No(_) if said.retry_flag.as_deref() == Some("Y") => {}
                Verdict::Done if said.action.as_deref() == Some("refund") => {
                    return self.returned(asked, said, deadline).await.map(Some);
                }
                Verdict::Done => return Ok(None),
                Verdict::No("TRADE_NOT_EXIST") => return Ok(None),
                // A day after its creation. What is still unpaid then can be closed, which never gives money back.
                Verdict::No("TRADE_CANCEL_TIME_OUT") => return self.close_old(number).await,
                // Paid and settled, frozen, or not to be given back now: the next query tells which.
                Verdict::No(_) => return Err(no(&said)),
                Verdict::Gate => return Err(unsure(&said)),
                Verdict::Unsure => {}
            }
            if Instant::now() + CANCEL_PAUSE >= deadline {
                return Err(unsure(&said));
            }
            sleep(CANCEL_PAUSE).await;
        }
    }

    /// The cancel has given back what was paid. A query knows the payment best; where none is answered, the cancel's
    /// own words and the charge's amount have to do, because the trade was made for it and no later answer tells.
    async fn returned(
        &self,
        asked: &ChargeRef,
        cancel: Response,
        deadline: Instant,
    ) -> Result<ChargeReport, RailError> {
        let number = asked.charge.as_str();
        let known = timeout_at(deadline, self.ask(number)).await.ok().and_then(Result::ok).flatten();
        let known = known.filter(|known| cancel.trade_no.is_none() || known.trade_no == cancel.trade_no);
        let payment = match known {
            Some(known) => payment(&asked.charge, &known)?,
            None => {
                let id = cancel.trade_no.as_deref().and_then(PaymentId::parse);
                let id = id.ok_or_else(|| unknown("cancelled and given back, but which payment nobody says"))?;
                Payment { id, amount: asked.amount, currency: asked.currency, order: asked.order }
            }
        };
        let returned = payment.amount;
        Ok(ChargeReport { standing: Standing::Closed, payments: vec![payment], returned, attach: None })
    }

    async fn close_old(&self, number: &str) -> Result<Option<ChargeReport>, RailError> {
        let said = self.call("alipay.trade.close", json!({ "out_trade_no": number }), false).await?;
        match said.verdict() {
            _ if !said.is_not_about_another(number) => Err(another()),
            Verdict::Done | Verdict::No("TRADE_NOT_EXIST") => Ok(None),
            Verdict::No(_) => Err(no(&said)),
            Verdict::Gate | Verdict::Unsure => Err(unsure(&said)),
        }
    }

    async fn refund_within(&self, refund: &RefundRequest) -> Result<RefundReport, RailError> {
        let number = refund.charge.as_str();
        let content = json!({
            "out_trade_no": number,
            "out_request_no": refund.refund.as_str(),
            "refund_amount": yuan::write(refund.amount),
        });
        let said = self.call("alipay.trade.refund", content, false).await?;
        if !said.is_not_about_another(number) {
            return Err(another());
        }
        match said.verdict() {
            Verdict::Done => {
                // What the trade has given back in all, this refund included.
                let given = said.refund_fee.as_deref().map(|fee| yuan::read(fee).unwrap_or(0));
                match said.fund_change.as_deref() {
                    Some("Y") if said.is_about(number) && given.is_none_or(|given| given >= refund.amount) => {
                        Ok(RefundReport::Done)
                    }
                    Some("Y") => Err(unknown("the answer is about another refund")),
                    // No money moved now: a repeat, or not yet. A query tells.
                    _ => Ok(RefundReport::Processing),
                }
            }
            // Nothing was done, and the same will do once the merchant's account is filled.
            Verdict::No("SELLER_BALANCE_NOT_ENOUGH") => {
                tracing::warn!(refund = %refund.refund, "a refund waits, because the merchant's balance at Alipay is too low; top it up");
                Ok(RefundReport::Absent)
            }
            Verdict::No(sub) if never_refunded(sub) => match self.refund_known(refund).await? {
                RefundReport::Absent => Err(no(&said)),
                report => Ok(report),
            },
            _ => Err(unsure(&said)),
        }
    }

    /// What became of it. A trade that had been paid, as one with a refund had, is closed by giving back all of it and
    /// by nothing else: also by a cancel, or by hand, and then the refund itself can't be found.
    async fn refund_known(&self, refund: &RefundRequest) -> Result<RefundReport, RailError> {
        let report = self.ask_refund(refund).await?;
        if report != RefundReport::Absent {
            return Ok(report);
        }
        let trade = self.ask(refund.charge.as_str()).await?;
        let closed = trade.is_some_and(|trade| trade.trade_status.as_deref() == Some("TRADE_CLOSED"));
        Ok(if closed { RefundReport::Done } else { RefundReport::Absent })
    }

    async fn ask_refund(&self, refund: &RefundRequest) -> Result<RefundReport, RailError> {
        let (number, request) = (refund.charge.as_str(), refund.refund.as_str());
        let content = json!({ "out_trade_no": number, "out_request_no": request });
        let said = self.call("alipay.trade.fastpay.refund.query", content, false).await?;
        let same_request = said.out_request_no.as_deref().is_none_or(|given| given == request);
        if !said.is_not_about_another(number) || !same_request {
            return Err(another());
        }
        match said.verdict() {
            Verdict::Done => match said.refund_status.as_deref() {
                None | Some("") => Ok(RefundReport::Absent),
                Some("REFUND_SUCCESS") => {
                    let amount = said.refund_amount.as_deref().and_then(yuan::read);
                    let this = said.out_request_no.is_some() && amount == Some(refund.amount);
                    if this { Ok(RefundReport::Done) } else { Err(unknown("the answer is about another refund")) }
                }
                Some(_) => Ok(RefundReport::Processing),
            },
            Verdict::No("TRADE_NOT_EXIST") => Ok(RefundReport::Absent),
            _ => Err(unsure(&said)),
        }
    }

    /// Ends within the time-out.
    fn within<'a, T>(&self, work: impl Future<Output = Result<T, RailError>> + Send + 'a) -> Answer<'a, T> {
        let deadline = Instant::now() + self.timeout;
        Box::pin(async move {
            let answer = timeout_at(deadline, work).await;
            answer.unwrap_or_else(|_| Err(unknown("no answer in time")))
        })
    }
}

impl Rail for Alipay {
    fn clock_error(&self) -> Option<SignedDuration> {
        self.clock.error()
    }

    fn create<'a>(&'a self, charge: &'a NewCharge) -> Answer<'a, Created> {
        self.within(self.create_within(charge))
    }

    fn query<'a>(&'a self, asked: &'a ChargeRef) -> Answer<'a, ChargeReport> {
        self.within(async {
            match self.ask(asked.charge.as_str()).await? {
                Some(said) => report(&asked.charge, &said),
                None => Ok(bare(Standing::Absent, None)),
            }
        })
    }

    fn close<'a>(&'a self, asked: &'a ChargeRef) -> Answer<'a, Option<ChargeReport>> {
        // The look-up after a return ends before the whole, so that what the cancel said is not lost with it.
        let deadline = Instant::now() + self.timeout.mul_f32(0.9);
        self.within(self.close_until(asked, deadline))
    }

    fn refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport> {
        self.within(self.refund_within(refund))
    }

    fn query_refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport> {
        self.within(self.refund_known(refund))
    }

    fn probe(&self) -> Answer<'_, ()> {
        self.within(async { self.ask(PROBE).await.map(|_| ()) })
    }
}

/// Scheme and host, and the path.
fn split(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |at| at + 3);
    let path = url[host..].find('/').map_or(url.len(), |at| host + at);
    url.split_at(path)
}

/// What a verified answer says of a charge.
fn report(charge: &ChargeId, said: &Response) -> Result<ChargeReport, RailError> {
    let attach = attach::given_back(said.passback_params.as_deref(), said.terminal_id.as_deref());
    match said.trade_status.as_deref() {
        Some("TRADE_SUCCESS" | "TRADE_FINISHED") => {
            let payments = vec![payment(charge, said)?];
            Ok(ChargeReport { standing: Standing::Closed, payments, returned: 0, attach })
        }
        Some("WAIT_BUYER_PAY") => Ok(bare(Standing::Open, attach)),
        Some("TRADE_CLOSED") => Ok(bare(Standing::Closed, attach)),
        _ => Err(unknown("a trade in a state nobody knows")),
    }
}

fn bare(standing: Standing, attach: Option<String>) -> ChargeReport {
    ChargeReport { standing, payments: Vec::new(), returned: 0, attach }
}

/// The trade as a payment; the caller knows that it was paid.
fn payment(charge: &ChargeId, said: &Response) -> Result<Payment, RailError> {
    let id =
        said.trade_no.as_deref().and_then(PaymentId::parse).ok_or_else(|| unknown("a payment without a number"))?;
    let amount = said.total_amount.as_deref().and_then(yuan::read).filter(|amount| *amount > 0);
    let amount = amount.ok_or_else(|| unknown("a payment without an amount"))?;
    // Of `total_amount`; not said for trades inside China.
    let currency = said.trans_currency.as_deref().filter(|code| !code.is_empty()).unwrap_or("CNY");
    let currency = Currency::from_code(currency).filter(|currency| currency.digits() == 2);
    let currency = currency.ok_or_else(|| unknown("a payment in a currency nobody knows"))?;
    let order = charge.order().ok_or_else(|| unknown("a charge without an order"))?;
    Ok(Payment { id, amount, currency, order })
}

fn unknown(why: impl Into<String>) -> RailError {
    RailError::Unknown(why.into())
}

fn another() -> RailError {
    unknown("the answer is about something else than was asked")
}

fn no(said: &Response) -> RailError {
    let (code, why) = said.why();
    RailError::Refused { code, why }
}

fn unsure(said: &Response) -> RailError {
    let (code, why) = said.why();
    RailError::Unknown(format!("{code}: {why}"))
}
