//! What is on a receipt, and printers that answer nonsense.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::Faces;
use crate::config::Span;
use crate::sale::record::Slip;
use crate::sale::view::Outcome;
use crate::vocabulary::fee::Rate;
use crate::vocabulary::{Currency, Language, OrderId, PaymentId};

fn receipt(tag: &str) -> Receipt {
    let order = OrderId::from_parts(1_700_000_000_000, 42);
    let item = |name: &str, outcome| Item { name: name.into(), quantity: 2, price: 300, outcome };
    Receipt {
        language: Language::new(tag),
        merchant: "示範飲品有限公司".into(),
        place: "示範車站 2 號月台".into(),
        kiosk: "K0001".into(),
        order,
        short_code: order.short_code(),
        time: None,
        currency: Currency::from_code("CNY").unwrap(),
        items: vec![item("可樂", Outcome::Delivered), item("洋芋片", Outcome::NotDelivered)],
        bill: Vec::new(),
        taxes: vec![(Rate::parse("5%").unwrap(), 29)],
        pickup: Some("042".into()),
        amount: 1_200,
        paid: 1_200,
        refunded: 300,
        refund_pending: 300,
        slip: Slip::Claim,
        rail: "示範錢包".into(),
        payments: vec![PaymentId::parse("P-1").unwrap(), PaymentId::parse("P-2").unwrap()],
        pass: None,
        phone: "400-000-0000".into(),
    }
}

fn text(receipt: &Receipt) -> String {
    written(&super::receipt::document(&Texts::shipped(), receipt, None))
}

/// All the text of a document.
fn written(document: &Document) -> String {
    let line = |line: &Line| match line {
        Line::Text { text, .. } => format!("{text}\n"),
        Line::Pair { left, right, .. } => format!("{left}: {right}\n"),
        Line::Row { name, quantity, sum, .. } => format!("{name}: {quantity} = {sum}\n"),
        Line::Code(text) => format!("[{text}]\n"),
        Line::Rule | Line::Feed(_) => String::new(),
    };
    document.lines.iter().map(line).collect()
}

#[test]
fn every_fact_is_on_the_paper() {
    let receipt = receipt("en");
    let text = text(&receipt);
    let order = receipt.order.to_string();
    for line in [
        "Place: 示範車站 2 號月台",
        "Kiosk: K0001",
        "Time: clock unknown",
        &format!("Order: {order}"),
        &format!("Order code: {}", receipt.short_code),
        "可樂: 2 × 3.00 = 6.00",
        "Claim slip",
        "incl. tax 5%: 0.29 CNY",
        "Pick-up number: 042",
        "– not delivered",
        "Total: 12.00 CNY",
        "Paid: 12.00 CNY",
        "Given back: 3.00 CNY",
        "Not given back yet: 3.00 CNY",
        "Payment no.: P-1",
        "Payment no.: P-2",
        "A person has to look at this order.",
        "Help: 400-000-0000",
        "Not a tax invoice",
        &format!("[{order}]"),
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(self::text(&self::receipt("zh-Hant")).contains("非發票"));
    assert!(self::text(&self::receipt("zh-Hans")).contains("非发票"));
}

fn paid_stay() -> Receipt {
    let part = |text: &str, amount| BillLine { text: text.into(), amount };
    let pass = ExitPass {
        code: "0123456789".repeat(20),
        leave_before: Some("14:35".into()),
        number: "03-0004567-4".into(),
        only_at: Some("Lane 3".into()),
    };
    let items = vec![Item { name: "Parking".into(), quantity: 1, price: 1_300, outcome: Outcome::Delivered }];
    let bill = vec![part("First hour", 500), part("Parking: 2 × 30 min at 4.00", 800)];
    Receipt { items, bill, pass: Some(pass), ..receipt("en") }
}

#[test]
fn a_paid_stay_says_why_it_costs_that_and_how_to_leave() {
    let mut receipt = paid_stay();
    let pass = receipt.pass.clone().unwrap();
    let (text, own) = (text(&receipt), format!("[{}]", receipt.order));
    let code = format!("[{}]", pass.code);
    // From the head of the paper to its end.
    let order = [
        "Parking: 1 × 13.00 = 13.00",
        "First hour: 5.00",
        "Parking: 2 × 30 min at 4.00: 8.00",
        "Total: ",
        "Exit pass",
        "Leave before 14:35",
        "Show this code at the exit",
        &code,
        "Ticket no.: 03-0004567-4",
        "Good only at: Lane 3",
        &own,
    ];
    let places: Vec<_> = order.iter().map(|line| text.find(line).unwrap_or_else(|| panic!("{line}: {text}"))).collect();
    assert!(places.is_sorted(), "{places:?}\n{text}");
    assert!(!code_text(&Texts::shipped(), &receipt, None).contains(&pass.code), "no other code has room for it");

    receipt.pass = Some(ExitPass { leave_before: None, only_at: None, ..pass });
    let text = self::text(&receipt);
    assert!(text.contains("Good until it is used") && !text.contains("Leave before"), "{text}");
    assert!(!text.contains("Good only at"), "{text}");
    receipt.pass = None;
    let text = self::text(&receipt);
    assert!(!text.contains("Exit pass") && !text.contains(&code), "{text}");
}

#[test]
fn a_bill_that_is_too_long_still_adds_up() {
    let mut receipt = paid_stay();
    receipt.bill = (1..=100).map(|nth| BillLine { text: format!("Day {nth}."), amount: nth }).collect();
    let text = text(&receipt);
    assert!(text.contains("Day 40.: 0.40\n… and 60 more: 42.30\n") && !text.contains("Day 41."), "{text}");
}

fn ticket() -> Ticket {
    let text = str::to_owned;
    Ticket {
        language: Language::new("en"),
        merchant: text("Parking Ltd."),
        place: text("Old Town"),
        site: text("Central"),
        lane: text("3"),
        number: text("03-0004567-4"),
        entry: TicketEntry::Known(text("10:35")),
        class: Some(text("Car")),
        plate: Some(text("AB 123")),
        code: "0123456789".repeat(19),
        phone: text("400-000-0000"),
        sign: (1..=22).map(|nth| format!("Sign {nth}.")).collect(),
    }
}

#[test]
fn every_fact_of_a_ticket_is_on_the_paper() {
    let mut ticket = ticket();
    let document = super::ticket::document(&Texts::shipped(), &ticket);
    let text = written(&document);
    let code = format!("[{}]\n03-0004567-4\n", ticket.code);
    for line in [
        "Parking Ltd.\nParking ticket\n",
        "Place: Old Town",
        "Car park: Central",
        "Lane: 3",
        "Entry: 10:35",
        "Vehicle: Car",
        "Plate: AB 123",
        &code,
        "Pay at the pay station before you go back to your car.",
        "Tariff\nSign 1.\n",
        "Sign 20.\n… and 2 more\n",
        "Help: 400-000-0000",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let number = document.lines.iter().find_map(|line| match line {
        Line::Text { text, px, .. } if *text == ticket.number => Some(*px),
        _ => None,
    });
    assert_eq!(number, Some(super::document::LARGE), "it is typed");

    let (not_before, not_after) = ("10:35".to_owned(), "22:35".to_owned());
    ticket.entry = TicketEntry::Unknown { not_before, not_after };
    (ticket.class, ticket.plate, ticket.sign) = (None, None, Vec::new());
    let text = written(&super::ticket::document(&Texts::shipped(), &ticket));
    assert!(text.contains("Entry: clock unknown\nNot before: 10:35\nNot after: 22:35\n"), "{text}");
    assert!(!["Vehicle", "Plate", "Tariff"].iter().any(|word| text.contains(word)), "{text}");
}

#[test]
fn a_code_holds_the_receipt_or_its_address() {
    let mut receipt = receipt("zh-Hant");
    let order = receipt.order.to_string();
    assert_eq!(
        code_text(&Texts::shipped(), &receipt, Some("https://example.com/r/{order}")),
        format!("https://example.com/r/{order}")
    );
    let whole = code_text(&Texts::shipped(), &receipt, None);
    for fact in [
        &order,
        "待處理憑證",
        "合計 12.00 CNY",
        "尚未退還 3.00 CNY",
        "已退款 3.00 CNY",
        "可樂 ×2 3.00",
        "洋芋片 ×2 3.00 未出貨",
        "非發票",
        "時鐘未知",
    ] {
        assert!(whole.contains(fact), "{fact} is not in\n{whole}");
    }
    receipt.items = vec![Item { name: "漢".repeat(300), ..receipt.items[0].clone() }; 30];
    receipt.merchant = "商\n".repeat(300);
    let packed = code_text(&Texts::shipped(), &receipt, None);
    assert!(packed.len() <= 400, "{}", packed.len());
    assert!(packed.contains("+2") && packed.contains("合計 12.00 CNY") && packed.contains("非發票"), "{packed}");
}

/// Answers every read with the next of its scripted answers.
struct Parrot(Vec<Vec<u8>>);

impl Port for Parrot {
    fn write(&mut self, _: &[u8], _: Duration) -> Result<(), PortError> {
        Ok(())
    }

    fn read(&mut self, wait: Duration) -> Result<Vec<u8>, PortError> {
        match self.0.pop() {
            Some(answer) => Ok(answer),
            None => {
                std::thread::sleep(wait.min(Duration::from_millis(1)));
                Err(PortError::Nonsense)
            }
        }
    }

    fn close(&mut self) {}
}

fn typesetter() -> Typesetter {
    let fonts = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fonts");
    Typesetter::load(&Faces::shipped(&fonts)).unwrap()
}

fn printer(answers: Vec<Vec<u8>>) -> Printer {
    let config = config::Printer {
        port: PortDriver::Simulated,
        columns: 384,
        text: config::PaperText::Raster,
        timeout: Span::seconds(1),
        receipt_url: None,
        status_every: Span::seconds(10),
    };
    Printer::new(&config, Box::new(Parrot(answers)), typesetter(), Texts::shipped())
}

#[test]
fn a_printer_can_live_on_a_thread_of_its_own() {
    fn sent<T: Send>() {}
    sent::<Printer>();
}

#[test]
fn printed_only_when_the_printer_says_so() {
    // Read last to first; the first read of each status throws away what came unasked.
    let [on_line, nothing] = [vec![0x12], vec![]];
    let ready = [&on_line, &on_line, &on_line, &nothing].map(Clone::clone);
    let answered = |first: Vec<u8>, second: Vec<u8>| {
        let mut script = vec![second, nothing.clone()];
        script.extend(ready.clone());
        script.extend([first, nothing.clone()]);
        script.extend(ready.clone());
        printer(script).print(&receipt("en"))
    };
    assert_eq!(answered(vec![0x00], vec![0x00]), Ok(()));
    assert_eq!(answered(vec![0x03], vec![0x03]), Ok(()), "near the end is printed");
    assert_eq!(answered(vec![0x0c], vec![0x00]), Err(NotPrinted::MidJob(PrinterFault::PaperOut)));
    assert_eq!(answered(vec![0x00], vec![0x0c]), Err(NotPrinted::MidJob(PrinterFault::PaperOut)));
    assert_eq!(answered(vec![0xff, 0x12], vec![0xff]), Err(NotPrinted::MidJob(PrinterFault::NoAnswer)));
    assert_eq!(printer(vec![]).print(&receipt("en")), Err(NotPrinted::Refused(PrinterFault::NoAnswer)));
}

/// A printer as far as it answers. What it says at the beginning of each band is up to the test, and so is when it
/// dies.
struct Fake {
    heard: Vec<u8>,
    at_band: fn(usize) -> Notification,
    bands: usize,
    reports: usize,
    dead: bool,
}

enum Notification {
    And(&'static [u8]),
    /// And take nothing more.
    Last(&'static [u8]),
}

impl Fake {
    fn new(at_band: fn(usize) -> Notification) -> Self {
        Self { heard: Vec::new(), at_band, bands: 0, reports: 0, dead: false }
    }

    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut said = Vec::new();
        for byte in bytes {
            if self.dead {
                break;
            }
            self.heard.push(*byte);
            match self.heard[..] {
                [.., 0x10, 0x04, 1..=4] => said.push(0x12),
                [.., 0x1d, b'r', 1] => {
                    self.reports += 1;
                    said.push(0x00);
                }
                [.., 0x1d, b'v', b'0'] => {
                    self.bands += 1;
                    let (more, dead) = match (self.at_band)(self.bands) {
                        Notification::And(more) => (more, false),
                        Notification::Last(more) => (more, true),
                    };
                    said.extend(more);
                    self.dead = dead;
                }
                _ => {}
            }
        }
        said
    }
}

/// The fake one on a cable that gives so many bytes a read.
struct Cable {
    fake: Fake,
    said: std::collections::VecDeque<u8>,
    a_read: usize,
}

impl Port for Cable {
    fn write(&mut self, bytes: &[u8], _: Duration) -> Result<(), PortError> {
        self.said.extend(self.fake.take(bytes));
        Ok(())
    }

    fn read(&mut self, wait: Duration) -> Result<Vec<u8>, PortError> {
        if self.said.is_empty() {
            std::thread::sleep(wait);
        }
        Ok(self.said.drain(..self.a_read.min(self.said.len())).collect())
    }

    fn close(&mut self) {
        self.said.clear();
    }
}

fn printed_by(at_band: fn(usize) -> Notification, a_read: usize) -> Result<(), NotPrinted> {
    let mut printer = printer(vec![]);
    printer.port = Box::new(Cable { fake: Fake::new(at_band), said: Default::default(), a_read });
    printer.print(&receipt("en"))
}

#[test]
fn what_a_printer_says_unasked_is_taken_apart_before_an_answer_is_believed() {
    let end_of_paper = [0x1c, 0x00, 0x0c, 0x0f];
    for a_read in [1, 3, 64] {
        let out = printed_by(
            |band| if band == 2 { Notification::Last(&[0x1c, 0x00, 0x0c, 0x0f]) } else { Notification::And(&[]) },
            a_read,
        );
        assert_eq!(out, Err(NotPrinted::MidJob(PrinterFault::PaperOut)), "{end_of_paper:02x?}");
        // It is well, has a drawer, and says so again and again.
        assert_eq!(printed_by(|_| Notification::And(&[0x14, 0x00, 0x00, 0x0f]), a_read), Ok(()));
        let dies = printed_by(
            |band| if band == 2 { Notification::Last(&[0x10, 0x00, 0x00, 0x0f]) } else { Notification::And(&[]) },
            a_read,
        );
        assert_eq!(dies, Err(NotPrinted::MidJob(PrinterFault::NoAnswer)));
    }
}

/// The answer to a former receipt's question, or no answer at all.
#[test]
fn one_answer_too_many_proves_nothing() {
    for late in [
        |band| if band == 2 { Notification::Last(&[0x00]) } else { Notification::And(&[]) },
        |band| {
            if band == 2 { Notification::Last(&[0x00, 0x00]) } else { Notification::And(&[]) }
        },
    ] {
        assert_eq!(printed_by(late, 64), Err(NotPrinted::MidJob(PrinterFault::NoAnswer)));
    }
    assert_eq!(
        printed_by(|band| if band == 2 { Notification::And(&[0x00]) } else { Notification::And(&[]) }, 64),
        Ok(())
    );
}

#[test]
fn a_late_answer_does_not_shift_those_that_follow() {
    let mut printer = printer(vec![]);
    // To the four questions: one of before, on line, cover open, paper there.
    printer.owed = 1;
    printer.port = Box::new(Parrot(vec![vec![0x12], vec![0x16], vec![0x1a], vec![0x12], vec![]]));
    assert_eq!(printer.status().trouble(), Some(PrinterFault::CoverOpen));
}

/// A printer on the network whose first session hangs; whoever connects after that is answered.
#[test]
fn a_session_that_answers_nothing_is_made_anew() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let other_end = std::thread::spawn(move || {
        let (mut hangs, _) = listener.accept().unwrap();
        let (mut works, _) = listener.accept().unwrap();
        let mut fake = Fake::new(|_| Notification::And(&[]));
        let mut bytes = [0; 4_096];
        loop {
            match works.read(&mut bytes) {
                Ok(0) | Err(_) => break,
                Ok(length) => works.write_all(&fake.take(&bytes[..length])).unwrap(),
            }
        }
        // Closed by us: what hangs open blocks a printer that takes one session.
        hangs.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        assert!(hangs.read_to_end(&mut Vec::new()).is_ok());
        fake.reports
    });
    let mut printer = printer(vec![]);
    printer.port = Box::new(TcpPort::new(address));
    assert_eq!(printer.print(&receipt("en")), Ok(()), "nothing of it had been sent yet");
    assert_eq!(printer.print(&receipt("en")), Ok(()));
    drop(printer);
    assert_eq!(other_end.join().unwrap(), 4);
}

#[test]
fn no_answer_breaks_the_status() {
    let mut runner = proptest::test_runner::TestRunner::default();
    let printer = std::cell::RefCell::new(printer(vec![]));
    let answers = prop::collection::vec(prop::collection::vec(any::<u8>(), 1..6), 0..12);
    runner
        .run(&answers, |answers| {
            let answered = answers.iter().flatten().any(|byte| byte & 0x93 == 0x12);
            let mut printer = printer.borrow_mut();
            printer.port = Box::new(Parrot(answers));
            let silent = matches!(printer.status(), PrinterStatus::Unreachable { .. });
            prop_assert!(answered || silent);
            Ok(())
        })
        .unwrap();
}
