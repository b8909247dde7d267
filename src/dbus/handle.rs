//! What the bus wants of the kiosk, and how it waits for the answer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use super::error::Error;
use crate::config::Calibration;
use crate::ledger::{LedgerError, Reader};
use crate::operation::{Outcome, Refusal, Request};
use crate::parking::ticket::Plate;
use crate::screen::Frame;
use crate::vocabulary::{Corner, Spot};

/// Calls that are under way.
const PLACES: usize = 16;

/// Hears what came of a request, or why nobody can say. Dropped, there is no answer.
pub type Answered = Box<dyn FnOnce(Result<Outcome, String>) + Send>;

/// Reads the ledger, on a thread for it. Dropped, there is no answer.
pub type Read = Box<dyn FnOnce(&Reader) + Send>;

/// Hears what is on the glass, or why nobody sees anything there. Dropped, there is no answer.
pub type Picture = Box<dyn FnOnce(Result<Screenshot, String>) + Send>;

/// What the customer sees.
#[derive(Debug, Clone)]
pub struct Screenshot {
    pub frame: Frame,
    /// What the code says that is shown.
    pub code: Option<String>,
}

/// A glass that draws answers much sooner.
const PICTURE_PATIENCE: Duration = Duration::from_secs(5);

/// A mark on the glass waits so long for a finger: less than a caller waits for the answer.
const MARK_WAITS: Duration = Duration::from_secs(20);

/// Where a finger came down, and how the touch sensor is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Touched {
    pub spot: Spot,
    pub calibration: Calibration,
    /// Degrees by which the picture is turned on the panel, clockwise: 0, 90, 180 or 270.
    pub rotation: u32,
}

/// A mark for a finger. Dropped, none has come, or it is not shown any more.
#[derive(Debug)]
pub struct Mark {
    pub corner: Corner,
    pub touched: oneshot::Sender<Result<Touched, Refusal>>,
}

/// What the kiosk is asked, and answers once.
pub enum Ask {
    Operate {
        request: Request,
        answered: Answered,
    },
    Read(Read),
    Picture(Picture),
    /// In place of one that is there.
    Mark(Mark),
    /// A mark that nobody waits for any more can go.
    MarkIsLeft,
    /// A camera has read this plate of a car at the gate.
    PlateSeen {
        plate: Plate,
        taken: oneshot::Sender<Result<(), Refusal>>,
    },
}

#[derive(Clone)]
pub(super) struct KioskHandle {
    ask: Arc<dyn Fn(Ask) + Send + Sync>,
    places: Arc<Semaphore>,
}

impl KioskHandle {
    pub fn new(ask: impl Fn(Ask) + Send + Sync + 'static) -> Self {
        Self { ask: Arc::new(ask), places: Arc::new(Semaphore::new(PLACES)) }
    }

    /// Ends when the outcome is on disk.
    pub async fn operate(&self, request: Request) -> Result<Outcome, Error> {
        let _place = self.places.try_acquire().map_err(|_| Error::busy())?;
        let (tell, heard) = oneshot::channel();
        let answered = Box::new(move |outcome| drop(tell.send(outcome)));
        (self.ask)(Ask::Operate { request, answered });
        heard.await.map_err(|_| Error::no_answer())?.map_err(Error::unavailable)
    }

    /// What the customer sees.
    pub async fn picture(&self) -> Result<Screenshot, Error> {
        let _place = self.places.try_acquire().map_err(|_| Error::busy())?;
        let (tell, heard) = oneshot::channel();
        (self.ask)(Ask::Picture(Box::new(move |picture| drop(tell.send(picture)))));
        match tokio::time::timeout(PICTURE_PATIENCE, heard).await {
            Ok(Ok(picture)) => picture.map_err(Error::unavailable),
            Ok(Err(_)) | Err(_) => Err(Error::unavailable("the glass does not answer; look at Devices")),
        }
    }

    /// `None`: no finger came while the mark was there.
    pub async fn mark(&self, corner: Corner) -> Result<Option<Touched>, Error> {
        let _place = self.places.try_acquire().map_err(|_| Error::busy())?;
        let (touched, heard) = oneshot::channel();
        (self.ask)(Ask::Mark(Mark { corner, touched }));
        let heard = tokio::time::timeout(MARK_WAITS, heard).await;
        match heard {
            Ok(Ok(Ok(touched))) => Ok(Some(touched)),
            Ok(Ok(Err(why))) => Err(Error::not_shown(&why)),
            Ok(Err(_)) => Ok(None),
            Err(_) => {
                (self.ask)(Ask::MarkIsLeft);
                Ok(None)
            }
        }
    }

    /// Ends when the kiosk has taken it.
    pub async fn plate_seen(&self, plate: Plate) -> Result<(), Error> {
        let _place = self.places.try_acquire().map_err(|_| Error::busy())?;
        let (taken, heard) = oneshot::channel();
        (self.ask)(Ask::PlateSeen { plate, taken });
        heard.await.map_err(|_| Error::no_answer())?.map_err(|why| Error::no_plate(&why))
    }

    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, Error> {
        let _place = self.places.try_acquire().map_err(|_| Error::busy())?;
        let (tell, heard) = oneshot::channel();
        (self.ask)(Ask::Read(Box::new(move |reader| drop(tell.send(read(reader))))));
        heard.await.map_err(|_| Error::no_answer())?.map_err(|error| Error::unavailable(error.to_string()))
    }
}
