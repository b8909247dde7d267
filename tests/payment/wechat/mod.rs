//! WeChat Pay API v3, against a double with another's cryptography (tests/support/wechat/double.py).

mod charges;
mod kit;
mod refunds;
mod setup;
