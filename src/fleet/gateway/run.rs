//! Runs a gateway as a process: it reads the configuration, opens the rails and serves until a signal ends it.

use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::config::{self, ConfigError};
use super::rails::{NoticeOnlyRail, ProviderRail};
use super::{Gateway, GatewayError, GatewayRail, Rails};
use crate::config::{Provider, Rail};
use crate::payment;

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error("the gateway can't be started")]
    Start(#[source] std::io::Error),
    #[error(transparent)]
    Rail(#[from] payment::open::OpenError),
}

/// Runs the gateway that a file describes, until SIGTERM or SIGINT.
///
/// # Errors
/// When it can't be started, and when a part of it ends by itself.
pub fn run(file: &Path) -> Result<(), RunError> {
    let (config, rails) = config::load(file)?;
    let rails = open(&rails)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(RunError::Start)?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Start)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Start)?;
        let names: Vec<&str> = rails.keys().map(String::as_str).collect();
        tracing::info!(fleet = %config.fleet, kiosks = config.limits.len(), rails = ?names, "the gateway starts");
        let mut gateway = Gateway::start(config, rails).await?;
        if let Some(address) = gateway.address() {
            tracing::info!(%address, "the webhook listens for notifications");
        }
        tokio::select! {
            error = gateway.ended() => return Err(error.into()),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        gateway.stop().await;
        Ok(())
    })
}

/// Opens the rails of the configuration, by name.
fn open(rails: &[Rail]) -> Result<Rails, RunError> {
    let made = |rail: &Rail| -> Result<Arc<dyn GatewayRail>, RunError> {
        Ok(match &rail.provider {
            Provider::Emv(_) => Arc::new(NoticeOnlyRail),
            _ => Arc::new(ProviderRail(payment::open::provider(rail)?)),
        })
    };
    rails.iter().map(|rail| Ok((rail.name().to_string(), made(rail)?))).collect()
}
