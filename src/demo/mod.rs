//! The machine in a box.

pub mod wallet;
