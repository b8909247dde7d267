//! Checks that the keys of payment methods agree.

use super::super::document::{Found, Node};
use super::super::words::quote;
use super::super::{Provider, Rail, Sale, Span};
use super::Rules;
use crate::emv::EmvError;
use crate::vocabulary::{Currency, is_plain_http};

/// An EMV code of every amount can be made of what is written.
pub(super) fn merchant(rail: &Rail, currency: Currency, node: Node<'_>, found: &mut Found) {
    let Provider::Emv(emv) = &rail.provider else { return };
    let merchant = node.get("merchant").unwrap_or(node);
    let pays_in = emv.merchant.currency();
    if pays_in != currency {
        let at = merchant.get("profile").unwrap_or(merchant).at();
        let what = format!(
            "this profile pays in {}, and `currency` is {}; write another profile",
            pays_in.code(),
            currency.code()
        );
        found.add(at, what);
    }
    match emv.merchant.check() {
        Ok(()) => {}
        Err(EmvError::Field { field, write }) => {
            found.add(merchant.get(field).unwrap_or(merchant).at(), format!("`{field}` does not fit; write {write}"));
        }
        Err(other) => found.add(merchant.at(), format!("no code can be made of this: {other}; write shorter values")),
    }
}

impl Rules<'_, '_> {
    pub(super) fn rails(&mut self, file: Node<'_>) {
        let names = file.all("rail").filter_map(|rail| rail.get("name").or(rail.get("kind")));
        let advice = "write a name of its own: name = \"…\"";
        self.once(names, "rail", advice);
        let currency = file.get("kiosk").and_then(|kiosk| kiosk.get("currency")).and_then(Node::text);
        for rail in file.all("rail") {
            self.provider(rail, currency, file);
        }
        let given = file.get("sale").and_then(|sale| sale.get("lease"));
        let Some(lease) = given.map_or(Some(Sale::default().lease), Node::span) else { return };
        for rail in file.all("rail") {
            let name = rail.get("name").or(rail.get("kind")).and_then(Node::text).unwrap_or_default();
            let poll = rail.get("poll_seconds").map_or(Some(Rail::default_poll_seconds() as i64), Node::whole);
            let poll = poll.and_then(|seconds| u64::try_from(seconds).ok()).map(Span::seconds);
            let timeout = rail.span_or("timeout", Rail::default_timeout());
            let at = |key| given.or(rail.get(key)).unwrap_or(rail).at();
            if let Some(poll) = poll.filter(|poll| lease.0 < poll.0.saturating_mul(2)) {
                let twice = Span(poll.0.saturating_mul(2));
                let what = format!(
                    "`lease` {lease} is less than twice rail {}'s `poll_seconds` of {poll}; write \"{twice}\" or more",
                    quote(name)
                );
                self.found.add(at("poll_seconds"), what);
            }
            if let Some(timeout) = timeout.filter(|timeout| lease.0 <= timeout.0) {
                let what = format!(
                    "`lease` {lease} is not longer than rail {}'s `timeout` of {timeout}; write more than \"{timeout}\"",
                    quote(name)
                );
                self.found.add(at("timeout"), what);
            }
        }
    }

    /// These providers make a shorter life a minute by themselves, and then a payment would come when nobody watches.
    fn shortest_life(&mut self, rail: Node<'_>, kind: &str, file: Node<'_>) {
        let sale = file.get("sale");
        let span = |key, default| sale.map_or(Some(default), |sale| sale.span_or(key, default));
        let defaults = Sale::default();
        if matches!(kind, "wechat" | "alipay")
            && let (Some(life), Some(more)) = (span("qr_life", defaults.qr_life), span("more_time", defaults.more_time))
            && (life.0 + more.0).as_secs() < 60
        {
            let at = sale.and_then(|sale| sale.get("qr_life")).unwrap_or(rail).at();
            let what = format!(
                "`qr_life` and `more_time` are less than a minute together, which is the shortest life of a charge on rail {}; write a longer one",
                quote(kind)
            );
            self.found.add(at, what);
        }
    }

    fn provider(&mut self, rail: Node<'_>, currency: Option<&str>, file: Node<'_>) {
        for key in ["base_url", "backup_url"] {
            if let Some(node) = rail.get(key)
                && let Some(url) = node.text().filter(|url| !url.trim().is_empty())
                && is_plain_http(url).is_none()
            {
                let what = format!(
                    "`{key}` is no provider's address; write https://HOST, or http://127.0.0.1:PORT for a test"
                );
                self.found.add(node.at(), what);
            }
        }
        if let Some(node) = rail.get("notify_url")
            && let Some(url) = node.text().filter(|url| !url.trim().is_empty())
            && (!url.starts_with("https://") || url.contains(['?', '#', ' ']))
        {
            self.found.add(node.at(), "`notify_url` is not https:// without a query; write https://HOST/PATH");
        }
        let Some(kind) = rail.get("kind") else { return };
        let name = kind.text().unwrap_or_default();
        if matches!(name, "wechat" | "alipay")
            && let Some(currency) = currency.filter(|currency| *currency != "CNY")
        {
            let what = format!(
                "rail {} takes CNY only, and `currency` is {}; write another rail",
                quote(name),
                quote(currency)
            );
            self.found.add(kind.at(), what);
        }
        self.shortest_life(rail, name, file);
        let gateway = file.get("fleet").and_then(|fleet| fleet.get("gateway"));
        if matches!(name, "gateway" | "emv") && gateway.is_none() {
            let what = format!("rail {} asks the gateway, and there is none; write [fleet.gateway]", quote(name));
            self.found.add(kind.at(), what);
        }
        if name == "alipay" {
            let certificates = ["app_cert", "alipay_cert", "root_cert"];
            let written = certificates.into_iter().filter(|key| rail.get(key).is_some()).count();
            let key = rail.get("alipay_public_key");
            match (key, written) {
                (Some(_), 0) | (None, 3) => {}
                (None, 0) => self.found.add(
                    rail.at(),
                    "missing `alipay_public_key` in [[rail]]; write it, or app_cert, alipay_cert and root_cert",
                ),
                (None, _) => self.found.add(
                    rail.at(),
                    "certificate mode needs all of app_cert, alipay_cert and root_cert; write the missing ones",
                ),
                (Some(key), _) => self.found.add(
                    key.at(),
                    "`alipay_public_key` and certificates exclude each other; leave one or the other out",
                ),
            }
        }
        for fee in rail.all("fee") {
            let bound = |key| fee.get(key).and_then(Node::whole);
            if let (Some(minimum), Some(cap)) = (bound("minimum"), bound("cap"))
                && cap < minimum
            {
                let what = format!("`cap` {cap} is less than `minimum`; write {minimum} or more");
                self.found.add(fee.get("cap").unwrap_or(fee).at(), what);
            }
        }
        let days: Vec<_> = rail.all("fee").filter_map(|fee| fee.get("from")).collect();
        for (nth, day) in days.iter().enumerate() {
            let date = |node: &Node<'_>| node.value().as_datetime().copied();
            if days[..nth].iter().any(|earlier| date(earlier).is_some() && date(earlier) == date(day)) {
                self.found.add(day.at(), "two rates begin on this day; keep one of them");
            }
        }
        self.once(rail.all("platform_key").filter_map(|key| key.get("serial")), "serial", "keep one of them");
    }
}
