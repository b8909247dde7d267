//! The rail `wechat`: WeChat Pay API v3, Native (the payer scans our QR), for direct merchants and service providers.
//!
//! Policy:
//! - **Only signed answers count**, whatever their status: their bytes are verified before anybody reads them, against
//!   the provider's own time. An error without a signature, a probe (`WECHATPAY/SIGNTEST/…`), 429 and 5xx are
//!   [`RailError::Unknown`]. WeChat Pay signs its 4xx answers too, once it knows who asks.
//! - **Refused is certain.** A create is refused only by a code that means that nothing was made, and only if no
//!   attempt before it can have landed. A refund is refused only after its number was asked for and found unknown. A
//!   merchant without enough money gets [`RefundReport::Absent`]: nothing was done, and asking again will help.
//! - **Not existing is not unpaid**: it is [`Standing::Absent`], and `sale` waits for the charge's horizon.
//! - **A refunded order** (`trade_state` `REFUND`) is [`Standing::Returning`]: WeChat Pay tells neither
//!   how much went back nor who asked for it, and our own refunds look the same. See there for what follows.
//! - A charge is made by the provider's time, which is asked for first; while that is unknown there is no charge.
//!   `time_expire` only stops new payments; the order stays payable by its state (`NOTPAY`) until it is closed. It is
//!   never less than a minute away: the provider would silently make it so.
//!
//! One call is one budget of time: repeats, the other host and fetching certificates share it.

mod notice;
mod seal;
#[cfg(test)]
mod tests;
mod trust;
mod wire;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use data_encoding::HEXUPPER;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

pub use notice::Notification;
pub use seal::ApiV3Key;
pub use wire::Sub;

use super::http::{Client, HttpError, Method, Request, Response, check_address};
use crate::payment::{Answer, ProviderClock, Rail};
use crate::signed::keys::{SigningKey, VerifyingKey};
use crate::vocabulary::{
    ChargeRef, ChargeReport, Created, NewCharge, RailError, RefundReport, RefundRequest, Standing,
};
use seal::{Seal, Signer, Unverified};
use trust::Trust;
use wire::{ErrorBody, Merchant};

/// The least a charge lives: sooner is made later by the provider.
const SHORTEST_LIFE: Duration = Duration::from_secs(60);
/// Our time in a request was so far off that the provider may have refused it for that.
const CLOCK_OFF: SignedDuration = SignedDuration::from_secs(150);
const PROBE: &str = "kioskd_probe";

pub struct WechatConfig {
    /// `https://api.mch.weixin.qq.com`.
    pub base_url: String,
    /// `https://api2.mch.weixin.qq.com`: another site.
    pub backup_url: Option<String>,
    /// In place of the system's roots.
    pub ca: Option<PathBuf>,
    /// For one call.
    pub timeout: Duration,
    pub appid: String,
    /// In partner mode the service provider's.
    pub mchid: String,
    /// Partner mode.
    pub sub: Option<Sub>,
    /// Of the merchant's API certificate, which belongs to `private_key`.
    pub serial_no: String,
    pub private_key: SigningKey,
    pub api_v3_key: ApiV3Key,
    /// Where the provider tells of payments; it wants one, whether or not anybody listens there.
    pub notify_url: String,
    /// By serial number or `PUB_KEY_ID_…`. Without any, platform certificates are fetched.
    pub platform_keys: Vec<(String, VerifyingKey)>,
}

#[derive(Debug, thiserror::Error)]
pub enum WechatConfigError {
    #[error("`{0}` is no merchant number; it has up to 32 digits")]
    Merchant(String),
    #[error("`{0}` is no application number; it has up to 32 letters and digits")]
    Application(String),
    #[error("`{0}` is no certificate's serial number; it has up to 64 hexadecimal digits")]
    Serial(String),
    #[error("`{0}` can't be told to WeChat Pay; write https://HOST/PATH without a query, up to 255 characters")]
    NotifyUrl(String),
    #[error(transparent)]
    Http(#[from] HttpError),
}

pub struct WechatPay {
    client: Client,
    clock: ProviderClock,
    trust: Trust,
    merchant: Merchant,
    serial_no: String,
    private_key: SigningKey,
    api_v3_key: ApiV3Key,
    notify_url: String,
    timeout: Duration,
}

/// A question to the provider.
struct ApiRequest {
    method: Method,
    target: String,
    body: Vec<u8>,
}

/// What it answered, with a signature that holds.
enum ApiAnswer {
    Yes(Vec<u8>),
    ErrorBody(ErrorBody),
}

impl WechatPay {
    /// # Errors
    /// When a setting is not what the provider would take.
    pub fn new(config: WechatConfig) -> Result<Self, WechatConfigError> {
        let word = |text: &str, most, fits: fn(&u8) -> bool| {
            (1..=most).contains(&text.len()) && text.bytes().all(|b| fits(&b))
        };
        let (mchids, appids) = match &config.sub {
            None => (vec![&config.mchid], vec![&config.appid]),
            Some(sub) => {
                (vec![&config.mchid, &sub.sub_mchid], [&config.appid].into_iter().chain(&sub.sub_appid).collect())
            }
        };
        if let Some(bad) = mchids.into_iter().find(|id| !word(id, 32, u8::is_ascii_digit)) {
            return Err(WechatConfigError::Merchant(bad.clone()));
        }
        if let Some(bad) = appids.into_iter().find(|id| !word(id, 32, u8::is_ascii_alphanumeric)) {
            return Err(WechatConfigError::Application(bad.clone()));
        }
        if !word(&config.serial_no, 64, u8::is_ascii_hexdigit) {
            return Err(WechatConfigError::Serial(config.serial_no));
        }
        if config.notify_url.len() > 255 || check_address(&config.notify_url).is_err() {
            return Err(WechatConfigError::NotifyUrl(config.notify_url));
        }
        let hosts: Vec<&str> =
            std::iter::once(&config.base_url).chain(&config.backup_url).map(String::as_str).collect();
        Ok(Self {
            client: Client::new(&hosts, config.ca.as_deref(), config.timeout)?,
            clock: ProviderClock::default(),
            trust: Trust::new(config.platform_keys),
            merchant: Merchant { appid: config.appid, mchid: config.mchid, sub: config.sub },
            serial_no: config.serial_no,
            private_key: config.private_key,
            api_v3_key: config.api_v3_key,
            notify_url: config.notify_url,
            timeout: config.timeout,
        })
    }

    /// The provider's time.
    pub fn clock(&self) -> &ProviderClock {
        &self.clock
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    async fn ask(&self, ask: &ApiRequest, deadline: Instant) -> Result<ApiAnswer, RailError> {
        let (mut answer, signed) = self.send(ask, deadline).await?;
        if answer.status == 401 && self.clock.now().duration_since(signed).abs() >= CLOCK_OFF {
            // Its `Date` has just told the time. What is refused for its signature was not carried out.
            answer = self.send(ask, deadline).await?.0;
        }
        if let Err(why) = self.verify(&answer, deadline).await {
            return Err(disbelieved(&answer, &why));
        }
        if (200..300).contains(&answer.status) {
            return Ok(ApiAnswer::Yes(answer.body));
        }
        let no = ErrorBody::parse(answer.status, &answer.body);
        let no = no.ok_or_else(|| unknown(format!("{} and no error code", answer.status)))?;
        advise(&no);
        Ok(ApiAnswer::ErrorBody(no))
    }

    /// The answer, unverified, and the time the request was signed with.
    async fn send(&self, ask: &ApiRequest, deadline: Instant) -> Result<(Response, Timestamp), RailError> {
        let mut nonce = [0u8; 16];
        getrandom::fill(&mut nonce).map_err(|e| unknown(format!("no random number for the request: {e}")))?;
        let nonce = HEXUPPER.encode(&nonce);
        let at = self.clock.now();
        let signer = Signer { mchid: &self.merchant.mchid, serial_no: &self.serial_no, key: &self.private_key };
        let mut headers = vec![
            ("Authorization", signer.authorization(ask.method, &ask.target, &ask.body, at, &nonce)),
            ("Accept", "application/json".to_owned()),
            ("Accept-Language", "en".to_owned()),
        ];
        if ask.method == Method::Post {
            headers.push(("Content-Type", "application/json".to_owned()));
        }
        if let Some(id) = self.trust.public_key_id() {
            headers.push(("Wechatpay-Serial", id.to_owned()));
        }
        let request = Request { method: ask.method, target: ask.target.clone(), headers, body: ask.body.clone() };
        let answer = self.client.send_until(request, deadline).await.map_err(|e| unknown(e.to_string()))?;
        if let Some(date) = answer.header("Date") {
            self.clock.learn(date);
        }
        Ok((answer, at))
    }

    async fn verify(&self, answer: &Response, deadline: Instant) -> Result<(), Unverified> {
        let seal = Seal::of(&|name| answer.header(name).map(str::to_owned))?;
        let result = self.trust.check(&seal, &answer.body, self.clock.now());
        if !matches!(result, Err(Unverified::UnknownKey(_))) || seal.serial.starts_with(trust::PUBLIC_KEY) {
            return result;
        }
        self.fetch_certificates(deadline).await;
        self.trust.check(&seal, &answer.body, self.clock.now())
    }

    async fn fetch_certificates(&self, deadline: Instant) {
        let mut last = self.trust.last_fetch.lock().await;
        if !Trust::may_fetch(*last) {
            return;
        }
        *last = Some(Instant::now());
        let ask = ApiRequest { method: Method::Get, target: "/v3/certificates".into(), body: Vec::new() };
        let answer = match self.send(&ask, deadline).await {
            Ok((answer, _)) if answer.status == 200 => answer,
            Ok((answer, _)) => {
                return tracing::warn!(status = answer.status, "WeChat Pay has answered without platform certificates");
            }
            Err(error) => return tracing::warn!(%error, "platform certificates of WeChat Pay can't be fetched"),
        };
        let seal = Seal::of(&|name| answer.header(name).map(str::to_owned));
        let taken = seal
            .map_err(Into::into)
            .and_then(|seal| self.trust.take(&seal, &answer.body, &self.api_v3_key, self.clock.now()));
        match taken {
            Ok(count) => tracing::info!(count, "the platform certificates of WeChat Pay were fetched"),
            Err(error) => tracing::error!(%error, "the platform certificates of WeChat Pay could not be verified"),
        }
    }

    /// The cheapest question: an order that nobody makes.
    fn nothing(&self) -> ApiRequest {
        ApiRequest { method: Method::Get, target: self.merchant.query_target(PROBE), body: Vec::new() }
    }

    async fn refund_known(&self, refund: &RefundRequest, deadline: Instant) -> Result<RefundReport, RailError> {
        let target = self.merchant.query_refund_target(&refund.refund);
        match self.ask(&ApiRequest { method: Method::Get, target, body: Vec::new() }, deadline).await? {
            ApiAnswer::Yes(body) => wire::refund_of(refund, &body).map_err(unknown),
            ApiAnswer::ErrorBody(no) if no.is(wire::REFUND_ABSENT) => Ok(RefundReport::Absent),
            ApiAnswer::ErrorBody(no) => Err(unknown(no.to_string())),
        }
    }
}

impl Rail for WechatPay {
    fn clock_error(&self) -> Option<SignedDuration> {
        self.clock.error()
    }

    fn create<'a>(&'a self, new: &'a NewCharge) -> Answer<'a, Created> {
        Box::pin(async move {
            // Nothing has been sent: certain.
            if new.currency.code() != wire::CURRENCY || new.amount <= 0 {
                return Err(refused("CURRENCY", "WeChat Pay Native takes CNY, one fen and more"));
            }
            let deadline = self.deadline();
            if self.clock.known().is_none() {
                // Any answer tells the time there, whatever else it says.
                let _ = self.ask(&self.nothing(), deadline).await;
            }
            // A charge made by a wrong clock would end at once, or never.
            let Some(now) = self.clock.known() else {
                return Err(unknown("nothing was asked for: WeChat Pay has not said what time it is"));
            };
            let life = SignedDuration::try_from(new.life.max(SHORTEST_LIFE)).unwrap_or(SignedDuration::from_hours(2));
            let expire = beijing(now.saturating_add(life).unwrap_or(Timestamp::MAX));
            let body = self.merchant.create_body(new, &self.notify_url, &expire);
            let ask = ApiRequest { method: Method::Post, target: self.merchant.create_target(), body };
            let mut first = true;
            loop {
                let said = self.ask(&ask, deadline).await;
                let again = match &said {
                    Err(_) => true,
                    Ok(ApiAnswer::ErrorBody(no)) => no.status >= 500,
                    Ok(ApiAnswer::Yes(_)) => false,
                };
                // The same parameters again are the same charge, and the code of one that landed is told again.
                if again && first && deadline.saturating_duration_since(Instant::now()) > self.timeout / 4 {
                    first = false;
                    continue;
                }
                return match said? {
                    ApiAnswer::Yes(body) => match wire::payload(&body) {
                        Some(payload) => Ok(Created { payload }),
                        None => Err(unknown("a charge without a code")),
                    },
                    ApiAnswer::ErrorBody(no) if first && no.is(wire::CREATE_REFUSED) => {
                        Err(refused(&no.code, &no.message))
                    }
                    ApiAnswer::ErrorBody(no) => Err(unknown(no.to_string())),
                };
            }
        })
    }

    fn query<'a>(&'a self, asked: &'a ChargeRef) -> Answer<'a, ChargeReport> {
        Box::pin(async move {
            let target = self.merchant.query_target(asked.charge.as_str());
            let ask = ApiRequest { method: Method::Get, target, body: Vec::new() };
            match self.ask(&ask, self.deadline()).await? {
                ApiAnswer::Yes(body) => wire::report_of(&self.merchant, asked, &body).map_err(unknown),
                ApiAnswer::ErrorBody(no) if no.is(wire::ORDER_ABSENT) => {
                    Ok(ChargeReport { standing: Standing::Absent, payments: Vec::new(), returned: 0, attach: None })
                }
                ApiAnswer::ErrorBody(no) => Err(unknown(no.to_string())),
            }
        })
    }

    fn close<'a>(&'a self, asked: &'a ChargeRef) -> Answer<'a, Option<ChargeReport>> {
        Box::pin(async move {
            let (target, body) = (self.merchant.close_target(&asked.charge), self.merchant.close_body());
            match self.ask(&ApiRequest { method: Method::Post, target, body }, self.deadline()).await? {
                ApiAnswer::Yes(_) => Ok(None),
                ApiAnswer::ErrorBody(no) if no.is(wire::ORDER_CLOSED) => Ok(None),
                ApiAnswer::ErrorBody(no) if no.is(wire::ORDER_PAID) || no.is(wire::ORDER_ABSENT) => {
                    Err(refused(&no.code, &no.message))
                }
                ApiAnswer::ErrorBody(no) => Err(unknown(no.to_string())),
            }
        })
    }

    fn refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport> {
        Box::pin(async move {
            if refund.currency.code() != wire::CURRENCY || !(1..=refund.charged).contains(&refund.amount) {
                return Err(refused("AMOUNT", "WeChat Pay gives back CNY, up to what was charged"));
            }
            let deadline = self.deadline();
            let body = self.merchant.refund_body(refund);
            let ask = ApiRequest { method: Method::Post, target: wire::REFUNDS.into(), body };
            match self.ask(&ask, deadline).await? {
                ApiAnswer::Yes(body) => wire::refund_of(refund, &body).map_err(unknown),
                ApiAnswer::ErrorBody(no) if no.is(wire::NOT_ENOUGH) => Ok(RefundReport::Absent),
                ApiAnswer::ErrorBody(no) if no.is(wire::REFUND_REFUSED) => {
                    match self.refund_known(refund, deadline).await? {
                        RefundReport::Absent => Err(refused(&no.code, &no.message)),
                        known => Ok(known),
                    }
                }
                ApiAnswer::ErrorBody(no) => Err(unknown(no.to_string())),
            }
        })
    }

    fn query_refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport> {
        Box::pin(self.refund_known(refund, self.deadline()))
    }

    /// That an order does not exist is signed as well as anything.
    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            match self.ask(&self.nothing(), self.deadline()).await? {
                ApiAnswer::Yes(_) => Ok(()),
                ApiAnswer::ErrorBody(no) if no.is(wire::ORDER_ABSENT) => Ok(()),
                ApiAnswer::ErrorBody(no) => Err(unknown(no.to_string())),
            }
        })
    }
}

/// RFC 3339 in the time of Beijing, whole seconds.
fn beijing(at: Timestamp) -> String {
    let zone = TimeZone::fixed(Offset::constant(8));
    at.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// An answer nobody signed. Its code is for the log only.
fn disbelieved(answer: &Response, why: &Unverified) -> RailError {
    let said = ErrorBody::parse(answer.status, &answer.body);
    if let Some(no) = said.as_ref().filter(|no| no.is(wire::SIGN_ERROR)) {
        advise(no);
    } else if matches!(why, Unverified::Forged | Unverified::UnknownKey(_)) {
        tracing::warn!(status = answer.status, %why, "an answer of WeChat Pay could not be verified");
    }
    let said = said.map_or_else(String::new, |no| format!(" ({})", no.code));
    unknown(format!("{}{said}, not believed: {why}", answer.status))
}

/// Tells the operator what only the operator can mend.
fn advise(no: &ErrorBody) {
    let what = if no.is(wire::SIGN_ERROR) {
        "check that mchid, serial_no and private_key belong together, and that the certificate has not been replaced"
    } else if no.is(&["NO_AUTH"]) {
        "let this merchant use Native payment and refunds, in WeChat Pay's console"
    } else if no.is(&["APPID_MCHID_NOT_MATCH", "MCH_NOT_EXISTS"]) {
        "check appid and mchid, and that they are bound to each other in WeChat Pay's console"
    } else if no.is(wire::NOT_ENOUGH) {
        "pay money into the merchant's account; the refund is asked for again until then"
    } else if no.is(&["PARAM_ERROR"]) {
        "check appid, mchid and notify_url"
    } else if no.is(wire::TOO_OFTEN) || no.status >= 500 {
        return tracing::warn!(error = %no, "WeChat Pay can't answer now");
    } else {
        return;
    };
    tracing::error!(error = %no, "WeChat Pay refuses; {what}");
}

fn unknown(why: impl Into<String>) -> RailError {
    RailError::Unknown(why.into())
}

fn refused(code: &str, why: &str) -> RailError {
    RailError::Refused { code: code.into(), why: why.into() }
}
