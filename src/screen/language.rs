//! The interface's own words, from Fluent files shipped in the binary. A message that a language lacks is shown in English.

use std::collections::BTreeMap;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use unic_langid::LanguageIdentifier;

use crate::config::SHIPPED;
use crate::vocabulary::{Currency, Language, Minor, decimal};

/// The texts of every language.
pub struct Texts {
    bundles: BTreeMap<String, FluentBundle<FluentResource>>,
}

impl Default for Texts {
    fn default() -> Self {
        Self::shipped()
    }
}

impl Texts {
    pub fn shipped() -> Self {
        Self::with(&BTreeMap::new())
    }

    /// The shipped ones, with texts of an operator's own in place of them and beside them.
    pub fn with(own: &BTreeMap<Language, String>) -> Self {
        let mut bundles = BTreeMap::new();
        let shipped = SHIPPED.iter().copied();
        for (tag, text) in shipped.chain(own.iter().map(|(language, text)| (language.tag(), text.as_str()))) {
            // A faulty line costs its message, not the glass; the checks find it.
            let resource = FluentResource::try_new(text.to_owned()).unwrap_or_else(|(partly, _)| partly);
            let bundle = bundles.entry(tag.to_owned()).or_insert_with(|| {
                let language: LanguageIdentifier = tag.parse().unwrap_or_default();
                let mut bundle = FluentBundle::new_concurrent(vec![language]);
                bundle.set_use_isolating(false);
                bundle
            });
            bundle.add_resource_overriding(resource);
        }
        Self { bundles }
    }

    /// `¥1,203.00`: the currency's sign and its digits. A sign that the faces may lack is written as the code:
    /// `3.00 INR`.
    pub fn money(&self, language: &Language, amount: Minor, currency: Currency) -> String {
        let sign = currency.symbol();
        let minus = if amount < 0 { "-" } else { "" };
        let number = self.number(language, amount.unsigned_abs(), currency);
        match sign.chars().all(|c| c.is_ascii() || "¥€£".contains(c)) {
            true if !sign.is_empty() => format!("{minus}{sign}{number}"),
            _ => format!("{minus}{number} {}", currency.code()),
        }
    }

    /// Units in threes and the currency's decimals, as the language writes them.
    pub fn number(&self, language: &Language, amount: u64, currency: Currency) -> String {
        let plain = decimal(amount, currency.digits());
        let (units, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
        let group = self.get(language, "number-group", &[]);
        let mut number = String::new();
        for (nth, digit) in units.chars().enumerate() {
            if nth > 0 && (units.len() - nth).is_multiple_of(3) {
                number.push_str(&group);
            }
            number.push(digit);
        }
        if !fraction.is_empty() {
            number.push_str(&self.get(language, "number-decimal", &[]));
            number.push_str(fraction);
        }
        number
    }

    /// The message `key` in `language` with its arguments filled in; the key itself where no language has it.
    pub fn get(&self, language: &Language, key: &str, args: &[(&str, &str)]) -> String {
        let found = [language.tag(), "en"].iter().find_map(|tag| {
            let bundle = self.bundles.get(*tag)?;
            Some((bundle, bundle.get_message(key)?.value()?))
        });
        let Some((bundle, pattern)) = found else { return key.to_owned() };
        let mut values = FluentArgs::new();
        for (name, value) in args {
            values.set(*name, FluentValue::from(*value));
        }
        bundle.format_pattern(pattern, Some(&values), &mut Vec::new()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn messages(text: &str) -> BTreeSet<&str> {
        text.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key).collect()
    }

    /// All that asks for the interface's words.
    fn users() -> String {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let pages = std::fs::read_dir(source.join("screen/pages")).unwrap().map(|page| page.unwrap().path());
        let others = [
            "screen/bill.rs",
            "screen/pages.rs",
            "screen/words.rs",
            "screen/language.rs",
            "printer/receipt.rs",
            "printer/cash_up.rs",
            "printer/test_page.rs",
            "printer/ticket.rs",
            "kiosk/receipts.rs",
            "kiosk/parking.rs",
            "parking/shop/advice.rs",
            "parking/shop/present.rs",
            "parking/shop/price.rs",
            "parking/shop/season.rs",
            "sale/dialogue/stay.rs",
            "sale/presented.rs",
        ];
        let files = pages.chain(others.map(|file| source.join(file)));
        files.map(|file| std::fs::read_to_string(file).unwrap()).collect()
    }

    #[test]
    fn every_language_has_every_message_and_no_other() {
        let english = messages(SHIPPED[0].1);
        for (tag, text) in SHIPPED {
            let here = messages(text);
            let missing: Vec<_> = english.difference(&here).collect();
            let unknown: Vec<_> = here.difference(&english).collect();
            assert!(missing.is_empty() && unknown.is_empty(), "{tag}: missing {missing:?}, unknown {unknown:?}");
            assert!(FluentResource::try_new((*text).to_owned()).is_ok(), "{tag} has a faulty line");
        }
    }

    #[test]
    fn every_message_is_used() {
        // State, outcome and reason messages are named after the words of the state document, and what can be touched in
        // the service menu after its verbs.
        let by_word = ["state-", "outcome-", "reason-", "menu-"];
        let users = users();
        let unused: Vec<_> = messages(SHIPPED[0].1)
            .into_iter()
            .filter(|key| !by_word.iter().any(|prefix| key.starts_with(prefix)))
            .filter(|key| !users.contains(&format!("\"{key}\"")))
            .collect();
        assert!(unused.is_empty(), "{unused:?}");
    }

    #[test]
    fn arguments_are_filled_in_without_marks() {
        let text = Texts::shipped().get(&Language::new("zh-Hans"), "pay-left", &[("time", "1:30")]);
        assert_eq!(text, "剩余 1:30");
        assert_eq!(Texts::shipped().get(&Language::new("xx"), "done", &[]), "Done");
    }
}
