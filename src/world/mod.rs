//! The wire between the simulated drivers of a `kioskd run` and the world around it (its parent, or a test).
//!
//! One Unix socket. A frame is two little-endian `u32` lengths, then a JSON message, then raw bytes (pixels). The kiosk
//! asks with [`ToWorld::Ask`] and gets one [`ToKiosk::Answer`] with the same number, or none at all: a provider that
//! can't be reached does not say so. Nothing here decides anything.

mod client;

pub use client::{Unsolicited, World, WorldError};

use std::io::{self, Read, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::operation::{Operation, RequestId, Version};
use crate::vocabulary::{Point, Rect, Target};

/// Larger than a whole 4K frame is a broken peer.
const MAX_BYTES: u32 = 64 << 20;
const MAX_JSON: u32 = 4 << 20;

/// From the kiosk's drivers to the world.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToWorld {
    /// First message: which lines there are, so that the world can show them before they move.
    Hello { lines: Vec<LineName>, slots: Vec<SlotWiring>, panel: (u32, u32) },
    /// Damaged rectangles; the bytes are their pixels row by row, XRGB little-endian, one rectangle after the other.
    Frame { rects: Vec<Rect>, scene: Scene },
    /// The `state` document changed.
    State { document: Value },
    /// A request that wants an answer.
    Ask { id: u64, ask: Ask },
    /// Answer to [`ToKiosk::Ask`].
    Answer { id: u64, answer: Value },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Drive an output; answered with `null` when the line has the level.
    SetLine { line: String, active: bool },
    /// Level of an input; answered with a boolean.
    GetLine { line: String },
    /// One I²C transfer: write, then read that many bytes; answered with an array of numbers.
    I2c { address: u8, write: Vec<u8>, read: usize },
    /// Bytes to the printer's port; answered with `null` when it has taken them.
    PrinterWrite { bytes: Vec<u8> },
    /// Bytes the printer has sent since the last call, waiting at most that long for the first.
    PrinterRead { wait_ms: u64 },
    /// A request to the pretend wallet provider.
    Rail { request: Value },
    /// Take the plug out and put it in again; answered with `null` before that.
    Reboot,
    /// To the installer of the machine's software; answered with what runs then.
    Copies { ask: CopyAsk },
}

/// The simulated machine has two copies of its software, and a boot loader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyAsk {
    Look,
    /// The copy that does not run is being written.
    Write,
    /// It is, and starts next.
    Written {
        version: Version,
    },
    /// The one that runs has all its attempts again. `next`: it starts next.
    Good {
        next: bool,
    },
    OtherNext,
    /// It is not started any more.
    OtherNever,
}

/// From the world to the kiosk's drivers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToKiosk {
    Answer {
        id: u64,
        answer: Result<Value, String>,
    },
    /// The finger comes down, moves or is lifted. `at`: where it is on the panel, in its pixels; `ms`: when, by the world's
    /// own clock, like the time that an input device gives to its events.
    Finger {
        at: Option<Point>,
        ms: u64,
    },
    /// An input changed by itself.
    Input {
        line: String,
        active: bool,
    },
    /// The provider calls by itself: body as it would arrive over the network.
    RailNotice {
        body: Value,
    },
    /// Somebody holds a code before the scanner.
    Scanned {
        text: String,
    },
    /// From now on the wall clock is so much ahead of this machine's own. It is behind where this is negative. The monotonic
    /// clock goes on as it did.
    Clock {
        offset_ms: i64,
    },
    /// What only the kiosk knows; answered with [`ToWorld::Answer`].
    Ask {
        id: u64,
        ask: Question,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// The ledger's orders, newest first, as `GET /api/orders` shows them.
    Orders,
    /// The whole story of one order; the newest if `None`.
    Why { order: Option<String> },
    /// What has been asked of the machine, newest first.
    Operations,
    /// Somebody at the page asks for something; answered with its outcome.
    Operate { id: RequestId, asked: Operation },
}

/// What is on the glass, beside its pixels.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    pub page: String,
    pub order: Value,
    pub targets: Vec<Target>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineName {
    pub name: String,
    /// `relay`, `input` or `output` (a sensor's emitter).
    pub kind: String,
}

/// Which relay turns which slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotWiring {
    pub slot: String,
    pub line: String,
    pub stock: u32,
}

#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("the world's socket: {0}")]
    Io(#[from] io::Error),
    #[error("the world's socket carries something that is not its protocol: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the world's socket announces a frame of {0} bytes")]
    TooLarge(u32),
}

/// Writes one frame; flushes.
pub fn send(to: &mut impl Write, message: &impl Serialize, bytes: &[u8]) -> Result<(), WireError> {
    put(to, &begin(message, bytes)?, bytes)
}

/// All of a frame but its bytes. Apart from the writing, because a long message takes its time and others wait to write.
fn begin(message: &impl Serialize, bytes: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut frame = vec![0; 8];
    serde_json::to_writer(&mut frame, message)?;
    let json = frame.len() as u32 - 8;
    frame[..4].copy_from_slice(&json.to_le_bytes());
    frame[4..8].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
    Ok(frame)
}

fn put(to: &mut impl Write, begin: &[u8], bytes: &[u8]) -> Result<(), WireError> {
    to.write_all(begin)?;
    to.write_all(bytes)?;
    to.flush()?;
    Ok(())
}

/// Reads one frame; `None` where the peer has closed between two.
pub fn receive<M: for<'a> Deserialize<'a>>(from: &mut impl Read) -> Result<Option<(M, Vec<u8>)>, WireError> {
    let mut head = [0; 8];
    match from.read_exact(&mut head) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(e.into()),
    }
    let json_len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let bytes_len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    if json_len > MAX_JSON || bytes_len > MAX_BYTES {
        return Err(WireError::TooLarge(json_len.max(bytes_len)));
    }
    let mut json = vec![0; json_len as usize];
    from.read_exact(&mut json)?;
    let mut bytes = vec![0; bytes_len as usize];
    from.read_exact(&mut bytes)?;
    Ok(Some((serde_json::from_slice(&json)?, bytes)))
}

/// How long a driver waits for the world before it calls the device unreachable.
pub const DEVICE_TIMEOUT: Duration = Duration::from_millis(800);
