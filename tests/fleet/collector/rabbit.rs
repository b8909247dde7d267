//! A cluster of three RabbitMQ nodes, which keeps no retained message for a wildcard and has no shared subscriptions. The
//! configuration is configs/fleet/rabbitmq.conf.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kioskd::fleet::link::LinkConfig;
use kioskd_tests::child::{Running, command};
use kioskd_tests::{free_port, wait_for};
use serde_json::json;
use tempfile::TempDir;

use super::kit::*;
use crate::kit::{settings, until};

const NODES: usize = 3;
/// Three virtual machines of Erlang start on few cores.
const START: Duration = Duration::from_secs(120);

struct Node {
    server: Option<Running>,
    /// MQTT, AMQP, and between the nodes.
    ports: [u16; 3],
}

struct Cluster {
    nodes: Vec<Node>,
    epmd: u16,
    directory: TempDir,
    _epmd: Running,
}

impl Cluster {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let cookie = directory.path().join(".erlang.cookie");
        std::fs::write(&cookie, "KIOSKDTESTS").unwrap();
        std::fs::set_permissions(&cookie, PermissionsExt::from_mode(0o400)).unwrap();
        std::fs::write(directory.path().join("plugins"), "[rabbitmq_mqtt].").unwrap();
        let epmd = free_port();
        let mut names = command("epmd");
        names.args(["-address", "127.0.0.1", "-port", &epmd.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let names = Running::start(&mut names);
        let nodes = (0..NODES).map(|_| Node { server: None, ports: [free_port(), free_port(), free_port()] }).collect();
        let mut cluster = Self { nodes, epmd, directory, _epmd: names };
        until("epmd listens", || TcpStream::connect(("127.0.0.1", epmd)).is_ok());
        (0..NODES).for_each(|node| cluster.restart(node));
        // A node is a member before its plugins run.
        for node in 0..NODES {
            let what = format!("node {} listens", node + 1);
            wait_for(&what, START, || TcpStream::connect(cluster.mqtt(node)).ok());
        }
        wait_for("they are one cluster", START, || (cluster.running() == NODES).then_some(()));
        cluster
    }

    /// The file that is documented, with the ports and names of this test.
    fn configuration(&self, node: usize) -> String {
        let mut text = include_str!("../../../configs/fleet/rabbitmq.conf").to_owned();
        for nth in 1..=NODES {
            text = text.replace(&format!("rabbit@mq{nth}"), &format!("r{nth}@localhost"));
        }
        let port = format!("mqtt.listeners.tcp.default = 127.0.0.1:{}", self.nodes[node].ports[0]);
        text.replace("mqtt.listeners.tcp.default = 1883", &port)
    }

    fn restart(&mut self, node: usize) {
        self.kill(node);
        let at = self.directory.path();
        let file = at.join(format!("r{}.conf", node + 1));
        std::fs::write(&file, self.configuration(node)).unwrap();
        let mut server = self.environment("rabbitmq-server", node);
        let log = std::fs::File::options().create(true).append(true).open(at.join("output")).unwrap();
        server.env("RABBITMQ_CONFIG_FILE", &file).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.nodes[node].server = Some(Running::start(&mut server));
    }

    /// One of RabbitMQ's programs, whose wrappers want another user.
    fn environment(&self, program: &str, node: usize) -> Command {
        let versions = std::fs::read_dir("/usr/lib/rabbitmq/lib").expect("rabbitmq-server is installed");
        let newest = versions.map(|version| version.unwrap().path()).max().unwrap();
        let at = self.directory.path();
        let [_, amqp, between] = self.nodes[node].ports.map(|port| port.to_string());
        let mut command = command(newest.join("sbin").join(program));
        command.env("HOME", at).env("ERL_EPMD_ADDRESS", "127.0.0.1").env("ERL_EPMD_PORT", self.epmd.to_string());
        command.env("RABBITMQ_NODENAME", format!("r{}@localhost", node + 1));
        command.env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1").env("RABBITMQ_NODE_PORT", amqp);
        command.env("RABBITMQ_DIST_PORT", between).env("RABBITMQ_MNESIA_BASE", at.join("data"));
        command.env("RABBITMQ_LOG_BASE", at.join("log")).env("RABBITMQ_ENABLED_PLUGINS_FILE", at.join("plugins"));
        // Then the script becomes the server, and ends with the test.
        command.env("RUNNING_UNDER_SYSTEMD", "true");
        let arguments = "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none";
        command.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", arguments);
        command
    }

    fn tool(&self, node: usize, words: &[&str]) -> Command {
        let mut tool = self.environment("rabbitmqctl", node);
        tool.args(["-n", &format!("r{}@localhost", node + 1), "-q"]).args(words);
        tool
    }

    fn running(&self) -> usize {
        let output = self.tool(0, &["cluster_status", "--formatter", "json"]).output().unwrap();
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        status["running_nodes"].as_array().map_or(0, Vec::len)
    }

    fn kill(&mut self, node: usize) {
        self.nodes[node].server = None;
    }

    fn mqtt(&self, node: usize) -> SocketAddr {
        ([127, 0, 0, 1], self.nodes[node].ports[0]).into()
    }

    /// With this node first.
    fn url(&self, first: usize) -> String {
        let nodes = (0..NODES).map(|nth| format!("mqtt://{}", self.mqtt((first + nth) % NODES)));
        nodes.collect::<Vec<_>>().join(",")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let output = std::fs::read_to_string(self.directory.path().join("output")).unwrap_or_default();
            println!("what the nodes have said:\n{output}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_and_the_node_of_its_session_are_killed_and_every_event_is_there_once() {
    const KIOSKS: usize = 8;
    let (safe, server, begin) = (Safe::new(), Server::start(), Instant::now());
    let mut cluster = Cluster::start();
    println!("three nodes after {:?}", begin.elapsed());
    let store = server.store();
    let words = |name: &str, first: usize| {
        let [_, _, rest @ ..] = &plain(cluster.mqtt(0), &safe)[..] else { panic!() };
        let own = ["--broker", &cluster.url(first), "--name", name].map(str::to_owned);
        own.into_iter().chain(rest.iter().cloned()).collect::<Vec<_>>()
    };
    // Their sessions are on node 2, the kiosks on node 1 and 3.
    let mut a = Collector::start(&store, &words("a", 1));
    let b = Collector::start(&store, &words("b", 1));
    [&a, &b].iter().for_each(|collector| collector.until("the collector listens"));
    let mut kiosks: Vec<Real> = (1..=KIOSKS)
        .map(|nth| {
            let name = format!("K{nth:04}");
            let at = settings(cluster.mqtt(if nth % 2 == 0 { 0 } else { 2 }));
            let (signer, quick) = (Some(safe.kiosk(&name)), Duration::from_secs(1));
            let config = LinkConfig { signer, back_end: Some(safe.back_end()), retry_last: quick, ..at };
            let kiosk = Real::with(&name, config);
            kiosk.link.state(json!({ "selling": true }));
            kiosk
        })
        .collect();
    for _ in 0..2 {
        kiosks.iter_mut().for_each(Real::sell);
    }
    kiosks.iter_mut().for_each(Real::wait);
    kiosks.iter_mut().for_each(Real::sell);
    a.kill();
    cluster.kill(1);
    let begin = Instant::now();
    kiosks.iter_mut().for_each(Real::sell);
    kiosks.iter_mut().for_each(Real::wait);
    println!("everything is acknowledged {:?} after both were killed", begin.elapsed());
    assert_same(&server.table(), &kiosks);
    assert_totals(&store, &safe, &kiosks);
    let seen = documents("ls", &store, &["--only", "offline", "--only", "silent", "--only", "not-selling"]);
    assert!(seen.is_empty(), "{seen:?}");
    assert_eq!(documents("ls", &store, &[]).len(), KIOSKS);
}
