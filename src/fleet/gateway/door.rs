//! Where providers knock: `POST {path}/{rail}` over HTTPS.
//!
//! Policy: anybody can knock. Nothing is done before the rail has verified the body, and nothing is told to a stranger
//! but a status; strangers are told in the log as a number. Bodies, headers, connections and their lives are bounded, and
//! strangers keep nobody out ([`lobby`](super::lobby)). 200 means that the kiosk has it; every other status that it is to
//! be said again (WeChat Pay repeats for 24 hours, Alipay for 25), which does no harm. A rail whose provider does not speak
//! takes notices from the operator's own program, signed by the operator's key: that a charge was paid, and nothing else.

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

use super::lobby::{Lobby, Place};
use super::notices::{Notices, Undelivered, number};
use super::settings::Door;
use super::{Complaints, GatewayRail, Office};
use crate::fleet::topic::Address;
use crate::payment::Notifies;
use crate::payment::gateway::wire::Notice;
use crate::signed::jws::{Keys, Purpose};
use crate::vocabulary::{ChargeRef, ChargeReport, RailError, Standing};

const LARGEST_BODY: usize = 64 << 10;
const LARGEST_HEADERS: usize = 16 << 10;
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Of one connection, with everything that is asked on it.
const LIFE: Duration = Duration::from_secs(30);

struct Porter {
    office: Arc<Office>,
    notices: Arc<Notices>,
    operator: Option<Keys>,
}

/// Serves until `closing` says so, and then until the last answer is out.
pub(super) async fn serve(
    listener: TcpListener,
    door: Door,
    office: Arc<Office>,
    notices: Arc<Notices>,
    mut closing: watch::Receiver<bool>,
) {
    let Door { path, tls, operator, listen: _ } = door;
    let porter = Arc::new(Porter { office, notices, operator });
    let app = Router::new()
        .route(&format!("{path}/{{rail}}"), post(knock))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(porter);
    let acceptor = tls.map(TlsAcceptor::from);
    let (lobby, strangers) = (Arc::new(Lobby::default()), Arc::new(Complaints::default()));
    let mut visitors = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    // A visitor without a place is hung up on; providers come again.
                    let Some((place, go)) = lobby.enter(from.ip()) else { continue };
                    let place = Arc::new(place);
                    let (app, acceptor) = (app.clone().layer(Extension(Arc::clone(&place))), acceptor.clone());
                    let strangers = Arc::clone(&strangers);
                    visitors.spawn(async move {
                        tokio::select! {
                            ended = tokio::time::timeout(LIFE, welcome(stream, acceptor, app)) => drop(ended),
                            // Another one needs the place.
                            _ = go => {}
                        }
                        if place.is_strangers()
                            && let Some(others) = strangers.due()
                        {
                            tracing::warn!(from = %from.ip(), others, "somebody knocked who is no provider");
                        }
                    });
                }
                // Out of descriptors, or the visitor has gone already.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = visitors.join_next() => {}
            () = async { drop(closing.wait_for(|closing| *closing).await) } => break,
        }
    }
    drop(listener);
    while visitors.join_next().await.is_some() {}
}

async fn welcome(stream: TcpStream, acceptor: Option<TlsAcceptor>, app: Router) {
    let Some(acceptor) = acceptor else { return converse(stream, app).await };
    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        converse(stream, app).await;
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, app: Router) {
    let service = TowerToHyperService::new(app);
    let ended = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE)
        .max_buf_size(LARGEST_HEADERS)
        // Notifications are rare, and a connection that is kept is a place that is taken.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a notification's connection broke");
    }
}

async fn knock(
    State(porter): State<Arc<Porter>>,
    Extension(place): Extension<Arc<Place>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(rail) = porter.office.clerk.rail(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let answer = match rail.notifies() {
        Some(provider) => porter.provider(&name, &**rail, provider, &headers, &body, &place).await,
        None => porter.operator(&name, &body, &place).await,
    };
    match answer {
        Ok(taken) => (StatusCode::OK, taken).into_response(),
        Err(Unheard { status, why }) => {
            porter.office.tally.unheard.fetch_add(1, Relaxed);
            let status_code = status.as_u16();
            if place.is_strangers() {
                tracing::debug!(rail = name, status = status_code, why, "not a notification");
            } else {
                tracing::warn!(rail = name, status = status_code, why, "a notification was not taken");
            }
            status.into_response()
        }
    }
}

struct Unheard {
    status: StatusCode,
    why: String,
}

impl Unheard {
    fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }
}

impl From<Undelivered> for Unheard {
    fn from(error: Undelivered) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl Porter {
    async fn provider(
        &self,
        name: &str,
        rail: &dyn GatewayRail,
        provider: &dyn Notifies,
        headers: &HeaderMap,
        body: &[u8],
        place: &Place,
    ) -> Result<&'static str, Unheard> {
        let header = |name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
        let said = provider.notification(&header, body).map_err(|error| match error {
            RailError::Refused { .. } => Unheard::new(StatusCode::UNAUTHORIZED, error.to_string()),
            RailError::Unknown(why) => Unheard::new(StatusCode::UNAUTHORIZED, why),
        })?;
        place.verified();
        let Some(said) = said else { return Ok(provider.taken()) };
        // A kiosk learns from its own questions that nothing was paid.
        let Some(payment) = said.report.payments.first() else { return Ok(provider.taken()) };
        let (order, amount, currency) = (payment.order, payment.amount, payment.currency);
        let charge = ChargeRef { charge: said.charge, order, amount, currency };
        let given = said.report.attach.clone().unwrap_or_default();
        let kiosks = &self.office.kiosks;
        let kiosk = kiosks.find(&given).or_else(|| kiosks.find_where(|full| rail.bears(&given, full)));
        let id = number(name, &charge, &said.report).ok_or(Undelivered::Unwritten)?;
        self.tell(name, kiosk, id, charge, said.report).await?;
        Ok(provider.taken())
    }

    async fn operator(&self, name: &str, body: &[u8], place: &Place) -> Result<&'static str, Unheard> {
        let Some(keys) = &self.operator else {
            return Err(Unheard::new(StatusCode::FORBIDDEN, "there is no `operator_key` for such notices"));
        };
        let (notice, _) = keys
            .open::<Notice>(Purpose::PayNotice, body)
            .map_err(|error| Unheard::new(StatusCode::UNAUTHORIZED, error.to_string()))?;
        place.verified();
        if let Some(why) = contradiction(name, &notice, self.office.gate.now()) {
            return Err(Unheard::new(StatusCode::BAD_REQUEST, why));
        }
        let Notice { kiosk, id, charge, report, .. } = notice;
        self.tell(name, self.office.kiosks.find(&kiosk), id, charge, report).await?;
        Ok("taken")
    }

    async fn tell(
        &self,
        rail: &str,
        kiosk: Option<Address>,
        id: String,
        charge: ChargeRef,
        report: ChargeReport,
    ) -> Result<(), Unheard> {
        let Some(kiosk) = kiosk else {
            return Err(Unheard::new(StatusCode::NOT_FOUND, format!("charge {} is no kiosk's of ours", charge.charge)));
        };
        let number = charge.charge.clone();
        self.office.clerk.paid(&kiosk.kiosk, &number);
        self.notices.deliver(&kiosk, rail, id, charge, report).await?;
        self.office.tally.notices.fetch_add(1, Relaxed);
        tracing::info!(kiosk = %kiosk.kiosk, rail, charge = %number, "notice taken");
        Ok(())
    }
}

/// Why the operator's notice is none, though it is the operator's.
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
