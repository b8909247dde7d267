//! demo
pub mod machine;
pub mod paper;
