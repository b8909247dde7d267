//! The figures for a Prometheus on the same machine: `GET /metrics` on the loopback.
//!
//! Policy: it listens on the loopback and nowhere else, for there is no TLS and nobody is asked who they are. So many
//! connections at once, one request on each, within a time; whoever else comes is not answered. A place that is taken
//! keeps no kiosk from selling: it is said in the journal, and the figures go to the fleet alone.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::figures::{Figure, exposition};
use crate::service::{End, Supervisor};

const AT_ONCE: usize = 4;
/// For one request, from its connection to its last byte.
const PATIENCE: Duration = Duration::from_secs(5);
const FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4");

/// Answers with the figures that `now` gives; `None` where nobody can say any.
pub async fn serve<F>(
    listen: SocketAddr,
    now: impl Fn() -> F + Clone + Send + Sync + 'static,
    supervisor: Supervisor,
    runtime: Handle,
) -> End
where
    F: Future<Output = Option<Vec<Figure>>> + Send + 'static,
{
    let listener = match TcpListener::bind(listen).await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, %listen, "no Prometheus is answered: free this place, or choose another under [metrics] listen");
            return End::Told;
        }
    };
    let room = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return End::Told };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely.
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let now = now.clone();
        let answer = service_fn(move |request: Request<Incoming>| {
            let now = now.clone();
            async move { Ok::<_, Infallible>(response(&request, now).await) }
        });
        let mut connection = http1::Builder::new();
        connection.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        let connection = connection.serve_connection(TokioIo::new(stream), answer);
        let answered = async move {
            // Whoever asked has gone, or was too slow: there is nobody to tell.
            drop(tokio::time::timeout(PATIENCE, connection).await);
            drop(place);
        };
        supervisor.job(&runtime, "an answer to a Prometheus", answered, |_| ());
    }
}

async fn response<F>(request: &Request<Incoming>, now: impl Fn() -> F) -> Response<String>
where
    F: Future<Output = Option<Vec<Figure>>>,
{
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => match now().await {
            Some(figures) => (StatusCode::OK, exposition(&figures)),
            None => (StatusCode::SERVICE_UNAVAILABLE, "the kiosk is about to end\n".into()),
        },
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, "only GET\n".into()),
        _ => (StatusCode::NOT_FOUND, "there is /metrics and nothing else\n".into()),
    };
    let mut response = Response::new(text);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, FORMAT);
    response
}
