//! What a service manager hears of a kiosk: a socket of our own in the place of systemd's.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use serde_json::json;

use kioskd_tests::PATIENCE;
use kioskd_tests::machine::{Machine, Setup};

struct Manager {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, folder }
    }

    fn hears(&self) -> String {
        let mut said = [0; 4096];
        let length = self.socket.recv(&mut said).expect("the kiosk says nothing");
        String::from_utf8(said[..length].to_vec()).unwrap()
    }

    fn until(&self, what: &str) -> String {
        loop {
            let said = self.hears();
            if said.lines().any(|line| line.starts_with(what)) {
                return said;
            }
        }
    }
}

#[test]
fn a_service_manager_hears_ready_status_alive_and_the_end() {
    let manager = Manager::new();
    let env = vec![
        ("NOTIFY_SOCKET", manager.folder.path().join("notify")),
        // Microseconds.
        ("WATCHDOG_USEC", "900000".into()),
    ];
    let machine = Machine::start(&Setup { env, ..Setup::fast() });
    manager.until("READY=1");
    for _ in 0..3 {
        manager.until("WATCHDOG=1");
    }
    machine.world(json!({ "door": "open" }));
    let status = manager.until("STATUS=not selling");
    assert!(status.contains("door-open"), "{status}");
    drop(machine);
    manager.until("STOPPING=1");
    manager.socket.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    let mut said = [0; 4096];
    while let Ok(length) = manager.socket.recv(&mut said) {
        assert!(!said[..length].starts_with(b"WATCHDOG"), "nobody feeds the watchdog of a dead kiosk");
    }
}
