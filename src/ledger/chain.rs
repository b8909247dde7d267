//! The hash chain: every record's hash covers its own fields and the hash before, so that a record changed, removed or
//! slipped in later is found.

use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA256};

/// The hash before the first record.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One row of the chain, as it is hashed.
#[derive(Debug, Clone)]
pub struct Link<'a> {
    pub seq: u64,
    pub boot: &'a str,
    pub mono: u64,
    pub wall: Option<u64>,
    pub kind: &'a str,
    pub body: &'a str,
}

impl Link<'_> {
    /// SHA-256 in lower-case hex. Every field but the last is free of line ends, so no two rows hash the same text.
    pub fn hash(&self, prev: &str) -> String {
        let wall = self.wall.map_or(String::from("-"), |wall| wall.to_string());
        let head = format!("{prev}\n{}\n{}\n{}\n{wall}\n{}\n", self.seq, self.boot, self.mono, self.kind);
        let mut context = Context::new(&SHA256);
        context.update(head.as_bytes());
        context.update(self.body.as_bytes());
        HEXLOWER.encode(context.finish().as_ref())
    }
}
