//! Who comes with a season pass: in without a ticket, once at a time, and out for what the pass does not cover.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::memo::{Deed, Memo, StayMemo};
use super::present::seen_of;
use super::price::{Seen, no_room};
use super::{CONFLICTS, CarPark, advice};
use crate::parking::site::{Fact, How, Left, Stay as Number};
use crate::parking::tariff::Label;
use crate::parking::ticket::{ClassNumber, EntryTime, Minute, Season, near};
use crate::sale::presented::{Advice, Answer, Quote, TicketDeed};
use crate::sale::shop::Note;
use crate::vocabulary::Grant;

/// A pass that no lane has in is let out once in so many minutes at each exit.
const ONCE_IN: u32 = 24 * 60;
/// When it was, is remembered for so long, so that the stay is ended that a lane tells of later.
const REMEMBERED: u32 = 31 * 24 * 60;
/// Under this is noted that a pass was let out of which no lane has told that it came in.
const UNTOLD_NOTE: &str = "season/";

/// Season passes that this lane has let out though no lane had told that they came in, and when each was last.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct SeasonExits {
    last: BTreeMap<u32, Minute>,
    /// To be noted.
    #[serde(skip)]
    new: VecDeque<u32>,
    #[serde(skip)]
    noted: u64,
}

impl SeasonExits {
    /// `at` is not known where the lane has never known the time.
    pub fn left(&mut self, season: u32, at: Option<Minute>) {
        let at = at.unwrap_or(Minute::FIRST);
        self.last.retain(|_, before| before.later(REMEMBERED) >= at);
        self.last.insert(season, at);
        self.new.push_back(season);
    }

    fn just_now(&self, season: u32, now: Minute) -> bool {
        self.last.get(&season).is_some_and(|at| now < at.later(ONCE_IN))
    }

    pub fn news(&mut self) -> impl Iterator<Item = Note> {
        self.new.drain(..).map(|season| {
            let told = format!("season pass {season} was let out, and no lane had told that it came in");
            tracing::warn!("{told}");
            let key = format!("{UNTOLD_NOTE}{}", self.noted % CONFLICTS);
            self.noted += 1;
            Note { key, value: Some(serde_json::json!({ "season": season, "told": told })) }
        })
    }
}

impl CarPark {
    pub(super) fn season(&self, pass: Season, text: &str, quote: Option<&Quote>) -> Result<Answer, Advice> {
        self.season_name(&pass)?;
        let does = self.parts.settings.does;
        if does == TicketDeed::GiveOut {
            return self.season_in(&pass);
        }
        let inside = self.site.season(pass.number);
        let found = inside.and_then(|number| self.site.find(number));
        if self.parts.passes.is_withdrawn(pass.number) {
            // Its car is inside, and pays as if it had none.
            return self.stay(seen_of(&found.ok_or_else(withdrawn)?));
        }
        // By its plate alone a car may have come in that has such a pass.
        match found.or_else(|| pass.plate.as_ref().and_then(|plate| self.stay_with(plate))) {
            Some(found) => {
                let before = quote.and_then(|quote| self.seen(quote)).filter(|before| before.number == found.number);
                let mut seen = before.unwrap_or_else(|| seen_of(&found));
                (seen.typed, seen.by_plate, seen.season) = (false, false, Some(pass));
                seen.has_shown(text);
                self.stay(seen)
            }
            None if does == TicketDeed::Leave => self.season_out(&pass, Some(text)),
            None => Err(Advice::new("season-not-inside")),
        }
    }

    /// What the tariff calls it.
    pub(super) fn season_name(&self, pass: &Season) -> Result<Label, Advice> {
        let season = self.parts.tariff.seasons.get(usize::from(pass.season));
        season.map(|season| season.name.clone()).ok_or_else(|| Advice::new("stay-not-valid").call())
    }

    /// The pass that the configuration lists for the car before the gate.
    pub(super) fn listed(&self) -> Option<&Season> {
        self.parts.passes.of(self.camera.plate(self.now)?)
    }

    /// The car before the gate is let in with it. A pass that lets nobody in now, as while its car is said to be inside, hinders nobody.
    pub(super) fn listed_in(&self) -> Option<Answer> {
        self.season_in(self.listed()?).ok()
    }

    /// With the season pass that covers it without being shown: the one with which it came in, or that of its car.
    pub(super) fn with_listed(&self, seen: Seen) -> Seen {
        let passes = &self.parts.passes;
        let listed = || match self.site.season_of(seen.number) {
            Some(number) => passes.get(number),
            None => passes.of(seen.plate.as_ref()?),
        };
        let season = seen.season.clone().or_else(|| listed().cloned());
        Seen { season, ..seen }
    }

    /// What its pass covers, nobody but the pass can say.
    pub(super) fn needs_its_pass(&self, seen: &Seen) -> bool {
        let came_with = self.site.season_of(seen.number);
        seen.season.is_none() && came_with.is_some_and(|number| !self.parts.passes.is_withdrawn(number))
    }

    fn season_in(&self, pass: &Season) -> Result<Answer, Advice> {
        if self.parts.passes.is_withdrawn(pass.number) {
            return Err(withdrawn());
        }
        pass.is_good(self.wall).map_err(|why| advice::bad_code(&why))?;
        if self.full() {
            return Err(Advice::new("stay-full"));
        }
        if let Some(inside) = self.site.season(pass.number) {
            return Err(Advice::new("season-inside").with("number", inside.to_string()).call());
        }
        let read = self.camera.plate(self.now);
        if let (Some(read), Some(own)) = (read, &pass.plate)
            && near(read, [own]).is_empty()
        {
            return Err(Advice::new("season-other-plate").with("plate", own.to_string()));
        }
        if !self.site.has_room() {
            return Err(no_room());
        }
        let none = || Advice::new("stay-no-ticket").call();
        let number = self.site.next_ticket().ok_or_else(none)?;
        let entry = EntryTime::of(self.wall, self.sure, self.parts.settings.doubt).ok_or_else(none)?;
        // The pass says it surely, a camera does not.
        let plate = pass.plate.clone().or_else(|| read.cloned());
        let told = plate.as_ref().map(ToString::to_string);
        let (class, ticket, season) = (ClassNumber::default(), false, Some(pass.number));
        let deed = Deed::Enter { entry, class, plate, ticket, season };
        Ok(self.let_in(Memo { number, deed, bill: Vec::new() }, entry, told))
    }

    /// No lane has told that it came in, and its holder has no ticket to show. The doubt is the customer's, bounded, and on record.
    pub(super) fn season_out(&self, pass: &Season, text: Option<&str>) -> Result<Answer, Advice> {
        pass.is_good(self.wall).map_err(|why| advice::bad_code(&why).call())?;
        let now = self.minute().or(Minute::of(self.sure)).unwrap_or(Minute::FIRST);
        if self.season_exits.just_now(pass.number, now) {
            return Err(Advice::new("season-let-out").call());
        }
        if !self.site.has_room() {
            return Err(no_room());
        }
        // Under a lane's number where one has told that, and not yet of the car.
        let told = self.site.season(pass.number);
        let number = told.or_else(|| self.site.next_ticket()).ok_or_else(|| Advice::new("season-let-out").call())?;
        let (season, leaves, by_plate) = (Some(pass.number), Some(How::Ticket), text.is_none());
        let shown = text.map(str::to_owned).into_iter().collect();
        let stay = StayMemo { season, leaves, shown, by_plate, untold: true, ..StayMemo::default() };
        let memo = Memo { number, deed: Deed::Stay(stay), bill: Vec::new() };
        Ok(Answer::Granted { quote: Box::new(self.plain(&memo)), grant: Grant::Ticket })
    }

    /// A lane tells now how a pass came in that was let out here after that: its car is not inside any more.
    pub(super) fn end_seasons(&mut self) {
        for (season, at) in self.season_exits.last.clone() {
            while let Some(stay) = self.site.season(season) {
                let came = self.site.find(stay).map(|found| found.entered.entry.earliest());
                if came.is_none_or(|came| came > at) {
                    break;
                }
                self.fact(Fact::Left(Left { stay: Number(stay), at: Some(at), how: How::Ticket }));
                // It could not be recorded.
                if self.site.over(stay).is_none() {
                    break;
                }
                self.season_exits.last.remove(&season);
            }
        }
    }
}

fn withdrawn() -> Advice {
    Advice::new("season-withdrawn").call()
}
