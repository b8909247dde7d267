//! A kiosk's figures, as an operator's Prometheus sees them: over the broker by an exporter, and on the machine itself.

use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;

use kioskd_tests::PATIENCE;
use kioskd_tests::child::{Running, command};
use kioskd_tests::free_port;
use kioskd_tests::machine::{Machine, Setup};
use kioskd_tests::repository;
use serde_json::{Value, json};

use crate::fleet::{listen, mosquitto};

const TOPIC: &str = "kiosk/v1/demo/K0001/telemetry";

/// The page of a Prometheus, or of a kiosk.
fn get(url: &str) -> (u16, String) {
    let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false);
    let Ok(mut answer) = ureq::Agent::from(agent.build()).get(url).call() else { return (0, String::new()) };
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap_or_default())
}

/// As the text format has them, without Prometheus's own prefix.
fn read(exposition: &str) -> serde_json::Map<String, Value> {
    let lines = exposition.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
    lines.map(|(name, value)| (name.trim_start_matches("kioskd_").to_owned(), value.parse().unwrap())).collect()
}

fn promtool(arguments: &[&str], standard_input: &str) {
    let told = Running::answer(command("promtool").args(arguments), standard_input.as_bytes());
    let says = String::from_utf8([told.stdout, told.stderr].concat()).unwrap();
    // Warnings leave its exit code alone.
    assert!(told.status.success() && !says.contains("metric names"), "promtool {arguments:?}: {says}");
}

#[test]
fn the_figures_of_a_sale_reach_a_prometheus_both_ways() {
    let (mqtt, own, exported, asked) = (free_port(), free_port(), free_port(), free_port());
    let _broker = mosquitto(mqtt);
    let (_client, heard) = listen(mqtt);
    let mut setup = Setup { broker: Some(format!("mqtt://127.0.0.1:{mqtt}")), ..Setup::fast() };
    let metrics = format!("telemetry_every = \"5s\"\n\n[metrics]\nlisten = \"127.0.0.1:{own}\"\n\n[[rail]]");
    setup.config.push(("[[rail]]", metrics.leak()));
    let machine = Machine::start(&setup);
    let payload = machine.offer(&["cola"]);
    machine.wallet(&payload, "pay");
    machine.until_state("delivered");

    // The same on both ways; what a second changes is not compared.
    let url = format!("http://127.0.0.1:{own}/metrics");
    let sold = [
        ("online", json!(1)),
        ("selling", json!(1)),
        ("orders_offered_total", json!(1)),
        ("orders_paid_total", json!(1)),
        ("paid_amount_total", json!(300)),
        ("units_delivered_total", json!(1)),
        ("units_not_delivered_total", json!(0)),
        ("refunded_amount_total", json!(0)),
        ("broker_connects_total", json!(1)),
        ("printer_prints", json!(1)),
    ];
    // Each comes when it comes: the printer's when its receipt is out, the link's when it is up.
    let page = machine.wait("the figures of the sale on the page", || {
        let (status, page) = get(&url);
        assert_eq!(status, 200, "{page}");
        let figures = read(&page);
        sold.iter().all(|(name, wanted)| figures.get(*name) == Some(wanted)).then_some(page)
    });
    promtool(&["check", "metrics"], &page);
    let figures = read(&page);
    assert!(figures["memory_bytes"].as_u64().unwrap() > 5 << 20 && figures["disk_free_bytes"].as_u64().unwrap() > 0);
    assert_eq!(figures["stock_capacity_units"].as_u64(), Some(figures["stock_units"].as_u64().unwrap() + 1));
    let telemetry = machine.wait("the figures of the sale in telemetry", || {
        heard.try_iter().find_map(|(topic, told)| {
            (topic == TOPIC && sold.iter().all(|(name, wanted)| told[*name] == *wanted)).then_some(told)
        })
    });
    let names: Vec<&String> = telemetry.as_object().unwrap().keys().collect();
    let mut others: Vec<&String> = figures.keys().collect();
    others.sort();
    assert_eq!(names, others);
    for path in ["/", "/metrics/"] {
        assert_eq!(get(&format!("http://127.0.0.1:{own}{path}")).0, 404, "{path}");
    }
    // Some who say nothing keep nobody out for long.
    let silent: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(("127.0.0.1", own)).unwrap()).collect();
    machine.wait("an answer beside the silent", || (get(&url).0 == 200).then_some(()));
    drop(silent);

    // As shipped, but for the places.
    let folder = tempfile::tempdir().unwrap();
    let ship = |file: &str| {
        let text = std::fs::read_to_string(repository().join("configs/fleet").join(file)).unwrap();
        let ports = [("127.0.0.1:1883", mqtt), ("127.0.0.1:9464", own), ("127.0.0.1:9641", exported)];
        let mut placed = ports.iter().fold(text, |text, (from, to)| text.replace(from, &format!("127.0.0.1:{to}")));
        placed = placed.replace("scrape_interval: 30s", "scrape_interval: 1s");
        std::fs::write(folder.path().join(file), placed).unwrap();
        folder.path().join(file).display().to_string()
    };
    let (exporter, prometheus, _) = (ship("mqtt-exporter.yml"), ship("prometheus.yml"), ship("alerts.yml"));
    promtool(&["check", "config", &prometheus], "");
    let quiet = |program: &str, arguments: &[&str]| {
        let mut program = command(program);
        Running::start(program.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()))
    };
    let port = exported.to_string();
    let _exporter = quiet(
        "prometheus-mqtt-exporter",
        &["-config", &exporter, "-listen-address", "127.0.0.1", "-listen-port", &port],
    );
    let data = folder.path().join("data").display().to_string();
    let address = format!("127.0.0.1:{asked}");
    let _prometheus = quiet(
        "prometheus",
        &["--config.file", &prometheus, "--storage.tsdb.path", &data, "--web.listen-address", &address],
    );
    let seen = |selector: &str| {
        let (_, answer) = get(&format!("http://{address}/api/v1/query?query=kioskd_paid_amount_total%7B{selector}%7D"));
        let answer: Value = serde_json::from_str(&answer).ok()?;
        answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    };
    for selector in ["job=%22kiosk%22", "job=%22fleet%22,sensor=%22K0001%22"] {
        let amount = machine.wait(&format!("{selector} in Prometheus"), || seen(selector));
        assert_eq!(amount, "300", "{selector}");
    }

    // Whatever the dashboard asks this Prometheus answers, with a number wherever the kiosk has said one.
    let dashboard = std::fs::read_to_string(repository().join("configs/fleet/grafana.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let asked: Vec<String> = targets.map(|target| target["expr"].as_str().unwrap().replace("$kiosk", ".+")).collect();
    assert!(asked.len() >= 20, "{asked:?}");
    for expression in asked {
        // Nothing is silent, nothing is stopped, and there is no thermometer; a rate needs a second look.
        let may_be_empty = ["== 0", "temperature"].iter().any(|part| expression.contains(part));
        machine.wait(&expression, || {
            let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let (status, answer) = get(&format!("http://{address}/api/v1/query?query={encoded}"));
            assert_eq!(status, 200, "{expression}: {answer}");
            let answer: Value = serde_json::from_str(&answer).unwrap();
            (may_be_empty || answer["data"]["result"][0]["value"][1].is_string()).then_some(())
        });
    }
}

#[test]
fn telegraf_is_told_the_topic_and_nothing_but_the_kiosk_and_its_fleet_is_taken_of_it() {
    let text = std::fs::read_to_string(repository().join("configs/fleet/telegraf.conf")).unwrap();
    let telegraf: toml::Table = text.parse().unwrap();
    let consumer = &telegraf["inputs"]["mqtt_consumer"][0];
    let topic = consumer["topics"][0].as_str().unwrap();
    let (wild, own): (Vec<_>, Vec<_>) = topic.split('/').zip(TOPIC.split('/')).partition(|(ours, _)| *ours == "+");
    assert!(own.iter().all(|(ours, kiosks)| ours == kiosks) && topic.split('/').count() == TOPIC.split('/').count());
    let parsed = &consumer["topic_parsing"][0];
    let places = topic.split('/').zip(parsed["tags"].as_str().unwrap().split('/'));
    let tags: Vec<&str> = places.filter(|(part, _)| *part == "+").map(|(_, tag)| tag).collect();
    assert_eq!((tags, wild.len()), (vec!["fleet", "kiosk"], 2));
    assert_eq!(parsed["topic"].as_str().unwrap().replace('_', "+").split('/').count(), topic.split('/').count());
}

#[test]
fn the_alerts_find_a_kiosk_that_is_silent_and_one_that_does_not_sell() {
    let rules = repository().join("tests/machine/alerts.yml");
    assert!(Path::new(&rules).exists());
    promtool(&["test", "rules", rules.to_str().unwrap()], "");
}
