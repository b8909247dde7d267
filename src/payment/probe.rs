//! One smallest charge, step by step: what an operator runs on the day the keys arrive.

use std::fmt::Write as _;
use std::io::Write;
use std::time::{Duration, Instant};

use qrcode::{Color, EcLevel, QrCode};

use crate::payment::Rail;
use crate::vocabulary::{
    ChargeId, ChargeRef, ChargeReport, Currency, Money, NewCharge, OrderId, RailError, RefundId, RefundReport,
    RefundRequest, Standing,
};

/// How long the payer has.
const LIFE: Duration = Duration::from_secs(120);
/// Between two questions.
const POLL: Duration = Duration::from_secs(3);
/// How long a refund is asked after.
const REFUND: Duration = Duration::from_secs(60);
/// White around the code, in modules; without it phones do not find it (ISO/IEC 18004 wants 4).
const QUIET: isize = 4;

/// What is asked for, and by whom.
#[derive(Debug, Clone)]
pub struct ProbeRequest {
    pub currency: Currency,
    /// `fleet/kiosk`, as on every charge of this kiosk.
    pub attach: String,
    /// How long to wait for somebody to pay; at most two minutes.
    pub wait: Duration,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Everything that was asked was answered: paid and given back, or unpaid and closed.
    Good,
    /// Some step was refused or had no usable answer; the steps say which.
    Bad,
}

/// Makes the smallest charge there is, shows its QR, polls, and closes it or gives it back. Every step goes to `out` with
/// what the provider said.
///
/// # Errors
/// When `out` can't be written.
pub async fn run(rail: &dyn Rail, asked: &ProbeRequest, out: &mut dyn Write) -> std::io::Result<Ending> {
    let mut steps = Steps { out, begun: Instant::now(), bad: false };
    if steps.tell("probe", rail.probe().await, |()| "the provider is there, and its signature holds".into())?.is_none()
    {
        return steps.end();
    }
    let new = new_charge(asked);
    let sum = Money { amount: new.amount, currency: new.currency };
    let created = steps.tell("create", rail.create(&new).await, |created| format!("{sum}: {}", created.payload))?;
    let Some(created) = created else { return steps.end() };
    match drawn(&created.payload) {
        Some(code) => writeln!(steps.out, "\n{code}\nscan it and pay {sum}; it goes back at once\n")?,
        None => writeln!(steps.out, "\nthe text is too long for a QR; open it on a phone: {}\n", created.payload)?,
    }
    let reference =
        ChargeRef { charge: new.charge.clone(), order: new.order, amount: new.amount, currency: new.currency };
    let paid = poll(rail, &reference, asked.wait.min(LIFE), &mut steps).await?;
    match paid {
        Some(amount) => give_back(rail, &reference, amount, &mut steps).await?,
        None => {
            let closed = rail.close(&reference).await;
            let closed = steps.tell("close", closed, |report| match report {
                None => "asked; what holds is what a query says".into(),
                Some(report) if report.returned == 0 => format!("not closed: {}", told(report)),
                Some(report) => format!("{} was given back by the close itself", report.returned),
            })?;
            match closed.flatten().as_ref().and_then(|report| report.payments.first().zip(Some(report.returned))) {
                Some((payment, 0)) => give_back(rail, &reference, payment.amount, &mut steps).await?,
                _ => drop(steps.tell("query", rail.query(&reference).await, told)?),
            }
        }
    }
    steps.end()
}

/// Until somebody has paid, or for so long; the amount paid.
async fn poll(
    rail: &dyn Rail,
    charge: &ChargeRef,
    wait: Duration,
    steps: &mut Steps<'_>,
) -> std::io::Result<Option<i64>> {
    let end = Instant::now() + wait;
    let mut last = None;
    loop {
        let report = rail.query(charge).await;
        // The same answer again says nothing new.
        if last.as_ref() != Some(&report) {
            steps.tell("query", report.clone(), told)?;
        }
        if let Ok(ChargeReport { payments, .. }) = &report
            && let Some(payment) = payments.first()
        {
            return Ok(Some(payment.amount));
        }
        last = Some(report);
        if Instant::now() + POLL > end {
            return Ok(None);
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn give_back(rail: &dyn Rail, charge: &ChargeRef, amount: i64, steps: &mut Steps<'_>) -> std::io::Result<()> {
    let refund = RefundRequest {
        refund: RefundId::of(&charge.charge, 1),
        charge: charge.charge.clone(),
        order: charge.order,
        amount,
        charged: charge.amount,
        currency: charge.currency,
    };
    let mut answer = steps.tell("refund", rail.refund(&refund).await, refunded)?;
    let end = Instant::now() + REFUND;
    while answer.is_none_or(|report| report == RefundReport::Processing) && Instant::now() < end {
        tokio::time::sleep(POLL).await;
        answer = steps.tell("refund query", rail.query_refund(&refund).await, refunded)?;
    }
    steps.bad |= answer != Some(RefundReport::Done);
    Ok(())
}

struct Steps<'a> {
    out: &'a mut dyn Write,
    begun: Instant,
    bad: bool,
}

impl Steps<'_> {
    /// One line for a step; the answer, where there is one.
    fn tell<T>(
        &mut self,
        step: &str,
        answer: Result<T, RailError>,
        said: impl Fn(&T) -> String,
    ) -> std::io::Result<Option<T>> {
        let at = self.begun.elapsed().as_secs_f64();
        match &answer {
            Ok(yes) => writeln!(self.out, "{at:7.3} s  {step:<12}  {}", said(yes))?,
            Err(error @ RailError::Refused { .. }) => writeln!(self.out, "{at:7.3} s  {step:<12}  refused: {error}")?,
            Err(error) => writeln!(self.out, "{at:7.3} s  {step:<12}  {error}")?,
        }
        self.bad |= answer.is_err();
        Ok(answer.ok())
    }

    fn end(self) -> std::io::Result<Ending> {
        let ending = if self.bad { Ending::Bad } else { Ending::Good };
        writeln!(self.out, "\n{}", if self.bad { "not every step went well" } else { "every step went well" })?;
        Ok(ending)
    }
}

fn told(report: &ChargeReport) -> String {
    let standing = match report.standing {
        Standing::Absent => "not known there yet: nobody has scanned it",
        Standing::Open => "can be paid",
        Standing::Closed => "closed",
        Standing::Returning => "paid, and going back",
    };
    let mut text = standing.to_owned();
    for payment in &report.payments {
        let sum = Money { amount: payment.amount, currency: payment.currency };
        // A string takes everything.
        let _ = write!(text, "; paid {sum} by {}", payment.id);
    }
    text
}

fn refunded(report: &RefundReport) -> String {
    match report {
        RefundReport::Done => "the money is back",
        RefundReport::Processing => "taken on; not back yet",
        RefundReport::Absent => "nothing was given back; is there enough money in the merchant's account?",
        RefundReport::Failed => "the provider can't give it back; do it in its console",
    }
    .to_owned()
}

fn new_charge(asked: &ProbeRequest) -> NewCharge {
    let mut entropy = [0u8; 16];
    // Two probes in one millisecond are not made by anybody.
    getrandom::fill(&mut entropy).unwrap_or_default();
    let millis = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default();
    let order = OrderId::from_parts(millis, u128::from_le_bytes(entropy));
    NewCharge {
        charge: ChargeId::of(order, 1),
        order,
        amount: 1,
        currency: asked.currency,
        life: LIFE,
        description: format!("{} pay-probe", order.short_code()),
        attach: asked.attach.clone(),
    }
}

/// The QR in half blocks, dark on light whatever the terminal's colours.
fn drawn(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let width = isize::try_from(code.width()).ok()?;
    let colors = code.to_colors();
    let dark = |x: isize, y: isize| {
        let inside = (0..width).contains(&x) && (0..width).contains(&y);
        inside && colors[(y * width + x) as usize] == Color::Dark
    };
    let mut lines = Vec::new();
    for y in (-QUIET..width + QUIET).step_by(2) {
        let row = (-QUIET..width + QUIET).map(|x| match (dark(x, y), dark(x, y + 1)) {
            (true, true) => ' ',
            (true, false) => '▄',
            (false, true) => '▀',
            (false, false) => '█',
        });
        lines.push(row.collect::<String>());
    }
    Some(lines.join("\n"))
}
