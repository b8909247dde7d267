//! The rooms that are fuzzed, and the few they need, by path: this builds in a minute where the whole daemon takes many.

#[path = "../../src/vocabulary/mod.rs"]
pub mod vocabulary;

#[path = "../../src/operation/mod.rs"]
pub mod operation;

#[path = "../../src/fleet"]
pub mod fleet {
    pub mod command;
    mod rate_limiter;
    pub mod topic;
}

#[path = "../../src/emv/mod.rs"]
pub mod emv;

#[path = "../../src/payment"]
pub mod payment {
    pub mod alipay;
    pub mod bill;
    mod clock;
    pub mod gateway {
        pub mod wire;
    }
    pub mod http;
    mod rail;
    pub mod wechat;

    pub use clock::ProviderClock;
    pub use rail::*;
}

/// What WeChat Pay's answers mean, without the signature before it.
#[path = "../../src/payment/wechat/wire.rs"]
pub mod wechat_wire;

#[path = "../../src/signed/mod.rs"]
pub mod signed;

#[path = "../../src/parking"]
pub mod parking {
    pub mod site;
    pub mod tariff;
    pub mod ticket;
}
