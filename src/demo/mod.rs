//! The machine in a box.

pub mod machine;
pub mod wallet;
