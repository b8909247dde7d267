//! From the configuration to the rails: keys are read, addresses checked, and every rail made, once at start.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::alipay::{self, Alipay};
use super::gateway::{Emv, Gateway, GatewayClient};
use super::sandbox::Sandbox;
use super::wechat::{self, ApiV3Key, WechatPay};
use crate::config::{self, Provider};
use crate::emv::{self, EmvError, Merchant, NewChargeFacts};
use crate::payment::{Notifies, Rail};
use crate::signed::keys::{KeyError, KeySource, VerifyingKey};
use crate::vocabulary::{NewCharge, RailName};
use crate::world::World;

/// Of the terminal's name, which an EMV code carries for the merchant's eyes.
const LONGEST_TERMINAL: usize = 25;

/// A rail that can't be made. What is said never holds a key or a part of one.
#[derive(Debug, thiserror::Error)]
#[error("rail `{rail}`: {why}")]
pub struct OpenError {
    pub rail: RailName,
    pub why: Why,
}

#[derive(Debug, thiserror::Error)]
pub enum Why {
    #[error("the sandbox's wallet lives in a world: add --world SOCKET, or use `kioskd demo`")]
    NoWorld,
    #[error("`{key}`: {source}")]
    Key { key: &'static str, source: KeyError },
    #[error("`api_v3_key`: not 32 characters; write the key of the merchant's console into its file and nothing else")]
    ApiV3Key,
    #[error("`platform_key` {serial}: {path} is no RSA public key or certificate in PEM", path = path.display())]
    PlatformKey { serial: String, path: std::path::PathBuf },
    #[error("write alipay_public_key, or app_cert, alipay_cert and root_cert")]
    NoTrust,
    #[error(transparent)]
    Wechat(#[from] wechat::WechatConfigError),
    #[error(transparent)]
    Alipay(#[from] alipay::AlipayConfigError),
    #[error("it has no provider of its own to be asked from here")]
    NoProvider,
    #[error("there is no [fleet.gateway] to ask")]
    NoGateway,
    #[error("`merchant`: {0}")]
    Merchant(EmvError),
}

/// Every rail of a kiosk, by name. `world` is where the sandbox's wallet lives; `client` speaks with the gateway.
///
/// # Errors
/// With the first rail that can't be made.
pub fn rails(
    rails: &[config::Rail],
    world: Option<&Arc<World>>,
    client: Option<&Arc<GatewayClient>>,
) -> Result<BTreeMap<RailName, Arc<dyn Rail>>, OpenError> {
    let gateway = |rail: &config::Rail| {
        let (client, name) = client.zip(rail.at_gateway()).ok_or(Why::NoGateway)?;
        Ok::<_, Why>(Gateway::new(Arc::clone(client), name.to_string(), rail.timeout.0))
    };
    let open = |rail: &config::Rail| -> Result<Arc<dyn Rail>, Why> {
        match (&rail.provider, world) {
            (Provider::Sandbox, Some(world)) => Ok(Arc::new(Sandbox::new(Arc::clone(world), rail.timeout.0))),
            (Provider::Sandbox, None) => Err(Why::NoWorld),
            (Provider::Gateway(_), _) => Ok(Arc::new(gateway(rail)?)),
            (Provider::Emv(emv), _) => {
                emv.merchant.check().map_err(Why::Merchant)?;
                let merchant = emv.merchant.clone();
                let payload = move |new: &NewCharge| code(&merchant, new).map_err(|error| error.to_string());
                Ok(Arc::new(Emv::new(gateway(rail)?, payload)))
            }
            (Provider::Wechat(_) | Provider::Alipay(_), _) => Ok(made(rail)?),
        }
    };
    let named = |rail: &config::Rail| {
        let name = rail.name();
        let made = open(rail).map_err(|why| OpenError { rail: name.clone(), why })?;
        Ok((name, made))
    };
    rails.iter().map(named).collect()
}

/// The text of an EMV QR for a charge. The bank's word is matched to it by the reference.
fn code(merchant: &Merchant, new: &NewCharge) -> Result<String, EmvError> {
    let reference = emv::reference(&new.charge).unwrap_or_default();
    // The kiosk's own name, after the fleet's; a scheme takes plain characters only.
    let kiosk = new.attach.rsplit('/').next().unwrap_or_default();
    let terminal: String = kiosk.chars().take(LONGEST_TERMINAL).collect();
    let facts = NewChargeFacts {
        reference: &reference,
        amount: new.amount,
        currency: new.currency,
        terminal: &terminal,
        expires: None,
    };
    merchant.payload(&facts)
}

/// Makes every rail that has a provider of its own, to see whether it can be made.
///
/// # Errors
/// As [`provider`].
pub fn check(rails: &[config::Rail]) -> Result<(), OpenError> {
    let own = |rail: &&config::Rail| matches!(rail.provider, Provider::Wechat(_) | Provider::Alipay(_));
    rails.iter().filter(own).try_for_each(|rail| provider(rail).map(drop))
}

/// A rail with the merchant's keys.
///
/// # Errors
/// When its keys can't be read or its settings are not the provider's; and for a rail that has no provider.
pub fn provider(rail: &config::Rail) -> Result<Arc<dyn Notifies>, OpenError> {
    made(rail).map_err(|why| OpenError { rail: rail.name(), why })
}

fn made(rail: &config::Rail) -> Result<Arc<dyn Notifies>, Why> {
    match &rail.provider {
        Provider::Wechat(config) => Ok(Arc::new(WechatPay::new(wechat(config, rail)?)?)),
        Provider::Alipay(config) => Ok(Arc::new(Alipay::new(alipay(config, rail)?)?)),
        Provider::Sandbox | Provider::Gateway(_) | Provider::Emv(_) => Err(Why::NoProvider),
    }
}

fn wechat(config: &config::rail::Wechat, rail: &config::Rail) -> Result<wechat::WechatConfig, Why> {
    let api_v3_key = config.api_v3_key.secret().map_err(in_key("api_v3_key"))?;
    let platform_key = |key: &config::rail::PlatformKey| {
        let bytes = KeySource::File(key.file.clone()).public().map_err(in_key("platform_key"))?;
        let wrong = || Why::PlatformKey { serial: key.serial.clone(), path: key.file.clone() };
        Ok((key.serial.clone(), VerifyingKey::parse(&bytes).ok_or_else(wrong)?))
    };
    let sub = config.sub_mchid.clone();
    Ok(wechat::WechatConfig {
        base_url: config.base_url.clone(),
        backup_url: config.backup_url.clone(),
        ca: config.ca.clone(),
        timeout: rail.timeout.0,
        appid: config.appid.clone(),
        mchid: config.mchid.clone(),
        sub: sub.map(|sub_mchid| wechat::Sub { sub_mchid, sub_appid: config.sub_appid.clone() }),
        serial_no: config.serial_no.clone(),
        private_key: config.private_key.signing_key().map_err(in_key("private_key"))?,
        api_v3_key: ApiV3Key::parse(&api_v3_key).ok_or(Why::ApiV3Key)?,
        notify_url: config.notify_url.clone(),
        platform_keys: config.platform_keys.iter().map(platform_key).collect::<Result<_, Why>>()?,
    })
}

fn alipay(config: &config::rail::Alipay, rail: &config::Rail) -> Result<alipay::AlipayConfig, Why> {
    let read = |key: &'static str, source: &KeySource| source.public().map_err(in_key(key));
    let trust = match (&config.alipay_public_key, &config.app_cert, &config.alipay_cert, &config.root_cert) {
        (Some(key), ..) => alipay::Trust::Key(key.verifying_key().map_err(in_key("alipay_public_key"))?),
        (None, Some(app), Some(alipay), Some(root)) => alipay::Trust::Certificates {
            app_cert: read("app_cert", app)?,
            alipay_cert: read("alipay_cert", alipay)?,
            root_cert: read("root_cert", root)?,
        },
        _ => return Err(Why::NoTrust),
    };
    Ok(alipay::AlipayConfig {
        base_url: config.base_url.clone(),
        ca: config.ca.clone(),
        timeout: rail.timeout.0,
        app_id: config.app_id.clone(),
        private_key: config.private_key.signing_key().map_err(in_key("private_key"))?,
        trust,
        notify_url: config.notify_url.clone(),
    })
}

fn in_key(key: &'static str) -> impl Fn(KeyError) -> Why {
    move |source| Why::Key { key, source }
}
