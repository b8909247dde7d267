//! The sale: a pure state machine.
pub mod view;
