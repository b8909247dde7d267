//! A provider with a book of its own, reached over TCP, and the rails that a gateway reaches it by.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use kioskd::fleet::gateway::{GatewayRail, Rails};
use kioskd::payment::{Answer, Notification, Notifies, Rail};
use kioskd::vocabulary::{
    ChargeId, ChargeRef, ChargeReport, Created, Minor, NewCharge, Payment, PaymentId, RailError, RefundId,
    RefundReport, RefundRequest, Standing,
};
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::kit::{Headers, PATIENCE, order};

const SECRET: &[u8] = b"between the provider and its merchant";

/// What a rail says to the provider: a line of JSON each way, a connection for each.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Order {
    Create(NewCharge),
    Query(ChargeRef),
    Close(ChargeRef),
    Refund(RefundRequest),
    QueryRefund(RefundRequest),
    Probe,
}

#[derive(Default)]
struct Book {
    charges: BTreeMap<ChargeId, Entry>,
    /// `create C_1`, in the order of arrival.
    log: Vec<String>,
    /// The answers to what begins so wait.
    held: Option<String>,
    /// The processes that wait for them.
    waiting: Vec<u32>,
}

struct Entry {
    new: NewCharge,
    payments: Vec<Payment>,
    closed: bool,
    refunds: BTreeMap<RefundId, Minor>,
}

impl Entry {
    fn report(&self) -> ChargeReport {
        let standing = if self.closed { Standing::Closed } else { Standing::Open };
        // As with Alipay: what nobody has scanned bears no name.
        let attach = (!self.payments.is_empty()).then(|| self.new.attach.clone());
        ChargeReport { standing, payments: self.payments.clone(), returned: 0, attach }
    }
}

/// As these tests call it: `C_1` is the charge of order 1.
fn short(charge: &ChargeId) -> String {
    format!("C_{}", charge.order().unwrap().millis())
}

#[derive(Clone)]
pub struct Provider {
    book: Arc<(Mutex<Book>, Condvar)>,
    pub addr: SocketAddr,
}

impl Provider {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let provider = Self { book: Arc::default(), addr: listener.local_addr().unwrap() };
        let serving = provider.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(stream));
            }
        });
        provider
    }

    fn serve(&self, stream: TcpStream) {
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        let (order, process): (Order, u32) = serde_json::from_str(&line).unwrap();
        let (book, changed) = &*self.book;
        let mut book = book.lock().unwrap();
        let noted = noted(&order);
        // Carried out first: what is lost is the answer.
        let answer = carry_out(&mut book, order);
        book.log.push(noted.clone());
        if book.held.as_ref().is_some_and(|held| noted.starts_with(held)) {
            book.waiting.push(process);
            changed.notify_all();
            book = changed.wait_while(book, |book| book.held.is_some()).unwrap();
        }
        drop(book);
        // Whoever asked may have been killed.
        drop(writeln!(&stream, "{}", serde_json::to_string(&answer).unwrap()));
    }

    /// From now on the answers to what begins so wait.
    pub fn hold(&self, what: &str) {
        self.book.0.lock().unwrap().held = Some(what.into());
    }

    /// The process whose question waits for its answer.
    pub fn waiting(&self) -> u32 {
        let (book, changed) = &*self.book;
        let book = book.lock().unwrap();
        let (mut book, late) = changed.wait_timeout_while(book, PATIENCE, |book| book.waiting.is_empty()).unwrap();
        assert!(!late.timed_out(), "nobody has asked");
        book.waiting.remove(0)
    }

    pub fn release(&self) {
        let (book, changed) = &*self.book;
        book.lock().unwrap().held = None;
        changed.notify_all();
    }

    /// What was asked since the last time.
    pub fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.book.0.lock().unwrap().log)
    }

    pub fn charges(&self) -> Vec<String> {
        self.book.0.lock().unwrap().charges.keys().map(short).collect()
    }

    /// Of one charge.
    pub fn refunds(&self, charge: &str) -> Vec<Minor> {
        self.entry(charge, |entry| entry.refunds.values().copied().collect())
    }

    pub fn attach(&self, charge: &str) -> String {
        self.entry(charge, |entry| entry.new.attach.clone())
    }

    /// A customer pays it. The notification that follows from it: headers and body.
    pub fn pay(&self, charge: &str) -> (Headers, Vec<u8>) {
        let report = self.entry(charge, |entry| {
            let NewCharge { amount, currency, order, .. } = entry.new;
            let id = PaymentId::parse(&format!("P_{charge}_{}", entry.payments.len())).unwrap();
            entry.payments.push(Payment { id, amount, currency, order });
            entry.report()
        });
        notification(&json!({ "charge": number(charge), "report": report }))
    }

    fn entry<T>(&self, charge: &str, look: impl FnOnce(&mut Entry) -> T) -> T {
        let mut book = self.book.0.lock().unwrap();
        look(book.charges.get_mut(&number(charge)).expect("the charge was made"))
    }
}

fn number(short: &str) -> ChargeId {
    ChargeId::of(order(short.trim_start_matches("C_").parse().unwrap()), 1)
}

/// As the provider signs it.
pub fn notification(said: &Value) -> (Headers, Vec<u8>) {
    let body = said.to_string().into_bytes();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), &body);
    let hex = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    (vec![("x-signature", hex)], body)
}

fn noted(order: &Order) -> String {
    match order {
        Order::Create(c) => format!("create {}", short(&c.charge)),
        Order::Query(c) => format!("query {}", short(&c.charge)),
        Order::Close(c) => format!("close {}", short(&c.charge)),
        Order::Refund(r) => format!("refund {}", short(&r.charge)),
        Order::QueryRefund(r) => format!("query-refund {}", short(&r.charge)),
        Order::Probe => "probe".into(),
    }
}

fn carry_out(book: &mut Book, order: Order) -> Result<Value, String> {
    Ok(match order {
        Order::Probe => Value::Null,
        Order::Create(new) => {
            let made = || Entry { new: new.clone(), payments: Vec::new(), closed: false, refunds: BTreeMap::new() };
            let entry = book.charges.entry(new.charge.clone()).or_insert_with(made);
            if entry.new != new || entry.closed {
                return Err("USED".into());
            }
            json!(format!("pay:{}", short(&new.charge)))
        }
        Order::Query(charge) => json!(book.charges.get(&charge.charge).map_or(
            ChargeReport { standing: Standing::Absent, payments: Vec::new(), returned: 0, attach: None },
            Entry::report,
        )),
        Order::Close(charge) => {
            if let Some(entry) = book.charges.get_mut(&charge.charge) {
                entry.closed = true;
            }
            Value::Null
        }
        Order::Refund(refund) => {
            let entry = book.charges.get_mut(&refund.charge).ok_or("ABSENT")?;
            if *entry.refunds.entry(refund.refund).or_insert(refund.amount) != refund.amount {
                return Err("OTHER_AMOUNT".into());
            }
            json!(RefundReport::Done)
        }
        Order::QueryRefund(refund) => {
            let known = book.charges.get(&refund.charge).and_then(|entry| entry.refunds.get(&refund.refund));
            json!(if known.is_some() { RefundReport::Done } else { RefundReport::Absent })
        }
    })
}

/// By the names that the tests ask for: one whose provider speaks, and one whose does not.
pub fn rails(provider: SocketAddr) -> Rails {
    let rail = |speaks| Arc::new(Wallet { provider, speaks }) as Arc<dyn GatewayRail>;
    [("wallet".to_owned(), rail(true)), ("emv".to_owned(), rail(false))].into()
}

struct Wallet {
    provider: SocketAddr,
    speaks: bool,
}

impl Wallet {
    async fn ask<T: serde::de::DeserializeOwned>(&self, order: Order) -> Result<T, RailError> {
        use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
        let lost = |error: std::io::Error| RailError::Unknown(error.to_string());
        let mut stream = tokio::net::TcpStream::connect(self.provider).await.map_err(lost)?;
        let line = serde_json::to_string(&(order, std::process::id())).unwrap() + "\n";
        stream.write_all(line.as_bytes()).await.map_err(lost)?;
        let mut answer = String::new();
        tokio::io::BufReader::new(stream).read_line(&mut answer).await.map_err(lost)?;
        let answer: Result<Value, String> = serde_json::from_str(&answer).unwrap();
        let value = answer.map_err(|code| RailError::Refused { code, why: "by the provider".into() })?;
        Ok(serde_json::from_value(value).unwrap())
    }
}

impl Rail for Wallet {
    fn create<'a>(&'a self, charge: &'a NewCharge) -> Answer<'a, Created> {
        Box::pin(async { self.ask(Order::Create(charge.clone())).await.map(|payload| Created { payload }) })
    }
    fn query<'a>(&'a self, charge: &'a ChargeRef) -> Answer<'a, ChargeReport> {
        Box::pin(self.ask(Order::Query(charge.clone())))
    }
    fn close<'a>(&'a self, charge: &'a ChargeRef) -> Answer<'a, Option<ChargeReport>> {
        Box::pin(self.ask(Order::Close(charge.clone())))
    }
    fn refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport> {
        Box::pin(self.ask(Order::Refund(refund.clone())))
    }
    fn query_refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport> {
        Box::pin(self.ask(Order::QueryRefund(refund.clone())))
    }
    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(self.ask(Order::Probe))
    }
}

#[derive(Deserialize)]
struct Told {
    charge: ChargeId,
    report: ChargeReport,
}

impl Notifies for Wallet {
    fn notification(
        &self,
        header: &dyn Fn(&str) -> Option<String>,
        body: &[u8],
    ) -> Result<Option<Notification>, RailError> {
        let hex = header("x-signature").unwrap_or_default();
        let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
        let tag: Vec<u8> = (0..hex.len()).step_by(2).filter_map(byte).collect();
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
        hmac::verify(&key, body, &tag).map_err(|_| RailError::Unknown("not the provider's".into()))?;
        let Told { charge, report } = serde_json::from_slice(body).unwrap();
        Ok(Some(Notification { charge, report }))
    }

    fn taken(&self) -> &'static str {
        "TAKEN"
    }
}

impl GatewayRail for Wallet {
    fn notifies(&self) -> Option<&dyn Notifies> {
        self.speaks.then_some(self as _)
    }
}
