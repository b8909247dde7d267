//! Makes Alipay's parameters of a new charge.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{CHINA, attach, yuan};
use crate::vocabulary::{ChargeId, NewCharge};

/// The longest `subject`, in characters.
const LONGEST_SUBJECT: usize = 256;
/// The shortest life Alipay takes for a QR or a trade.
const SHORTEST_LIFE: Duration = Duration::from_secs(60);

/// `now` is the provider's time where it is known.
pub(super) fn precreate(new: &NewCharge, now: Option<Timestamp>) -> Value {
    let life = new.life.max(SHORTEST_LIFE);
    let minutes = format!("{}m", life.as_millis().div_ceil(60_000));
    let mut content = json!({
        "out_trade_no": new.charge.as_str(),
        "total_amount": yuan::write(new.amount),
        "subject": subject(&new.description, &new.charge),
        "product_code": "FACE_TO_FACE_PAYMENT",
        "timeout_express": minutes,
        "qr_code_timeout_express": minutes,
    });
    if let Some(end) = now.and_then(|now| now.checked_add(life).ok()) {
        content["time_expire"] = CHINA.to_datetime(end).strftime("%Y-%m-%d %H:%M:%S").to_string().into();
    }
    if !new.attach.is_empty() {
        content["passback_params"] = attach::passback_params(&new.attach).into();
        content["terminal_id"] = attach::terminal_id(&new.attach).into();
    }
    content
}

/// `/`, `=`, `&` and "the like" are forbidden in it, which is read as: of ASCII's punctuation only the plainest is
/// left, the rest becomes its full-width twin.
pub(super) fn subject(description: &str, charge: &ChargeId) -> String {
    let tame = |c: char| match c {
        c if c.is_ascii_punctuation() && !"-_.,:()*".contains(c) => char::from_u32(c as u32 + 0xFEE0).unwrap_or(' '),
        c if c.is_control() || c as u32 > 0xFFFF => ' ',
        c => c,
    };
    let text: String = description.chars().map(tame).take(LONGEST_SUBJECT).collect();
    if text.trim().is_empty() { charge.to_string() } else { text.trim().to_owned() }
}
