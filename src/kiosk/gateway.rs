//! Connects the client of the gateway: it reads the keys at start, and passes replies to their questions and notices to
//! the loop as events.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::notices::Notice;
use super::{Clock, Input, Kiosk};
use crate::config::{Config, TrustedKey};
use crate::fleet::link::{FleetEvent, Pay};
use crate::payment::gateway::{GatewayClient, GatewayClientConfig, Rejected, VerifiedNotice};
use crate::sale::event::Event;
use crate::signed::jws::{Keys, Signer};
use crate::signed::keys::{KeyError, KeySource};
use crate::vocabulary::Wall;

/// Who speaks with the gateway, where one is configured.
///
/// # Errors
/// When a key can't be read, or is not what it should be.
pub(super) fn client(config: &Config, inputs: &Sender<Input>) -> Result<Option<Arc<GatewayClient>>, KeyError> {
    let Some(gateway) = config.fleet.as_ref().and_then(|fleet| fleet.gateway.as_ref()) else { return Ok(None) };
    // The configuration has one where it has a gateway.
    let Some(signer) = signer(config)? else { return Ok(None) };
    let config = GatewayClientConfig {
        kiosk: signer.kid().to_owned(),
        signer,
        gateway: keys(&gateway.trusted)?,
        operator: keys(&gateway.operator)?,
    };
    let inputs = inputs.clone();
    Ok(Some(Arc::new(GatewayClient::new(config, move |rejected| drop(inputs.send(Input::PayRejected(rejected)))))))
}

/// This kiosk's own key, where it has one; its name is `fleet/kiosk`.
///
/// # Errors
/// When it can't be read, or is not what it should be.
pub(super) fn signer(config: &Config) -> Result<Option<Signer>, KeyError> {
    let Some(place) = config.fleet.as_ref().and_then(|fleet| fleet.signing_key.as_ref()) else { return Ok(None) };
    let kiosk = format!("{}/{}", config.kiosk.fleet, config.kiosk.id);
    place.signer(kiosk).map(Some)
}

/// Others' keys, by the names they give them.
///
/// # Errors
/// When one can't be read, or is not what it should be.
pub(super) fn keys(all: &[TrustedKey]) -> Result<Keys, KeyError> {
    let public = |key: &TrustedKey| Ok((key.kid.clone(), KeySource::File(key.file.clone()).signers_key()?));
    all.iter().map(public).collect::<Result<Vec<_>, KeyError>>().map(Keys::new)
}

/// What the link heard. Answers are verified here, on the link's own task: what can't be believed never queues.
pub(super) fn route(client: Option<&Arc<GatewayClient>>, event: FleetEvent) -> Option<Input> {
    let (channel, message, client) = match (event, client) {
        (FleetEvent::Pay { channel, message }, Some(client)) => (channel, message, client),
        (FleetEvent::Pay { .. }, None) => return None,
        (event, _) => return Some(Input::Fleet(event)),
    };
    match channel {
        // What is wrong with it is counted and told by the client.
        Pay::Reply => client.reply(&message, Clock::wall()).err().and(None),
        Pay::Notice => {
            client.notice(&message, Clock::wall()).ok().flatten().map(|noticed| Input::Notice(Notice::Gateway(noticed)))
        }
    }
}

impl Kiosk {
    /// A notice is worth what a query's answer is, once it fits the charge as the ledger knows it.
    pub(super) fn noticed(&mut self, notice: VerifiedNotice) {
        let Some(client) = self.edges.gateway.clone() else { return };
        if let Err(why) = self.fits(&notice) {
            return client.reject(&notice.id, why, wall());
        }
        let id = notice.id;
        self.step(Event::Reported { charge: notice.charge.charge, result: Ok(notice.report), asked: false });
        if self.state.conditions.ledger_failed.is_none() {
            client.committed(&id);
        }
    }

    fn fits(&self, notice: &VerifiedNotice) -> Result<(), Rejected> {
        let order = notice.charge.charge.order().and_then(|id| self.state.orders.get(&id)).ok_or(Rejected::Charge)?;
        let charge = order.charge(&notice.charge.charge).ok_or(Rejected::Charge)?;
        let rail = self.config.rails.iter().find(|rail| rail.name() == charge.rail);
        if rail.and_then(crate::config::Rail::at_gateway).is_none_or(|name| name.as_str() != notice.rail) {
            return Err(Rejected::Rail);
        }
        notice.is_about(&order.reference(charge))
    }
}

fn wall() -> Option<Wall> {
    Clock::wall()
}
