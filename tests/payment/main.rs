//! Payment from outside. The rails of WeChat Pay and Alipay against doubles of their providers: programs in Python, with
//! cryptography that is not ours, which verify all that we send and misbehave on demand. Never paid when not, never lost
//! when paid, every refund once. And payment codes of bank accounts, as other people's software reads them.
//!
//! Needs Python with the packages of tests/support/requirements.txt, in target/test-tools/py or where KIOSKD_PY says, and
//! the packages of tests/payment/emv/package.json in target/test-tools/npm; tests/run installs both.

mod alipay;
mod emv;
mod waiting;
mod wechat;
