//! What of it the next document says.

use super::super::document::{Document, Known, Roster, VERSION};
use super::super::parts::Part;
use super::{Fact, INSIDE, Kept, MONEY, OUT, Own, TWICE, TooLarge, VALIDATIONS, WHOLE, size};

impl Own {
    /// The next document, where there is anything new to say.
    pub fn publish(&mut self, roster: &Roster, known: &Known) -> Result<Option<Document>, TooLarge> {
        self.tell();
        let document = self.document(roster, known);
        let last = self.last.as_ref();
        let moved = last.is_none_or(|last| {
            let again = Document { seq: last.seq, stand: last.stand, seen: last.seen.clone(), ..document.clone() };
            *last != again
        });
        if !moved && last.is_some_and(|last| last.seen == document.seen) {
            return Ok(None);
        }
        let (seq, stand) = (self.seq + 1, self.stand + u64::from(moved));
        let document = Document { seq, stand, ..document };
        let bytes = size(&document);
        if bytes > WHOLE {
            return Err(TooLarge { bytes });
        }
        (self.seq, self.stand) = (seq, stand);
        self.last = Some(document.clone());
        self.revisions.touch(Part::Own);
        self.revisions.touch(Part::Last);
        Ok(Some(document))
    }

    /// Chooses what the next document has room for.
    fn tell(&mut self) {
        let mut room = INSIDE;
        for (serial, inside) in &mut self.inside {
            let size = size(&inside.entered);
            // The oldest first, and none past one that waits: a serial says from where on nothing is told.
            if !inside.told && size > room {
                break;
            }
            if !std::mem::replace(&mut inside.told, true) {
                self.revisions.touch(Part::inside(*serial));
            }
            room = room.saturating_sub(size);
        }
        let share = |fact: &Fact| match fact {
            Fact::Left(_) | Fact::Voided(_) => 0,
            Fact::ValidationUsed(_) => 1,
            _ => 2,
        };
        let mut rooms = [OUT, VALIDATIONS, MONEY];
        let mut urgent = TWICE;
        for kept in self.facts.values().filter(|kept| kept.told_in.is_some()) {
            let room = if kept.urgent { &mut urgent } else { &mut rooms[share(&kept.fact)] };
            *room = room.saturating_sub(size(&kept.fact));
        }
        let next = self.stand + 1;
        // What was done twice goes before what was not, in a room of its own and then in what is left of the others'.
        for twice in [true, false] {
            let mut waits = [false; 3];
            let waiting = |(_, kept): &(&u64, &mut Kept)| kept.told_in.is_none() && kept.twice == twice;
            for (age, kept) in self.facts.iter_mut().filter(waiting) {
                let share = share(&kept.fact);
                // Whoever is younger waits too.
                if waits[share] {
                    continue;
                }
                let size = size(&kept.fact);
                kept.urgent = twice && size <= urgent;
                let room = if kept.urgent { &mut urgent } else { &mut rooms[share] };
                if size <= *room {
                    *room -= size;
                    kept.told_in = Some(next);
                    self.revisions.touch(Part::fact(*age));
                } else {
                    waits[share] = true;
                }
            }
        }
    }

    fn document(&self, roster: &Roster, known: &Known) -> Document {
        let waiting = self.inside.iter().find(|(_, inside)| !inside.told).map(|(serial, _)| *serial);
        let told = self.inside.values().filter(|inside| inside.told);
        let mut document = Document {
            v: VERSION,
            site: roster.site(),
            lane: self.me,
            seq: 0,
            stand: 0,
            seen: known.documents().map(|document| (document.lane, document.stand)).collect(),
            next: waiting.unwrap_or(self.next),
            untold: self.inside.values().filter(|inside| !inside.told).count() as u32,
            corrected: self.corrected,
            entered: told.map(|inside| inside.entered.clone()).collect(),
            paid: Vec::new(),
            left: Vec::new(),
            voided: Vec::new(),
            validations: Vec::new(),
            seasons: Vec::new(),
            season_counts: self.season_counts.told(),
        };
        // In the order of the index, which is the one that a document has.
        let told = self.index.values().filter_map(|age| self.facts.get(age)).filter(|kept| kept.told_in.is_some());
        for kept in told {
            match kept.fact {
                Fact::Paid(paid) => document.paid.push(paid),
                Fact::Left(left) => document.left.push(left),
                Fact::Voided(voided) => document.voided.push(voided),
                Fact::ValidationUsed(used) => document.validations.push(used),
                Fact::SeasonUsed(used) => document.seasons.push(used),
                Fact::Entered(_) | Fact::Correction(_) => (),
            }
        }
        document
    }
}
