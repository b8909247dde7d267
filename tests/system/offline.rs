//! Weeks without a broker, in a machine whose time passes when nobody has anything to do.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Seen;
use crate::guest::{PROVIDER, STATE, Street, post, shown, until};
use crate::street::{Order, tell};

impl Street {
    pub fn offline(&mut self, hours: u64, minutes: u64, products: &[(u32, u32)]) {
        let began = Instant::now();
        let whole = Duration::from_secs(3_600) * hours as u32;
        let (mut sales, mut quarter) = (0, 0);
        while began.elapsed() < whole {
            let customer = Instant::now();
            self.blind_sale(products[sales as usize % products.len()]);
            sales += 1;
            std::thread::sleep((Duration::from_secs(60) * minutes as u32).saturating_sub(customer.elapsed()));
            if began.elapsed() * 4 >= whole * (quarter + 1) {
                quarter += 1;
                let size = |file: &str| fs::metadata(format!("{STATE}/{file}")).map_or(0, |found| found.len());
                let disk = size("kiosk.db") + size("kiosk.db-wal");
                tell(&Seen::Quarter { sales, own: own_memory(), memory: shown("MemoryCurrent"), disk });
            }
        }
        assert!(Command::new("systemctl").args(["start", "lab-broker"]).status().unwrap().success());
    }

    /// A customer who knows where everything is, and whose wallet knows what there is to pay.
    fn blind_sale(&mut self, product: (u32, u32)) {
        let mut places = self.eye.known();
        places[1] = product;
        for (x, y) in places {
            self.finger.as_mut().expect("a touch sensor").tap(x, y);
            std::thread::sleep(Duration::from_secs(1));
        }
        let open = until("a charge", || {
            let book: Value = ureq::get(format!("{PROVIDER}/_book")).call().unwrap().body_mut().read_json().unwrap();
            let newest = book["charges"].as_array()?.last()?.clone();
            (newest["paid"] == 0 && newest["state"] != "CLOSED").then_some(newest)
        });
        self.board.tell(Order::Paid);
        let answer = post("/_pay", &json!({ "out_trade_no": open["id"] }));
        assert_eq!(answer["result"], "accepted", "{answer}");
        // The slip comes after the product, and the first page after both.
        std::thread::sleep(Duration::from_secs(30));
        assert!(self.paper.tear_off(), "nothing was printed for {open}");
    }
}

/// What the daemon has taken for itself, in bytes, without the pages of its files that the kernel keeps for it.
fn own_memory() -> u64 {
    let text = fs::read_to_string("/sys/fs/cgroup/system.slice/kioskd.service/memory.stat").unwrap();
    let anonymous = text.lines().find_map(|line| line.strip_prefix("anon ")).expect("a line `anon`");
    anonymous.parse().unwrap()
}
