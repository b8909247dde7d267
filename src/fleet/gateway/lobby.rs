//! Who stands at the door, and who has to go when another one comes.
//!
//! Policy: a connection is a stranger's until something on it was verified. Whoever comes gets a place: with too many
//! strangers from one address the oldest of them goes, and when all places are taken the oldest stranger of all. So
//! strangers who open connections and say nothing keep nobody out: who has something to say says it at once.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Connections at a time.
const PLACES: usize = 256;
/// Strangers of one source. A proxy of the operator's is one, and waits for answers.
const OF_ONE: usize = 32;

#[derive(Default)]
pub(super) struct Lobby(Mutex<Book>);

#[derive(Default)]
struct Book {
    next: u64,
    /// In the order in which they came.
    guests: BTreeMap<u64, Guest>,
}

struct Guest {
    source: IpAddr,
    known: bool,
    /// Dropped, it ends the connection.
    _stay: oneshot::Sender<Infallible>,
}

/// A place, which ends with it.
pub(super) struct Place {
    lobby: Arc<Lobby>,
    number: u64,
}

impl Lobby {
    /// The place, and what ends when its holder has to go; `None` when nobody here is a stranger.
    pub fn enter(self: &Arc<Self>, from: IpAddr) -> Option<(Place, oneshot::Receiver<Infallible>)> {
        let source = source(from);
        let (stay, go) = oneshot::channel();
        let mut book = self.book();
        let strangers = || book.guests.iter().filter(|(_, guest)| !guest.known);
        let mut alike = strangers().filter(|(_, guest)| guest.source == source).map(|(number, _)| *number);
        let first = alike.next();
        let leaves = if alike.count() + 1 >= OF_ONE {
            first
        } else if book.guests.len() >= PLACES {
            Some(strangers().next().map(|(number, _)| *number)?)
        } else {
            None
        };
        if let Some(number) = leaves {
            book.guests.remove(&number);
        }
        let number = book.next;
        book.next += 1;
        book.guests.insert(number, Guest { source, known: false, _stay: stay });
        Some((Place { lobby: Arc::clone(self), number }, go))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Something on this connection was verified.
    pub fn verified(&self) {
        if let Some(guest) = self.lobby.book().guests.get_mut(&self.number) {
            guest.known = true;
        }
    }

    pub fn is_strangers(&self) -> bool {
        self.lobby.book().guests.get(&self.number).is_none_or(|guest| !guest.known)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lobby.book().guests.remove(&self.number);
    }
}

/// One customer's line has a whole /64 of IPv6.
fn source(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(all) => Ipv6Addr::from_bits(all.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: usize) -> IpAddr {
        IpAddr::from([10, 0, (n / 256) as u8, (n % 256) as u8])
    }

    #[test]
    fn the_oldest_stranger_goes_first_and_nobody_who_is_known() {
        let lobby = Arc::new(Lobby::default());
        let mut here: Vec<_> = (0..PLACES).map(|n| lobby.enter(address(n)).unwrap()).collect();
        here[0].0.verified();
        let (late, mut stays) = lobby.enter(address(PLACES)).unwrap();
        let gone = |go: &mut oneshot::Receiver<Infallible>| go.try_recv() == Err(oneshot::error::TryRecvError::Closed);
        assert!(!gone(&mut here[0].1) && gone(&mut here[1].1) && !gone(&mut here[2].1) && !gone(&mut stays));
        assert!(!here[0].0.is_strangers() && late.is_strangers());
        // Where all are known there is no place, until one of them has left.
        here.remove(1);
        here.iter().for_each(|(place, _)| place.verified());
        late.verified();
        assert!(lobby.enter(address(1)).is_none());
        drop(late);
        assert!(lobby.enter(address(1)).is_some());
        drop(here);
        assert!(lobby.book().guests.is_empty());
    }

    #[test]
    fn one_source_has_so_many_and_takes_no_others_place() {
        let lobby = Arc::new(Lobby::default());
        let honest = lobby.enter(address(1)).unwrap();
        let one = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, n, 0, 0, n]);
        let mut here: Vec<_> = (0..1000).map(|n| lobby.enter(one(n)).unwrap()).collect();
        assert_eq!(lobby.book().guests.len(), OF_ONE + 1);
        let stay = here.iter_mut().filter_map(|(_, go)| go.try_recv().err());
        let stay: Vec<bool> = stay.map(|why| why == oneshot::error::TryRecvError::Empty).collect();
        assert_eq!(stay.iter().position(|stays| *stays), Some(1000 - OF_ONE), "the newest are left");
        assert!(honest.0.lobby.book().guests.contains_key(&honest.0.number));
        assert_eq!(source("::ffff:10.0.0.1".parse().unwrap()), address(1));
        assert_ne!(source(one(1)), source("2001:db8:0:2::1".parse().unwrap()));
    }
}
