//! Pictures that come from the fleet: how the configuration names them, and how much of them there may be.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bytes, Config, Span};
use crate::operation::Digest;

/// Before the SHA-256 of a picture, where otherwise its path would stand.
pub(super) const BY_DIGEST: &str = "sha256:";

/// Pictures that come [by command](fleet.md#pictures) and are named by their SHA-256.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Media {
    /// A larger picture is not fetched.
    #[schemars(extend("x-minimum" = "1 KiB", "x-maximum" = "64 MiB"))]
    pub max_size: Bytes,
    /// All that are kept together are not larger.
    #[schemars(extend("x-minimum" = "1 KiB", "x-maximum" = "1 GiB"))]
    pub max_total: Bytes,
    /// So long the pictures of one command are tried to be fetched.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub patience: Span,
    /// A PEM file with the CA of the server that has the pictures, in place of the system's.
    #[schemars(extend("examples" = ["/etc/kioskd/ca.pem"]))]
    pub ca: Option<PathBuf>,
    /// They may come from this machine, or from an address that only its link knows.
    pub local: bool,
}

impl Default for Media {
    fn default() -> Self {
        Self {
            max_size: Bytes::mib(8),
            max_total: Bytes::mib(64),
            patience: Span::seconds(900),
            ca: None,
            local: false,
        }
    }
}

/// What a picture is named by, where that is its SHA-256.
pub(super) fn digest_of(picture: &Path) -> Option<Digest> {
    Digest::parse(picture.to_str()?.strip_prefix(BY_DIGEST)?)
}

/// The path of a picture, which is seen from this folder. Where one lies that is named by its SHA-256 is not known here.
pub(super) fn placed(directory: &Path, picture: &Path) -> PathBuf {
    if digest_of(picture).is_some() { picture.into() } else { directory.join(picture) }
}

/// Every SHA-256 of a picture that stands in a configuration's text, wherever: what could be meant is not thrown away.
pub fn media_in(text: &str) -> BTreeSet<Digest> {
    text.split(BY_DIGEST).skip(1).filter_map(|rest| Digest::parse(rest.get(..64)?)).collect()
}

impl Config {
    /// The pictures that it names by their SHA-256, before they are [located](Self::locate_media).
    pub fn media(&self) -> BTreeSet<Digest> {
        let look = &self.glass.look;
        let slides = look.slides.iter().map(|slide| &slide.picture);
        let products = self.products.iter().filter_map(|product| product.picture.as_ref());
        products.chain(&look.logo).chain(slides).filter_map(|picture| digest_of(picture)).collect()
    }

    /// Those are files in this folder from now on.
    pub fn locate_media(&mut self, folder: &Path) {
        let look = &mut self.glass.look;
        let slides = look.slides.iter_mut().map(|slide| &mut slide.picture);
        let products = self.products.iter_mut().filter_map(|product| product.picture.as_mut());
        for picture in products.chain(&mut look.logo).chain(slides) {
            if let Some(digest) = digest_of(picture) {
                *picture = folder.join(digest.as_str());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_that_a_text_could_mean_is_found() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let text = format!(
            "picture = \"sha256:{a}\"\n# was sha256:{b}\nx = \"sha256:abc\"\ny = \"sha256:{}é\"",
            "c".repeat(63)
        );
        let found: Vec<String> = media_in(&text).iter().map(ToString::to_string).collect();
        assert_eq!(found, [a, b]);
        assert!(media_in("sha256:").is_empty());
    }
}
