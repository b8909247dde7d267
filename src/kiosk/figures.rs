//! Makes the kiosk's figures: from its status, from the records it has written since it was started, and from the kernel.
//!
//! Policy: the loop counts, and is asked; nothing is read from the ledger for it.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

use super::devices::LinkStatus;
use super::status::{Status, Stock};
use super::{Input, Kiosk};
use crate::fleet::figures::{Figure, json};
use crate::fleet::metrics;
use crate::printer::PrinterStatus;
use crate::sale::State;
use crate::sale::record::Record;
use crate::service::End;
use crate::vocabulary::{Minor, Mono};

/// Who wants the figures.
pub(crate) enum Wants {
    /// The fleet, because it is time.
    Fleet,
    /// A Prometheus, on the loopback.
    Scrape(oneshot::Sender<Vec<Figure>>),
}

/// What has happened since this run began.
#[derive(Debug, Default)]
pub(super) struct Tally {
    offered: u64,
    granted: u64,
    paid: u64,
    paid_amount: Minor,
    unpaid: u64,
    delivered: u64,
    not_delivered: u64,
    unknown: u64,
    refunds: u64,
    refunded_amount: Minor,
    claims: u64,
    connects: u64,
    /// Until when the two times below are counted, and what was so since then.
    at: Mono,
    was: Lost,
    stopped: Duration,
    payable: Duration,
    door: Openings,
    tamper: Openings,
}

/// How often something was opened.
#[derive(Debug, Default)]
struct Openings {
    count: u64,
    open: bool,
}

impl Openings {
    fn follow(&mut self, open: bool) {
        self.count += u64::from(open && !self.open);
        self.open = open;
    }
}

/// What an operator loses by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Lost {
    stopped: bool,
    /// A code that the kiosk would not deliver for any more can still be paid.
    payable: bool,
}

impl Tally {
    pub(super) fn count(&mut self, record: &Record) {
        match record {
            Record::OrderOffered { .. } => self.offered += 1,
            Record::OrderGranted { .. } => self.granted += 1,
            Record::OrderPaid { payment, .. } => {
                self.paid += 1;
                self.paid_amount = self.paid_amount.saturating_add(payment.amount);
            }
            Record::OrderClosed { .. } => self.unpaid += 1,
            Record::ItemDelivered { .. } => self.delivered += 1,
            Record::ItemNotDelivered { last: true, .. } => self.not_delivered += 1,
            Record::ItemUnknown { .. } => self.unknown += 1,
            Record::RefundConfirmed { amount, .. } => {
                self.refunds += 1;
                self.refunded_amount = self.refunded_amount.saturating_add(*amount);
            }
            Record::ClaimOpened { .. } => self.claims += 1,
            _ => {}
        }
    }

    pub(super) fn connected(&mut self) {
        self.connects += 1;
    }

    /// Looked at after each turn of the loop.
    pub(super) fn follow(&mut self, now: Mono, selling: bool, state: &State) {
        self.pass(now);
        self.was = Lost { stopped: !selling, payable: payable(state) };
        self.door.follow(state.conditions.door_open);
        self.tamper.follow(state.conditions.tamper);
    }

    /// Of the door and of the case.
    pub(super) fn openings(&self) -> (u64, u64) {
        (self.door.count, self.tamper.count)
    }

    fn pass(&mut self, now: Mono) {
        let passed = now.since(self.at);
        self.at = now;
        self.stopped += if self.was.stopped { passed } else { Duration::ZERO };
        self.payable += if self.was.payable { passed } else { Duration::ZERO };
    }

    fn figures(&self) -> [Figure; 14] {
        [
            Figure::sum("orders_offered_total", "Orders that were shown with a code to pay", self.offered),
            Figure::sum("orders_granted_total", "Orders for which nothing was to be paid", self.granted),
            Figure::sum("orders_paid_total", "Orders that were paid", self.paid),
            Figure::sum("orders_unpaid_total", "Orders that ended unpaid", self.unpaid),
            Figure::sum("paid_amount_total", "What was paid for orders, in minor units", self.paid_amount),
            Figure::sum("units_delivered_total", "Units that came out", self.delivered),
            Figure::sum("units_not_delivered_total", "Units that did not come out", self.not_delivered),
            Figure::sum("units_unknown_total", "Units of which no sensor could say", self.unknown),
            Figure::sum("refunds_confirmed_total", "Refunds that the provider has confirmed", self.refunds),
            Figure::sum("refunded_amount_total", "What they gave back, in minor units", self.refunded_amount),
            Figure::sum("claims_opened_total", "Orders that a person had to settle", self.claims),
            Figure::sum("broker_connects_total", "Connections made to the broker", self.connects),
            Figure::sum("stopped_seconds_total", "How long nothing was sold", self.stopped.as_secs_f64()),
            Figure::sum(
                "payable_dead_seconds_total",
                "How long a code could be paid that the kiosk would not deliver for any more",
                self.payable.as_secs_f64(),
            ),
        ]
    }
}

/// A charge was given up, and its provider has not said yet that nobody can pay it any more.
fn payable(state: &State) -> bool {
    let charges = state.orders.values().flat_map(|order| &order.charges);
    let mut open = charges.filter(|charge| !charge.settled && charge.payments.is_empty());
    open.any(|charge| charge.watch.want_close || charge.watch.closing)
}

impl Kiosk {
    pub(super) fn wanted(&mut self, wants: Wants) {
        let figures = self.figures();
        match wants {
            Wants::Fleet => {
                if let Some(link) = &self.link {
                    link.telemetry(json(&figures));
                }
            }
            // Who asked may have gone.
            Wants::Scrape(answer) => drop(answer.send(figures)),
        }
    }

    fn figures(&mut self) -> Vec<Figure> {
        let now = self.clock.now();
        self.tally.pass(now);
        let disk = rustix::fs::statvfs(&self.config.state.directory).ok();
        let looked_at = Looked {
            now,
            temperature_milli_c: self.temperature_milli_c,
            waiting: self.ledger.as_ref().map(|ledger| ledger.seq().saturating_sub(ledger.acknowledged())),
            memory: resident(),
            free: disk.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
        };
        looked_at.figures(self.told.as_ref()).into_iter().chain(self.tally.figures()).collect()
    }

    /// From now on the fleet is told every so often, and a Prometheus is answered where the configuration says so.
    pub(super) fn tell_figures(&self) {
        let (inputs, edges) = (self.edges.inputs.clone(), &self.edges);
        if let (Some(fleet), Some(_)) = (&self.config.fleet, &self.link) {
            let (every, inputs) = (fleet.telemetry_every.0, inputs.clone());
            edges.supervisor.task(edges.runtime.handle(), "the telemetry", async move {
                loop {
                    tokio::time::sleep(every).await;
                    if inputs.send(Input::Figures(Wants::Fleet)).is_err() {
                        return End::Told;
                    }
                }
            });
        }
        if let Some(metrics) = &self.config.metrics {
            let now = move || {
                let (answer, figures) = oneshot::channel();
                // A loop that has ended drops the question, and whoever asked hears so.
                drop(inputs.send(Input::Figures(Wants::Scrape(answer))));
                async move { figures.await.ok() }
            };
            let (supervisor, runtime) = (edges.supervisor.clone(), edges.runtime.handle().clone());
            let serve = metrics::serve(metrics.listen, now, supervisor, runtime);
            edges.supervisor.task(edges.runtime.handle(), "the metrics", serve);
        }
    }
}

/// What no status has, as it is now.
#[derive(Debug, Default)]
struct Looked {
    now: Mono,
    temperature_milli_c: Option<i32>,
    waiting: Option<u64>,
    memory: Option<u64>,
    free: Option<u64>,
}

impl Looked {
    fn figures(&self, status: Option<&Status>) -> [Figure; 15] {
        let of = |read: fn(&Status) -> Value| status.map(read);
        let sum = |status: &Status, of: fn(&Stock) -> u32| -> Value {
            status.stock.values().map(|slot| u64::from(of(slot))).sum::<u64>().into()
        };
        let (units, capacity) =
            (status.map(|all| sum(all, |slot| slot.count)), status.map(|all| sum(all, |slot| slot.capacity)));
        let warmth = self.temperature_milli_c.map(|milli| f64::from(milli) / 1_000.0);
        [
            Figure::now("online", "Whether it is connected to its broker: 1 or 0", of(online)),
            Figure::now("selling", "Whether it sells: 1 or 0", of(|status| status.selling.into())),
            Figure::now("uptime_seconds", "How long it runs", self.now.0 / 1_000),
            Figure::now("stock_units", "Units in all slots", units),
            Figure::now("stock_capacity_units", "Units that they hold when full", capacity),
            Figure::now("slots_empty", "Slots with nothing in them", of(empty)),
            Figure::now(
                "faults",
                "Slots and devices that somebody must look at",
                of(|status| status.faults.len().into()),
            ),
            Figure::now("printer_prints", "Whether the printer prints: 1 or 0", of(prints)),
            Figure::now("claims_open", "Orders that a person must settle", of(|status| status.claims.len().into())),
            Figure::now("orders_settling", "Orders on which something is open", of(|status| status.settling.into())),
            Figure::now("refunds_silent", "Refunds that nobody confirms", of(silent)),
            Figure::now("temperature_celsius", "How warm it is inside", warmth),
            Figure::now("outbox_events", "Events that the back end has not acknowledged", self.waiting),
            Figure::now("memory_bytes", "Memory that is the kiosk's, resident", self.memory),
            Figure::now("disk_free_bytes", "Room on the disk of the ledger", self.free),
        ]
    }
}

fn online(status: &Status) -> Value {
    status.devices.link.as_ref().map(|link| *link == LinkStatus::Connected).into()
}

fn empty(status: &Status) -> Value {
    status.stock.values().filter(|slot| slot.count == 0).count().into()
}

fn prints(status: &Status) -> Value {
    match status.devices.printer {
        PrinterStatus::Unknown => Value::Null,
        PrinterStatus::Ok | PrinterStatus::PaperNearEnd => true.into(),
        _ => false.into(),
    }
}

fn silent(status: &Status) -> Value {
    status.refunds_pending.map_or(0, |pending| pending.count).into()
}

/// All that there are, each with the value of a kiosk of which nothing is known.
pub(super) fn known() -> Vec<Figure> {
    Looked::default().figures(None).into_iter().chain(Tally::default().figures()).collect()
}

/// `VmRSS` of proc(5), which the kernel says in kB.
pub(crate) fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib.saturating_mul(1_024))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::*;

    /// What stands in a file of the repository between two lines; KIOSKD_WRITE=1 writes it.
    fn stands(file: &str, from: &str, to: &str, wanted: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let text = fs::read_to_string(&path).unwrap();
        let begin = text.find(from).unwrap_or_else(|| panic!("no {from} in {file}")) + from.len();
        let end = text[begin..].find(to).map_or(text.len(), |length| begin + length);
        if std::env::var_os("KIOSKD_WRITE").is_some() {
            fs::write(&path, format!("{}{wanted}{}", &text[..begin], &text[end..])).unwrap();
        } else {
            assert_eq!(&text[begin..end], wanted, "{file}; KIOSKD_WRITE=1 writes it");
        }
    }

    #[test]
    fn the_paper_and_the_exporter_have_every_figure() {
        let (mut table, mut exporter) = (String::new(), String::new());
        for Figure { name, grows, help, .. } in known() {
            let kind = if grows { "counter" } else { "gauge" };
            let _ = writeln!(table, "| `{name}` | {kind} | {help} |");
            let _ = write!(
                exporter,
                "  - prom_name: kioskd_{name}\n    mqtt_name: {name}\n    help: {help:?}\n    type: {kind}\n"
            );
        }
        stands("docs/fleet.md", "| figure | kind | what |\n|---|---|---|\n", "\n\n", table.trim_end());
        let paper = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fleet.md")).unwrap();
        for row in table.lines() {
            assert_eq!(paper.matches(row).count(), 1, "{row}");
        }
        stands("configs/fleet/mqtt-exporter.yml", "metrics:\n", "\u{0}", &exporter);
    }

    #[test]
    fn time_is_counted_while_nothing_is_sold() {
        let mut tally = Tally::default();
        tally.was.stopped = true;
        tally.pass(Mono(1_500));
        tally.was = Lost { stopped: false, payable: true };
        tally.pass(Mono(1_750));
        assert_eq!((tally.stopped, tally.payable), (Duration::from_millis(1_500), Duration::from_millis(250)));
    }
}
