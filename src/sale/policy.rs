//! What the operator decides about sales, as plain numbers.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::vocabulary::fee::FeeSchedule;
use crate::vocabulary::{
    CategoryId, Currency, Language, Localized, Minor, PaidWithoutIntent, RailName, UnknownDelivery,
};

#[derive(Debug, Clone)]
pub struct Policy {
    /// Prefix of what the payer's app shows.
    pub kiosk: String,
    /// Whose the charge is, for the provider's books and the fleet's back end: `fleet/kiosk`.
    pub attach: String,
    pub place: Localized,
    pub phone: String,
    pub currency: Currency,
    pub languages: Vec<Language>,
    pub qr_life: Duration,
    pub more_time: Duration,
    pub grace: Duration,
    pub lease: Duration,
    pub unknown_delivery: UnknownDelivery,
    pub paid_without_intent: PaidWithoutIntent,
    pub attempts: u32,
    pub max_units: u32,
    /// Thank-you and receipt call the customer by a short number.
    pub pickup_numbers: bool,
    pub browse_timeout: Duration,
    pub result_timeout: Duration,
    pub confirm_above: Option<Minor>,
    pub confirm_after_unpaid: Option<u32>,
    /// After so many unpaid orders in a row, and after each further one, nothing is offered for `cool_down`.
    pub cool_down_after_unpaid: Option<u32>,
    pub cool_down: Duration,
    /// A refund that nobody has confirmed for so long is a claim.
    pub silent_claim_after: Duration,
    /// There is a drop sensor that can test itself: no slot is energised unless it has just passed its self-test.
    pub sensor: bool,
    /// Of the shelf, in their order.
    pub categories: Vec<(CategoryId, Localized)>,
    pub rails: Vec<RailPolicy>,
    /// A lane that has not answered a person's wish after so long does not answer it.
    pub gate_answers: Duration,
    /// There is a service menu, and a PIN for it.
    pub service: bool,
    /// Somebody is configured who restarts the board.
    pub reboot: bool,
    /// The kiosk belongs to a fleet.
    pub fleet: bool,
    /// A configuration with which the kiosk does not sell within this time is given up.
    pub trial: Duration,
    /// So long new software may take to prove itself.
    pub update_gate: Duration,
    /// In which the day of a payment is told, for its fee.
    pub zone: TimeZone,
}

#[derive(Debug, Clone)]
pub struct RailPolicy {
    pub name: RailName,
    pub label: Localized,
    pub poll: Duration,
    pub fees: FeeSchedule,
}

impl Policy {
    pub fn rail(&self, name: &RailName) -> Option<&RailPolicy> {
        self.rails.iter().find(|rail| rail.name == *name)
    }

    /// How long the provider may take a payment: the glass's time and the one extension.
    pub fn charge_life(&self) -> Duration {
        self.qr_life + self.more_time
    }
}
