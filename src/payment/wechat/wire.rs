//! What is said to WeChat Pay and what its answers mean. Only for answers whose signature holds.
//!
//! Sources: "Native ordering", "query by merchant order number", "close order", "refund", "query refund" of API v3, for
//! direct merchants and for service providers. Error codes are spelled with and without underscores, by the age of the
//! page; both are taken.

use serde::{Deserialize, Serialize};

use crate::vocabulary::{
    ChargeId, ChargeRef, ChargeReport, Currency, Minor, NewCharge, Payment, PaymentId, RefundId, RefundReport,
    RefundRequest, Standing,
};

/// The one currency of the domestic API.
pub const CURRENCY: &str = "CNY";
/// string(127) in the documentation, and bytes in practice.
const MAX_DESCRIPTION: usize = 127;
const MAX_ATTACH: usize = 128;
const MAX_DEVICE: usize = 32;
/// Longest text the glass turns into a QR, in bytes.
const MAX_PAYLOAD: usize = 512;
/// Required beside a device number; a kiosk's payer has no address.
const PAYER_IP: &str = "127.0.0.1";

/// Who we are to WeChat Pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merchant {
    pub appid: String,
    pub mchid: String,
    pub sub: Option<Sub>,
}

/// The merchant that a service provider sells for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sub {
    pub sub_mchid: String,
    pub sub_appid: Option<String>,
}

/// Who it is about, in requests, answers and notifications; one half is there, by the mode.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Party {
    #[serde(skip_serializing_if = "Option::is_none")]
    appid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mchid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sp_appid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sp_mchid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_appid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_mchid: Option<String>,
}

impl Merchant {
    fn party(&self, with_app: bool) -> Party {
        let app = |id: &String| with_app.then(|| id.clone());
        match &self.sub {
            None => Party { appid: app(&self.appid), mchid: Some(self.mchid.clone()), ..Party::default() },
            Some(sub) => Party {
                sp_appid: app(&self.appid),
                sp_mchid: Some(self.mchid.clone()),
                sub_appid: sub.sub_appid.as_ref().and_then(app),
                sub_mchid: Some(sub.sub_mchid.clone()),
                ..Party::default()
            },
        }
    }

    /// Whether an answer is about us. An order nobody has paid is not always told with its application.
    fn is(&self, party: &Party, paid: bool) -> bool {
        let same = |said: &Option<String>, ours: &str| said.as_deref() == Some(ours);
        let same_if_said = |said: &Option<String>, ours: &str| !paid && said.is_none() || same(said, ours);
        match &self.sub {
            None => same(&party.mchid, &self.mchid) && same_if_said(&party.appid, &self.appid),
            Some(sub) => {
                same(&party.sp_mchid, &self.mchid)
                    && same(&party.sub_mchid, &sub.sub_mchid)
                    && same_if_said(&party.sp_appid, &self.appid)
                    && sub.sub_appid.as_deref().is_none_or(|ours| same_if_said(&party.sub_appid, ours))
            }
        }
    }

    fn orders(&self) -> &'static str {
        if self.sub.is_some() { "/v3/pay/partner/transactions" } else { "/v3/pay/transactions" }
    }

    pub fn create_target(&self) -> String {
        format!("{}/native", self.orders())
    }

    pub fn query_target(&self, charge: &str) -> String {
        let whose = match &self.sub {
            None => format!("mchid={}", self.mchid),
            Some(sub) => format!("sp_mchid={}&sub_mchid={}", self.mchid, sub.sub_mchid),
        };
        format!("{}/out-trade-no/{charge}?{whose}", self.orders())
    }

    pub fn close_target(&self, charge: &ChargeId) -> String {
        format!("{}/out-trade-no/{charge}/close", self.orders())
    }

    pub fn query_refund_target(&self, refund: &RefundId) -> String {
        let whose = self.sub.as_ref().map_or_else(String::new, |sub| format!("?sub_mchid={}", sub.sub_mchid));
        format!("{REFUNDS}/{refund}{whose}")
    }

    pub fn create_body(&self, new: &NewCharge, notify_url: &str, expire: &str) -> Vec<u8> {
        let device = new.attach.rsplit('/').next().filter(|device| !device.is_empty());
        bytes(&Create {
            party: self.party(true),
            description: cut(&new.description, MAX_DESCRIPTION),
            out_trade_no: new.charge.as_str(),
            time_expire: expire,
            attach: Some(cut(&new.attach, MAX_ATTACH)).filter(|attach| !attach.is_empty()),
            notify_url,
            amount: Total { total: new.amount, currency: CURRENCY },
            scene_info: device.map(|device| Scene { payer_client_ip: PAYER_IP, device_id: cut(device, MAX_DEVICE) }),
        })
    }

    pub fn close_body(&self) -> Vec<u8> {
        bytes(&self.party(false))
    }

    pub fn refund_body(&self, refund: &RefundRequest) -> Vec<u8> {
        bytes(&Refund {
            sub_mchid: self.sub.as_ref().map(|sub| sub.sub_mchid.as_str()),
            out_trade_no: refund.charge.as_str(),
            out_refund_no: refund.refund.as_str(),
            amount: RefundAmount { refund: refund.amount, total: refund.charged, currency: CURRENCY },
        })
    }
}

pub const REFUNDS: &str = "/v3/refund/domestic/refunds";

#[derive(Serialize)]
struct Create<'a> {
    #[serde(flatten)]
    party: Party,
    description: &'a str,
    out_trade_no: &'a str,
    time_expire: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attach: Option<&'a str>,
    notify_url: &'a str,
    amount: Total,
    #[serde(skip_serializing_if = "Option::is_none")]
    scene_info: Option<Scene<'a>>,
}

#[derive(Serialize)]
struct Total {
    total: Minor,
    currency: &'static str,
}

#[derive(Serialize)]
struct Scene<'a> {
    payer_client_ip: &'static str,
    device_id: &'a str,
}

#[derive(Serialize)]
struct Refund<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_mchid: Option<&'a str>,
    out_trade_no: &'a str,
    out_refund_no: &'a str,
    amount: RefundAmount,
}

#[derive(Serialize)]
struct RefundAmount {
    refund: Minor,
    total: Minor,
    currency: &'static str,
}

fn bytes(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).expect("messages are plain data with text keys")
}

/// At most so many bytes, and no character broken.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// The text of the QR.
pub fn payload(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Made {
        code_url: String,
    }
    let Made { code_url } = serde_json::from_slice(body).ok()?;
    let fits = (1..=MAX_PAYLOAD).contains(&code_url.len()) && code_url.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(code_url)
}

#[derive(Deserialize)]
struct Transaction {
    #[serde(flatten)]
    party: Party,
    out_trade_no: String,
    trade_state: String,
    transaction_id: Option<String>,
    attach: Option<String>,
    amount: Option<Paid>,
}

#[derive(Deserialize)]
struct Paid {
    total: Minor,
    /// Less than the total where a coupon paid the rest.
    payer_total: Option<Minor>,
    currency: String,
}

/// What a transaction (the answer to a query, or a notification's content) says of its charge.
///
/// # Errors
/// When it is not about us, or makes no sense.
pub fn report(merchant: &Merchant, body: &[u8]) -> Result<Option<(ChargeId, ChargeReport)>, String> {
    let said: Transaction = serde_json::from_slice(body).map_err(|e| format!("not a transaction: {e}"))?;
    let (paid, standing) = match said.trade_state.as_str() {
        "SUCCESS" => (true, Standing::Closed),
        "REFUND" => (true, Standing::Returning),
        "CLOSED" | "REVOKED" | "PAYERROR" => (false, Standing::Closed),
        // NOTPAY, USERPAYING, ACCEPT, and what is invented later: nothing is known to have ended.
        _ => (false, Standing::Open),
    };
    if !merchant.is(&said.party, paid) {
        return Err("it is another merchant's or application's".into());
    }
    // Other programs may sell under the same merchant number.
    let Some(charge) = ChargeId::parse(&said.out_trade_no) else { return Ok(None) };
    let Some(order) = charge.order() else { return Ok(None) };
    let mut payments = Vec::new();
    if paid {
        let id = said.transaction_id.as_deref().and_then(PaymentId::parse).ok_or("paid, without a payment number")?;
        let amount = said.amount.ok_or("paid, without an amount")?;
        if amount.total <= 0 || amount.payer_total.is_some_and(|payer| !(0..=amount.total).contains(&payer)) {
            return Err("its amounts make no sense".into());
        }
        let currency = Currency::from_code(&amount.currency).ok_or("paid in no currency")?;
        payments.push(Payment { id, amount: amount.total, currency, order });
    }
    let attach = said.attach.filter(|attach| !attach.is_empty());
    Ok(Some((charge, ChargeReport { standing, payments, returned: 0, attach })))
}

/// What the answer to a query says of the charge that was asked about. A payment of another amount or in another
/// currency than asked is reported as it was: it buys nothing, and must go back.
///
/// # Errors
/// When it is about something else, or makes no sense.
pub fn report_of(merchant: &Merchant, asked: &ChargeRef, body: &[u8]) -> Result<ChargeReport, String> {
    match report(merchant, body)? {
        Some((charge, report)) if charge == asked.charge => Ok(report),
        _ => Err("it is about another order".into()),
    }
}

#[derive(Deserialize)]
struct RefundAnswer {
    /// In notifications only.
    #[serde(flatten)]
    party: Party,
    out_refund_no: String,
    out_trade_no: String,
    /// `refund_status` in notifications.
    #[serde(alias = "refund_status")]
    status: String,
    amount: RefundPaid,
}

#[derive(Deserialize)]
struct RefundPaid {
    refund: Minor,
    total: Minor,
    /// Notifications have none.
    currency: Option<String>,
}

pub struct RefundNews {
    pub charge: ChargeId,
    pub refund: RefundId,
    pub amount: Minor,
    pub report: RefundReport,
}

impl RefundAnswer {
    fn parse(body: &[u8]) -> Result<Self, String> {
        let said: Self = serde_json::from_slice(body).map_err(|e| format!("not a refund: {e}"))?;
        let sane = (1..=said.amount.total).contains(&said.amount.refund)
            && said.amount.currency.as_deref().is_none_or(|currency| currency == CURRENCY);
        if sane { Ok(said) } else { Err("its amounts make no sense".into()) }
    }

    fn report(&self) -> RefundReport {
        match self.status.as_str() {
            "SUCCESS" => RefundReport::Done,
            // Closed: given up by the provider. Abnormal: the payer's account can't take it. Both need a person.
            "CLOSED" | "ABNORMAL" => RefundReport::Failed,
            _ => RefundReport::Processing,
        }
    }
}

/// What an answer says of the refund that was asked for.
///
/// # Errors
/// When it is about something else, or makes no sense.
pub fn refund_of(asked: &RefundRequest, body: &[u8]) -> Result<RefundReport, String> {
    let said = RefundAnswer::parse(body)?;
    let same = said.out_refund_no == asked.refund.as_str()
        && said.out_trade_no == asked.charge.as_str()
        && said.amount.refund == asked.amount
        && said.amount.total == asked.charged;
    if same { Ok(said.report()) } else { Err("it is about another refund".into()) }
}

/// What a notification says of a refund; `None` when somebody else asked for it.
///
/// # Errors
/// When it is not about us, or makes no sense.
pub fn refund_notice(merchant: &Merchant, body: &[u8]) -> Result<Option<RefundNews>, String> {
    let said = RefundAnswer::parse(body)?;
    if !merchant.is(&said.party, false) {
        return Err("it is another merchant's".into());
    }
    let report = said.report();
    let charge = ChargeId::parse(&said.out_trade_no).filter(|charge| charge.order().is_some());
    let refund = RefundId::parse(&said.out_refund_no);
    let news = |(charge, refund)| RefundNews { charge, refund, amount: said.amount.refund, report };
    Ok(charge.zip(refund).map(news))
}

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorBody {
    pub status: u16,
    pub code: String,
    pub message: String,
}

impl ErrorBody {
    pub fn parse(status: u16, body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body {
            code: String,
            #[serde(default)]
            message: String,
        }
        let Body { code, message } = serde_json::from_slice(body).ok()?;
        let line = |text: String| text.chars().filter(|c| !c.is_control()).take(200).collect();
        Some(Self { status, code: line(code), message: line(message) })
    }

    /// Whether it is this code, however it is spelled, with a status that lays it at our door.
    pub fn is(&self, codes: &[&str]) -> bool {
        let bare = |code: &str| code.replace('_', "");
        (400..500).contains(&self.status) && codes.iter().any(|code| bare(code) == bare(&self.code))
    }
}

impl std::fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.message)
    }
}

pub const ORDER_ABSENT: &[&str] = &["ORDER_NOT_EXIST"];
pub const ORDER_CLOSED: &[&str] = &["ORDER_CLOSED"];
pub const ORDER_PAID: &[&str] = &["ORDER_PAID"];
pub const REFUND_ABSENT: &[&str] = &["RESOURCE_NOT_EXISTS", "RESOURCE_NOT_EXIST", "REFUND_NOT_EXIST"];
pub const NOT_ENOUGH: &[&str] = &["NOT_ENOUGH"];
pub const TOO_OFTEN: &[&str] = &["FREQUENCY_LIMITED", "FREQUENCY_LIMIT_EXCEED", "RATELIMIT_EXCEEDED"];
pub const SIGN_ERROR: &[&str] = &["SIGN_ERROR"];
/// The request was understood and not carried out, and never will be. `INVALID_REQUEST` is not among them: it is also
/// what a number gets that was used before with other parameters.
pub const CREATE_REFUSED: &[&str] =
    &["PARAM_ERROR", "APPID_MCHID_NOT_MATCH", "MCH_NOT_EXISTS", "NO_AUTH", "RULE_LIMIT"];
/// Here it is: the refund's own number is asked after before it is believed.
pub const REFUND_REFUSED: &[&str] = &[
    "PARAM_ERROR",
    "INVALID_REQUEST",
    "MCH_NOT_EXISTS",
    "NO_AUTH",
    "ORDER_NOT_EXIST",
    "RESOURCE_NOT_EXISTS",
    "USER_ACCOUNT_ABNORMAL",
];
