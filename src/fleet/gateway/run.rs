//! The process: from a configuration to a gateway, until it is told to stop.

use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::rails::{Silent, Speaking};
use super::settings::{self, SettingsError};
use super::{Gateway, GatewayError, GatewayRail, Rails};
use crate::config::{Provider, Rail};
use crate::payment;

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
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
    let (settings, rails) = settings::load(file)?;
    let rails = open(&rails)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(RunError::Start)?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Start)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Start)?;
        let names: Vec<&str> = rails.keys().map(String::as_str).collect();
        tracing::info!(fleet = %settings.fleet, kiosks = settings.limits.len(), ?names, "gateway");
        let mut gateway = Gateway::start(settings, rails).await?;
        if let Some(address) = gateway.address() {
            tracing::info!(%address, "listening for notifications");
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

/// The rails of the file, by name.
fn open(rails: &[Rail]) -> Result<Rails, RunError> {
    let made = |rail: &Rail| -> Result<Arc<dyn GatewayRail>, RunError> {
        Ok(match &rail.provider {
            Provider::Emv(_) => Arc::new(Silent),
            _ => Arc::new(Speaking(payment::open::provider(rail)?)),
        })
    };
    rails.iter().map(|rail| Ok((rail.name().to_string(), made(rail)?))).collect()
}
