//! A car park: what a stay costs, and why.
//!
//! Policy: pure. What is here does no I/O, reads no clock and knows no device; it gets instants and gives amounts. The rules of
//! a price are data that an operator writes and a customer can have explained.

pub mod tariff;
