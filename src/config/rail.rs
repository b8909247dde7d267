//! `[[rail]]`: a payment method. Some keys belong to every kind, the others to one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;
use crate::emv::Merchant;
use crate::signed::keys::KeySource;
use crate::vocabulary::fee::FeeEntry;
use crate::vocabulary::{Localized, RailName};

/// A payment method.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Rail {
    /// What targets, records and the gateway call it; its `kind` where this is left out. Two rails of one kind need names.
    #[schemars(extend("examples" = ["wechat"]))]
    pub name: Option<RailName>,
    /// What the customer sees on its button.
    #[schemars(extend("examples" = [{"en": "Demo Wallet", "zh-Hant": "示範錢包"}]))]
    pub label: Localized,
    /// Seconds between two questions while a QR is on the glass.
    #[serde(default = "Rail::default_poll_seconds")]
    #[schemars(range(min = 1, max = 10))]
    pub poll_seconds: u64,
    /// For one request.
    #[serde(default = "Rail::default_timeout")]
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "30s"))]
    pub timeout: Span,
    /// What the provider keeps of a payment, as far as it is known: an estimate beside every order.
    #[serde(default, rename = "fee")]
    pub fees: Vec<FeeEntry>,
    #[serde(flatten)]
    pub provider: Provider,
}

/// Who is at the other end.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Provider {
    /// A pretend wallet provider with a durable book of its own.
    Sandbox,
    /// WeChat Pay, API v3, Native: the merchant's keys are on this machine.
    Wechat(Box<Wechat>),
    /// Alipay, face to face (`precreate`): the merchant's keys are on this machine.
    Alipay(Box<Alipay>),
    /// A provider behind the gateway of `[fleet.gateway]`: the keys stay in the back end. Recommended for a fleet.
    Gateway(Gateway),
    /// An EMV QR that the kiosk makes itself; the gateway, or the operator's signed notice, says whether it was paid.
    Emv(Box<Emv>),
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Wechat {
    /// The provider's address.
    #[serde(default = "Wechat::default_base_url")]
    #[schemars(extend("examples" = ["https://api.mch.weixin.qq.com"]))]
    pub base_url: String,
    /// Asked where the first does not answer.
    #[schemars(extend("examples" = ["https://api2.mch.weixin.qq.com"]))]
    pub backup_url: Option<String>,
    /// A PEM file in place of the system's certificates.
    #[schemars(extend("examples" = ["/etc/kioskd/ca.pem"]))]
    pub ca: Option<PathBuf>,
    /// Of the official account or mini program that is bound to `mchid`.
    #[schemars(length(min = 1, max = 32), extend("examples" = ["wxd678efh567hg6787"]))]
    pub appid: String,
    /// The merchant's number; the service provider's where `sub_mchid` is written.
    #[schemars(length(min = 1, max = 32), extend("examples" = ["1900007291"]))]
    pub mchid: String,
    /// Service-provider mode: the merchant that gets the money.
    #[schemars(length(min = 1, max = 32), extend("examples" = ["1900000109"]))]
    pub sub_mchid: Option<String>,
    /// Service-provider mode, where the merchant has an app of its own.
    #[schemars(length(min = 1, max = 32), extend("examples" = ["wxd678efh567hg6999"]))]
    pub sub_appid: Option<String>,
    /// Of the merchant's API certificate, hexadecimal.
    #[schemars(length(min = 1, max = 64), extend("examples" = ["408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB"]))]
    pub serial_no: String,
    /// The merchant's API private key (RSA, PEM).
    #[schemars(extend("examples" = ["file:/etc/kioskd/wechat.key"]))]
    pub private_key: KeySource,
    /// 32 characters, from the merchant's console.
    #[schemars(extend("examples" = ["credential:wechat.v3key"]))]
    pub api_v3_key: KeySource,
    /// Where the provider sends its notifications: `https://`, without a query.
    #[schemars(length(min = 1, max = 255), extend("examples" = ["https://pay.example.com/wechat"]))]
    pub notify_url: String,
    /// Keys that sign the provider's answers; certificates are fetched besides.
    #[serde(default, rename = "platform_key")]
    pub platform_keys: Vec<PlatformKey>,
}

/// A key of WeChat Pay's own.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlatformKey {
    /// `PUB_KEY_ID_…`, or a certificate's serial number.
    #[schemars(length(min = 1, max = 128), extend("examples" = ["PUB_KEY_ID_0000000000000024101100397200000006"]))]
    pub serial: String,
    /// A public key or a certificate (PEM).
    #[schemars(extend("examples" = ["/etc/kioskd/wechat-pub.pem"]))]
    pub file: PathBuf,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Alipay {
    /// The provider's address, with its path.
    #[serde(default = "Alipay::default_base_url")]
    #[schemars(extend("examples" = ["https://openapi.alipay.com/gateway.do"]))]
    pub base_url: String,
    /// A PEM file in place of the system's certificates.
    #[schemars(extend("examples" = ["/etc/kioskd/ca.pem"]))]
    pub ca: Option<PathBuf>,
    #[schemars(description = "The application's number.", length(min = 1, max = 32), extend("examples" = ["2021000000000000"]))]
    pub app_id: String,
    /// The application's private key (RSA; PEM or bare base64).
    #[schemars(extend("examples" = ["credential:alipay.key"]))]
    pub private_key: KeySource,
    /// Alipay's public key; or certificate mode with the three below.
    #[schemars(extend("examples" = ["file:/etc/kioskd/alipay-pub.pem"]))]
    pub alipay_public_key: Option<KeySource>,
    /// Certificate mode: the application's certificate.
    #[schemars(extend("examples" = ["file:/etc/kioskd/appCertPublicKey.crt"]))]
    pub app_cert: Option<KeySource>,
    /// Certificate mode: Alipay's certificate.
    #[schemars(extend("examples" = ["file:/etc/kioskd/alipayCertPublicKey_RSA2.crt"]))]
    pub alipay_cert: Option<KeySource>,
    /// Certificate mode: Alipay's root certificates.
    #[schemars(extend("examples" = ["file:/etc/kioskd/alipayRootCert.crt"]))]
    pub root_cert: Option<KeySource>,
    /// Where the provider sends its notifications; none are wanted where it is left out.
    #[schemars(length(min = 1, max = 255), extend("examples" = ["https://pay.example.com/alipay"]))]
    pub notify_url: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Gateway {
    /// The rail's name at the gateway; its name here where this is left out.
    #[schemars(extend("examples" = ["wechat"]))]
    pub provider: Option<RailName>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Emv {
    /// Who is paid, and by which scheme.
    pub merchant: Merchant,
    /// The rail's name at the gateway; its name here where this is left out.
    #[schemars(extend("examples" = ["promptpay"]))]
    pub provider: Option<RailName>,
}

impl Rail {
    pub fn name(&self) -> RailName {
        self.name.clone().unwrap_or_else(|| self.provider.kind())
    }

    /// Its name at the gateway, where it has one.
    pub fn at_gateway(&self) -> Option<RailName> {
        let provider = match &self.provider {
            Provider::Gateway(gateway) => &gateway.provider,
            Provider::Emv(emv) => &emv.provider,
            Provider::Sandbox | Provider::Wechat(_) | Provider::Alipay(_) => return None,
        };
        Some(provider.clone().unwrap_or_else(|| self.name()))
    }

    pub fn poll(&self) -> Duration {
        Duration::from_secs(self.poll_seconds)
    }

    pub(super) fn default_poll_seconds() -> u64 {
        3
    }

    pub(super) fn default_timeout() -> Span {
        Span::seconds(5)
    }
}

impl Provider {
    /// As it is written; the name of a rail that has none of its own.
    pub fn kind(&self) -> RailName {
        let kind = match self {
            Provider::Sandbox => "sandbox",
            Provider::Wechat(_) => "wechat",
            Provider::Alipay(_) => "alipay",
            Provider::Gateway(_) => "gateway",
            Provider::Emv(_) => "emv",
        };
        RailName::parse(kind).expect("every kind is a name")
    }
}

impl Provider {
    /// Relative files are seen from `directory`.
    pub(crate) fn resolve(&mut self, directory: &Path) {
        let join = |path: &mut PathBuf| *path = directory.join(&path);
        match self {
            Provider::Sandbox | Provider::Gateway(_) | Provider::Emv(_) => {}
            Provider::Wechat(wechat) => {
                wechat.private_key.resolve(directory);
                wechat.api_v3_key.resolve(directory);
                wechat.ca.iter_mut().for_each(join);
                wechat.platform_keys.iter_mut().for_each(|key| join(&mut key.file));
            }
            Provider::Alipay(alipay) => {
                alipay.private_key.resolve(directory);
                let keys = [
                    &mut alipay.alipay_public_key,
                    &mut alipay.app_cert,
                    &mut alipay.alipay_cert,
                    &mut alipay.root_cert,
                ];
                keys.into_iter().flatten().for_each(|key| key.resolve(directory));
                alipay.ca.iter_mut().for_each(join);
            }
        }
    }
}

impl Wechat {
    fn default_base_url() -> String {
        "https://api.mch.weixin.qq.com".into()
    }
}

impl Alipay {
    fn default_base_url() -> String {
        "https://openapi.alipay.com/gateway.do".into()
    }
}
