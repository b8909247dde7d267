//! The look-up's page: type a short code, see what became of the order.

use super::{Look, Page, Part, Patience, Touch};
use crate::sale::event::{Effect, Illegal};
use crate::sale::view::OrderView;
use crate::sale::{Order, State, Turn};
use crate::vocabulary::ShortCode;

#[derive(Debug, Clone)]
pub(super) struct At {
    entered: String,
    found: Found,
}

#[derive(Debug, Clone)]
enum Found {
    Typing,
    Asked,
    Order(Box<Order>),
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupPage {
    Lookup { entered: String, found: Option<OrderView>, not_found: bool },
}

impl LookupPage {
    pub(super) fn name(&self) -> &'static str {
        match self {
            LookupPage::Lookup { .. } => "lookup",
        }
    }
}

impl Part for At {
    fn touch(&self, turn: &mut Turn<'_>, touch: Touch) -> Result<(), Illegal> {
        match touch {
            Touch::Key(key) => {
                let mut entered = self.entered.clone();
                let found = match key.types(&mut entered, ShortCode::DIGITS).then(|| ShortCode::parse(&entered)) {
                    None => Found::Typing,
                    Some(None) => Found::Nothing,
                    Some(Some(code)) => {
                        turn.effect(Effect::Find { code });
                        Found::Asked
                    }
                };
                turn.go(super::At::Lookup(At { entered, found }));
            }
            Touch::Done => turn.begin_anew(),
            touch => return Err(turn.not_here(touch)),
        }
        Ok(())
    }

    fn patience(&self, state: &State) -> Patience {
        Patience::Warning(state.policy.browse_timeout)
    }

    fn show(&self, state: &State, _: &Look<'_>) -> Page {
        Page::Lookup(LookupPage::Lookup {
            entered: self.entered.clone(),
            found: match &self.found {
                // The newest knowledge, where the order is still open.
                Found::Order(order) => Some(state.order_view(state.orders.get(&order.id).unwrap_or(order))),
                _ => None,
            },
            not_found: matches!(self.found, Found::Nothing),
        })
    }
}

impl Turn<'_> {
    pub(super) fn look_up(&mut self) {
        self.go(super::At::Lookup(At { entered: String::new(), found: Found::Typing }));
    }

    /// The ledger has looked. Whoever has typed on, or gone, is not interrupted.
    pub(in crate::sale) fn found(&mut self, code: &str, order: Option<Box<Order>>) {
        if let super::At::Lookup(At { entered, found }) = &mut self.state.dialogue.at
            && entered == code
            && matches!(found, Found::Asked)
        {
            *found = order.map_or(Found::Nothing, Found::Order);
        }
    }
}
