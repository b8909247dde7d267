//! The interface's own words, from Fluent files shipped in the binary. A message that a language lacks is shown in English.

use std::collections::BTreeMap;

use fluent_bundle::{FluentArgs, FluentBundle, FluentResource, FluentValue};
use unic_langid::LanguageIdentifier;

use crate::vocabulary::Language;

/// Tags and texts of the shipped languages.
pub const SHIPPED: &[(&str, &str)] = &[
    ("en", include_str!("../../assets/locales/en.ftl")),
    ("zh-Hant", include_str!("../../assets/locales/zh-Hant.ftl")),
    ("zh-Hans", include_str!("../../assets/locales/zh-Hans.ftl")),
];

/// The texts of every shipped language.
pub struct Texts {
    bundles: BTreeMap<&'static str, FluentBundle<FluentResource>>,
}

impl Default for Texts {
    fn default() -> Self {
        Self::shipped()
    }
}

impl Texts {
    pub fn shipped() -> Self {
        let bundles = SHIPPED.iter().map(|(tag, text)| {
            // A faulty line costs its message, not the glass; the tests find it.
            let resource = FluentResource::try_new((*text).to_owned()).unwrap_or_else(|(partly, _)| partly);
            let language: LanguageIdentifier = tag.parse().unwrap_or_default();
            let mut bundle = FluentBundle::new(vec![language]);
            bundle.set_use_isolating(false);
            bundle.add_resource_overriding(resource);
            (*tag, bundle)
        });
        Self { bundles: bundles.collect() }
    }

    /// The message `key` in `language` with its arguments filled in; the key itself where no language has it.
    pub fn get(&self, language: &Language, key: &str, args: &[(&str, &str)]) -> String {
        let found = [language.tag(), "en"].iter().find_map(|tag| {
            let bundle = self.bundles.get(tag)?;
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

    use super::*;

    fn messages(text: &str) -> BTreeSet<&str> {
        text.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key).collect()
    }

    /// Where the interface's words are asked for.
    const USERS: &[&str] = &[include_str!("pages.rs"), include_str!("words.rs"), include_str!("pages/result.rs")];

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
        // State, outcome and reason messages are named after the words of the state document.
        let by_word = ["state-", "outcome-", "reason-"];
        let unused: Vec<_> = messages(SHIPPED[0].1)
            .into_iter()
            .filter(|key| !by_word.iter().any(|prefix| key.starts_with(prefix)))
            .filter(|key| !USERS.iter().any(|source| source.contains(&format!("\"{key}\""))))
            .collect();
        assert!(unused.is_empty(), "{unused:?}");
    }

    #[test]
    fn arguments_are_filled_in_without_marks() {
        let text = Texts::shipped().get(&Language::new("zh-Hans"), "pay-seconds", &[("seconds", "90")]);
        assert_eq!(text, "剩 90 秒");
        assert_eq!(Texts::shipped().get(&Language::new("xx"), "done", &[]), "Done");
    }
}
