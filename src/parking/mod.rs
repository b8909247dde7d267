//! A car park: what a stay costs, and why; the codes that a car comes and goes with; what its lanes tell each other; and what a lane
//! with its gate does.
//!
//! Policy: pure. What is here does no I/O, reads no clock and knows no device; it gets instants and gives amounts, or what
//! happened and gives what is to be done. The rules of a price are data that an operator writes and a customer can have explained.
//!
//! - [`shop`] what the sale asks of it
//! - [`tariff`] from a stay to its bill · [`ticket`] signed codes, numbers and plates · [`site`] what the lanes share ·
//!   [`lane`] loops and a gate · [`report`] what a kiosk has done, by its records

pub mod lane;
pub mod report;
pub mod shop;
pub mod site;
pub mod tariff;
pub mod ticket;
