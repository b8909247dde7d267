//! The way between the kiosks' brokers and the gateways', kept by somebody who owns all of them. What is said about
//! payments he withholds, some of it for longer than the minute that a request is good, says again, also much later, and
//! puts out of order. He can't write anything himself, because all of it is signed.
//!
//! He holds a bounded number of messages and drops what is more. Which message is treated how comes from a seed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rumqttc::{Client, Connection, Event, Incoming, MqttOptions, QoS};

use kioskd_tests::chance::Chance;

/// More than all machines say in the longest time that anything is withheld.
const HELD: usize = 20_000;

#[derive(Debug, Clone, Copy, Default)]
pub struct Carried {
    pub messages: u64,
    /// For longer than a request is good.
    pub withheld: u64,
    /// For longer than the kiosk waits for an answer.
    pub delayed: u64,
    pub repeated: u64,
    /// Came after one that was said later.
    pub overtaken: u64,
    /// Also when a broker did not take them.
    pub dropped: u64,
}

pub struct Bridge {
    road: Arc<Road>,
    /// The gateways' first, then each kiosk's.
    ends: Vec<Client>,
    threads: Vec<JoinHandle<()>>,
}

struct Road {
    held: Mutex<Held>,
    woken: Condvar,
    over: AtomicBool,
}

struct Held {
    chance: Chance,
    calm: bool,
    /// By when they are due, as they came, and which of its messages each is.
    letters: BTreeMap<(Instant, u64, usize), Letter>,
    came: u64,
    /// The last that left, of each topic.
    left: BTreeMap<String, u64>,
    carried: Carried,
}

struct Letter {
    /// Its place among [`Bridge::ends`].
    to: usize,
    topic: String,
    payload: Vec<u8>,
}

fn between(chance: &mut Chance, from: u64, to: u64) -> Duration {
    Duration::from_millis(from + chance.below(to - from))
}

impl Held {
    /// When it goes out, and when again.
    fn treat(&mut self) -> Vec<Duration> {
        if self.calm {
            return vec![Duration::ZERO];
        }
        let Self { chance, carried, .. } = self;
        let first = match chance.below(1000) {
            0..12 => {
                carried.withheld += 1;
                between(chance, 60_500, 80_000)
            }
            12..40 => {
                carried.delayed += 1;
                between(chance, 4_000, 20_000)
            }
            40..240 => between(chance, 200, 800),
            _ => between(chance, 5, 120),
        };
        let mut all = vec![first];
        for (in_a_thousand, from, to) in [(120, 0, 1_500), (50, 5_000, 50_000), (20, 60_000, 80_000)] {
            if chance.below(1000) < in_a_thousand {
                carried.repeated += 1;
                all.push(first + between(chance, from, to));
            }
        }
        all
    }
}

impl Road {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap()
    }

    fn take(&self, to: usize, topic: &str, payload: &[u8]) {
        let mut held = self.held();
        held.carried.messages += 1;
        let now = Instant::now();
        held.came += 1;
        let number = held.came;
        for (nth, wait) in held.treat().into_iter().enumerate() {
            if held.letters.len() == HELD {
                held.carried.dropped += 1;
                continue;
            }
            let letter = Letter { to, topic: topic.to_owned(), payload: payload.to_owned() };
            held.letters.insert((now + wait, number, nth), letter);
        }
        self.woken.notify_all();
    }

    /// The only one who publishes.
    fn carry(&self, ends: &[Client]) {
        let mut held = self.held();
        while !self.over.load(SeqCst) {
            let now = Instant::now();
            match held.letters.first_key_value() {
                Some((&(due, number, nth), _)) if due <= now => {
                    let (_, letter) = held.letters.pop_first().unwrap();
                    let last = held.left.entry(letter.topic.clone()).or_default();
                    let overtaken = nth == 0 && number < *last;
                    *last = number.max(*last);
                    held.carried.overtaken += u64::from(overtaken);
                    drop(held);
                    // A full channel is a broker that takes nothing: then this one is lost, and the road goes on.
                    let sent = ends[letter.to].try_publish(letter.topic, QoS::AtLeastOnce, false, letter.payload);
                    held = self.held();
                    held.carried.dropped += u64::from(sent.is_err());
                }
                first => {
                    let wait = first.map_or(Duration::from_secs(1), |(&(due, ..), _)| due - now);
                    held = self.woken.wait_timeout(held, wait).unwrap().0;
                }
            }
        }
    }

    /// Hands over what is heard at one end until all is over.
    fn listen(
        &self,
        client: &Client,
        mut connection: Connection,
        filters: &[String],
        to: impl Fn(&str) -> Option<usize>,
    ) {
        for event in connection.iter() {
            match event {
                Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                    for filter in filters {
                        client.try_subscribe(filter, QoS::AtLeastOnce).unwrap();
                    }
                }
                Ok(Event::Incoming(Incoming::Publish(message))) => {
                    if let Some(to) = to(&message.topic) {
                        self.take(to, &message.topic, &message.payload);
                    }
                }
                Ok(_) => {}
                Err(_) if self.over.load(SeqCst) => return,
                // It connects again by itself.
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }
}

impl Bridge {
    /// Between the gateways' broker and each kiosk's, by their ports on this machine.
    pub fn between(gateways: u16, kiosks: &[(String, u16)], chance: Chance) -> Self {
        let held = Held {
            chance,
            calm: false,
            letters: BTreeMap::new(),
            came: 0,
            left: BTreeMap::new(),
            carried: Carried::default(),
        };
        let road = Arc::new(Road { held: Mutex::new(held), woken: Condvar::new(), over: AtomicBool::new(false) });
        let connect = |name: &str, port: u16| {
            let mut options = MqttOptions::new(format!("bridge-{name}"), "127.0.0.1", port);
            options.set_max_packet_size(1 << 20, 1 << 20).set_inflight(1000);
            let (client, mut connection) = Client::new(options, 10_000);
            let mut network = connection.eventloop.network_options();
            network.set_tcp_nodelay(true);
            connection.eventloop.set_network_options(network);
            (client, connection)
        };
        let said = |what: &str| format!("kiosk/v1/demo/+/pay/{what}");
        let (mut ends, mut threads) = (Vec::new(), Vec::new());
        let names: Vec<String> = kiosks.iter().map(|(name, _)| name.clone()).collect();
        let (client, connection) = connect("gateways", gateways);
        let (known, ears) = (client.clone(), Arc::clone(&road));
        threads.push(std::thread::spawn(move || {
            let whose =
                |topic: &str| names.iter().position(|name| topic.split('/').nth(3) == Some(name)).map(|at| at + 1);
            ears.listen(&known, connection, &[said("reply"), said("notice")], whose);
        }));
        ends.push(client);
        for (name, port) in kiosks {
            let (client, connection) = connect(name, *port);
            let (known, ears) = (client.clone(), Arc::clone(&road));
            threads.push(std::thread::spawn(move || ears.listen(&known, connection, &[said("request")], |_| Some(0))));
            ends.push(client);
        }
        let (clients, carrier) = (ends.clone(), Arc::clone(&road));
        threads.push(std::thread::spawn(move || carrier.carry(&clients)));
        Self { road, ends, threads }
    }

    /// From now on what is said passes at once; what is held comes in its time.
    pub fn calm(&self) {
        self.road.held().calm = true;
    }

    /// All that is held comes now.
    pub fn release(&self) {
        let mut held = self.road.held();
        let now = Instant::now();
        let letters = std::mem::take(&mut held.letters);
        held.letters =
            letters.into_iter().map(|((due, number, nth), letter)| ((due.min(now), number, nth), letter)).collect();
        self.road.woken.notify_all();
    }

    pub fn held(&self) -> usize {
        self.road.held().letters.len()
    }

    pub fn carried(&self) -> Carried {
        self.road.held().carried
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.road.over.store(true, SeqCst);
        self.road.woken.notify_all();
        for end in &self.ends {
            let _ = end.try_disconnect();
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
