//! The page of the car park, `GET` and `POST /api/site`, and each kiosk's own page and API.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::get;

use super::errand::{CantDo, Errand};
use super::{Kiosk, Park};
use crate::demo::api::{
    Answer, Body, Refused, api_of, asset, broken, common, guarded, of_one, said, send_news, style, wrong_method,
};

type OfPark = State<Arc<Park>>;

pub fn router(park: Arc<Park>, listens: SocketAddr) -> Router {
    let mut routes = Router::new()
        .route("/", get(async || Html(include_str!("page.html"))))
        .route("/park.js", get(async || asset("text/javascript", include_str!("page.js"))))
        .route("/picture.js", get(async || asset("text/javascript", include_str!("picture.js"))))
        .route("/common.js", get(common))
        .route("/park.css", get(async || asset("text/css", include_str!("page.css"))))
        .route("/page.css", get(style))
        .route("/api/site", get(site).post(run))
        .route("/api/events", get(events))
        .method_not_allowed_fallback(wrong_method)
        .with_state(Arc::clone(&park));
    for Kiosk { id, world, .. } in &park.kiosks {
        // Its page looks for the API beside itself.
        let page = format!("/kiosk/{id}");
        routes = routes.merge(of_one(Arc::clone(world), &page, &format!("{page}/api")));
        routes = routes.merge(api_of(Arc::clone(world), &format!("/api/kiosk/{id}")));
    }
    guarded(routes, listens)
}

impl From<CantDo> for Refused {
    fn from(why: CantDo) -> Self {
        let status = match why {
            CantDo::Dead => StatusCode::SERVICE_UNAVAILABLE,
            CantDo::NoTicket { .. }
            | CantDo::NoCode
            | CantDo::NotThere { .. }
            | CantDo::NoCameras
            | CantDo::HoldsNone { .. }
            | CantDo::Nowhere(_)
            | CantDo::Move(_) => StatusCode::CONFLICT,
            CantDo::NoKiosk(_) | CantDo::NoLane(_) => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        Refused(status, why.to_string())
    }
}

async fn site(State(park): OfPark) -> Answer {
    let report = tokio::task::spawn_blocking(move || park.report()).await.map_err(broken)?;
    Ok(said(report))
}

async fn run(State(park): OfPark, Body(errand): Body<Errand>) -> Answer {
    let done = tokio::task::spawn_blocking(move || park.run(errand)).await.map_err(broken)?;
    Ok(said(done?))
}

async fn events(State(park): OfPark, upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>) -> Answer {
    let upgrade = upgrade.map_err(|e| Refused(StatusCode::BAD_REQUEST, e.body_text()))?;
    Ok(upgrade.on_upgrade(move |socket| async move { send_news(park.listen_to_news(), Vec::new(), socket).await }))
}
