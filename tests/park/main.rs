//! The car park in a box, as its page and its API show it: three kiosks, each a process, and cars that drive.

#![cfg(feature = "demo")]

mod kit;
mod page;
mod power;
mod visits;
