//! The machine in a box.

pub mod back_end;
pub mod broker;
pub mod proxy;
