//! Power cuts: what a disk may hold after one. The log is cut off, overwritten or has garbage behind it.

use kioskd::ledger::{LedgerError, Reader};

use crate::kit::{self, Dice, Kept, Log, Shop};

fn trail() -> Vec<Kept> {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    shop.keep_all();
    shop.varied();
    let mut trail = shop.trail.take().unwrap();
    trail.retain(|kept| kept.records > 0);
    trail
}

/// Opens such files; the number of the last record, the whole chain verified.
fn opened(db: &[u8], wal: &[u8], when: &str) -> u64 {
    let copy = kit::lay(db, wal);
    let ledger = kit::open(copy.path()).unwrap_or_else(|error| panic!("{when}: {error}"));
    ledger.recover().unwrap_or_else(|error| panic!("{when}: {error}"));
    match (ledger.seq(), Reader::open(copy.path()).unwrap().verify()) {
        (0, Err(LedgerError::Unreadable { .. })) => 0,
        (seq, Ok(verified)) if seq == verified.seq => seq,
        (seq, other) => panic!("{when}: {seq}, {other:?}"),
    }
}

/// Where the log stood when the step before had been committed; 0 if it began anew since.
fn before(trail: &[Kept], index: usize) -> usize {
    let Some(previous) = index.checked_sub(1).map(|index| &trail[index]) else { return 0 };
    let (then, now) = (Log::of(&previous.wal), Log::of(&trail[index].wal));
    if then.salts == now.salts { *then.ends.last().unwrap() } else { 0 }
}

#[test]
fn a_tail_torn_anywhere_loses_nothing_acknowledged() {
    let trail = trail();
    let mut dice = Dice(1);
    for (index, kept) in trail.iter().enumerate() {
        let (from, end) = (before(&trail, index), *Log::of(&kept.wal).ends.last().unwrap());
        let acknowledged = index.checked_sub(1).map_or(0, |index| trail[index].seq);
        for cut in [from, end - 1, from + dice.below(end - from), from + dice.below(end - from)] {
            let when = format!("commit {index}, log of {end} bytes cut at {cut}");
            assert_eq!(opened(&kept.db, &kept.wal[..cut], &when), acknowledged, "{when}");
        }
    }
}

#[test]
fn a_log_cut_earlier_leaves_a_prefix_of_whole_steps() {
    let trail = trail();
    let mut dice = Dice(2);
    let steps: Vec<u64> = std::iter::once(0).chain(trail.iter().map(|kept| kept.seq)).collect();
    for _ in 0..60 {
        let kept = &trail[dice.below(trail.len())];
        let cut = dice.below(kept.wal.len());
        let when = format!("record {}, log cut at {cut}", kept.seq);
        let seq = opened(&kept.db, &kept.wal[..cut], &when);
        assert!(seq <= kept.seq && steps.contains(&seq), "{when}: {seq}");
    }
}

#[test]
fn garbage_in_and_behind_the_last_commit() {
    let trail = trail();
    let mut dice = Dice(3);
    for (index, kept) in trail.iter().enumerate().step_by(3) {
        let (from, end) = (before(&trail, index), *Log::of(&kept.wal).ends.last().unwrap());
        let acknowledged = index.checked_sub(1).map_or(0, |index| trail[index].seq);
        let mut behind = kept.wal[..end].to_vec();
        behind.extend((0..1 + dice.below(9_000)).map(|_| dice.below(256) as u8));
        assert_eq!(opened(&kept.db, &behind, "garbage behind"), kept.seq);
        let mut repeated = kept.wal[..end].to_vec();
        repeated.extend_from_slice(&kept.wal[from.max(32)..end]);
        assert_eq!(opened(&kept.db, &repeated, "the last frames a second time"), kept.seq);
        let mut inside = kept.wal[..end].to_vec();
        inside[from.max(32)..].iter_mut().for_each(|byte| *byte = dice.below(256) as u8);
        assert_eq!(opened(&kept.db, &inside, "garbage for the last commit"), acknowledged);
        let mut flipped = kept.wal[..end].to_vec();
        let at = from.max(32) + dice.below(end - from.max(32));
        flipped[at] ^= 0x10;
        assert_eq!(opened(&kept.db, &flipped, &format!("byte {at} of {from}..{end}")), acknowledged);
    }
}

#[test]
fn a_copy_without_its_log_is_an_older_whole_ledger() {
    let trail = trail();
    let last = trail.last().unwrap();
    assert!(opened(&last.db, b"", "no log") <= last.seq);
}
