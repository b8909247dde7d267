//! The webhook: providers send their notifications to `POST {path}/{rail}` over HTTPS.
//!
//! Policy: anybody on the network can call it. Nothing is done before the rail has verified the body, an unverified
//! caller is told nothing but a status, and unverified callers are logged as a number. The sizes of bodies and headers,
//! the number of connections and their duration are bounded, and unverified connections keep nobody out
//! ([`connections`](super::connections)). Status 200 means that the kiosk has the notice; every other status makes the
//! provider repeat its notification (WeChat Pay does so for 24 hours, Alipay for 25), which does no harm. Where a
//! rail's provider sends no notifications, the operator's own program may send notices, signed with the operator's key:
//! they may say that a charge was paid, and nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::config::WebhookConfig;
use super::connections::{ConnectionLimiter, Slot};
use super::notices::{NotDelivered, NoticeSender, notice_id};
use super::{GatewayRail, LogLimiter, Shared};
use crate::fleet::topic::Address;
use crate::payment::Notifies;
use crate::payment::gateway::wire::Notice;
use crate::signed::jws::{Keys, Purpose};
use crate::vocabulary::{ChargeRef, ChargeReport, RailError, Standing};

const LARGEST_BODY: usize = 64 << 10;
const LARGEST_HEADERS: usize = 16 << 10;
const HANDSHAKE: Duration = Duration::from_secs(5);
/// A connection is closed after this time, whatever happens on it.
const LIFE: Duration = Duration::from_secs(30);

struct WebhookHandler {
    shared: Arc<Shared>,
    notices: Arc<NoticeSender>,
    operator: Option<Keys>,
}

/// Serves until `closing` is true, and then until the last response is out.
pub(super) async fn serve(
    listener: TcpListener,
    config: WebhookConfig,
    shared: Arc<Shared>,
    notices: Arc<NoticeSender>,
    mut closing: watch::Receiver<bool>,
) {
    let WebhookConfig { path, tls, operator, listen: _ } = config;
    let handler = Arc::new(WebhookHandler { shared, notices, operator });
    let app = Router::new()
        .route(&format!("{path}/{{rail}}"), post(receive))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(handler);
    let acceptor = tls.map(TlsAcceptor::from);
    let (limiter, log_limiter) = (Arc::new(ConnectionLimiter::default()), Arc::new(LogLimiter::default()));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    // Without a slot the connection is closed; providers come again.
                    let Some((slot, evicted)) = limiter.admit(from.ip()) else { continue };
                    let slot = Arc::new(slot);
                    let (app, acceptor) = (app.clone().layer(Extension(Arc::clone(&slot))), acceptor.clone());
                    let log_limiter = Arc::clone(&log_limiter);
                    connections.spawn(async move {
                        tokio::select! {
                            ended = tokio::time::timeout(LIFE, serve_tls(stream, acceptor, app)) => drop(ended),
                            // Another connection needs the slot.
                            _ = evicted => {}
                        }
                        if slot.is_unverified()
                            && let Some(others) = log_limiter.due()
                        {
                            tracing::warn!(from = %from.ip(), others, "a webhook connection closed without a verified notification");
                        }
                    });
                }
                // There are no descriptors left, or the client has gone already.
                Err(error) => {
                    tracing::warn!(%error, "the webhook could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = async { drop(closing.wait_for(|closing| *closing).await) } => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve_tls(stream: TcpStream, acceptor: Option<TlsAcceptor>, app: Router) {
    let Some(acceptor) = acceptor else { return serve_http(stream, app).await };
    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        serve_http(stream, app).await;
    }
}

async fn serve_http(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, app: Router) {
    let service = TowerToHyperService::new(app);
    let ended = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE)
        .max_buf_size(LARGEST_HEADERS)
        // Notifications are rare, and a connection that is kept open takes a slot.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a webhook connection broke");
    }
}

async fn receive(
    State(handler): State<Arc<WebhookHandler>>,
    Extension(slot): Extension<Arc<Slot>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(rail) = handler.shared.handler.rail(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let answer = match rail.notifies() {
        Some(provider) => handler.provider(&name, &**rail, provider, &headers, &body, &slot).await,
        None => handler.operator(&name, &body, &slot).await,
    };
    match answer {
        Ok(taken) => (StatusCode::OK, taken).into_response(),
        Err(Refused { status, why }) => {
            handler.shared.tally.webhooks_refused.fetch_add(1, Relaxed);
            let status_code = status.as_u16();
            if slot.is_unverified() {
                tracing::debug!(rail = name, status = status_code, why, "the webhook refused what is no notification");
            } else {
                tracing::warn!(
                    rail = name,
                    status = status_code,
                    why,
                    "the webhook refused a notification; its sender will repeat it"
                );
            }
            status.into_response()
        }
    }
}

struct Refused {
    status: StatusCode,
    why: String,
}

impl Refused {
    fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }
}

impl From<NotDelivered> for Refused {
    fn from(error: NotDelivered) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl WebhookHandler {
    async fn provider(
        &self,
        name: &str,
        rail: &dyn GatewayRail,
        provider: &dyn Notifies,
        headers: &HeaderMap,
        body: &[u8],
        slot: &Slot,
    ) -> Result<&'static str, Refused> {
        let header = |name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
        let notification = provider.notification(&header, body).map_err(|error| match error {
            RailError::Refused { .. } => Refused::new(StatusCode::UNAUTHORIZED, error.to_string()),
            RailError::Unknown(why) => Refused::new(StatusCode::UNAUTHORIZED, why),
        })?;
        slot.verified();
        let Some(notification) = notification else { return Ok(provider.taken()) };
        // A kiosk learns from its own questions that nothing was paid.
        let Some(payment) = notification.report.payments.first() else { return Ok(provider.taken()) };
        let (order, amount, currency) = (payment.order, payment.amount, payment.currency);
        let charge = ChargeRef { charge: notification.charge, order, amount, currency };
        let given = notification.report.attach.clone().unwrap_or_default();
        let kiosks = &self.shared.kiosks;
        let kiosk = kiosks.find(&given).or_else(|| kiosks.find_where(|full| rail.attach_matches(&given, full)));
        let id = notice_id(name, &charge, &notification.report).ok_or(NotDelivered::NotSigned)?;
        self.forward(name, kiosk, id, charge, notification.report).await?;
        Ok(provider.taken())
    }

    async fn operator(&self, name: &str, body: &[u8], slot: &Slot) -> Result<&'static str, Refused> {
        let Some(keys) = &self.operator else {
            return Err(Refused::new(StatusCode::FORBIDDEN, "there is no `operator_key` for such notices"));
        };
        let (notice, _) = keys
            .open::<Notice>(Purpose::PayNotice, body)
            .map_err(|error| Refused::new(StatusCode::UNAUTHORIZED, error.to_string()))?;
        slot.verified();
        if let Some(why) = contradiction(name, &notice, self.shared.admission.now()) {
            return Err(Refused::new(StatusCode::BAD_REQUEST, why));
        }
        let Notice { kiosk, id, charge, report, .. } = notice;
        self.forward(name, self.shared.kiosks.find(&kiosk), id, charge, report).await?;
        Ok("taken")
    }

    async fn forward(
        &self,
        rail: &str,
        kiosk: Option<Address>,
        id: String,
        charge: ChargeRef,
        report: ChargeReport,
    ) -> Result<(), Refused> {
        let Some(kiosk) = kiosk else {
            return Err(Refused::new(StatusCode::NOT_FOUND, format!("charge {} is no kiosk's of ours", charge.charge)));
        };
        let number = charge.charge.clone();
        self.shared.handler.paid(&kiosk.kiosk, &number);
        self.notices.deliver(&kiosk, rail, id, charge, report).await?;
        self.shared.tally.notices.fetch_add(1, Relaxed);
        tracing::info!(kiosk = %kiosk.kiosk, rail, charge = %number, "the kiosk has confirmed a notice");
        Ok(())
    }
}

/// Why a notice with the operator's signature is not valid.
fn contradiction(rail: &str, notice: &Notice, now: u64) -> Option<&'static str> {
    let Notice { id, charge, report, .. } = notice;
    let id_fits = (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    let ours = |payment: &crate::vocabulary::Payment| {
        payment.amount > 0 && payment.currency == charge.currency && payment.order == charge.order
    };
    [
        (notice.rail == rail, "it is for another rail"),
        (notice.expires > now, "it has expired"),
        (id_fits, "its id is not 1 to 64 letters, digits, `_` and `-`"),
        (charge.amount > 0, "its charge is for nothing"),
        (charge.charge.order() == Some(charge.order), "its charge is another order's"),
        (!report.payments.is_empty(), "it says of no payment"),
        (report.payments.iter().all(ours), "a payment is of nothing, or of another order or currency"),
        (report.returned == 0 && report.standing != Standing::Returning, "it says of money given back"),
        (report.attach.as_ref().is_none_or(|name| *name == notice.kiosk), "it is for two kiosks"),
    ]
    .into_iter()
    .find_map(|(holds, why)| (!holds).then_some(why))
}

pub(super) async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::{ChargeId, Currency, OrderId, Payment, PaymentId};

    #[test]
    fn an_operators_notice_that_contradicts_itself() {
        let order = OrderId::from_parts(1, 1);
        let cny = Currency::from_code("CNY").unwrap();
        let payment = Payment { id: PaymentId::parse("P1").unwrap(), amount: 300, currency: cny, order };
        let good = Notice {
            kiosk: "street/K1".into(),
            rail: "emv".into(),
            id: "n-1".into(),
            sent: 1000,
            expires: 2000,
            charge: ChargeRef { charge: ChargeId::of(order, 1), order, amount: 300, currency: cny },
            report: ChargeReport {
                standing: Standing::Open,
                payments: vec![payment.clone()],
                returned: 0,
                attach: Some("street/K1".into()),
            },
        };
        assert_eq!(contradiction("emv", &good, 1999), None);
        let why = |change: &dyn Fn(&mut Notice)| {
            let mut notice = good.clone();
            change(&mut notice);
            contradiction("emv", &notice, 1999).unwrap_or("nothing")
        };
        assert_eq!(contradiction("pix", &good, 1999), Some("it is for another rail"));
        assert_eq!(contradiction("emv", &good, 2000), Some("it has expired"));
        assert!(why(&|n| n.id = "a b".into()).contains("id"));
        assert!(why(&|n| n.id.clear()).contains("id"));
        assert!(why(&|n| n.charge.amount = 0).contains("for nothing"));
        assert!(why(&|n| n.report.payments.clear()).contains("no payment"));
        assert!(why(&|n| n.report.payments[0].amount = 0).contains("of nothing"));
        assert!(why(&|n| n.report.payments[0].currency = Currency::from_code("EUR").unwrap()).contains("currency"));
        assert!(why(&|n| n.report.payments[0].order = OrderId::from_parts(2, 2)).contains("order"));
        assert!(why(&|n| n.report.payments.push(Payment { amount: -1, ..payment.clone() })).contains("of nothing"));
        assert!(why(&|n| n.report.returned = 1).contains("given back"));
        assert!(why(&|n| n.report.standing = Standing::Returning).contains("given back"));
        assert!(why(&|n| n.charge.charge = ChargeId::of(OrderId::from_parts(2, 2), 1)).contains("another order's"));
        assert!(why(&|n| n.report.attach = Some("street/K2".into())).contains("two kiosks"));
    }
}
