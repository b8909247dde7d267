//! Several collectors on one PostgreSQL, and what becomes of them: killed, robbed of their database and of their broker.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kioskd::fleet::link::LinkConfig;
use serde_json::json;

use super::kit::*;
use crate::kit::{Mosquitto, settings, until};
use kioskd_tests::child::command;

/// A collector with a name of its own.
fn named(words: &[String], name: &str) -> Vec<String> {
    words.iter().cloned().chain(["--name".into(), name.into()]).collect()
}

fn shares(server: &Server) -> BTreeMap<String, u64> {
    // Nobody has made the table yet.
    let held = server.asked("SELECT holder, count(*) FROM lease GROUP BY holder").unwrap_or_default();
    let line = |line: &str| line.split_once('|').map(|(holder, count)| (holder.to_owned(), count.parse().unwrap()));
    held.lines().filter_map(line).collect()
}

fn both(a: u64, b: u64) -> BTreeMap<String, u64> {
    [("a".to_owned(), a), ("b".to_owned(), b)].into_iter().filter(|(_, count)| *count > 0).collect()
}

fn sell(kiosks: &mut [Real], times: usize) {
    for _ in 0..times {
        kiosks.iter_mut().for_each(Real::sell);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_collectors_share_a_fleet_and_each_event_is_stored_once_whatever_is_killed() {
    const KIOSKS: usize = 24;
    let (broker, safe, mut server) = (Mosquitto::start(), Safe::new(), Server::start());
    let (store, words) = (server.store(), plain(broker.addr, &safe));
    let mut a = Collector::start(&store, &named(&words, "a"));
    let mut b = Collector::start(&store, &named(&words, "b"));
    until("they share", || shares(&server) == both(32, 32));
    // Nobody waits long for the next try.
    let quick = LinkConfig { retry_last: Duration::from_secs(1), ..settings(broker.addr) };
    let mut kiosks: Vec<Real> = (1..=KIOSKS)
        .map(|nth| {
            let name = format!("K{nth:04}");
            let signer = Some(safe.kiosk(&name));
            let config = LinkConfig { signer, back_end: Some(safe.back_end()), ..quick.clone() };
            let kiosk = Real::with(&name, config);
            kiosk.link.state(json!({ "selling": true, "version": "0.1.0" }));
            kiosk
        })
        .collect();
    sell(&mut kiosks, 2);
    kiosks.iter_mut().for_each(Real::wait);
    assert_same(&server.table(), &kiosks);
    // Both have worked, and none has stored what is the other's.
    a.stop();
    let stored = |log: String| {
        let line = log.lines().rfind(|line| line.contains("the collector ends")).unwrap_or_default().to_owned();
        let number = line.split("stored=").nth(1).unwrap_or_default().split(' ').next().unwrap_or_default().to_owned();
        number.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap_or_else(|_| panic!("{line}"))
    };
    let (of_a, all) = (stored(a.log()), kiosks.iter().map(Real::heads).sum::<u64>());
    assert!(of_a > all / 10 && of_a < all * 9 / 10, "a has stored {of_a} of {all}");
    assert!(!a.log().contains("another collector has stored") && !b.log().contains("another collector has stored"));
    until("b has all", || shares(&server) == both(0, 64));

    // One is killed in the middle of the work: the other has its part when the leases have run out, with nothing retained.
    a.restart();
    until("they share again", || shares(&server) == both(32, 32));
    sell(&mut kiosks, 1);
    a.kill();
    let begin = Instant::now();
    sell(&mut kiosks, 1);
    for kiosk in &kiosks {
        kiosk.link.state(json!({ "selling": false, "version": "0.1.1" }));
    }
    kiosks.iter_mut().for_each(Real::wait);
    println!("a collector of two killed: everything is acknowledged after {:?}", begin.elapsed());
    let states = || documents("ls", &store, &[]).iter().filter(|line| line["version"] == "0.1.1").count();
    until("what was said meanwhile is known", || states() == KIOSKS);

    // The database dies while both are at it.
    a.restart();
    until("they share again", || shares(&server) == both(32, 32));
    sell(&mut kiosks, 1);
    server.kill();
    sell(&mut kiosks, 1);
    let before: Vec<u64> = kiosks.iter_mut().map(Real::acknowledged).collect();
    b.until("the database is away");
    let meanwhile: Vec<u64> = kiosks.iter_mut().map(Real::acknowledged).collect();
    // At most what was committed before it died was still on its way.
    server.restart();
    for (kiosk, told) in kiosks.iter().zip(&meanwhile) {
        let query = format!("SELECT seq FROM book WHERE kiosk = '{}'", kiosk.name);
        let stored: u64 = server.ask(&query).trim().parse().unwrap();
        assert!(stored >= *told, "{}: {told} were acknowledged, {stored} are there, {before:?}", kiosk.name);
    }
    kiosks.iter_mut().for_each(Real::wait);

    // Everything at once, and one that is only asleep while its leases run out.
    sell(&mut kiosks, 1);
    signal(a.pid(), rustix::process::Signal::STOP);
    b.kill();
    server.kill();
    sell(&mut kiosks, 1);
    server.restart();
    b.restart();
    until("the sleeper's leases have run out", || shares(&server) == both(0, 64));
    signal(a.pid(), rustix::process::Signal::CONT);
    sell(&mut kiosks, 1);
    kiosks.iter_mut().for_each(Real::wait);
    assert_same(&server.table(), &kiosks);
    assert_totals(&store, &safe, &kiosks);
    let parts = server.ask("SELECT relname FROM pg_class WHERE relname LIKE 'event_2%' AND relkind = 'r' ORDER BY 1");
    assert_eq!(parts.lines().collect::<Vec<_>>(), ["event_202611"]);
    a.stop();
    b.stop();
}

/// Events of several months and of none; the same words for the same things as on SQLite.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_has_a_partition_and_what_has_no_time_another() {
    let (broker, safe, server) = (Mosquitto::start(), Safe::new(), Server::start());
    let store = server.store();
    let mut collector = Collector::start(&store, &plain(broker.addr, &safe));
    let mut kiosks = vec![Real::start("K1", &safe, broker.addr)];
    kiosks[0].varied();
    // A month later.
    kiosks[0].shop.pass(31 * 86_400_000);
    kiosks[0].sell();
    kiosks[0].wait();
    let months =
        server.ask("SELECT month, min(tableoid::regclass::text), count(*) > 0 FROM event GROUP BY 1 ORDER BY 1");
    assert_eq!(
        months.lines().collect::<Vec<_>>(),
        ["0|event_other|t", "202611|event_202611|t", "202612|event_202612|t"]
    );
    assert_same(&server.table(), &kiosks);
    assert_totals(&store, &safe, &kiosks);
    assert_eq!(documents("export", &store, &[]).len(), kiosks[0].events().len());
    assert!(said("show", &store, &["K1"]).contains("signed"));
    // What was acknowledged and is not there any more is told.
    server.ask("DELETE FROM event WHERE kiosk = 'K1' AND month = 202612");
    let told = answered("verify", &store, &["--keys", safe.public().to_str().unwrap()]);
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(told.contains("events were acknowledged, and"), "{told}");
    collector.stop();
}

/// Over a network it is TLS, verified, or nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_network_the_database_is_spoken_to_over_tls() {
    let directory = tempfile::tempdir().unwrap();
    let ours = crate::tls::Authority::new(directory.path(), "operator");
    let other = crate::tls::Authority::new(directory.path(), "other");
    let (cert, _) = ours.certify("database", &["localhost"]);
    let port = kioskd_tests::free_port().to_string();
    let key = cert.with_extension("key");
    for file in [&cert, &key] {
        std::os::unix::fs::chown(file, Some(65534), Some(65534)).unwrap();
    }
    // The server reads its key as nobody.
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (cert, key) = (format!("ssl_cert_file={}", cert.display()), format!("ssl_key_file={}", key.display()));
    let listen = ["-c", "listen_addresses=localhost", "-p", &port, "-c", "ssl=on", "-c", &cert, "-c", &key];
    let server = Server::on(&listen.map(str::to_owned), &port);
    let url = |mode: &str| format!("postgresql://office@localhost:{port}/postgres{mode}");
    let ls = |url: String, ca: &std::path::Path| {
        let store = Store(vec!["--database".into(), url, "--database-ca".into(), ca.display().to_string()]);
        let output = answered("ls", &store, &[]);
        String::from_utf8(output.stderr).unwrap()
    };
    let nothing = "no tables of kioskfleet are in the database";
    let told = ls(url("?sslmode=require"), &ours.file);
    assert!(told.contains(nothing), "{told}");
    let told = ls(url("?sslmode=require"), &other.file);
    assert!(told.contains("UnknownIssuer"), "{told}");
    let told = ls(url("?sslmode=disable"), &ours.file);
    assert!(told.contains(nothing), "{told}");
    // One without TLS is not spoken to where it is asked for.
    drop(server);
    let _plain = Server::on(&["-c", "listen_addresses=localhost", "-p", &port].map(str::to_owned), &port);
    let told = ls(url("?sslmode=require"), &ours.file);
    assert!(told.contains("TLS"), "{told}");
    assert!(
        command("psql")
            .args(["-h", "localhost", "-p", &port, "-U", "office", "-d", "postgres", "-c", "SELECT 1"])
            .output()
            .unwrap()
            .status
            .success()
    );
}
