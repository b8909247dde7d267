//! The ledger on real files: what was committed is there after any crash, what was changed is found, and a disk that is
//! full or broken stops sales and loses nothing. The records come from the real core, played through small sales.

mod big;
mod car_park;
mod cash_up;
mod catalogue;
mod commits;
mod disk;
mod exports;
mod holding;
mod keys;
mod kit;
mod money;
mod newer;
mod parking;
mod proof;
mod reading;
mod refusals;
mod tampering;
mod torn;
