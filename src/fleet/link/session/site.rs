//! The part of a link's task that belongs to the site: it tells this lane's facts, and hands on what comes as the lanes'.

use std::time::Instant;

use super::{Connection, Session};
use crate::fleet::link::facts::{self, SiteTopics};
use crate::fleet::link::{FleetEvent, Outbox};
use crate::fleet::topic::{Filter, Topic};

impl<O: Outbox, F: Fn(FleetEvent) + Send + 'static> Session<O, F> {
    /// When this lane's facts are told, if there are any and there is room.
    pub(super) fn facts_at(&self, conn: &Connection) -> Option<Instant> {
        let free = self.config.site.is_some() && conn.up.is_some() && conn.closing.is_none() && conn.client.has_room();
        self.telling.at(self.pending.facts_due().filter(|_| free)?)
    }

    pub(super) fn tell_facts(&mut self, conn: &mut Connection, now: Instant) {
        let (Some(SiteTopics { site, lane }), Some(message)) = (self.config.site, self.pending.take_facts()) else {
            return;
        };
        let topic = Topic::Facts { fleet: self.config.address.fleet.clone(), site, lane };
        if conn.client.publish_facts(&topic, message, now) {
            self.telling.told(now);
        } else {
            self.pending.facts_not_told();
            self.telling.put_off(now);
        }
    }

    pub(super) fn facts(&mut self, site: u16, lane: u8, message: &[u8], now: Instant) {
        if self.config.site.is_none_or(|ours| ours.site != site) {
            return;
        }
        match message.len() {
            // It only takes away what the broker kept.
            0 => {}
            1..=facts::LONGEST => {
                self.hearing.put(lane, message.to_vec());
                self.hand_on(now);
            }
            bytes => self.reject_facts(
                || format!("what came as lane {lane}'s has {bytes} bytes, at most {} are read", facts::LONGEST),
                now,
            ),
        }
    }

    /// A topic that can't be read, which may have come by the site's filter.
    pub(super) fn facts_of_nobody(&mut self, topic: &str, now: Instant) {
        let Some(SiteTopics { site, .. }) = self.config.site else { return };
        if (Filter::Facts { fleet: self.config.address.fleet.clone(), site }).takes(topic) {
            // The topic is the sender's: what is quoted of it is bounded.
            self.reject_facts(|| format!("`{}` is no lane's", topic.chars().take(160).collect::<String>()), now);
        }
    }

    fn reject_facts(&mut self, why: impl FnOnce() -> String, now: Instant) {
        self.facts_rejected = self.facts_rejected.saturating_add(1);
        if self.facts_complaints.allowed(now) {
            (self.on)(FleetEvent::FactsRejected { why: why(), count: self.facts_rejected });
        }
    }

    pub(super) fn hand_on(&mut self, now: Instant) {
        while let Some((lane, message)) = self.hearing.next(now) {
            (self.on)(FleetEvent::Facts { lane, message });
        }
    }
}
