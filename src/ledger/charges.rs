//! The charges of a ledger with their money and their times, on which fees are estimated and with which bills are
//! compared.
//!
//! All of it comes from the records: the money is what the order's records add up to, the times are those of the
//! records. The times are the kiosk's: a charge's time is from before it was offered, a payment's is when the kiosk
//! learnt of it, which may be long after it was made.

use super::reader::Entry;
use super::{LedgerError, Reader, When};
use crate::sale::order::{Charge, RefundState};
use crate::sale::{Order, Record};
use crate::vocabulary::{ChargeId, Currency, Minor, RefundId};

/// One charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeLine {
    pub charge: String,
    pub order: String,
    pub rail: String,
    pub currency: Currency,
    /// In the charge's currency, all payments together.
    pub paid: Minor,
    /// Given back by the provider without our asking.
    pub returned: Minor,
    pub offered: When,
    /// When the provider was last heard to have given back by itself.
    pub returned_at: When,
    /// In the charge's currency, in the order they were heard of.
    pub payments: Vec<PaymentLine>,
    pub refunds: Vec<RefundLine>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentLine {
    pub amount: Minor,
    pub heard: When,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundLine {
    pub refund: String,
    pub amount: Minor,
    pub state: RefundState,
    pub requested: When,
    pub confirmed: When,
}

impl RefundLine {
    pub fn is_confirmed(&self) -> bool {
        self.state == RefundState::Confirmed
    }
}

impl ChargeLine {
    fn of(order: &Order, charge: &Charge) -> Self {
        let refunds = charge.refunds.iter().map(|refund| RefundLine {
            refund: refund.id.to_string(),
            amount: refund.amount,
            state: refund.state,
            requested: None,
            confirmed: None,
        });
        Self {
            charge: charge.id.to_string(),
            order: order.id.to_string(),
            rail: charge.rail.to_string(),
            currency: charge.currency,
            paid: charge.paid(),
            returned: charge.returned,
            offered: None,
            returned_at: None,
            payments: Vec::new(),
            refunds: refunds.collect(),
        }
    }

    fn refund(&mut self, id: &RefundId) -> Option<&mut RefundLine> {
        self.refunds.iter_mut().find(|refund| refund.refund == id.as_str())
    }

    /// Given back for certain.
    pub fn refunded(&self) -> Minor {
        let confirmed = self.refunds.iter().filter(|refund| refund.is_confirmed());
        confirmed.map(|refund| refund.amount).sum::<Minor>() + self.returned
    }
}

impl Reader {
    /// Every charge, oldest order first, all as of one moment.
    pub fn charges(&self) -> Result<Vec<ChargeLine>, LedgerError> {
        let mut lines = Vec::new();
        self.each_order(|entries| {
            lines.extend(lines_of(entries));
            Ok(())
        })?;
        Ok(lines)
    }
}

/// The charges of one order, by its records with the time of each.
fn lines_of(entries: &[Entry]) -> Vec<ChargeLine> {
    let Some(order) = Order::fold(entries.iter().map(|entry| &entry.record)) else { return Vec::new() };
    let mut lines: Vec<ChargeLine> = order.charges.iter().map(|charge| ChargeLine::of(&order, charge)).collect();
    for Entry { wall, record, .. } in entries {
        note(&mut lines, *wall, record);
    }
    lines
}

/// What one record says of times and of single payments.
fn note(lines: &mut [ChargeLine], wall: When, record: &Record) {
    match record {
        Record::OrderOffered { charge, .. } | Record::ChargeOffered { charge, .. } => {
            of(lines, charge).into_iter().for_each(|line| line.offered = wall);
        }
        Record::OrderPaid { charge, payment, .. } | Record::PaymentSurplus { charge, payment, .. } => {
            // A payment in another currency is a claim, and in no sum.
            if let Some(line) = of(lines, charge).filter(|line| line.currency == payment.currency) {
                line.payments.push(PaymentLine { amount: payment.amount, heard: wall });
            }
        }
        Record::ChargeReturned { charge, .. } => {
            of(lines, charge).into_iter().for_each(|line| line.returned_at = wall);
        }
        Record::RefundRequested { charge, refund, .. } => {
            of(lines, charge).and_then(|line| line.refund(refund)).into_iter().for_each(|known| known.requested = wall);
        }
        Record::RefundConfirmed { charge, refund, .. } => {
            of(lines, charge).and_then(|line| line.refund(refund)).into_iter().for_each(|known| known.confirmed = wall);
        }
        // Of no charge, or of one whose money and times it does not change. Named one by one, so that a new kind of
        // record is not passed over unseen.
        Record::OrderGranted { .. }
        | Record::OrderClosed { .. }
        | Record::ChargeSettled { .. }
        | Record::DeliveryIntended { .. }
        | Record::ItemDelivered { .. }
        | Record::ItemNotDelivered { .. }
        | Record::ItemUnknown { .. }
        | Record::RefundFailed { .. }
        | Record::ClaimOpened { .. }
        | Record::ClaimSettled { .. }
        | Record::RefundDecided { .. }
        | Record::ReceiptPrinted { .. }
        | Record::ReceiptNotPrinted { .. }
        | Record::OrderEnded { .. }
        | Record::LedgerBegun { .. }
        | Record::BootStarted { .. }
        | Record::OutletFaulty { .. }
        | Record::OutletRepaired { .. }
        | Record::SlotAssigned { .. }
        | Record::StockSet { .. }
        | Record::ShopNoted { .. }
        | Record::GateNoted { .. }
        | Record::SalesStopped { .. }
        | Record::SalesResumed { .. }
        | Record::KioskLocked { .. }
        | Record::KioskUnlocked { .. }
        | Record::MaintenanceBegun { .. }
        | Record::MaintenanceEnded { .. }
        | Record::ServicePinRefused { .. }
        | Record::ServiceOpened { .. }
        | Record::OperationBegun { .. }
        | Record::OperationEnded { .. }
        | Record::CashedUp { .. }
        | Record::LanguagesChosen { .. }
        | Record::ConfigTried { .. }
        | Record::ConfigKept { .. }
        | Record::ConfigRejected { .. }
        | Record::UpdateBegun { .. }
        | Record::UpdateInstalling { .. }
        | Record::UpdateInstalled { .. }
        | Record::UpdateRestarting { .. }
        | Record::UpdateTried { .. }
        | Record::UpdateSick { .. }
        | Record::UpdatePassed { .. }
        | Record::UpdateGood { .. }
        | Record::UpdateFellBack { .. } => {}
    }
}

fn of<'a>(lines: &'a mut [ChargeLine], charge: &ChargeId) -> Option<&'a mut ChargeLine> {
    lines.iter_mut().find(|line| line.charge == charge.as_str())
}
