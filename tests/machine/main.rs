//! The product from outside: the demo as anybody starts it, driven through its page's API.

mod bus;
#[path = "../support/chance.rs"]
mod chance;
#[path = "../support/child.rs"]
mod child;
mod crawl;
#[path = "../rails/kit.rs"]
mod double;
mod fleet;
mod gateway;
mod holding;
mod kills;
mod kit;
mod operations;
mod rails;
mod sales;
mod service;
mod site;
#[path = "../support/spelling.rs"]
mod spelling;
mod street;
mod trouble;
