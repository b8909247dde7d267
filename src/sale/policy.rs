//! What the operator decides about sales, as plain numbers. Built from the configuration once.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::config::{self, PaidWithoutIntent, UnknownDelivery};
use crate::payment::fee::FeeSchedule;
use crate::vocabulary::{CategoryId, Currency, Language, Localized, Minor, RailName};

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
    /// There is a drop sensor that can test itself: nothing is energised unless it has just passed its self-test.
    pub sensor: bool,
    /// Of the shelf, in their order.
    pub categories: Vec<(CategoryId, Localized)>,
    pub rails: Vec<RailPolicy>,
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
    pub fn of(config: &config::Config) -> Self {
        let (kiosk, sale) = (&config.kiosk, &config.sale);
        Self {
            kiosk: kiosk.id.clone(),
            attach: format!("{}/{}", kiosk.fleet, kiosk.id),
            place: kiosk.place.clone(),
            phone: kiosk.phone.clone(),
            currency: kiosk.currency,
            languages: kiosk.languages.clone(),
            qr_life: sale.qr_life.0,
            more_time: sale.more_time.0,
            grace: sale.grace.0,
            lease: sale.lease.0,
            unknown_delivery: sale.unknown_delivery,
            paid_without_intent: sale.paid_without_intent,
            attempts: sale.attempts,
            max_units: sale.max_units,
            pickup_numbers: sale.pickup_numbers,
            browse_timeout: sale.browse_timeout.0,
            result_timeout: sale.result_timeout.0,
            confirm_above: sale.confirm_above,
            confirm_after_unpaid: sale.confirm_after_unpaid.filter(|never| *never > 0),
            cool_down_after_unpaid: sale.cool_down_after_unpaid.filter(|never| *never > 0),
            cool_down: sale.cool_down.0,
            silent_claim_after: sale.silent_claim_after.0,
            sensor: config.board.drop_sensor.as_ref().is_some_and(|sensor| sensor.emitter.is_some()),
            categories: config.categories.iter().map(|known| (known.id.clone(), known.name.clone())).collect(),
            rails: config
                .rails
                .iter()
                .map(|rail| RailPolicy {
                    name: rail.name(),
                    label: rail.label.clone(),
                    poll: rail.poll(),
                    fees: FeeSchedule::new(rail.fees.clone()).unwrap_or_default(),
                })
                .collect(),
            // Checked with the configuration, like the rates above.
            zone: TimeZone::get(&kiosk.time_zone).unwrap_or(TimeZone::UTC),
        }
    }

    pub fn rail(&self, name: &RailName) -> Option<&RailPolicy> {
        self.rails.iter().find(|rail| rail.name == *name)
    }

    /// How long the provider may take a payment: the glass's time and the one extension.
    pub fn charge_life(&self) -> Duration {
        self.qr_life + self.more_time
    }

    /// The language the glass wakes up in.
    pub fn first_language(&self) -> Language {
        self.languages.first().cloned().unwrap_or_else(|| Language::new("en"))
    }
}
