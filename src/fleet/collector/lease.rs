//! Which collector looks after which kiosks.
//!
//! Policy: the fleet's kiosks are parted by a hash of their names into shares, and each share is leased to one collector, by
//! the database's clock. A lease that nobody has renewed is free for the others. It spares work; what is stored once is
//! decided by the database alone, so two that both believe to hold a share do no harm.

use std::collections::BTreeSet;
use std::time::Duration;

use super::database::{Database, DatabaseError, transaction};
use super::store::SHARES;
use crate::fleet::topic::Name;

/// A collector that has not been heard of for so long is gone.
pub const TERM: Duration = Duration::from_secs(5);
/// How often a lease is renewed.
pub const RENEW: Duration = Duration::from_secs(1);

/// The share that a kiosk is in: FNV-1a, the same on every machine and in every version.
pub fn share(kiosk: &Name) -> u16 {
    let hash = kiosk
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    // The low bits of short names alone are no good.
    u16::try_from((hash ^ (hash >> 32)) % u64::from(SHARES)).unwrap_or_default()
}

/// Renews what this collector holds, and takes or gives away until all have about the same; what it holds then.
///
/// # Errors
/// The database is away.
pub fn renew(database: &mut dyn Database, fleet: &Name, name: &str) -> Result<BTreeSet<u16>, DatabaseError> {
    let (now, term) = (database.dialect().now(), TERM.as_millis());
    let (fleet, me) = (fleet.as_str(), name);
    transaction(database, |db| {
        let begin = format!(
            "INSERT INTO collector (fleet, name, seen_ms) VALUES ($1, $2, {now})
             ON CONFLICT (fleet, name) DO UPDATE SET seen_ms = excluded.seen_ms"
        );
        db.query(&begin, &[fleet.into(), me.into()])?;
        let gone = format!("DELETE FROM collector WHERE fleet = $1 AND seen_ms < {now} - {term}");
        db.query(&gone, &[fleet.into()])?;
        let all = db.query("SELECT count(*) FROM collector WHERE fleet = $1", &[fleet.into()])?;
        let all = all.first().map_or(1, |row| row[0].count()).max(1);
        let fair = i64::try_from(u64::from(SHARES).div_ceil(all)).unwrap_or(1);
        let keep =
            format!("UPDATE lease SET until_ms = {now} + {term} WHERE fleet = $1 AND holder = $2 RETURNING share");
        let mut held: Vec<i64> =
            db.query(&keep, &[fleet.into(), me.into()])?.iter().map(|row| row[0].number()).collect();
        held.sort_unstable();
        let count = i64::try_from(held.len()).unwrap_or(i64::MAX);
        if count > fair {
            let from = held[usize::try_from(fair).unwrap_or_default()];
            let give = "UPDATE lease SET holder = '', until_ms = 0 WHERE fleet = $1 AND holder = $2 AND share >= $3";
            db.query(give, &[fleet.into(), me.into(), from.into()])?;
            held.retain(|share| *share < from);
        } else if count < fair {
            let take = format!(
                "UPDATE lease SET holder = $2, until_ms = {now} + {term}
                 WHERE fleet = $1 AND until_ms < {now} AND share IN (
                    SELECT share FROM lease WHERE fleet = $1 AND until_ms < {now} ORDER BY share LIMIT {})
                 RETURNING share",
                fair - count
            );
            held.extend(db.query(&take, &[fleet.into(), me.into()])?.iter().map(|row| row[0].number()));
        }
        Ok(held.into_iter().filter_map(|share| u16::try_from(share).ok()).collect())
    })
}

/// Makes the fleet's leases where there are none.
///
/// # Errors
/// The database is away.
pub fn make(database: &mut dyn Database, fleet: &Name) -> Result<(), DatabaseError> {
    transaction(database, |db| {
        let lease = "INSERT INTO lease (fleet, share, holder, until_ms) VALUES ($1, $2, '', 0)
                     ON CONFLICT (fleet, share) DO NOTHING";
        for share in 0..SHARES {
            db.query(lease, &[fleet.as_str().into(), i64::from(share).into()])?;
        }
        Ok(())
    })
}

/// Gives everything back: the others need not wait.
///
/// # Errors
/// The database is away; then the leases run out.
pub fn release(database: &mut dyn Database, fleet: &Name, name: &str) -> Result<(), DatabaseError> {
    transaction(database, |db| {
        let (fleet, me) = (fleet.as_str(), name);
        let give = "UPDATE lease SET holder = '', until_ms = 0 WHERE fleet = $1 AND holder = $2";
        db.query(give, &[fleet.into(), me.into()])?;
        db.query("DELETE FROM collector WHERE fleet = $1 AND name = $2", &[fleet.into(), me.into()]).map(drop)
    })
}
