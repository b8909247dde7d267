//! The machine in a box.

pub mod back_end;
pub mod broker;
pub mod machine;
pub mod paper;
pub mod proxy;
pub mod wallet;
