//! A rail as a test asks it: each answer is waited for.

use kioskd::payment::Rail;
use kioskd::vocabulary::{ChargeRef, ChargeReport, RailError, RefundId, RefundReport, RefundRequest};
use tokio::runtime::Runtime;

pub trait Waiting {
    fn rail(&self) -> &dyn Rail;

    fn runtime(&self) -> &Runtime;

    fn query(&self, charge: &ChargeRef) -> Result<ChargeReport, RailError> {
        self.runtime().block_on(self.rail().query(charge))
    }

    fn close(&self, charge: &ChargeRef) -> Result<Option<ChargeReport>, RailError> {
        self.runtime().block_on(self.rail().close(charge))
    }

    fn refund(&self, refund: &RefundRequest) -> Result<RefundReport, RailError> {
        self.runtime().block_on(self.rail().refund(refund))
    }

    fn query_refund(&self, refund: &RefundRequest) -> Result<RefundReport, RailError> {
        self.runtime().block_on(self.rail().query_refund(refund))
    }

    fn probe(&self) -> Result<(), RailError> {
        self.runtime().block_on(self.rail().probe())
    }
}

/// What to ask for so that part of a charge goes back.
pub fn refund_of(charge: &ChargeRef, nth: usize, amount: i64) -> RefundRequest {
    RefundRequest {
        refund: RefundId::of(&charge.charge, nth),
        charge: charge.charge.clone(),
        order: charge.order,
        amount,
        charged: charge.amount,
        currency: charge.currency,
    }
}

pub fn runtime() -> Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime")
}
