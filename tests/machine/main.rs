//! The product from outside: the demo as anybody starts it, driven through its page's API.

mod fleet;
mod kills;
mod kit;
mod sales;
mod trouble;
