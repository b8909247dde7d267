//! Ports for servers that are started later, and again after they were killed.
//!
//! A port that the kernel chose is free only while it is held: the next test, or any connection that is made, may get it. These
//! are from below the range that the kernel chooses from (`ip_local_port_range`, from 32768), and each is reserved for the
//! life of the test program by an abstract Unix socket of its name, which no other test program can bind.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Mutex;

const FIRST: u16 = 12_000;
const PORTS: u16 = 20_000;

/// What is reserved until this program ends, and how many were asked for.
static RESERVED: Mutex<(Vec<UnixListener>, u16)> = Mutex::new((Vec::new(), 0));

/// A port on which nobody listens, and which nobody else of these tests is given.
pub fn free_port() -> u16 {
    let mut reserved = RESERVED.lock().unwrap();
    // Programs that run beside each other begin at different places; only the time of their search depends on it.
    let begin = u16::try_from(std::process::id().wrapping_mul(101) % u32::from(PORTS)).unwrap();
    for _ in 0..PORTS {
        let port = FIRST + (begin + reserved.1) % PORTS;
        reserved.1 = (reserved.1 + 1) % PORTS;
        let name = SocketAddr::from_abstract_name(format!("kioskd-tests-port-{port}")).unwrap();
        let Ok(ours) = UnixListener::bind_addr(&name) else { continue };
        // A server of something else may be there.
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            reserved.0.push(ours);
            return port;
        }
    }
    panic!("no port from {FIRST} to {} is free", FIRST + PORTS - 1);
}
