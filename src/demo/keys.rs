//! The keys of the box: the fleet's, made once for a state folder, and those of a car park's site.
//!
//! Policy: every kiosk has a folder of its own with what a kiosk has and nothing else; the shop's private key stays with the
//! world.

use std::path::{Path, PathBuf};

use super::back_end::Trust;
use super::park::{BadSite, SHOP, Site, Station};
use super::{DemoError, Home, Machine};
use crate::config::Config;
use crate::fleet;
use crate::fleet::keygen::keygen;
use crate::operation::{Actor, KeyName};
use crate::parking::ticket::{Issuer, KeyNumber, Owner, SiteKey, SiteKeys};
use crate::signed::keys::KeySource;
use crate::signed::keyset::{BadKeyset, KeyEntry, Keyset, KeysetContent, Role};

/// The key pairs of the kiosk, the back end, the fleet's root and its office, and the keyset.
pub(super) fn of_the_fleet(state: &Path, config: &Config) -> Result<PathBuf, DemoError> {
    let folder = state.join("keys");
    std::fs::create_dir_all(&folder).map_err(|source| DemoError::Folder { path: folder.clone(), source })?;
    for name in ["kiosk", "back-end", Actor::ROOT, "office", "office-2", "config", "update"] {
        pair(&folder, name)?;
    }
    let keyset = folder.join("keyset.json");
    let root = KeySource::File(folder.join("root.key")).signer(Actor::ROOT)?;
    // A folder may be used again for a fleet of another name.
    let counts = |message: Vec<u8>| Keyset::open(&root.public(), &config.kiosk.fleet, &message).is_ok();
    if !std::fs::read(&keyset).is_ok_and(counts) {
        let entry = |name: &str, role| {
            let key = KeySource::File(folder.join(format!("{name}.pem"))).signers_key()?;
            let kid = KeyName::parse(name).ok_or(BadKeyset::Text)?;
            Ok::<_, DemoError>(KeyEntry::new(kid, &key, vec![role]))
        };
        let roles =
            [("office", Role::Sell), ("office-2", Role::Sell), ("config", Role::Config), ("update", Role::Update)];
        let keys = roles.into_iter().map(|(name, role)| entry(name, role)).collect::<Result<_, _>>()?;
        let content = KeysetContent { fleet: config.kiosk.fleet.clone(), version: 1, keys, revoked: Vec::new() };
        std::fs::write(&keyset, content.sign(&root)?.to_string())
            .map_err(|source| DemoError::Folder { path: keyset, source })?;
    }
    Ok(folder)
}

/// Makes the site's key, the shop's and each lane's, and lays into each kiosk's folder what it needs.
pub(super) fn of_the_site(state: &Path, fleet: &Path, machines: &[Machine]) -> Result<Site, DemoError> {
    let stations = machines.iter().map(|machine| Station::of(&machine.config)).collect::<Result<Vec<_>, _>>()?;
    let site = stations.first().map(|station| station.site).ok_or(BadSite::Lanes)?;
    let pems = |number: u8| format!("site-{number}.pem");
    let mut keys = Vec::new();
    for (number, owner) in Station::keys(&stations)? {
        pair(fleet, &format!("site-{number}"))?;
        let key = KeySource::File(fleet.join(pems(number))).signers_key()?;
        keys.push(SiteKey { number: KeyNumber(number), owner, key });
    }
    let mut homes = Vec::new();
    for machine in machines {
        let home = Home::of(state, &machine.config.kiosk.id)?;
        pair(&home.keys, "kiosk")?;
        homes.push(home);
    }
    for home in &homes {
        for name in ["root.pem", "back-end.pem", "keyset.json"] {
            copy(fleet, name, &home.keys, name)?;
        }
        for SiteKey { number, owner, .. } in &keys {
            copy(fleet, &pems(number.0), &home.keys, &pems(number.0))?;
            if *owner == Owner::Site {
                copy(fleet, &format!("site-{number}.key"), &home.keys, "site.key")?;
            }
        }
        for (station, other) in stations.iter().zip(&homes) {
            copy(&other.keys, "kiosk.pem", &home.keys, &format!("lane-{}.pem", station.number))?;
        }
    }
    let shop = keys.iter().find(|key| matches!(&key.owner, Owner::Shop(name) if name.as_str() == SHOP));
    let shop = shop.map(|key| key.number).ok_or(BadSite::NoShop)?;
    let keys = SiteKeys::new(site, keys).map_err(BadSite::Keys)?;
    let signer = KeySource::File(fleet.join(format!("site-{shop}.key"))).signer(SHOP)?;
    let shop = Issuer::new(signer, shop, &keys).map_err(BadSite::Keys)?;
    let parking = machines.first().and_then(|machine| machine.config.parking.clone());
    let (mut office, home) = parking.zip(homes.first()).ok_or(BadSite::Lanes)?;
    office.keys_in(&home.keys);
    Ok(Site { stations, keys, shop, office })
}

/// What the back end knows: each kiosk's public key, whichever it signs with, and its own.
pub(super) fn trust(fleet: &Path, machines: &[Machine], homes: &[Home]) -> Result<Trust, DemoError> {
    let mut trust = Trust::default();
    for (Machine { config, .. }, home) in machines.iter().zip(homes) {
        let own = || KeySource::File(home.keys.join("kiosk.key"));
        let key = config.fleet.as_ref().and_then(|fleet| fleet.signing_key.clone()).unwrap_or_else(own);
        trust.kiosks.insert(fleet::topic::Name::parse(&config.kiosk.id)?, key.signer("kiosk")?.public());
    }
    trust.signer = Some(KeySource::File(fleet.join("back-end.key")).signer("back-end")?);
    Ok(trust)
}

/// Unless it is there.
fn pair(folder: &Path, name: &str) -> Result<(), DemoError> {
    if !folder.join(format!("{name}.pem")).exists() {
        keygen(folder, &fleet::topic::Name::parse(name)?)?;
    }
    Ok(())
}

/// With the rights of the file.
fn copy(from: &Path, name: &str, to: &Path, other: &str) -> Result<(), DemoError> {
    let path = to.join(other);
    std::fs::copy(from.join(name), &path).map(drop).map_err(|source| DemoError::Folder { path, source })
}
