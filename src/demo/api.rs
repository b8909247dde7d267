//! The demo's page and its API. Other programs are written against it: fields and names stay.
//!
//! Policy: thin. A request is parsed into a type before anything moves; what does not fit is answered with 4xx and
//! `{"error":"…"}`. Pictures are what the panel and the paper hold, never drawn here.

mod origin;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{DefaultBodyLimit, FromRequest, Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::wallet::{Action, BookError};
use super::world::{News, NoAnswer, SimulatedWorld, Switches};
use crate::config::Scanner;
use crate::input::can_be_scanned;
use crate::operation::{Operation, RequestId};
use crate::vocabulary::Point;
use crate::world::Question;

/// Longest body anybody needs, in bytes.
const MAX_BODY: usize = 64 << 10;
/// A body that is too long is still read to here: a connection that closes on somebody who is still sending takes the
/// reason with it.
const READ_AT_MOST: usize = 16 * MAX_BODY;

type World = State<Arc<SimulatedWorld>>;
pub(super) type Answer = Result<Response, Refused>;

/// The page and everything under `/api`, for who calls it by an address where it is.
pub fn router(world: Arc<SimulatedWorld>, listens: SocketAddr) -> Router {
    guarded(of_one(world, "", "/api"), listens)
}

/// One kiosk's page, and its API under `api`; the page looks for it beside itself.
pub(super) fn of_one(world: Arc<SimulatedWorld>, page: &str, api: &str) -> Router {
    let script = get(async || asset("text/javascript", include_str!("page.js")));
    Router::new()
        .route(&format!("{page}/"), get(async || Html(include_str!("page.html"))))
        .route(&format!("{page}/page.js"), script)
        .route(&format!("{page}/common.js"), get(common))
        .route(&format!("{page}/page.css"), get(style))
        .merge(api_routes(api))
        .method_not_allowed_fallback(wrong_method)
        .with_state(world)
}

/// One kiosk's API alone.
pub(super) fn api_of(world: Arc<SimulatedWorld>, api: &str) -> Router {
    api_routes(api).method_not_allowed_fallback(wrong_method).with_state(world)
}

fn api_routes(api: &str) -> Router<Arc<SimulatedWorld>> {
    let at = |path: &str| format!("{api}/{path}");
    Router::new()
        .route(&at("screen.png"), get(screen))
        .route(&at("touch"), post(touch))
        .route(&at("state"), get(state))
        .route(&at("orders"), get(orders))
        .route(&at("why"), get(why))
        .route(&at("wallet"), get(book).post(act))
        .route(&at("scan"), post(scan))
        .route(&at("board"), get(board))
        .route(&at("board/{name}"), post(input))
        .route(&at("printer.bin"), get(printed))
        .route(&at("printer.png"), get(paper))
        .route(&at("world"), get(switches).post(switch))
        .route(&at("operations"), get(operations).post(asked))
        .route(&at("events"), get(events))
}

/// What is true of every page and every API: who may call, how long a body may be, and an answer where there is nothing.
pub(super) fn guarded(routes: Router, listens: SocketAddr) -> Router {
    routes
        .fallback(async || Refused(StatusCode::NOT_FOUND, "there is nothing here".into()))
        .layer(DefaultBodyLimit::max(READ_AT_MOST))
        .layer(middleware::from_fn_with_state(origin::PageAddress(listens), origin::admit))
}

pub(super) async fn wrong_method() -> Refused {
    Refused(StatusCode::METHOD_NOT_ALLOWED, "this can't be done with that method".into())
}

pub(super) async fn common() -> impl IntoResponse {
    asset("text/javascript", include_str!("common.js"))
}

pub(super) async fn style() -> impl IntoResponse {
    asset("text/css", include_str!("page.css"))
}

/// A status and a reason for people.
pub(super) struct Refused(pub StatusCode, pub String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, axum::Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<NoAnswer> for Refused {
    fn from(why: NoAnswer) -> Self {
        Refused(StatusCode::SERVICE_UNAVAILABLE, why.to_string())
    }
}

pub(super) fn broken(error: impl std::fmt::Display) -> Refused {
    tracing::error!(%error, "the page's API has failed");
    Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

/// A JSON body of that type that says so. A browser sends no such body to a stranger's page without asking it first.
pub(super) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let too_long = || Refused(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is longer than {MAX_BODY} bytes"));
        let json = says_json(request.headers());
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| {
            match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => too_long(),
                status => Refused(status, rejection.body_text()),
            }
        })?;
        if bytes.len() > MAX_BODY {
            return Err(too_long());
        }
        if !json {
            let why = "say what the body is: Content-Type: application/json";
            return Err(Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, why.into()));
        }
        serde_json::from_slice(&bytes).map(Body).map_err(|error| Refused(StatusCode::BAD_REQUEST, error.to_string()))
    }
}

/// Whatever its parameters.
fn says_json(headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let kind = kinds.next().and_then(|kind| kind.to_str().ok()?.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) && kinds.next().is_none()
}

/// Work that waits for a disk, an encoder or a dying process, off the server's threads.
async fn aside<T: Send + 'static>(
    world: &Arc<SimulatedWorld>,
    work: impl FnOnce(&SimulatedWorld) -> T + Send + 'static,
) -> Result<T, Refused> {
    let world = Arc::clone(world);
    tokio::task::spawn_blocking(move || work(&world)).await.map_err(broken)
}

pub(super) fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind)], text)
}

fn fresh(kind: &'static str, bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], bytes).into_response()
}

pub(super) fn said(value: Value) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], axum::Json(value)).into_response()
}

async fn screen(State(world): World) -> Answer {
    let png = aside(&world, |world| world.glass.png()).await?.map_err(broken)?;
    Ok(fresh("image/png", png.to_vec()))
}

async fn touch(State(world): World, Body(at): Body<Point>) -> Answer {
    let Point { x, y } = at;
    let (width, height) = world.glass.size();
    let inside = |at: i32, side: u32| u32::try_from(at).is_ok_and(|at| at < side);
    if !inside(x, width) || !inside(y, height) {
        let why = format!("{x},{y} is not on the panel of {width}×{height} pixels");
        return Err(Refused(StatusCode::BAD_REQUEST, why));
    }
    if !aside(&world, move |world| world.touch(at)).await? {
        return Err(NoAnswer::Dead.into());
    }
    Ok(said(json!({ "result": "touched" })))
}

async fn state(State(world): World) -> Response {
    said(world.state())
}

async fn orders(State(world): World) -> Answer {
    told(world.ask(Question::Orders).await?, "the kiosk can't read its ledger")
}

async fn why(State(world): World, RawQuery(query): RawQuery) -> Answer {
    let order = match query.as_deref().unwrap_or_default() {
        "" | "order=" => None,
        query => match query.strip_prefix("order=") {
            Some(order) if order.len() <= 32 && order.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                Some(order.to_owned())
            }
            _ => return Err(Refused(StatusCode::BAD_REQUEST, "`?order=` wants one order's number or code".into())),
        },
    };
    match world.ask(Question::Why { order }).await? {
        Value::Null => Err(Refused(StatusCode::NOT_FOUND, "there is no such order".into())),
        story => told(story, ""),
    }
}

/// What the kiosk answered, unless that is an excuse.
fn told(answer: Value, without: &str) -> Answer {
    match &answer {
        Value::Null => Err(Refused(StatusCode::SERVICE_UNAVAILABLE, without.into())),
        Value::Object(fields) if fields.len() == 1 && fields.contains_key("error") => {
            Ok((StatusCode::SERVICE_UNAVAILABLE, axum::Json(answer)).into_response())
        }
        _ => Ok(said(answer)),
    }
}

async fn book(State(world): World) -> Answer {
    Ok(said(aside(&world, |world| world.wallet.book()).await?.map_err(broken)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payer {
    payload: String,
    action: Action,
}

async fn act(State(world): World, Body(Payer { payload, action }): Body<Payer>) -> Answer {
    let outcome = aside(&world, move |world| world.act(&payload, action)).await?.map_err(broken)?;
    Ok(said(json!(outcome)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scan {
    /// Scanned before; without it the camera looks at the glass.
    payload: Option<String>,
    /// Held before the kiosk's own scanner.
    text: Option<String>,
}

/// The phone: reads the QR from the glass's pixels and shows what the payer's app would show of it. With `text` the
/// kiosk's scanner instead.
async fn scan(State(world): World, Body(Scan { payload, text }): Body<Scan>) -> Answer {
    let refused = |why: &str| Err(Refused(StatusCode::BAD_REQUEST, why.to_owned()));
    if let Some(text) = text {
        if payload.is_some() {
            return refused("the phone reads `payload`, the kiosk's scanner reads `text`");
        }
        if !can_be_scanned(&text, Scanner::LONGEST) {
            return refused("a scanner types 1 to 1024 printable ASCII characters");
        }
        if !aside(&world, move |world| world.scan(&text)).await? {
            return Err(NoAnswer::Dead.into());
        }
        return Ok(said(json!({ "result": "scanned" })));
    }
    let seen = aside(&world, |world| {
        let Some(payload) = payload.or_else(|| world.glass.read_qr()) else { return Ok(None) };
        let offer = world.wallet.offer(&payload)?;
        Ok::<_, BookError>(Some(json!({ "payload": payload, "offer": offer })))
    });
    match seen.await?.map_err(broken)? {
        Some(seen) => Ok(said(seen)),
        None => Err(Refused(StatusCode::NOT_FOUND, "there is no QR on the glass".into())),
    }
}

async fn board(State(world): World) -> Answer {
    Ok(said(aside(&world, |world| world.machine.report()).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Level {
    active: bool,
}

async fn input(State(world): World, Path(name): Path<String>, Body(Level { active }): Body<Level>) -> Answer {
    aside(&world, move |world| {
        let report = world.machine.report();
        let mut lines = report["lines"].as_array().into_iter().flatten();
        if !lines.any(|line| line["name"] == name.as_str()) {
            return Err(Refused(StatusCode::NOT_FOUND, format!("there is no line `{name}`")));
        }
        world.machine.set_input(&name, active).map_err(|why| Refused(StatusCode::BAD_REQUEST, why))?;
        Ok(said(json!({ "name": name, "active": active })))
    })
    .await?
}

async fn printed(State(world): World) -> Answer {
    Ok(fresh("application/octet-stream", aside(&world, |world| world.paper.bin()).await?))
}

async fn paper(State(world): World) -> Answer {
    Ok(fresh("image/png", aside(&world, |world| world.paper.png()).await?))
}

async fn switches(State(world): World) -> Answer {
    Ok(said(aside(&world, |world| world.switches()).await?))
}

async fn switch(State(world): World, Body(wanted): Body<Switches>) -> Answer {
    let filled = wanted.stock.is_some();
    let done = aside(&world, move |world| world.switch(&wanted)).await?;
    done.map_err(|wrong| Refused(StatusCode::BAD_REQUEST, wrong.to_string()))?;
    if filled {
        operate(&world, refill()).await?;
    }
    switches(State(world)).await
}

/// What somebody at the page asks of the machine; `id` is chosen by who asks, and the same again gets the same answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    id: RequestId,
    asked: Operation,
}

async fn asked(State(world): World, Body(Asked { id, asked }): Body<Asked>) -> Answer {
    operate(&world, Question::Operate { id, asked }).await
}

/// The machine's answer, or why there is none; asked again under the same number, it is done once.
async fn operate(world: &SimulatedWorld, question: Question) -> Answer {
    told(world.ask(question).await?, "the kiosk can't answer")
}

fn refill() -> Question {
    // Without entropy the number is taken, and the refill is not done a second time.
    let id = RequestId::parse(&format!("refill-{:016x}", getrandom::u64().unwrap_or_default()));
    Question::Operate { id: id.expect("letters and digits"), asked: Operation::Refill }
}

async fn operations(State(world): World) -> Answer {
    told(world.ask(Question::Operations).await?, "the kiosk can't read its ledger")
}

async fn events(
    State(world): World,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Answer {
    let upgrade = upgrade.map_err(|e| Refused(StatusCode::BAD_REQUEST, e.body_text()))?;
    Ok(upgrade.on_upgrade(move |socket| follow(world, socket)))
}

async fn follow(world: Arc<SimulatedWorld>, socket: WebSocket) {
    let (news, earlier) = world.listen_to_news();
    send_news(news, earlier, socket).await;
}

/// Sends all news. A page that is too slow misses some and is told so; it asks again for everything anyway.
pub(super) async fn send_news(mut news: Receiver<News>, earlier: Vec<News>, mut socket: WebSocket) {
    for text in earlier {
        if socket.send(Message::Text(text.to_string().into())).await.is_err() {
            return;
        }
    }
    loop {
        let text = tokio::select! {
            news = news.recv() => match news {
                Ok(news) => news.to_string(),
                Err(RecvError::Lagged(_)) => json!({ "kind": "missed" }).to_string(),
                Err(RecvError::Closed) => return,
            },
            said = socket.recv() => match said {
                Some(Ok(_)) => continue,
                _ => return,
            },
        };
        if socket.send(Message::Text(text.into())).await.is_err() {
            return;
        }
    }
}
