//! demo
pub mod machine;
