//! The rooms that are fuzzed, and the few they need, by path: this builds in a minute where the whole daemon takes many.

#[path = "../../src/vocabulary/mod.rs"]
pub mod vocabulary;

#[path = "../../src/payment"]
pub mod payment {
    pub mod bill;
    pub mod emv;
    pub mod gateway {
        pub mod wire;
    }
    mod rail;

    pub use rail::*;
}

#[path = "../../src/fleet"]
pub mod fleet {
    pub mod jws;
}
