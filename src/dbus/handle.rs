//! What the bus wants of the kiosk, and how it waits for the answer.

use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};

use super::error::Error;
use crate::ledger::{LedgerError, Reader};
use crate::operation::{Outcome, Request};

/// Calls that are under way.
const PLACES: usize = 16;

/// Hears what came of a request, or why nobody can say. Dropped, there is no answer.
pub type Answered = Box<dyn FnOnce(Result<Outcome, String>) + Send>;

/// Reads the ledger, on a thread for it. Dropped, there is no answer.
pub type Read = Box<dyn FnOnce(&Reader) + Send>;

/// What the kiosk is asked, and answers once.
pub enum Ask {
    Operate { request: Request, answered: Answered },
    Read(Read),
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
