//! Serving one kiosk at a time: its hello, its frames, and what it asks of its devices.

use std::io::BufReader;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::{Value, json};

use super::super::link::Link;
use super::super::wallet::{self, Response, Wallet};
use super::{CutPoint, SimulatedWorld, lock};
use crate::payment::sandbox::wire::What;
use crate::world::{Ask, ToKiosk, ToWorld, WireError, receive};

/// Longest a read of the printer's port waits.
const PRINTER_WAIT: Duration = Duration::from_secs(10);

impl SimulatedWorld {
    pub(super) fn serve(self: &Arc<Self>, listener: &UnixListener) {
        for stream in listener.incoming() {
            let result = stream.map_err(WireError::from).and_then(|stream| self.attend(&stream));
            if let Err(error) = result {
                tracing::warn!(%error, "the kiosk's socket broke");
            }
        }
    }

    /// From hello to the end of the socket, and what the end means.
    fn attend(self: &Arc<Self>, stream: &UnixStream) -> Result<(), WireError> {
        let link = Arc::new(Link::new(stream)?);
        self.tell_time(&link);
        let result = self.read_all(&link, &mut BufReader::with_capacity(1 << 16, stream));
        let killed = !link.is_open();
        link.close();
        self.kiosk.send_replace(None);
        self.machine.drop_all_relays();
        self.glass.black();
        *lock(&self.document) = Value::Null;
        self.lit.send_replace(false);
        self.ended.fetch_add(1, Ordering::Release);
        self.tell(&json!({ "kind": "frame" }));
        // What a killed kiosk left half said is no fault of the wire.
        if killed { Ok(()) } else { result }
    }

    /// Before a kiosk writes its first record it knows the world's time.
    fn tell_time(&self, link: &Link) {
        let offset_ms = self.ahead.load(Ordering::Acquire);
        if offset_ms != 0 {
            link.send(&ToKiosk::Clock { offset_ms });
        }
    }

    fn read_all(self: &Arc<Self>, link: &Arc<Link>, reader: &mut BufReader<&UnixStream>) -> Result<(), WireError> {
        let printing = self.queue(link, "printer-in");
        let reading = self.queue(link, "printer-out");
        while let Some((message, bytes)) = receive::<ToWorld>(reader)? {
            // Whose plug was pulled is not heard any more.
            if !link.is_open() {
                break;
            }
            match message {
                ToWorld::Hello { lines, slots, panel } => {
                    self.machine.hello(&lines, &slots);
                    lock(&self.copies).start();
                    if let Err(error) = self.glass.resize(panel.0, panel.1) {
                        tracing::error!(%error, "the kiosk has announced a panel that can't be shown");
                        break;
                    }
                    self.kiosk.send_replace(Some(Arc::clone(link)));
                    // Wound on since it came, and before anybody could send it anything.
                    self.tell_time(link);
                    self.tell(&json!({ "kind": "board" }));
                }
                ToWorld::Frame { rects, scene } => {
                    let pays = scene.page == "pay";
                    if let Err(error) = self.glass.show(&rects, &bytes, scene) {
                        tracing::error!(%error, "the kiosk has sent a frame that can't be shown");
                        continue;
                    }
                    self.lit.send_replace(true);
                    self.tell(&json!({ "kind": "frame" }));
                    if pays {
                        self.reached(CutPoint::FramePay);
                    }
                }
                ToWorld::State { document } => {
                    *lock(&self.document) = document;
                    self.tell(&json!({ "kind": "state" }));
                }
                ToWorld::Answer { id, answer } => link.answered(id, answer),
                ToWorld::Ask { id, ask: ask @ Ask::PrinterWrite { .. } } => drop(printing.send((id, ask))),
                ToWorld::Ask { id, ask: ask @ Ask::PrinterRead { .. } } => drop(reading.send((id, ask))),
                ToWorld::Ask { id, ask: Ask::Rail { request } } => {
                    let (world, link) = (Arc::clone(self), Arc::clone(link));
                    std::thread::Builder::new()
                        .name("rail".into())
                        .spawn(move || world.provider(&link, id, &request))
                        .map(drop)?;
                }
                ToWorld::Ask { id, ask: Ask::Reboot } => {
                    link.answer(id, Ok(Value::Null));
                    // Not by this thread, whose end is a part of it.
                    let world = Arc::clone(self);
                    std::thread::Builder::new().name("plug".into()).spawn(move || world.cut()).map(drop)?;
                }
                ToWorld::Ask { id, ask } => link.answer(id, self.device(ask)),
            }
        }
        Ok(())
    }

    /// One device's requests in order, beside everybody else's; ends with the connection.
    fn queue(self: &Arc<Self>, link: &Arc<Link>, name: &str) -> Sender<(u64, Ask)> {
        let (sender, asks): (_, Receiver<(u64, Ask)>) = channel();
        let (world, link) = (Arc::clone(self), Arc::clone(link));
        let work = move || {
            for (id, ask) in asks {
                link.answer(id, world.device(ask));
            }
        };
        // Without its thread the queue refuses, and the kiosk sees a device that does not answer.
        if let Err(error) = std::thread::Builder::new().name(name.into()).spawn(work) {
            tracing::error!(%error, name, "a device's thread could not be started");
        }
        sender
    }

    fn device(&self, ask: Ask) -> Result<Value, String> {
        match ask {
            Ask::SetLine { line, active } => self.machine.set_line(&line, active).map(|()| Value::Null),
            Ask::GetLine { line } => self.machine.get_line(&line).map(Value::from),
            Ask::I2c { address, write, read } => self.machine.i2c(address, &write, read.min(256)).map(Value::from),
            Ask::PrinterWrite { bytes } => {
                let first = bytes.first().copied();
                if first.is_some() && self.reached(CutPoint::PrinterByte) {
                    return Err("the power is off".into());
                }
                let taken = self.paper.write(&bytes);
                self.tell(&json!({ "kind": "paper" }));
                taken.map(|()| Value::Null)
            }
            Ask::PrinterRead { wait_ms } => {
                Ok(self.paper.read(Duration::from_millis(wait_ms).min(PRINTER_WAIT)).into())
            }
            Ask::Copies { ask } => Ok(lock(&self.copies).asked(ask)),
            Ask::Rail { .. } | Ask::Reboot => Err("nobody asks a device for this".into()),
        }
    }

    /// One request over the network to the provider. Without network both directions are dead, and the kiosk's own
    /// network stack says so.
    fn provider(&self, link: &Link, id: u64, request: &Value) {
        if !self.network_is_up() {
            return link.answer(id, Err("no route to the provider".into()));
        }
        let (ask, request) = match Wallet::read(request) {
            Ok(read) => read,
            Err(error) => return tracing::warn!(%error, "the sandbox's provider can't read a request"),
        };
        let (received, booked) = match ask {
            wallet::Ask::Create => (Some(CutPoint::ChargeCreateReceived), Some(CutPoint::ChargeCreated)),
            wallet::Ask::Refund => (Some(CutPoint::RefundReceived), Some(CutPoint::RefundBooked)),
            wallet::Ask::Close => (Some(CutPoint::CloseReceived), None),
            wallet::Ask::Query | wallet::Ask::QueryRefund | wallet::Ask::Probe => (None, None),
        };
        if received.is_some_and(|point| self.reached(point)) {
            return;
        }
        if let What::Create { charge, .. } = &request.ask {
            self.wallet.belongs(charge.clone(), self.till);
        }
        let response = match self.wallet.respond(ask, request) {
            Ok(response) => response,
            Err(error) => return tracing::error!(%error, "the sandbox's provider can't use its book"),
        };
        if booked.is_some_and(|point| self.reached(point)) {
            return;
        }
        if !matches!(ask, wallet::Ask::Query | wallet::Ask::QueryRefund | wallet::Ask::Probe) {
            self.tell(&json!({ "kind": "wallet" }));
        }
        self.send_notices();
        if let Response::Answer { sealed, after } = response {
            std::thread::sleep(after);
            if self.network_is_up() {
                link.answer(id, Ok(sealed));
            }
        }
    }
}
