//! What a finger can say, by the name of the target it touched: `product:cola`, `key:7`. Other programs read the names, so
//! they stay.

use std::fmt;
use std::str::FromStr;

use crate::vocabulary::text::{is_name, text};
use crate::vocabulary::{BadName, CategoryId, Language, OrderId, ProductId, RailName, SlotId, StayId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touch {
    Start,
    Product(ProductId),
    Add,
    Pay,
    Cancel,
    Done,
    MoreTime,
    Lookup,
    Language(Language),
    /// Larger type, and not any more.
    Larger,
    /// More contrast, and not any more.
    Contrast,
    /// `None`: all products.
    Category(Option<CategoryId>),
    NextPage,
    PageBack,
    Rail(RailName),
    Key(Key),
    /// The hidden place, five times of which ask for the service PIN.
    Service,
    Menu(MenuVerb),
    Slot(SlotId),
    /// An order with an open claim.
    Claim(OrderId),
    TakeTicket,
    LostTicket,
    /// A ticket's number, or the car's plate, is to be typed.
    TypeNumber,
    TypePlate,
    /// Digits in place of letters, or letters again.
    OtherKeys,
    /// A person is wanted.
    Help,
    Letter(Letter),
    /// One of several tickets, by its number.
    Stay(StayId),
}

text!(
    /// What is touched in the service menu, as in `menu:lock`.
    MenuVerb, "verb of the service menu", 32,
    |text| is_name(text, 32, b"-")
);

/// A letter of a plate: A to Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Letter(char);

impl Letter {
    pub fn new(letter: char) -> Option<Self> {
        letter.is_ascii_uppercase().then_some(Self(letter))
    }

    pub fn get(self) -> char {
        self.0
    }
}

impl MenuVerb {
    /// One of the source's own.
    pub fn of(word: &'static str) -> Self {
        Self::parse(word).expect("letters and `-`")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// 0 to 9.
    Digit(u8),
    Clear,
    Ok,
}

impl Key {
    /// Types into `entered`, up to so many digits. True for what ends the typing.
    pub(super) fn types(self, entered: &mut String, most: usize) -> bool {
        match self {
            Key::Digit(digit) if entered.len() < most => entered.push(char::from(b'0' + digit)),
            Key::Digit(_) => {}
            Key::Clear => entered.clear(),
            Key::Ok => return true,
        }
        false
    }
}

impl Touch {
    /// Its name where others may read it: which digit was typed is nobody's business.
    pub fn without_digit(&self) -> String {
        match self {
            Touch::Key(Key::Digit(_)) => "key:digit".into(),
            Touch::Letter(_) => "letter".into(),
            touch => touch.to_string(),
        }
    }
}

impl fmt::Display for Touch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Touch::Start => f.write_str("start"),
            Touch::Product(id) => write!(f, "product:{id}"),
            Touch::Add => f.write_str("add"),
            Touch::Pay => f.write_str("pay"),
            Touch::Cancel => f.write_str("cancel"),
            Touch::Done => f.write_str("done"),
            Touch::MoreTime => f.write_str("more-time"),
            Touch::Lookup => f.write_str("lookup"),
            Touch::Language(language) => write!(f, "language:{language}"),
            Touch::Larger => f.write_str("ease:large"),
            Touch::Contrast => f.write_str("ease:contrast"),
            Touch::Category(None) => write!(f, "category:{}", CategoryId::ALL),
            Touch::Category(Some(id)) => write!(f, "category:{id}"),
            Touch::NextPage => f.write_str("page:next"),
            Touch::PageBack => f.write_str("page:back"),
            Touch::Rail(name) => write!(f, "rail:{name}"),
            Touch::Key(Key::Digit(digit)) => write!(f, "key:{digit}"),
            Touch::Key(Key::Clear) => f.write_str("key:clear"),
            Touch::Key(Key::Ok) => f.write_str("key:ok"),
            Touch::Service => f.write_str("service"),
            Touch::Menu(verb) => write!(f, "menu:{verb}"),
            Touch::Slot(slot) => write!(f, "slot:{slot}"),
            Touch::Claim(order) => write!(f, "claim:{order}"),
            Touch::TakeTicket => f.write_str("ticket:take"),
            Touch::LostTicket => f.write_str("ticket:lost"),
            Touch::TypeNumber => f.write_str("ticket:number"),
            Touch::TypePlate => f.write_str("ticket:plate"),
            Touch::OtherKeys => f.write_str("keys:other"),
            Touch::Help => f.write_str("help"),
            Touch::Letter(letter) => write!(f, "letter:{}", letter.get()),
            Touch::Stay(number) => write!(f, "stay:{number}"),
        }
    }
}

impl FromStr for Touch {
    type Err = BadName;

    fn from_str(name: &str) -> Result<Self, BadName> {
        read(name).ok_or_else(|| BadName { what: "touch", text: name.to_owned() })
    }
}

fn read(name: &str) -> Option<Touch> {
    Some(match name.split_once(':') {
        None => match name {
            "start" => Touch::Start,
            "add" => Touch::Add,
            "pay" => Touch::Pay,
            "cancel" => Touch::Cancel,
            "done" => Touch::Done,
            "more-time" => Touch::MoreTime,
            "lookup" => Touch::Lookup,
            "service" => Touch::Service,
            "help" => Touch::Help,
            _ => return None,
        },
        Some(("product", id)) => Touch::Product(ProductId::parse(id)?),
        Some(("ease", "large")) => Touch::Larger,
        Some(("ease", "contrast")) => Touch::Contrast,
        Some(("category", CategoryId::ALL)) => Touch::Category(None),
        Some(("category", id)) => Touch::Category(Some(CategoryId::parse(id)?)),
        Some(("page", "next")) => Touch::NextPage,
        Some(("page", "back")) => Touch::PageBack,
        Some(("language", tag)) => Touch::Language(Language::new(tag)),
        Some(("menu", verb)) => Touch::Menu(MenuVerb::parse(verb)?),
        Some(("slot", name)) => Touch::Slot(SlotId::parse(name)?),
        Some(("claim", order)) => Touch::Claim(OrderId::parse(order)?),
        Some(("ticket", "take")) => Touch::TakeTicket,
        Some(("ticket", "lost")) => Touch::LostTicket,
        Some(("ticket", "number")) => Touch::TypeNumber,
        Some(("ticket", "plate")) => Touch::TypePlate,
        Some(("keys", "other")) => Touch::OtherKeys,
        Some(("stay", number)) => Touch::Stay(StayId::parse(number)?),
        Some(("letter", letter)) => {
            let mut letters = letter.chars();
            let one = letters.next().and_then(Letter::new)?;
            return letters.next().is_none().then_some(Touch::Letter(one));
        }
        Some(("rail", name)) => Touch::Rail(RailName::parse(name)?),
        Some(("key", "clear")) => Touch::Key(Key::Clear),
        Some(("key", "ok")) => Touch::Key(Key::Ok),
        Some(("key", digit)) => match digit.as_bytes() {
            [digit @ b'0'..=b'9'] => Touch::Key(Key::Digit(digit - b'0')),
            _ => return None,
        },
        Some(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One of each kind with its name, each naming the next: the compiler asks for a new one here.
    fn each() -> Vec<(Touch, &'static str)> {
        let (mut each, mut next) = (Vec::new(), Some(Touch::Start));
        while let Some(touch) = next {
            let (name, then) = match &touch {
                Touch::Start => ("start", Some(Touch::Product(ProductId::parse("cola").unwrap()))),
                Touch::Product(_) => ("product:cola", Some(Touch::Add)),
                Touch::Add => ("add", Some(Touch::Pay)),
                Touch::Pay => ("pay", Some(Touch::Cancel)),
                Touch::Cancel => ("cancel", Some(Touch::Done)),
                Touch::Done => ("done", Some(Touch::MoreTime)),
                Touch::MoreTime => ("more-time", Some(Touch::Lookup)),
                Touch::Lookup => ("lookup", Some(Touch::Language(Language::new("zh-Hant")))),
                Touch::Language(_) => ("language:zh-Hant", Some(Touch::Larger)),
                Touch::Larger => ("ease:large", Some(Touch::Contrast)),
                Touch::Contrast => ("ease:contrast", Some(Touch::Category(None))),
                Touch::Category(None) => ("category:all", Some(Touch::Category(CategoryId::parse("drinks")))),
                Touch::Category(Some(_)) => ("category:drinks", Some(Touch::NextPage)),
                Touch::NextPage => ("page:next", Some(Touch::PageBack)),
                Touch::PageBack => ("page:back", Some(Touch::Rail(RailName::parse("wechat-2").unwrap()))),
                Touch::Rail(_) => ("rail:wechat-2", Some(Touch::Key(Key::Digit(7)))),
                Touch::Key(Key::Digit(_)) => ("key:7", Some(Touch::Key(Key::Clear))),
                Touch::Key(Key::Clear) => ("key:clear", Some(Touch::Key(Key::Ok))),
                Touch::Key(Key::Ok) => ("key:ok", Some(Touch::Service)),
                Touch::Service => ("service", Some(Touch::Menu(MenuVerb::of("paid-outside")))),
                Touch::Menu(_) => ("menu:paid-outside", Some(Touch::Slot(SlotId::parse("A1").unwrap()))),
                Touch::Slot(_) => ("slot:A1", Some(Touch::Claim(OrderId::from_parts(0, 7)))),
                Touch::Claim(_) => ("claim:00000000000000000000000007", Some(Touch::TakeTicket)),
                Touch::TakeTicket => ("ticket:take", Some(Touch::LostTicket)),
                Touch::LostTicket => ("ticket:lost", Some(Touch::TypeNumber)),
                Touch::TypeNumber => ("ticket:number", Some(Touch::TypePlate)),
                Touch::TypePlate => ("ticket:plate", Some(Touch::OtherKeys)),
                Touch::OtherKeys => ("keys:other", Some(Touch::Help)),
                Touch::Help => ("help", Some(Touch::Letter(Letter::new('Q').unwrap()))),
                Touch::Letter(_) => ("letter:Q", Some(Touch::Stay(StayId::parse("01-0000007-3").unwrap()))),
                Touch::Stay(_) => ("stay:01-0000007-3", None),
            };
            each.push((touch, name));
            next = then;
        }
        each
    }

    #[test]
    fn every_touch_has_its_name_and_is_read_from_it() {
        for (touch, name) in each() {
            assert_eq!(touch.to_string(), name);
            assert_eq!(name.parse(), Ok(touch));
        }
        for digit in 0..10 {
            let key = Touch::Key(Key::Digit(digit));
            assert_eq!(key.to_string().parse(), Ok(key));
        }
    }

    #[test]
    fn whatever_else_is_written_is_no_touch() {
        for name in
            ["", "nothing", "key:10", "key:x", "key:", "key:+7", "key:07", "page:up", "ease:none", "paper:in", "rail:"]
        {
            let wrong = BadName { what: "touch", text: name.into() };
            assert_eq!(name.parse::<Touch>(), Err(wrong));
        }
    }

    /// Names as they are, with other words behind their colon, and anything at all.
    fn name() -> impl Strategy<Value = String> {
        let known = || prop::sample::select(each()).prop_map(|(_, name)| name.to_owned());
        let kind = || known().prop_map(|name| name.split_once(':').map_or(name.clone(), |(kind, _)| kind.to_owned()));
        prop_oneof![known(), (kind(), "[0-9A-Za-z+_:-]{0,5}").prop_map(|(kind, word)| format!("{kind}:{word}")), ".*"]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_read_is_written_the_same(name in name()) {
            if let Ok(touch) = name.parse::<Touch>() {
                prop_assert_eq!(touch.to_string(), name);
            }
        }
    }
}
