//! The machine in a box.

pub mod machine;
pub mod paper;
pub mod wallet;
