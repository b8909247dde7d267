//! What fails around a daemon in the street, one after the other.

use std::fs;
use std::path::Path;
use std::process::Command;

use image::RgbImage;
use kioskd::screen::drm::screenshot;
use serde_json::Value;

use crate::Seen;
use crate::guest::{OUTSIDE, PATIENCE, Street, until};
use crate::ssh::over;
use crate::street::{DOOR, Finger, Order, TAMPER, tell};

const UDC: &str = "/sys/kernel/config/usb_gadget/printer/UDC";
pub const CONFIG: &str = "/etc/kioskd/kiosk.toml";
pub const CONNECTOR: &str = "/sys/class/drm/card0-Virtual-1/status";

impl Street {
    pub fn troubles(&mut self) {
        self.office().state("a machine that is well", |state| state["selling"] == true && printer(state) == "ok");
        self.log_in();
        self.troubles_found();
        self.troubles_found_by_hand();
        self.printer();
        self.touch();
        self.screen();
        self.input("door", DOOR);
        self.input("tamper", TAMPER);
        // It sells as before.
        self.sale();
        self.receipt();
        self.eye.page(0);
        self.configuration();
        self.motors();
        self.bus();
    }

    fn sale(&mut self) {
        let stocked = stock(&self.office().state("the stock", |state| stock(state) > 0));
        self.pay();
        self.office().state("a product less", |state| stock(state) < stocked);
    }

    /// It sells without a printer, and prints with it again.
    fn printer(&mut self) {
        fs::write(UDC, "\n").unwrap();
        let state = self.office().state("a printer that is gone", |state| printer(state) != "ok");
        self.told("no printer", state);
        self.sale();
        self.told("sold without a printer", Value::Null);
        self.eye.page(0);
        assert!(!self.paper.is_printed());
        let controllers = fs::read_dir("/sys/class/udc").unwrap();
        let controller = controllers.map(|entry| entry.unwrap().file_name()).next().unwrap();
        fs::write(UDC, controller.as_encoded_bytes()).unwrap();
        self.office().state("a printer that is back", |state| printer(state) == "ok");
        self.sale();
        self.receipt();
        self.eye.page(0);
    }

    fn touch(&mut self) {
        self.finger = None;
        let state = self.office().state("a touch sensor that is gone", |state| !faults(state).is_empty());
        self.told("no touch", state);
        self.finger = Some(Finger::new(1280, 800));
        self.office().state("a touch sensor that is back", |state| faults(state).is_empty());
        self.sale();
        self.receipt();
        self.eye.page(0);
    }

    /// The customer sees nothing, so nothing is sold.
    fn screen(&mut self) {
        fs::write(CONNECTOR, "off").unwrap();
        let state = self.office().state("a screen that is gone", |state| state["selling"] == false);
        self.told("no screen", state);
        fs::write(CONNECTOR, "detect").unwrap();
        self.office().state("a screen that is back", |state| state["selling"] == true);
        self.eye.page(0);
        self.sale();
        self.receipt();
        self.eye.page(0);
    }

    /// Every slot is tried that has it, once, and the money goes back. Nothing of it is sold before somebody has been there.
    fn motors(&mut self) {
        self.board.tell(Order::Jam(true));
        self.pay();
        let state = self.office().state("the slots that are jammed", |state| faults(state).len() == 2);
        self.told("jam", state);
        self.receipt();
        self.board.tell(Order::Jam(false));
    }

    /// The board is restarted by logind, which ends this, too, and switches the machine off.
    pub fn restart(self) -> ! {
        let told = over("technician", &[], &["kioskctl", "reboot", "--yes"]).output().unwrap();
        assert!(String::from_utf8_lossy(&told.stdout).contains("the board restarts"), "{told:?}");
        std::thread::sleep(PATIENCE);
        panic!("the board does not go down");
    }

    /// A file that can't be right is not started with; the glass says so, and a file that is right is taken at once.
    fn configuration(&mut self) {
        let right = fs::read_to_string(CONFIG).unwrap();
        fs::write(CONFIG, right.replace("currency = \"CNY\"", "currency = \"RMB\"")).unwrap();
        assert!(Command::new("systemctl").args(["restart", "kioskd"]).status().unwrap().success());
        self.said("write its ISO 4217 code");
        until("a page that says so", || screenshot().ok());
        self.told("broken configuration", Value::Null);
        // What may mend itself is tried again.
        fs::write(CONFIG, right.replace("pinctrl-bcm2711", "pinctrl-gone")).unwrap();
        self.said("pinctrl-gone");
        until("a page that says so", || screenshot().ok());
        self.told("no board", Value::Null);
        fs::write(CONFIG, right).unwrap();
        self.eye.page(0);
    }

    fn input(&mut self, what: &str, offset: u32) {
        self.board.tell(Order::Drive(offset, true));
        let state = self.office().state(what, |state| state["selling"] == false);
        self.told(what, state);
        self.board.tell(Order::Drive(offset, false));
        self.office().state("what is closed again", |state| state["selling"] == true);
        self.eye.page(0);
    }

    /// `systemctl status` says it.
    fn said(&self, what: &str) {
        until(what, || {
            let status =
                Command::new("systemctl").args(["show", "--property", "StatusText", "kioskd"]).output().unwrap();
            String::from_utf8(status.stdout).unwrap().contains(what).then_some(())
        });
    }

    /// Written down with what a customer sees.
    fn told(&self, what: &str, state: Value) {
        // What is said and what is shown come at the same time, and neither waits for the other.
        std::thread::sleep(std::time::Duration::from_millis(700));
        let glass = format!("glass-{}.png", what.replace(' ', "-"));
        let picture = screenshot().unwrap_or_else(|_| RgbImage::new(8, 8));
        picture.save(Path::new(OUTSIDE).join(&glass)).unwrap();
        tell(&Seen::Trouble { what: what.into(), glass, state });
    }
}

/// Of all slots.
fn stock(state: &Value) -> u64 {
    let slots = state["stock"].as_object().into_iter().flatten();
    slots.map(|(_, slot)| slot["count"].as_u64().unwrap()).sum()
}

fn faults(state: &Value) -> &[Value] {
    state["faults"].as_array().map_or(&[], Vec::as_slice)
}

fn printer(state: &Value) -> &str {
    state["devices"]["printer"]["state"].as_str().unwrap_or_default()
}
