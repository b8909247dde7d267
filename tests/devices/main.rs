//! The board and the printer against the machine and the paper of the demo's world, over the real wire; input devices
//! against the kernel.
#![cfg(feature = "demo")]

mod board;
mod input;
mod printer;
mod world;
