//! An answer that is lost, by a kiosk on the bus that is none: it hears the request and goes before it has answered.

use std::collections::BTreeMap;
use std::sync::mpsc::{Sender, channel};

use zbus::connection::Builder;
use zbus::{Connection, interface};

use crate::bus::kit::{Bus, NAME, PATH};
use kioskd_tests::PATIENCE;
use kioskd_tests::child::command;

type Heard = (BTreeMap<String, u32>, String);

struct Stub {
    heard: Sender<Heard>,
    answers: bool,
}

#[interface(name = "org.kioskd.Kiosk1.Service")]
impl Stub {
    async fn add_stock(&self, units: BTreeMap<String, u32>, request: String) -> bool {
        self.heard.send((units, request)).unwrap();
        if !self.answers {
            std::future::pending::<()>().await;
        }
        true
    }
}

async fn serve(bus: &Bus, heard: Sender<Heard>, answers: bool) -> Connection {
    let builder = Builder::address(bus.address().as_str()).serve_at(PATH, Stub { heard, answers });
    builder.name(NAME).build().await.unwrap()
}

#[test]
fn what_is_added_is_asked_for_again_under_the_same_number() {
    let bus = Bus::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (tell, heard) = channel();
    let first = runtime.block_on(serve(&bus, tell.clone(), false));
    let mut kioskctl = command(env!("CARGO_BIN_EXE_kioskctl"));
    kioskctl
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
        .args(["refill", "--add", "A1=5", "--add", "B2=1", "--add", "A1=2"]);
    let told = std::thread::scope(|scope| {
        let asked = scope.spawn(|| kioskctl.output().unwrap());
        let once = heard.recv_timeout(PATIENCE).unwrap();
        runtime.block_on(first.close()).unwrap();
        let _second = runtime.block_on(serve(&bus, tell, true));
        let again = heard.recv_timeout(PATIENCE).unwrap();
        assert_eq!(once, again);
        assert_eq!(once.0, [("A1".to_owned(), 7), ("B2".to_owned(), 1)].into());
        assert!(once.1.starts_with("ctl-") && once.1.len() > 16, "{once:?}");
        asked.join().unwrap()
    });
    assert_eq!(String::from_utf8_lossy(&told.stdout), "done\n", "{}", String::from_utf8_lossy(&told.stderr));
    assert_eq!(told.status.code(), Some(0));
}
