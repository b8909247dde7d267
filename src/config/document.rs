//! A parsed file as the checks see it: values with their places in the text, and the list of problems.

use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::Span;
pub use crate::vocabulary::Problem;
pub(super) use crate::vocabulary::place;

/// One value of the file. What is absent or of the wrong type reads as `None`: `shape` has complained about it already.
#[derive(Clone, Copy)]
pub(super) struct Node<'a>(pub &'a Spanned<DeValue<'a>>);

impl<'a> Node<'a> {
    /// The byte at which it begins. Of a table with a heading, the heading.
    pub fn at(self) -> usize {
        self.0.span().start
    }

    pub fn value(self) -> &'a DeValue<'a> {
        self.0.get_ref()
    }

    pub fn get(self, key: &str) -> Option<Node<'a>> {
        self.value().get(key).map(Node)
    }

    pub fn text(self) -> Option<&'a str> {
        self.value().as_str()
    }

    pub fn whole(self) -> Option<i64> {
        let number = self.value().as_integer()?;
        i64::from_str_radix(number.as_str(), number.radix()).ok()
    }

    pub fn span(self) -> Option<Span> {
        Span::parse(self.text()?)
    }

    /// Everything below it, however deep, itself first.
    pub fn walk(self, visit: &mut impl FnMut(Node<'a>)) {
        visit(self);
        self.items().for_each(|item| item.walk(visit));
        self.entries().for_each(|(_, value)| value.walk(visit));
    }

    /// The elements of a list; none where it is not a list.
    pub fn items(self) -> impl Iterator<Item = Node<'a>> {
        self.value().as_array().into_iter().flat_map(|list| list.iter()).map(Node)
    }

    /// The elements of a list under `key`.
    pub fn all(self, key: &str) -> impl Iterator<Item = Node<'a>> + use<'a> {
        self.get(key).into_iter().flat_map(Node::items)
    }

    /// Keys and values of a table; none where it is not a table.
    pub fn entries(self) -> impl Iterator<Item = (&'a Spanned<DeString<'a>>, Node<'a>)> {
        self.value().as_table().into_iter().flat_map(|table| table.iter()).map(|(key, value)| (key, Node(value)))
    }

    /// The duration under `key`, or `default` where there is none; `None` where it can't be read.
    pub fn span_or(self, key: &str, default: Span) -> Option<Span> {
        self.get(key).map_or(Some(default), Node::span)
    }
}

/// What is wrong, by byte.
#[derive(Default)]
pub(super) struct Found {
    here: Vec<(usize, String)>,
    /// In files that this one names.
    pub elsewhere: Vec<Problem>,
}

impl Found {
    pub fn add(&mut self, at: usize, what: impl Into<String>) {
        self.here.push((at, what.into()));
    }

    pub fn is_empty(&self) -> bool {
        self.here.is_empty() && self.elsewhere.is_empty()
    }

    /// In the order of the file.
    pub fn sorted(mut self) -> Vec<(usize, String)> {
        self.here.sort();
        self.here.dedup();
        self.here
    }
}
