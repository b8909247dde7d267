//! What concerns an order that may be settled long since: what a provider reports by itself, and what a person asks about
//! it. Then it is read from the ledger first.

use std::collections::BTreeMap;

use super::{Input, Kiosk};
use crate::operation::{Known, Request};
use crate::payment::gateway::VerifiedNotice;
use crate::sale::Order;
use crate::sale::event::Event;
use crate::vocabulary::{ChargeId, ChargeReport, OrderId};

/// Notices that wait for their orders; providers repeat what was not taken.
const WAITING: usize = 256;

/// Verified.
pub(crate) enum Notice {
    Rail {
        charge: ChargeId,
        report: ChargeReport,
    },
    Gateway(VerifiedNotice),
    /// Money is to be given back, with what the ledger has under the request's number.
    Refund {
        order: OrderId,
        asked: Box<(Request, Option<Known>)>,
    },
}

impl Notice {
    fn order(&self) -> Option<OrderId> {
        match self {
            Notice::Rail { charge, .. } => charge.order(),
            Notice::Gateway(noticed) => noticed.charge.charge.order(),
            Notice::Refund { order, .. } => Some(*order),
        }
    }
}

/// Notices by the order that is being read for them. Each order is read once at a time: while it is, nothing else can
/// change it, so what was read is not older than the state it comes to.
#[derive(Default)]
pub(super) struct WaitingNotices(BTreeMap<OrderId, Vec<Notice>>);

impl Kiosk {
    /// A charge that nobody watches any more has news: its order is taken up again, then the notice is taken.
    pub(super) fn notice(&mut self, notice: Notice) {
        let settled = notice.order().filter(|id| !self.state.orders.contains_key(id));
        let (Some(id), Some(reads)) = (settled, &self.reads) else { return self.take_notice(notice) };
        if self.waiting_notices.0.values().map(Vec::len).sum::<usize>() >= WAITING {
            if let Notice::Refund { asked, .. } = notice {
                return self.answer_all(&asked.0.id, &Err("too much is asked of old orders at once; ask again".into()));
            }
            return tracing::warn!(order = %id, "a payment notice was dropped, because too many for old orders came at once; its sender repeats it");
        }
        let waiting = self.waiting_notices.0.entry(id).or_default();
        waiting.push(notice);
        if waiting.len() == 1 {
            let inputs = self.edges.inputs.clone();
            reads.own(move |reader| {
                let order = reader.order(id).map(|order| order.map(Box::new)).map_err(|error| error.to_string());
                drop(inputs.send(Input::Old { id, order }));
            });
        }
    }

    pub(super) fn revive(&mut self, id: OrderId, order: Result<Option<Box<Order>>, String>) {
        match order {
            Ok(Some(order)) => {
                self.state.revive(*order, self.clock.now());
                self.recorded = true;
            }
            Ok(None) => tracing::warn!(order = %id, "something is about an order that this kiosk does not know"),
            Err(error) => tracing::error!(error, order = %id, "an old order can't be read"),
        }
        for notice in self.waiting_notices.0.remove(&id).unwrap_or_default() {
            self.take_notice(notice);
        }
    }

    fn take_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Rail { charge, report } => self.step(Event::Reported { charge, result: Ok(report), asked: false }),
            Notice::Gateway(noticed) => self.noticed(noticed),
            Notice::Refund { asked, .. } => self.decide(asked.0, asked.1),
        }
    }
}
