//! How much one collector takes, for the table in docs/collector.md. Kiosks, broker, collector and database share this
//! machine, so what counts most is the processors' time that an event costs.

use std::sync::Arc;
use std::time::Instant;

use kioskd::fleet::link::LinkConfig;
use kioskd::fleet::topic::Address;

use super::kit::*;
use crate::kit::{Fake, Kiosk, Mosquitto, PATIENCE, name, settings, until};

const KIOSKS: u64 = 40;

async fn measure(what: &str, window: u16, store: &Store, count: impl Fn() -> u64, bytes: impl Fn() -> u64) {
    let each = if window == 1 {
        50
    } else if std::env::var_os("KIOSKD_LONG").is_some() {
        2_000
    } else {
        100
    };
    let (broker, safe) = (Mosquitto::start(), Safe::new());
    let collector = Collector::start(store, &plain(broker.addr, &safe));
    collector.until("the collector listens");
    let config = LinkConfig { window, retry_first: PATIENCE, ..settings(broker.addr) };
    let outbox = Fake::with(each);
    // Made before the clock runs.
    crate::kit::hash(each);
    let (begin, before) = (Instant::now(), processors(collector.pid()));
    let mut kiosks: Vec<Kiosk> = (0..KIOSKS)
        .map(|nth| {
            let kiosk = format!("K{nth:04}");
            let signer: Option<Arc<_>> = Some(safe.kiosk(&kiosk));
            let address = Address { fleet: name(FLEET), kiosk: name(&kiosk) };
            let client_id = format!("kioskd.{kiosk}");
            let config = LinkConfig { address, client_id, signer, back_end: Some(safe.back_end()), ..config.clone() };
            Kiosk::start(config, &outbox)
        })
        .collect();
    kiosks.iter_mut().for_each(|kiosk| kiosk.acknowledged(each));
    let (took, all) = (begin.elapsed(), KIOSKS * each);
    until("all are there", || count() == all);
    let busy = processors(collector.pid()) - before;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let (all_f, bytes) = (all as f64, bytes() as f64);
    println!(
        "{what}: {all} events of {KIOSKS} kiosks in {took:?}, {:.0} events/s; the collector {:.0} us of a processor, \
         {:.0} bytes stored an event, {} KiB",
        all_f / took.as_secs_f64(),
        busy * 1e6 / all_f,
        bytes / all_f,
        memory(collector.pid()),
    );
    for kiosk in kiosks {
        kiosk.link.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_much_goes_into_sqlite() {
    let state = tempfile::tempdir().unwrap();
    let count = || sqlite(state.path(), "SELECT count(*) FROM event").trim().parse().unwrap();
    let bytes = || {
        let file = state.path().join("fleet.db");
        let db = rusqlite::Connection::open(&file).unwrap();
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        std::fs::metadata(file).unwrap().len()
    };
    measure("SQLite", 1000, &Store::directory(state.path()), count, bytes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_much_goes_into_postgresql() {
    let server = Server::start();
    let number = |query: &str| server.ask(query).trim().parse::<u64>().unwrap();
    let count = || number("SELECT count(*) FROM event");
    let size = "SELECT sum(pg_total_relation_size(relid))::bigint FROM pg_partition_tree('event') WHERE isleaf";
    measure("PostgreSQL", 1000, &server.store(), count, || number(size)).await;
}

/// As in everyday life: each event has a checkpoint and an acknowledgement of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_much_one_event_costs_that_comes_alone() {
    let server = Server::start();
    let count = || server.ask("SELECT count(*) FROM event").trim().parse().unwrap();
    measure("PostgreSQL, one by one", 1, &server.store(), count, || 0).await;
}
