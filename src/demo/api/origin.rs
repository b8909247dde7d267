//! Checks who may call the page's API: the page's own scripts, and programs on this machine.
//!
//! Policy: the page has no password, so no other web page may press its buttons through somebody's browser. A request
//! must name the page by one of its own addresses (otherwise a foreign name was made to point here), and the `Origin`
//! that a browser sends must be the page's own. Programs send no `Origin`, and may call.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Refused;

/// What a browser leaves out.
const USUAL_PORT: u16 = 80;

/// Where the page is. On all of the machine's addresses any address may be named: whoever calls us by a number, in a
/// container or through a router, was not led here by a stranger's name.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageAddress(pub SocketAddr);

impl PageAddress {
    fn is(self, authority: &Authority) -> bool {
        let host = authority.host();
        let port = authority.port().map_or(Some(USUAL_PORT), |port| port.as_str().parse().ok());
        // `user@host` is a name for people to fall for.
        let plain = !authority.as_str().contains('@');
        plain && port == Some(self.0.port()) && (host.eq_ignore_ascii_case("localhost") || self.has(host))
    }

    fn has(self, host: &str) -> bool {
        let within = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let address = match within {
            Some(six) => six.parse().map(IpAddr::V6),
            None => host.parse().map(IpAddr::V4),
        };
        let here = self.0.ip();
        address.is_ok_and(|address| {
            address == here || address == Ipv4Addr::LOCALHOST || address == Ipv6Addr::LOCALHOST || here.is_unspecified()
        })
    }
}

/// In front of every route.
pub(super) async fn admit(State(address): State<PageAddress>, request: Request, next: Next) -> Response {
    match check(address, &request) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

fn check(address: PageAddress, request: &Request) -> Result<(), Refused> {
    let headers = request.headers();
    let host = only(headers, HOST)?.ok_or_else(|| Refused(StatusCode::BAD_REQUEST, "there is no Host".into()))?;
    let foreign = |what: &str| {
        let port = address.0.port();
        let why = format!("{what} is not this page's; open it as http://localhost:{port} or by its address");
        Refused(StatusCode::FORBIDDEN, why)
    };
    // A request that names the place in its first line as well means that one.
    let named = host.parse::<Authority>().ok().filter(|authority| address.is(authority));
    if named.is_none() || request.uri().authority().is_some_and(|authority| !address.is(authority)) {
        return Err(foreign("that Host"));
    }
    match only(headers, ORIGIN)? {
        Some(origin) if origin.strip_prefix("http://").is_none_or(|from| !from.eq_ignore_ascii_case(host)) => {
            Err(foreign("that Origin"))
        }
        _ => Ok(()),
    }
}

/// What is said once, if it is said.
fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Refused> {
    let unclear = || Refused(StatusCode::BAD_REQUEST, format!("what {name} is meant?"));
    let mut said = headers.get_all(&name).iter();
    match (said.next(), said.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| unclear()),
        (Some(_), Some(_)) => Err(unclear()),
    }
}
