//! The lane of a car park that the kiosk stands in.

pub mod settings;
