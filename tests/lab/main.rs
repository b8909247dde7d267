//! What only a board's kernel can show: relays that pulse, die in the middle and are made safe, input devices that come
//! and go. `tests/lab/run` runs these on a machine of its own; everywhere else they are ignored.

mod input;
mod lines;
mod raspberry;
