//! What the configurations say of the car park: which kiosk is where, and how its lane is wired.

use super::lane::Input;
use crate::config::{CodeKey, Config, Gate, Mode, Parking};
use crate::parking::tariff::Label;
use crate::parking::ticket::{BadKeys, Issuer, LaneNumber, Owner, SiteKeys, SiteNumber};

/// The shop of the demo that gives validations.
pub const SHOP: &str = "bakery";

/// One kiosk's part of the car park.
#[derive(Debug, Clone)]
pub struct Station {
    pub id: String,
    pub mode: Mode,
    pub site: SiteNumber,
    pub number: LaneNumber,
    pub lane: Option<LaneWiring>,
    keys: Vec<(u8, Owner)>,
}

/// The names of a lane's lines.
#[derive(Debug, Clone)]
pub struct LaneWiring {
    pub name: String,
    pub raise: String,
    pub lower: Option<String>,
    pub sign: Option<String>,
    pub inputs: Vec<(Input, String)>,
}

/// All that is known of the site before it stands.
pub struct Site {
    pub stations: Vec<Station>,
    /// The public halves, as every lane knows them.
    pub keys: SiteKeys,
    /// Signs the shop's validations.
    pub shop: Issuer,
    /// A kiosk's part of the configuration, with the keys and the tariff by which season passes are issued.
    pub office: Parking,
}

#[derive(Debug, thiserror::Error)]
pub enum BadSite {
    #[error("{0} has no [parking], or one whose numbers are none")]
    NoParking(String),
    #[error("it needs one kiosk with mode = \"entry\" and one with mode = \"exit\", each with a [gate], at one site")]
    Lanes,
    #[error("the kiosks name other keys than each other under [[parking.keys]]; write the same into each")]
    OtherKeys,
    #[error("no key of the shop `{SHOP}` stands under [[parking.keys]]")]
    NoShop,
    #[error("[[parking.keys]]: {0}")]
    Keys(BadKeys),
}

impl Station {
    /// # Errors
    /// It is no kiosk of a car park.
    pub fn of(config: &Config) -> Result<Self, BadSite> {
        let id = config.kiosk.id.clone();
        let known = config.parking.as_ref().and_then(|parking| {
            let (site, number) = (SiteNumber::new(parking.site)?, LaneNumber::new(parking.lane)?);
            let keys = parking.keys.iter().map(key).collect::<Option<_>>()?;
            Some((parking.mode, site, number, keys))
        });
        let (mode, site, number, keys) = known.ok_or_else(|| BadSite::NoParking(id.clone()))?;
        Ok(Self { id, mode, site, number, lane: config.gate.as_ref().map(LaneWiring::of), keys })
    }

    /// The site's keys by number; all kiosks must name the same.
    pub fn keys(all: &[Self]) -> Result<Vec<(u8, Owner)>, BadSite> {
        let modes = |mode| all.iter().filter(|station| station.mode == mode && station.lane.is_some()).count();
        let one_site = all.windows(2).all(|two| two[0].site == two[1].site);
        if (modes(Mode::Entry), modes(Mode::Exit)) != (1, 1) || !one_site {
            return Err(BadSite::Lanes);
        }
        if all.windows(2).any(|two| two[0].keys != two[1].keys) {
            return Err(BadSite::OtherKeys);
        }
        Ok(all[0].keys.clone())
    }
}

fn key(key: &CodeKey) -> Option<(u8, Owner)> {
    let owner = match &key.shop {
        None => Owner::Site,
        Some(shop) => Owner::Shop(Label::parse(shop)?),
    };
    Some((key.number, owner))
}

impl LaneWiring {
    fn of(gate: &Gate) -> Self {
        let names = [
            &gate.presence,
            &gate.safety,
            &gate.closing,
            &gate.opened,
            &gate.closed,
            &gate.fire,
            &gate.ticket_button,
            &gate.help_button,
        ];
        let inputs = Input::ALL.into_iter().zip(names).filter_map(|(input, name)| Some((input, name.clone()?)));
        Self {
            name: gate.name.to_string(),
            raise: gate.raise.clone(),
            lower: gate.lower.clone(),
            sign: gate.sign.clone(),
            inputs: inputs.collect(),
        }
    }

    pub fn input(&self, wanted: Input) -> Option<&str> {
        self.inputs.iter().find(|(input, _)| *input == wanted).map(|(_, name)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(name: &str) -> Station {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("configs").join(name);
        Station::of(&crate::kiosk::check::load(&file).unwrap()).unwrap()
    }

    #[test]
    fn the_demos_own_car_park_is_understood() {
        let all = ["parking-entry.toml", "parking-pay-station.toml", "parking-exit.toml"].map(own);
        let ids: Vec<_> = all.iter().map(|station| (station.id.as_str(), station.number.get())).collect();
        assert_eq!(ids, [("entry-1", 1), ("pay-1", 2), ("exit-1", 3)]);
        let keys = Station::keys(&all).unwrap();
        assert!(keys.contains(&(1, Owner::Site)) && keys.iter().any(|(number, _)| *number == 9), "{keys:?}");
        let lane = all[0].lane.as_ref().unwrap();
        assert_eq!((lane.name.as_str(), lane.inputs.len()), ("entry-1", Input::ALL.len()));
        assert_eq!(lane.input(Input::Safety), Some("loop-safety"));
        assert!(all[1].lane.is_none());
        let twice = [all[0].clone(), all[0].clone()];
        assert!(matches!(Station::keys(&twice), Err(BadSite::Lanes)));
        let mut others = all;
        others[1].keys.pop();
        assert!(matches!(Station::keys(&others), Err(BadSite::OtherKeys)));
    }
}
