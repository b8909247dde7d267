//! A broker that refuses subscriptions, as RabbitMQ and EMQX do by their access lists; mosquitto never does.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::kit::*;

/// Packets of MQTT 3.1.1, section 2.2.1: the first byte.
const CONNECT: u8 = 0x10;
const SUBSCRIBE: u8 = 0x82;
const PINGREQ: u8 = 0xc0;

/// Answers each connection, and every subscription but those to topics with this word.
fn broker(refused: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || serve(&stream, refused));
        }
    });
    addr
}

/// To the end of the connection.
fn serve(mut stream: &TcpStream, refused: &str) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = [0; 2];
        reader.read_exact(&mut head).ok()?;
        let [kind, length] = head;
        assert!(length < 128, "its length is one byte");
        let mut body = vec![0; usize::from(length)];
        reader.read_exact(&mut body).ok()?;
        let answer = match kind {
            CONNECT => vec![0x20, 2, 0, 0],
            SUBSCRIBE => {
                let is_refused = String::from_utf8_lossy(&body[4..]).contains(refused);
                vec![0x90, 3, body[0], body[1], if is_refused { 0x80 } else { 1 }]
            }
            PINGREQ => vec![0xd0, 0],
            _ => continue,
        };
        stream.write_all(&answer).ok()?;
    }
}

#[test]
fn a_broker_that_knows_nothing_of_inspections_is_listened_to_all_the_same() {
    let (safe, state) = (Safe::new(), tempfile::tempdir().unwrap());
    let collector = Collector::start(&Store::directory(state.path()), &plain(broker("/inspection"), &safe));
    collector.until("so no inspection is stored: its access list is older than this collector");
    collector.until("the collector listens");
    assert!(!collector.log().contains("refuses the subscription to"), "{}", collector.log());
}

#[test]
fn one_that_keeps_back_the_events_is_not() {
    let (safe, state) = (Safe::new(), tempfile::tempdir().unwrap());
    let collector = Collector::start(&Store::directory(state.path()), &plain(broker("/event/"), &safe));
    collector.until("the broker refuses the subscription to kiosk/v1/test/+/event/");
}
