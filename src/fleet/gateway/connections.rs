//! Limits the webhook's open connections, and chooses which one is closed when a new one comes.
//!
//! Policy: a connection is unverified until a signature on it was verified. A new connection is accepted at the expense
//! of an unverified one: of the oldest from the same address when there are too many from there, otherwise of the
//! oldest of all when the limit is reached. So clients that open connections and send nothing keep nobody out: a
//! provider sends its request at once.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// This many connections may be open.
const CONNECTIONS: usize = 256;
/// This many unverified connections may come from one address. A proxy of the operator's is one address.
const UNVERIFIED_PER_SOURCE: usize = 32;

#[derive(Default)]
pub(super) struct ConnectionLimiter(Mutex<Table>);

#[derive(Default)]
struct Table {
    next: u64,
    /// By their numbers, which is the order in which they came.
    connections: BTreeMap<u64, Connection>,
}

struct Connection {
    source: IpAddr,
    verified: bool,
    /// Dropping it closes the connection.
    _keep: oneshot::Sender<Infallible>,
}

/// One accepted connection; dropping it makes room for another one.
pub(super) struct Slot {
    limiter: Arc<ConnectionLimiter>,
    number: u64,
}

impl ConnectionLimiter {
    /// Accepts a connection. The receiver ends when the connection must be closed for another one; `None` when the
    /// limit is reached and all connections are verified.
    pub fn admit(self: &Arc<Self>, from: IpAddr) -> Option<(Slot, oneshot::Receiver<Infallible>)> {
        let source = source(from);
        let (keep, evicted) = oneshot::channel();
        let mut table = self.table();
        let unverified = || table.connections.iter().filter(|(_, connection)| !connection.verified);
        let mut alike = unverified().filter(|(_, connection)| connection.source == source).map(|(number, _)| *number);
        let first = alike.next();
        let evict = if alike.count() + 1 >= UNVERIFIED_PER_SOURCE {
            first
        } else if table.connections.len() >= CONNECTIONS {
            Some(unverified().next().map(|(number, _)| *number)?)
        } else {
            None
        };
        if let Some(number) = evict {
            table.connections.remove(&number);
        }
        let number = table.next;
        table.next += 1;
        table.connections.insert(number, Connection { source, verified: false, _keep: keep });
        Some((Slot { limiter: Arc::clone(self), number }, evicted))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// A signature on this connection was verified.
    pub fn verified(&self) {
        if let Some(connection) = self.limiter.table().connections.get_mut(&self.number) {
            connection.verified = true;
        }
    }

    pub fn is_unverified(&self) -> bool {
        self.limiter.table().connections.get(&self.number).is_none_or(|connection| !connection.verified)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.limiter.table().connections.remove(&self.number);
    }
}

/// The address that connections are counted by. Of IPv6 it is the /64 prefix, which is what one subscriber has.
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
        let limiter = Arc::new(ConnectionLimiter::default());
        let mut here: Vec<_> = (0..CONNECTIONS).map(|n| limiter.admit(address(n)).unwrap()).collect();
        here[0].0.verified();
        let (late, mut stays) = limiter.admit(address(CONNECTIONS)).unwrap();
        let gone = |go: &mut oneshot::Receiver<Infallible>| go.try_recv() == Err(oneshot::error::TryRecvError::Closed);
        assert!(!gone(&mut here[0].1) && gone(&mut here[1].1) && !gone(&mut here[2].1) && !gone(&mut stays));
        assert!(!here[0].0.is_unverified() && late.is_unverified());
        // Where all are verified there is no place, until one of them has left.
        here.remove(1);
        here.iter().for_each(|(place, _)| place.verified());
        late.verified();
        assert!(limiter.admit(address(1)).is_none());
        drop(late);
        assert!(limiter.admit(address(1)).is_some());
        drop(here);
        assert!(limiter.table().connections.is_empty());
    }

    #[test]
    fn one_source_has_so_many_and_takes_no_others_place() {
        let limiter = Arc::new(ConnectionLimiter::default());
        let honest = limiter.admit(address(1)).unwrap();
        let one = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, n, 0, 0, n]);
        let mut here: Vec<_> = (0..1000).map(|n| limiter.admit(one(n)).unwrap()).collect();
        assert_eq!(limiter.table().connections.len(), UNVERIFIED_PER_SOURCE + 1);
        let keep = here.iter_mut().filter_map(|(_, go)| go.try_recv().err());
        let keep: Vec<bool> = keep.map(|why| why == oneshot::error::TryRecvError::Empty).collect();
        assert_eq!(keep.iter().position(|stays| *stays), Some(1000 - UNVERIFIED_PER_SOURCE), "the newest are left");
        assert!(honest.0.limiter.table().connections.contains_key(&honest.0.number));
        assert_eq!(source("::ffff:10.0.0.1".parse().unwrap()), address(1));
        assert_ne!(source(one(1)), source("2001:db8:0:2::1".parse().unwrap()));
    }
}
