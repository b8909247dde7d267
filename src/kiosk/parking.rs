//! Puts a car park behind the counter, from the configuration and the files that it names, and carries between it and the
//! other lanes of its site what they tell each other.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::Kiosk;
use super::turn::TurnError;
use crate::config::{Config, ListedPass, Mode, Parking, Tickets};
use crate::operation::Refusal;
use crate::parking::report::Of;
use crate::parking::shop::{BadPasses, CarPark, Parts, Passes, Settings, Wording};
use crate::parking::site::{BadRoster, Document, Member, Roster, Site};
use crate::parking::tariff::{self, Label, Line, Tariff};
use crate::parking::ticket::{
    BadKeys, BadPlate, Code, Issuer, KeyNumber, LaneNumber, MayNot, Minute, Owner, Plate, Season, SiteKey, SiteKeys,
    SiteNumber,
};
use crate::sale::event::Event;
use crate::sale::presented::TicketDeed;
use crate::screen::bill;
use crate::screen::language::Texts;
use crate::signed::jws::PublicKey;
use crate::signed::keys::{KeyError, KeySource};
use crate::vocabulary::{Language, Localized, Problem, Wall};

impl Kiosk {
    /// To the other lanes, over the fleet's broker.
    pub(super) fn tell_the_site(&mut self, message: Vec<u8>) {
        if let Some(link) = &self.link {
            link.tell_facts(message);
        }
    }

    /// Somebody at the kiosk wants a person.
    pub(super) fn call_for_help(&mut self) {
        tracing::warn!("a customer calls for help");
        self.help_called = Some(self.clock.now());
        self.recorded = true;
    }

    /// A camera has read a plate of a car at the gate.
    ///
    /// # Errors
    /// No car comes in or goes out here.
    pub(super) fn plate_seen(&mut self, plate: &Plate) -> Result<(), Refusal> {
        match &self.config.parking {
            None => Err(Refusal::NotACarPark),
            Some(_) if self.config.gate.is_none() => Err(Refusal::NoGate),
            Some(_) => {
                tracing::debug!(%plate, "a camera has read a plate");
                self.step(Event::PlateSeen { plate: plate.to_string() });
                Ok(())
            }
        }
    }

    pub(super) fn heard_of_lane(&mut self, lane: u8, message: Vec<u8>) {
        match self.try_step(Event::Heard { lane, message }) {
            Err(TurnError::Illegal(why)) => tracing::warn!("{why}"),
            result => self.stepped(result),
        }
    }
}

/// Why a file is no tariff.
#[derive(Debug, thiserror::Error)]
pub enum BadTariff {
    #[error("{path}:1:1: can't be read: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}", Problem::lines(problems, path))]
    Wrong { path: PathBuf, problems: Vec<Problem> },
}

/// Why no car park can be made of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ParkingError {
    #[error("[parking] tariff: {0}")]
    Tariff(#[from] BadTariff),
    #[error("[parking]: the tariff is in {tariff} and the kiosk in {kiosk}; write the same currency in both")]
    Currency { tariff: String, kiosk: String },
    #[error("[parking]: {0}")]
    Key(#[from] KeyError),
    #[error("[parking] keys: {0}")]
    Keys(#[from] BadKeys),
    #[error("[parking] keys: {path} is no Ed25519 public key (PEM)", path = path.display())]
    NoKey { path: PathBuf },
    #[error("[parking]: key {0} has no file; write file = \"…\", or run the daemon with --keys")]
    NoFile(u8),
    #[error("[parking] issuing_key: it is none of the site's keys in [[parking.keys]]; write its public half there")]
    NotListed,
    #[error("[parking] lanes: {0}")]
    Roster(#[from] BadRoster),
    #[error("[parking] lanes: lane {lane} is listed with another key than this kiosk's own, [fleet] signing_key")]
    OtherLane { lane: u8 },
    #[error("[parking]: {0} is out of range")]
    Range(&'static str),
    #[error("[parking] passes: {0}")]
    Passes(#[from] BadPasses),
    #[error("[parking] passes: pass {number}: {why}")]
    Pass { number: u32, why: Box<ParkingError> },
    #[error("it needs `{0}`; write it, or withdrawn = true")]
    Lacks(&'static str),
    #[error("{0}")]
    Plate(#[from] BadPlate),
    #[error("this kiosk is none of a car park; name the configuration of one that is")]
    NoCarPark,
    #[error(
        "[parking] issuing_key: there is none, and nothing is signed without the site's private key; write it, or add --keys"
    )]
    NoIssuer,
    #[error("the tariff has no season pass `{0}`; there is: {1}")]
    NoSeason(String, String),
    #[error("no pass can say that it is good until {0}")]
    Until(jiff::civil::Date),
    #[error(transparent)]
    MayNot(#[from] MayNot),
}

/// A season pass that is to be issued.
#[derive(Debug, Clone)]
pub struct SeasonOrder {
    /// As whoever issues it counts.
    pub number: u32,
    /// As the tariff calls it.
    pub season: String,
    /// Its last day, where the car park is.
    pub until: jiff::civil::Date,
    pub plate: Option<Plate>,
}

/// The text of its code, signed by the site's key.
///
/// # Errors
/// As of [`shop`], and where the tariff has no such pass, or there is no key to sign with.
pub fn season_pass(parking: &Parking, order: &SeasonOrder) -> Result<String, ParkingError> {
    let season = season(&read_tariff(&parking.tariff)?, order)?;
    let site = SiteNumber::new(parking.site).ok_or(ParkingError::Range("site"))?;
    let keys = keys(parking, site)?;
    let key = parking.issuing_key.as_ref().ok_or(ParkingError::NoIssuer)?;
    Ok(issuer(parking, &keys, key)?.issue(&Code::Season(season))?)
}

/// What a pass says, of this tariff.
fn season(tariff: &Tariff, order: &SeasonOrder) -> Result<Season, ParkingError> {
    let names = || {
        let names: std::collections::BTreeSet<&str> = tariff.seasons.iter().map(|known| known.name.as_str()).collect();
        if names.is_empty() { "none".to_owned() } else { names.into_iter().collect::<Vec<_>>().join(", ") }
    };
    let place = tariff.seasons.iter().position(|known| known.name.as_str() == order.season);
    let season = place.and_then(|place| u8::try_from(place).ok());
    let season = season.ok_or_else(|| ParkingError::NoSeason(order.season.clone(), names()))?;
    let end = order.until.at(23, 59, 0, 0).to_zoned(tariff.zone.clone()).ok();
    let end = end.and_then(|end| u64::try_from(end.timestamp().as_millisecond()).ok());
    let until = end.and_then(|end| Minute::of(Wall(end))).ok_or(ParkingError::Until(order.until))?;
    let SeasonOrder { number, plate, .. } = order.clone();
    Ok(Season { number, season, until, plate })
}

/// Those that the configuration lists.
fn passes(listed: &[ListedPass], tariff: &Tariff) -> Result<Passes, ParkingError> {
    let mut passes = Passes::default();
    for pass in listed {
        if pass.withdrawn {
            passes.withdraw(pass.number)?;
        } else {
            passes.list(
                listed_pass(pass, tariff)
                    .map_err(|why| ParkingError::Pass { number: pass.number, why: Box::new(why) })?,
            )?;
        }
    }
    Ok(passes)
}

fn listed_pass(pass: &ListedPass, tariff: &Tariff) -> Result<Season, ParkingError> {
    let name = pass.season.clone().ok_or(ParkingError::Lacks("season"))?;
    let until = pass.until.ok_or(ParkingError::Lacks("until"))?.0;
    let plate = pass.plate.as_deref().ok_or(ParkingError::Lacks("plate"))?;
    let plate = Some(Plate::typed(plate)?);
    season(tariff, &SeasonOrder { number: pass.number, season: name, until, plate })
}

/// What is wrong with what `[parking]` sells, and the key of it where that stands. Keys of the site are not looked at: who checks a
/// file may not be who may read them.
pub(super) fn problem(config: &Config) -> Option<(&'static str, ParkingError)> {
    offer(config, config.parking.as_ref()?).err()
}

/// Its tariff, and the season passes that it lists.
fn offer(config: &Config, parking: &Parking) -> Result<(Tariff, Passes), (&'static str, ParkingError)> {
    let tariff = read_tariff(&parking.tariff).map_err(|why| ("tariff", why.into()))?;
    if tariff.currency != config.kiosk.currency {
        let (tariff, kiosk) = (tariff.currency.code().to_owned(), config.kiosk.currency.code().to_owned());
        return Err(("tariff", ParkingError::Currency { tariff, kiosk }));
    }
    let passes = passes(&parking.passes, &tariff).map_err(|why| ("passes", why))?;
    Ok((tariff, passes))
}

/// The shop that `[parking]` describes.
///
/// # Errors
/// A file that can't be read or is not what it should be, and what does not fit together.
pub fn shop(config: &Config, parking: &Parking) -> Result<CarPark, ParkingError> {
    let (tariff, passes) = offer(config, parking).map_err(|(_, why)| why)?;
    let site = SiteNumber::new(parking.site).ok_or(ParkingError::Range("site"))?;
    let me = LaneNumber::new(parking.lane).ok_or(ParkingError::Range("lane"))?;
    let keys = keys(parking, site)?;
    let roster = roster(parking, site)?;
    let issuer = parking.issuing_key.as_ref().map(|key| issuer(parking, &keys, key)).transpose()?;
    let own = config.fleet.as_ref().and_then(|fleet| fleet.signing_key.as_ref());
    let signer = own.map(|key| key.signer(Document::kid(site, me))).transpose()?;
    if signer.as_ref().is_some_and(|signer| !roster.lists(me, &signer.public())) {
        return Err(ParkingError::OtherLane { lane: parking.lane });
    }
    let settings = Settings {
        does: does(parking.mode),
        // A pay station has none.
        gate: config.gate.as_ref().map(|gate| gate.name.clone()),
        places: parking.places,
        doubt: u32::try_from(parking.clock_doubt.0.as_secs() / 60).unwrap_or(u32::MAX),
        pays: !config.rails.is_empty(),
        by_plate: parking.tickets == Tickets::Plate,
        sees_cars: config.gate.as_ref().is_some_and(|gate| gate.presence.is_some()),
    };
    let wording = Words { texts: Texts::with(&config.glass.look.texts), languages: config.kiosk.languages.clone() };
    let parts = Parts {
        settings,
        passes: Arc::new(passes),
        tariff: Arc::new(tariff),
        keys: Arc::new(keys),
        issuer: issuer.map(Arc::new),
        signer: signer.map(Arc::new),
        wording: Arc::new(wording),
    };
    Ok(CarPark::new(parts, Site::new(me, roster)))
}

/// Whose the car park's report of this kiosk is; `None` where it is none of a car park.
pub fn report_of(config: &Config) -> Option<Of> {
    Some(Of {
        kiosk: config.kiosk.id.clone(),
        does: does(config.parking.as_ref()?.mode),
        gate: config.gate.as_ref().map(|gate| gate.name.clone()),
        zone: TimeZone::get(&config.kiosk.time_zone).unwrap_or(TimeZone::UTC),
        currency: config.kiosk.currency,
    })
}

fn does(mode: Mode) -> TicketDeed {
    match mode {
        Mode::Entry => TicketDeed::GiveOut,
        Mode::PayStation => TicketDeed::Pay,
        Mode::Exit => TicketDeed::Leave,
    }
}

/// Reads a tariff's file.
///
/// # Errors
/// When it can't be read, and with everything that is wrong with it.
pub fn read_tariff(path: &Path) -> Result<Tariff, BadTariff> {
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to know.
    std::fs::File::open(path)
        .and_then(|file| file.take(tariff::LIMIT as u64 + 1).read_to_end(&mut bytes))
        .map_err(|source| BadTariff::Read { path: path.into(), source })?;
    tariff::parse(&bytes).map_err(|problems| BadTariff::Wrong { path: path.into(), problems })
}

fn public_key(path: &Path) -> Result<PublicKey, ParkingError> {
    let bytes = KeySource::File(path.into()).public()?;
    PublicKey::from_pem(&bytes).ok_or_else(|| ParkingError::NoKey { path: path.into() })
}

fn keys(parking: &Parking, site: SiteNumber) -> Result<SiteKeys, ParkingError> {
    let mut keys = Vec::new();
    for key in &parking.keys {
        let file = key.file.as_deref().ok_or(ParkingError::NoFile(key.number))?;
        let owner = match &key.shop {
            None => Owner::Site,
            Some(shop) => Owner::Shop(Label::parse(shop).ok_or(ParkingError::Range("shop"))?),
        };
        keys.push(SiteKey { number: KeyNumber(key.number), owner, key: public_key(file)? });
    }
    Ok(SiteKeys::new(site, keys)?)
}

fn roster(parking: &Parking, site: SiteNumber) -> Result<Roster, ParkingError> {
    let mut lanes = BTreeMap::<LaneNumber, Member>::new();
    for lane in &parking.lanes {
        let number = LaneNumber::new(lane.number).ok_or(ParkingError::Range("lane"))?;
        let key = public_key(lane.file.as_deref().ok_or(ParkingError::NoFile(lane.number))?)?;
        let member = lanes.entry(number).or_insert_with(|| Member {
            name: lane.name.clone(),
            keys: Vec::new(),
            retired: lane.retired,
        });
        member.keys.push(key);
        member.retired |= lane.retired;
    }
    Ok(Roster::new(site, lanes)?)
}

/// Under the number of the site's key that it is.
fn issuer(parking: &Parking, keys: &SiteKeys, source: &KeySource) -> Result<Issuer, ParkingError> {
    for key in parking.keys.iter().filter(|key| key.shop.is_none()) {
        match Issuer::new(source.signer(format!("site-{}", parking.site))?, KeyNumber(key.number), keys) {
            Ok(issuer) => return Ok(issuer),
            Err(BadKeys::OtherKey(_)) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Err(ParkingError::NotListed)
}

struct Words {
    texts: Texts,
    languages: Vec<Language>,
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Words").field("languages", &self.languages).finish_non_exhaustive()
    }
}

impl Words {
    fn each(&self, say: impl Fn(&Language) -> String) -> Localized {
        Localized(self.languages.iter().map(|language| (language.clone(), say(language))).collect())
    }
}

impl Wording for Words {
    fn line(&self, tariff: &Tariff, line: &Line) -> Localized {
        self.each(|language| bill::reason(&self.texts, language, tariff, line))
    }

    fn stay(&self, number: &str) -> Localized {
        self.each(|language| self.texts.get(language, "stay-label", &[("number", number)]))
    }
}

#[cfg(test)]
mod tests;
