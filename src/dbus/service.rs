//! What may be asked of the kiosk: one method an operation.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use tokio::sync::watch;
use zbus::message::Header;
use zbus::{Connection, interface};

use super::ask_bus;
use super::error::{Error, parsed, parsed_by};
use super::handle::{KioskHandle, Screenshot};
use super::polkit::Polkit;
use super::shown::Shown;
use super::signed::Writer;
use crate::operation::{Actor, CheckResult, Finding, Findings, Operation, Outcome, Reason, Request, RequestId, Rights};
use crate::parking::ticket::Plate;
use crate::signed::statement::Holder;
use crate::vocabulary::{ClaimSettlement, Corner, Outlet};

#[derive(Clone)]
pub(super) struct Service {
    kiosk: KioskHandle,
    news: watch::Receiver<Arc<Shown>>,
    /// `None`: all who may call may do everything.
    polkit: Option<Arc<Polkit>>,
    writer: Arc<Writer>,
}

impl Service {
    pub fn new(
        kiosk: KioskHandle,
        news: watch::Receiver<Arc<Shown>>,
        polkit: Option<Arc<Polkit>>,
        writer: Writer,
    ) -> Self {
        Self { kiosk, news, polkit, writer: Arc::new(writer) }
    }

    /// The order that has begun with it.
    async fn begin(&self, asked: Operation, call: &Header<'_>, bus: &Connection) -> Result<String, Error> {
        match self.outcome(asked, call, bus).await? {
            Outcome::Changed { order: Some(order), .. } => Ok(order.to_string()),
            _ => Ok(String::new()),
        }
    }

    /// Whether something is otherwise than before.
    async fn change(&self, asked: Operation, call: &Header<'_>, bus: &Connection) -> Result<bool, Error> {
        self.outcome(asked, call, bus).await.map(|outcome| outcome != Outcome::Unchanged)
    }

    /// Under a number of its own.
    async fn outcome(&self, asked: Operation, call: &Header<'_>, bus: &Connection) -> Result<Outcome, Error> {
        self.outcome_of(number()?, asked, call, bus).await
    }

    /// For who has called, as the bus knows them.
    async fn outcome_of(
        &self,
        id: RequestId,
        asked: Operation,
        call: &Header<'_>,
        bus: &Connection,
    ) -> Result<Outcome, Error> {
        let uid = caller(call, bus).await?;
        let by = Actor::Technician { uid };
        let rights = match &self.polkit {
            Some(polkit) => polkit.rights(&asked, uid, call).await?,
            None => Rights::ALL,
        };
        let request = Request { id, by, rights, live: true, expired: false, asked: asked.clone() };
        match self.kiosk.operate(request).await? {
            done @ (Outcome::Changed { .. } | Outcome::Energised { .. } | Outcome::Unchanged) => Ok(done),
            Outcome::Refused { why } => Err(Error::refused(&asked, &why)),
            Outcome::Failed { why } => Err(Error::failed(&asked, &why)),
        }
    }
}

/// Who has called, as the bus knows them.
async fn caller(call: &Header<'_>, bus: &Connection) -> Result<u32, Error> {
    let sender = call.sender().ok_or_else(|| Error::nobody(&zbus::Error::MissingField))?;
    ask_bus(bus, "GetConnectionUnixUser", sender.as_str()).await.map_err(|why| Error::nobody(&why))
}

/// No other request has it.
fn number() -> Result<RequestId, Error> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(Error::unavailable)?;
    let number = format!("bus-{}", data_encoding::HEXLOWER.encode(&bytes));
    Ok(RequestId::parse(&number).expect("letters, digits and `-`"))
}

/// What may be asked of the kiosk. Each is done or refused, and in the ledger with the caller's user number, before it is
/// answered.
#[interface(name = "org.kioskd.Kiosk1.Service")]
impl Service {
    /// Takes the kiosk out of service; the reason, one line of 1 to 200 characters, is on the glass. `changed`: it was not
    /// locked for this reason before.
    #[zbus(out_args("changed"))]
    async fn lock(
        &self,
        reason: &str,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<bool, Error> {
        let reason = parsed::<Reason>(reason)?;
        self.change(Operation::Lock { reason }, &call, bus).await
    }

    /// Puts it back into service.
    #[zbus(out_args("changed"))]
    async fn unlock(
        &self,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<bool, Error> {
        self.change(Operation::Unlock, &call, bus).await
    }

    /// So many units lie in the slot.
    #[zbus(out_args("changed"))]
    async fn set_stock(
        &self,
        slot: &str,
        count: u32,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<bool, Error> {
        let slot = parsed(slot)?;
        self.change(Operation::SetStock { slot, count }, &call, bus).await
    }

    /// Every slot is full, and none is faulty any more.
    #[zbus(out_args("changed"))]
    async fn refill(
        &self,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<bool, Error> {
        self.change(Operation::Refill, &call, bus).await
    }

    /// These slots are full, and none of them is faulty any more. All of them or none.
    #[zbus(out_args("changed"))]
    async fn refill_slots(
        &self,
        slots: Vec<String>,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<bool, Error> {
        let slots = slots.iter().map(|slot| parsed(slot)).collect::<Result<_, _>>()?;
        self.change(Operation::RefillSlots { slots }, &call, bus).await
    }

    /// So many units were put into these slots, on top of what lay there; all of it or nothing. `request`: letters, digits, `_`,
    /// `-` and `.`, at most 64, chosen by who asks: asked once more under the same one, nothing is added and the answer is the
    /// first one's. Where it is empty, the call is a request of its own.
    #[zbus(out_args("changed"))]
    async fn add_stock(
        &self,
        units: BTreeMap<String, u32>,
        request: &str,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<bool, Error> {
        let none = || Error::argument("Nothing was added: 0 units are no units; write at least 1");
        let units = units
            .iter()
            .map(|(slot, count)| Ok((parsed(slot)?, NonZeroU32::new(*count).ok_or_else(none)?)))
            .collect::<Result<_, Error>>()?;
        let id = if request.is_empty() { number()? } else { parsed(request)? };
        let outcome = self.outcome_of(id, Operation::AddStock { units }, &call, bus).await?;
        Ok(outcome != Outcome::Unchanged)
    }

    /// A person has decided a claim. `how`: `delivered`, the customer has the goods; `refund`, the rest goes back through the
    /// provider; `paid-outside`, it was paid back by other means.
    #[zbus(out_args("changed"))]
    async fn settle_claim(
        &self,
        order: &str,
        how: &str,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<bool, Error> {
        let order = parsed(order)?;
        let how = match how {
            "delivered" => ClaimSettlement::Delivered,
            "refund" => ClaimSettlement::Refund,
            "paid-outside" => ClaimSettlement::PaidOutside,
            _ => {
                return Err(Error::argument(
                    "This is no way to settle a claim; write delivered, refund or paid-outside",
                ));
            }
        };
        self.change(Operation::SettleClaim { order, how }, &call, bus).await
    }

    /// Gives one unit of a product away. `order`: the order that has begun with it.
    #[zbus(out_args("order"))]
    async fn vend(
        &self,
        product: &str,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<String, Error> {
        let product = parsed(product)?;
        self.begin(Operation::Vend { product }, &call, bus).await
    }

    /// One unit out of this slot, faulty or not, to see whether it works; no revenue. `order`: the order that has begun with
    /// it.
    #[zbus(out_args("order"))]
    async fn test_vend(
        &self,
        slot: &str,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<String, Error> {
        let slot = parsed(slot)?;
        self.begin(Operation::TestVend { slot }, &call, bus).await
    }

    /// Somebody works on the machine, or does no more: meanwhile nothing is sold.
    #[zbus(out_args("changed"))]
    async fn maintenance(
        &self,
        on: bool,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<bool, Error> {
        self.change(Operation::Maintenance { on }, &call, bus).await
    }

    /// Energises a relay once, whatever lies in its slot and with the door open too; in maintenance alone. `outlet`: a slot's
    /// name, or `gate:LANE`. `known`: a sensor can say what came of it; `fell`: so many units, which are taken from the
    /// stock, or cars.
    #[zbus(out_args("known", "fell"))]
    async fn pulse(
        &self,
        outlet: &str,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<(bool, u32), Error> {
        let outlet = parsed_by(outlet, Outlet::named)?;
        match self.outcome(Operation::Pulse { outlet }, &call, bus).await? {
            Outcome::Energised { counted: Some(fell), .. } => Ok((true, fell)),
            _ => Ok((false, 0)),
        }
    }

    /// One car may pass the gate; answered when the lane says what came of it, which may take minutes. `reason`, here and
    /// below: one line of 1 to 200 characters, which is on record.
    #[zbus(out_args("changed"))]
    async fn raise(
        &self,
        reason: &str,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<bool, Error> {
        let reason = parsed(reason)?;
        self.change(Operation::Raise { reason }, &call, bus).await
    }

    /// The gate stays open until it is released.
    #[zbus(out_args("changed"))]
    async fn keep_open(
        &self,
        reason: &str,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<bool, Error> {
        let reason = parsed(reason)?;
        self.change(Operation::KeepOpen { reason }, &call, bus).await
    }

    /// The gate is no longer kept open, and the lane may lower it, whoever has raised it.
    #[zbus(out_args("changed"))]
    async fn release(
        &self,
        reason: &str,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<bool, Error> {
        let reason = parsed(reason)?;
        self.change(Operation::Release { reason }, &call, bus).await
    }

    /// A ticket counts no more: it is lost, or its car is not there. `ticket`: its number, as printed or as typed.
    #[zbus(out_args("changed"))]
    async fn void_ticket(
        &self,
        ticket: &str,
        reason: &str,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<bool, Error> {
        let (ticket, reason) = (parsed(ticket)?, parsed(reason)?);
        self.change(Operation::VoidTicket { ticket, reason }, &call, bus).await
    }

    /// So many cars are inside: a person has counted them.
    #[zbus(out_args("changed"))]
    async fn cars_inside(
        &self,
        cars: u32,
        reason: &str,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<bool, Error> {
        let reason = parsed(reason)?;
        self.change(Operation::CarsInside { cars, reason }, &call, bus).await
    }

    /// What the customer sees on the glass now. `png`: a file, at most some megabytes; `code`: what the code says that is
    /// shown, empty where none is.
    #[zbus(out_args("png", "code"))]
    async fn screenshot(&self) -> Result<(Vec<u8>, String), Error> {
        let Screenshot { frame, code } = self.kiosk.picture().await?;
        let encoded = tokio::task::spawn_blocking(move || frame.png()).await.map_err(Error::unavailable)?;
        Ok((encoded.map_err(Error::unavailable)?, code.unwrap_or_default()))
    }

    /// Makes a report of what was taken since the last one, and prints it. `number`: the report's.
    #[zbus(out_args("number"))]
    async fn cash_up(
        &self,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<u32, Error> {
        match self.outcome(Operation::CashUp, &call, bus).await? {
            Outcome::Changed { report: Some(number), .. } => Ok(number),
            other => Err(Error::unavailable(other)),
        }
    }

    /// Shows a mark in a corner of the glass and waits up to 20 seconds for a finger, to see whether it comes out where it
    /// touches; in maintenance alone, and not on record, because nothing comes of it. `corner`: `top-left`, `top-right` or
    /// `bottom-left`, a tenth of the picture inside of it. `touched`: a finger came; `x`, `y`: there, 0 to 1 from the left
    /// and from the top. `rotation`, `calibration`: how the touch sensor is read, as in the configuration.
    #[zbus(out_args("touched", "x", "y", "rotation", "calibration"))]
    async fn mark(&self, corner: &str) -> Result<(bool, f64, f64, u32, String), Error> {
        let Some(corner) = Corner::parse(corner) else {
            return Err(Error::argument("There is no mark in this corner; write top-left, top-right or bottom-left"));
        };
        Ok(self.kiosk.mark(corner).await?.map_or((false, 0.0, 0.0, 0, String::new()), |touched| {
            (true, touched.spot.x, touched.spot.y, touched.rotation, touched.calibration.to_string())
        }))
    }

    /// A camera has read this number plate of a car at the gate; what comes of it is on record, and the plate alone is not. `plate`:
    /// 2 to 10 letters and digits; spaces, dashes and dots between them count nothing.
    async fn plate_seen(&self, plate: &str) -> Result<(), Error> {
        let plate = Plate::typed(plate).map_err(|why| Error::argument(format!("No plate was taken: {why}")))?;
        self.kiosk.plate_seen(plate).await
    }

    /// Prints a page on which the paper's width, its characters and its code can be looked at.
    async fn print_test(
        &self,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<(), Error> {
        self.outcome(Operation::PrintTest, &call, bus).await.map(drop)
    }

    /// Prints a report once more, as a copy.
    async fn print_report(
        &self,
        number: u32,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<(), Error> {
        self.outcome(Operation::PrintReport { number }, &call, bus).await.map(drop)
    }

    /// Restarts the board, between sales. It is answered before the board goes down, and where it can't be done, why, and what
    /// to do about it.
    async fn reboot(
        &self,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<(), Error> {
        self.outcome(Operation::Reboot, &call, bus).await.map(drop)
    }

    /// `languages`: those that the glass offers, the first to a new customer; `configured`: those of which they are chosen.
    #[zbus(out_args("languages", "configured"))]
    fn languages(&self) -> (Vec<String>, Vec<String>) {
        let shown = self.news.borrow();
        (shown.languages.clone(), shown.languages_configured.clone())
    }

    /// The glass offers these languages, at least one and each once, in this order, from its next first page on; the first is
    /// the one that a new customer sees. `changed`: they were others before, or in another order.
    #[zbus(out_args("changed"))]
    async fn set_languages(
        &self,
        languages: Vec<String>,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<bool, Error> {
        let languages = languages.iter().map(|language| parsed(language)).collect::<Result<_, _>>()?;
        self.change(Operation::Languages { languages }, &call, bus).await
    }

    /// Puts on record what a person has found when they tested the machine: of each check the part, `well`, `unknown` or
    /// `wrong`, and what was seen, one line each; at most 400, and 44 KiB as they stand in an event. `request`: the number
    /// under which it is on record.
    #[zbus(out_args("request"))]
    async fn record_test(
        &self,
        checks: Vec<(String, String, String)>,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<String, Error> {
        let no_result = || Error::argument("A check is well, unknown or wrong, and nothing else");
        let finding = |(part, result, says): &(String, String, String)| {
            let result = CheckResult::parse(result).ok_or_else(no_result)?;
            Ok(Finding { part: parsed(part)?, result, says: parsed(says)? })
        };
        // Of many too many nothing is read.
        let checks = checks.iter().take(Findings::MOST + 1).map(finding).collect::<Result<_, Error>>()?;
        let checks = Findings::new(checks).map_err(|why| Error::argument(format!("Nothing was recorded: {why}")))?;
        let id = number()?;
        self.outcome_of(id.clone(), Operation::RecordTest { checks }, &call, bus).await?;
        Ok(id.to_string())
    }

    /// A test that is on record, by the number of its request, or the newest where that is empty: for people, and as a
    /// document that the kiosk has signed, where it has a key.
    #[zbus(out_args("text", "document"))]
    async fn test_report(&self, request: &str) -> Result<(String, String), Error> {
        let id = if request.is_empty() { None } else { Some(parsed::<RequestId>(request)?) };
        let test = self.kiosk.read(move |reader| reader.test(id.as_ref())).await?;
        self.writer.report(test.ok_or_else(|| Error::no_such_test(request))?)
    }

    /// Signs that the caller has a bundle here and now whose manifest has this SHA-256, in lower-case hexadecimal, and nothing
    /// else; it is not on record, because nothing comes of it. `seal`: a flattened JWS.
    #[zbus(out_args("seal"))]
    async fn seal_bundle(
        &self,
        sha256: &str,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<String, Error> {
        let sha256 = parsed(sha256)?;
        let seal =
            self.writer.seal(sha256, Holder::User { uid: caller(&call, bus).await? }).map_err(Error::unavailable)?;
        seal.ok_or_else(Error::no_signing_key)
    }
}
