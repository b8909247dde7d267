//! Rails against doubles of their providers: programs in Python, with cryptography that is not ours, which verify all
//! that we send and misbehave on demand. Never paid when not, never lost when paid, every refund once.

#[path = "../support/child.rs"]
mod child;
mod kit;
mod wechat;
