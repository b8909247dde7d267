//! The address of a provider.

use std::net::IpAddr;

use ureq::http::Uri;

/// Whether an address is plain HTTP, which only a loopback address may be, and not HTTPS; `None` when it is neither, names
/// no host, or has a query or a password.
pub fn is_plain_http(address: &str) -> Option<bool> {
    let uri: Uri = address.parse().ok()?;
    let host = uri.host()?;
    let bare = uri.query().is_none() && !uri.authority().is_some_and(|a| a.as_str().contains('@'));
    let loopback = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match uri.scheme_str() {
        Some("https") if bare => Some(false),
        Some("http") if bare && (loopback || host == "localhost") => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        for good in
            ["https://api.mch.weixin.qq.com", "https://openapi.alipay.com/gateway.do", "https://[2001:db8::1]:8443"]
        {
            assert!(is_plain_http(good) == Some(false), "{good}");
        }
        for good in ["http://127.0.0.1:8080", "http://[::1]:80", "http://localhost:9", "http://127.9.9.9"] {
            assert!(is_plain_http(good) == Some(true), "{good}");
        }
        for bad in [
            "http://example.com",
            "http://127.0.0.1.example.com",
            "http://10.0.0.1",
            "ftp://x",
            "",
            "https://",
            "https://u:p@x",
            "https://x?y",
        ] {
            assert!(is_plain_http(bad).is_none(), "{bad}");
        }
    }
}
