//! The screen: view, layout, paint, panel.

pub mod text;
