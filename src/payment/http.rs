//! HTTPS to a provider: one request, one bounded answer.
//!
//! Policy: TLS is verified against the system's roots or the operator's CA. Plain `http://` is for loopback addresses,
//! where a test's provider listens. Redirects are not followed: an answer that is one is an answer nobody can use.
//! Every request ends within its time-out, every answer within its size. What was sent and not answered may have been
//! carried out.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::signed::{RootsError, root_certificates};
use crate::vocabulary::is_plain_http;

/// Larger than any answer to one question.
const LARGEST_ANSWER: u64 = 256 << 10;
const LARGEST_HEADERS: usize = 32 << 10;

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("`{0}` is not an address of a provider; write https://HOST, or http://127.0.0.1:PORT for a test")]
    Address(String),
    #[error(transparent)]
    Ca(#[from] RootsError),
    #[error("no connection: {0}")]
    NotSent(String),
    /// The provider may have carried it out.
    #[error("no usable answer: {0}")]
    Lost(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    /// Path and query as they go over the wire, with the leading `/`.
    pub target: String,
    pub headers: Vec<(&'static str, String)>,
    /// Exactly these bytes.
    pub body: Vec<u8>,
}

#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    headers: ureq::http::HeaderMap,
    pub body: Vec<u8>,
}

impl Response {
    /// A header's value, by its name in any case; the first where there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A provider's host and its substitute.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    /// Scheme and host with port; one or two.
    hosts: Vec<String>,
    preferred: Arc<AtomicUsize>,
    timeout: Duration,
}

impl Client {
    /// `addresses`: the provider's base addresses (scheme, host, port; no path), the main one first. `ca` in place of
    /// the system's roots. `timeout` is for one request, from name look-up to the last byte.
    ///
    /// # Errors
    /// When an address is no `https://` one, nor `http://` to a loopback address; when the CA can't be read.
    pub fn new(addresses: &[&str], ca: Option<&Path>, timeout: Duration) -> Result<Self, HttpError> {
        let mut hosts = Vec::new();
        let mut plain = true;
        for address in addresses {
            let unencrypted = check_address(address)?;
            if unencrypted {
                tracing::warn!(address, "a provider's address has no TLS, which is for tests on this machine only");
            }
            plain &= unencrypted;
            hosts.push((*address).trim_end_matches('/').to_owned());
        }
        // A test's provider on loopback needs no roots, and a bare machine may have none.
        let roots = if plain { Vec::new() } else { roots(ca)? };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(provider)
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .build();
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(LARGEST_HEADERS)
            .http_status_as_error(false)
            .proxy(None)
            .user_agent(concat!("kioskd/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Ok(Self { agent, hosts, preferred: Arc::default(), timeout })
    }

    /// Sends to the host that answered last. Where no connection comes about, to the other one too; after an answer
    /// that did not come, the next request goes to the other one.
    ///
    /// # Errors
    /// When nothing was sent, and when no usable answer came.
    pub async fn send(&self, request: Request) -> Result<Response, HttpError> {
        self.send_until(request, Instant::now() + self.timeout).await
    }

    /// The same, for a request that is one of several within a call's time.
    ///
    /// # Errors
    /// As above.
    pub async fn send_until(&self, request: Request, deadline: Instant) -> Result<Response, HttpError> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut result = self.send_to(first, request.clone(), deadline).await;
        let failed = |result: &Result<Response, HttpError>| !matches!(result, Ok(answer) if answer.status < 500);
        if failed(&result) && self.hosts.len() > 1 {
            let other = (first + 1) % self.hosts.len();
            self.preferred.store(other, Ordering::Relaxed);
            if matches!(result, Err(HttpError::NotSent(_))) {
                result = self.send_to(other, request, deadline).await;
            }
        }
        result
    }

    async fn send_to(&self, host: usize, request: Request, deadline: Instant) -> Result<Response, HttpError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(HttpError::NotSent("no time is left".into()));
        }
        let url = format!("{}{}", self.hosts[host % self.hosts.len()], request.target);
        let agent = self.agent.clone();
        let sent = tokio::task::spawn_blocking(move || exchange(&agent, &url, request, left)).await;
        sent.unwrap_or_else(|_| Err(HttpError::Lost("the request's thread ended".into())))
    }
}

fn exchange(agent: &ureq::Agent, url: &str, request: Request, left: Duration) -> Result<Response, HttpError> {
    let answer = match request.method {
        Method::Get => {
            let get = agent.get(url).config().timeout_global(Some(left)).build();
            request.headers.into_iter().fold(get, |r, (name, value)| r.header(name, value)).call()
        }
        Method::Post => {
            let post = agent.post(url).config().timeout_global(Some(left)).build();
            let post = request.headers.into_iter().fold(post, |r, (name, value)| r.header(name, value));
            post.send(request.body.as_slice())
        }
    };
    let answer = answer.map_err(|error| match error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed | ureq::Error::Tls(_) | ureq::Error::Rustls(_) => {
            HttpError::NotSent(error.to_string())
        }
        ureq::Error::Io(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => HttpError::NotSent(e.to_string()),
        error => HttpError::Lost(error.to_string()),
    })?;
    let (head, body) = answer.into_parts();
    if head.status.is_redirection() {
        return Err(HttpError::Lost(format!("a redirect ({}), which is not followed", head.status.as_u16())));
    }
    let mut bytes = Vec::new();
    let read = body.into_reader().take(LARGEST_ANSWER + 1).read_to_end(&mut bytes);
    read.map_err(|error| HttpError::Lost(error.to_string()))?;
    if bytes.len() as u64 > LARGEST_ANSWER {
        return Err(HttpError::Lost(format!("an answer of more than {} KiB", LARGEST_ANSWER >> 10)));
    }
    Ok(Response { status: head.status.as_u16(), headers: head.headers, body: bytes })
}

/// Whether it is plain HTTP, which only a loopback address may be.
///
/// # Errors
/// When it is neither that nor HTTPS to a host.
pub fn check_address(address: &str) -> Result<bool, HttpError> {
    is_plain_http(address).ok_or_else(|| HttpError::Address(address.chars().take(200).collect()))
}

/// The operator's CA, or what the system trusts.
fn roots(ca: Option<&Path>) -> Result<Vec<Certificate<'static>>, HttpError> {
    Ok(root_certificates(ca)?.iter().map(|der| Certificate::from_der(der).to_owned()).collect())
}
