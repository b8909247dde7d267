//! The rules of a sale, one test each. Crashes, races and their combinations are `tests/simulation`.

mod closing;
mod configuration;
pub(super) mod desk;
mod gate;
mod glass;
mod grants;
mod limits;
mod menu;
mod money;
mod operations;
mod pulse;
mod rails;
mod reboot;
mod refunds;
mod restart;
mod schedule;
mod silence;
mod slips;
mod undecided;
mod update;
mod views;
