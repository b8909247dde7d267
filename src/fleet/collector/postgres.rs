//! PostgreSQL, for many collectors at once.
//!
//! Policy: the connection is made anew when it was lost, by the next transaction. Over a network it is TLS or nothing, unless
//! the URL itself says `sslmode=disable`.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use postgres::config::{Host, SslMode};
use postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};
use postgres::types::{IsNull, ToSql, Type, private::BytesMut};
use postgres::{Client, Config, NoTls, Statement};
use rustls_pki_types::{InvalidDnsNameError, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::database::{Cell, Database, DatabaseError, Dialect, Row};
use crate::fleet::tls;

const CONNECT: Duration = Duration::from_secs(10);
/// A server that is gone without a word counts as gone after this.
const SILENCE: Duration = Duration::from_secs(15);

pub struct Postgres {
    config: Config,
    ca: Option<PathBuf>,
    client: Option<Client>,
    prepared: HashMap<String, Statement>,
}

impl Postgres {
    /// `url`: `postgresql://USER:PASSWORD@HOST/NAME`, or `host=… user=… dbname=…`. `ca`: who certifies the server, in place of
    /// the system's.
    ///
    /// # Errors
    /// It is none, or there is no connection.
    pub fn open(url: &str, ca: Option<&Path>) -> Result<Self, DatabaseError> {
        let mut config: Config = url.parse()?;
        let away = |host: &Host| match host {
            Host::Tcp(name) => {
                !(name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()))
            }
            Host::Unix(_) => false,
        };
        if config.get_ssl_mode() == SslMode::Prefer && config.get_hosts().iter().any(away) {
            config.ssl_mode(SslMode::Require);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_application_name().is_none() {
            config.application_name("kioskfleet");
        }
        config.keepalives_idle(SILENCE).tcp_user_timeout(SILENCE);
        let mut database = Self { config, ca: ca.map(Path::to_owned), client: None, prepared: HashMap::new() };
        database.reconnect()?;
        Ok(database)
    }

    /// The connection as it is: whoever is in the middle of a transaction must not go on in another.
    fn client(&mut self) -> Result<&mut Client, DatabaseError> {
        self.client.as_mut().ok_or(DatabaseError::Away)
    }
}

impl ToSql for Cell {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Cell::Null => Ok(IsNull::Yes),
            Cell::Number(number) => number.to_sql(kind, out),
            Cell::Text(text) => text.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::INT8 || *kind == Type::TEXT
    }

    postgres::types::to_sql_checked!();
}

impl Database for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn query(&mut self, statement: &str, parameters: &[Cell]) -> Result<Vec<Row>, DatabaseError> {
        let prepared = self.prepared.get(statement).cloned();
        let client = self.client()?;
        let prepared = match prepared {
            Some(prepared) => prepared,
            None => {
                let prepared = client.prepare(statement)?;
                self.prepared.insert(statement.to_owned(), prepared.clone());
                prepared
            }
        };
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|cell| cell as _).collect();
        let rows = self.client()?.query(&prepared, &parameters)?;
        let row = |row: &postgres::Row| {
            let cell = |at: usize| {
                Ok(match row.columns()[at].type_() {
                    kind if *kind == Type::INT8 => row.try_get::<_, Option<i64>>(at)?.into(),
                    kind if *kind == Type::TEXT => row.try_get::<_, Option<String>>(at)?.into(),
                    _ => Cell::Null,
                })
            };
            (0..row.len()).map(cell).collect()
        };
        rows.iter().map(row).collect()
    }

    fn run(&mut self, statements: &str) -> Result<(), DatabaseError> {
        Ok(self.client()?.batch_execute(statements)?)
    }

    fn reconnect(&mut self) -> Result<(), DatabaseError> {
        if self.client.as_ref().is_some_and(|client| !client.is_closed()) {
            return Ok(());
        }
        self.client = None;
        self.prepared.clear();
        self.client = Some(match self.config.get_ssl_mode() {
            // `prefer` is left where there is no network, and nobody in between.
            SslMode::Disable | SslMode::Prefer => self.config.connect(NoTls)?,
            _ => self.config.connect(Tls(tls::client(self.ca.as_deref(), None)?))?,
        });
        Ok(())
    }
}

/// The project's own TLS for the database's client.
#[derive(Clone)]
struct Tls(Arc<rustls::ClientConfig>);

struct Handshake {
    connector: TlsConnector,
    name: ServerName<'static>,
}

struct Encrypted<S>(TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Tls {
    type Stream = Encrypted<S>;
    type TlsConnect = Handshake;
    type Error = InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, InvalidDnsNameError> {
        let name = ServerName::try_from(host)?.to_owned();
        Ok(Handshake { connector: Arc::clone(&self.0).into(), name })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Handshake {
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { self.connector.connect(self.name, stream).await.map(Encrypted) })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> postgres::tls::TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}
