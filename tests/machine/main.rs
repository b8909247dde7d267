//! The product from outside: the demo as anybody starts it, driven through its page's API.

mod bundle;
mod bus;
mod commands;
mod configuration;
mod contract;
mod crawl;
mod files;
mod fleet;
mod gateway;
mod holding;
mod inspection;
mod kills;
mod kioskctl;
mod media;
mod menu;
mod operations;
mod rails;
mod report;
mod sales;
mod service;
mod street;
mod telemetry;
mod terminal;
mod trouble;
mod update;
