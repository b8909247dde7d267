//! The demo's network cable: a TCP proxy in front of the broker that can be cut and mended.
//!
//! Policy: cut means cut. Every connection through it ends, and a new one ends as soon as it is made; what was on its
//! way is gone. It knows nothing of what it carries.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running proxy; dropped, it ends with all its connections.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    whole: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of the loopback and carries everything to `upstream` (`HOST:PORT`), as a task of the
    /// current tokio runtime.
    pub fn start(upstream: String) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let (whole, state) = watch::channel(true);
        Ok(Self { addr, whole, task: tokio::spawn(accept(listener, upstream, state)) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn is_cut(&self) -> bool {
        !*self.whole.borrow()
    }

    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    pub fn restore(&self) {
        self.whole.send_replace(true);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The connections end because the switch does.
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, upstream: String, state: watch::Receiver<bool>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let mut state = state.clone();
                let upstream = upstream.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        // Also when the proxy itself has gone.
                        _ = state.wait_for(|whole| !whole) => {}
                        ended = carry(client, &upstream) => {
                            if let Err(error) = ended {
                                tracing::debug!(%error, upstream, "a connection through the proxy ended");
                            }
                        }
                    }
                });
            }
            Err(error) => {
                // Usually too many open files; not worth spinning for.
                tracing::warn!(%error, "the proxy can't take a connection");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn carry(mut client: TcpStream, upstream: &str) -> io::Result<()> {
    let mut server = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
