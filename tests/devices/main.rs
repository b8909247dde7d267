//! The board and the printer against the machine and the paper of the demo's world, over the real wire.
#![cfg(feature = "demo")]

mod board;
mod characters;
mod printer;
mod tickets;
mod world;
