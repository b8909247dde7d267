//! What the glass is told in the course of a few sales, as text: a page that says more, less or something else than before
//! is seen in a diff. `KIOSKD_WRITE=1` writes the text anew.

use std::fmt::Write;
use std::path::Path;

use super::desk::{Desk, policy};
use crate::sale::Policy;
use crate::sale::dialogue::Page;
use crate::vocabulary::{Evidence, Mono};

#[derive(Default)]
struct Story(String);

impl Story {
    fn tell(&mut self, desk: &Desk, when: &str) {
        let view = desk.state.view(Mono(desk.now), |_| Some("the receipt".into()));
        let page = match &view.page {
            Page::Shop(page) => format!("{page:#?}"),
            Page::Order(page) => format!("{page:#?}"),
            Page::Lookup(page) => format!("{page:#?}"),
            page => format!("{page:#?}"),
        };
        let kind = page.split([' ', '{']).next().unwrap().to_owned();
        let capital = |(nth, letter): (usize, char)| {
            let dash = letter.is_uppercase() && nth > 0;
            [dash.then_some('-'), Some(letter.to_ascii_lowercase())]
        };
        let name: String = kind.char_indices().flat_map(capital).flatten().collect();
        assert_eq!(view.page.name(), name, "{when}");
        write!(self.0, "## {when}\n{page}\n").unwrap();
        if view.idle_left.is_some() || view.ease != Default::default() {
            writeln!(self.0, "{:?}, {:?}", view.idle_left, view.ease).unwrap();
        }
    }
}

#[test]
fn the_pages_of_a_few_sales_are_as_they_were() {
    let mut story = Story::default();
    let mut desk = Desk::with(Policy { confirm_above: Some(500), pickup_numbers: true, ..policy() });
    story.tell(&desk, "nobody is there");
    desk.touch("start");
    story.tell(&desk, "somebody has touched the glass");
    desk.touch("product:cola");
    desk.touch("add");
    story.tell(&desk, "two of a product");
    desk.touch("pay");
    desk.touch("key:1");
    // The code to be typed is chance.
    desk.touch("cancel");
    let order = desk.offer(&["cola"]);
    story.tell(&desk, "the code is on the glass");
    desk.touch("more-time");
    desk.pay(order, 300);
    story.tell(&desk, "paid");
    desk.deliver(order, 0, 1, Evidence::Dropped { count: 1 });
    story.tell(&desk, "delivered");
    desk.touch("lookup");
    story.tell(&desk, "looking up an order");
    desk.wait(45);
    story.tell(&desk, "nobody has typed for a while");
    desk.touch("done");
    let order = desk.offer(&["tea"]);
    desk.touch("cancel");
    story.tell(&desk, "cancelled by the customer");
    desk.pay(order, 450);
    story.tell(&desk, "and paid all the same");
    desk.touch("done");
    desk.offer(&["cola"]);
    desk.door(true);
    story.tell(&desk, "the door was opened while a code was shown");
    desk.touch("done");
    story.tell(&desk, "the door is open");

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/views.txt");
    if std::env::var_os("KIOSKD_WRITE").is_some() {
        return std::fs::write(file, &story.0).unwrap();
    }
    let known = std::fs::read_to_string(&file).unwrap();
    let differs = known.lines().zip(story.0.lines()).position(|(known, now)| known != now);
    assert!(known == story.0, "{} from line {:?} on:\n{}", file.display(), differs.map(|line| line + 1), story.0);
}
