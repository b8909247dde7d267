//! A printer on the network, raw bytes on port 9100.
//!
//! One connection, kept while it works: a printer that speaks to another machine meanwhile takes no second. It is made
//! anew after every failure, and where nothing on it is answered: what hangs open between the two gives no error for hours.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::{Port, PortError};

const CONNECT: Duration = Duration::from_secs(2);
/// The kernel takes no time-out of nothing.
const LEAST: Duration = Duration::from_millis(1);
const ANSWER: usize = 256;

pub struct TcpPort {
    address: String,
    stream: Option<TcpStream>,
}

impl TcpPort {
    /// `address` is `HOST:PORT`. Connects when it is first needed.
    pub fn new(address: String) -> Self {
        Self { address, stream: None }
    }

    fn gone(&self, why: impl ToString) -> PortError {
        PortError::Gone { port: self.address.clone(), why: why.to_string() }
    }

    fn connected(&mut self) -> Result<TcpStream, PortError> {
        if let Some(stream) = self.stream.take() {
            return Ok(stream);
        }
        let addresses = self.address.to_socket_addrs().map_err(|error| self.gone(error))?;
        let mut last = self.gone("the name has no address");
        for address in addresses {
            match TcpStream::connect_timeout(&address, CONNECT) {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(|error| self.gone(error))?;
                    return Ok(stream);
                }
                Err(error) => last = self.gone(error),
            }
        }
        Err(last)
    }
}

impl Port for TcpPort {
    fn write(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), PortError> {
        let mut stream = self.connected()?;
        let deadline = Instant::now() + timeout;
        let mut rest = bytes;
        while !rest.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now()).max(LEAST);
            stream.set_write_timeout(Some(left)).map_err(|error| self.gone(error))?;
            match stream.write(rest) {
                Ok(taken) if taken > 0 => rest = &rest[taken..],
                Ok(_) => return Err(self.gone("the connection was closed")),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    // It may still take what comes next, such as the question what is wrong.
                    self.stream = Some(stream);
                    return Err(PortError::Slow(timeout));
                }
                Err(error) => return Err(self.gone(error)),
            }
        }
        self.stream = Some(stream);
        Ok(())
    }

    fn read(&mut self, wait: Duration) -> Result<Vec<u8>, PortError> {
        let mut stream = self.connected()?;
        stream.set_read_timeout(Some(wait.max(LEAST))).map_err(|error| self.gone(error))?;
        let mut bytes = vec![0; ANSWER];
        match stream.read(&mut bytes) {
            Ok(0) => Err(self.gone("the connection was closed")),
            Ok(length) => {
                bytes.truncate(length);
                self.stream = Some(stream);
                Ok(bytes)
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                self.stream = Some(stream);
                Ok(Vec::new())
            }
            Err(error) => Err(self.gone(error)),
        }
    }

    fn close(&mut self) {
        self.stream = None;
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const SOON: Duration = Duration::from_secs(60);

    #[test]
    fn a_printer_that_hangs_up_is_called_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut port = TcpPort::new(listener.local_addr().unwrap().to_string());
        for round in 0..2 {
            port.write(b"hello", SOON).unwrap();
            let (mut printer, _) = listener.accept().unwrap();
            let mut heard = [0; 5];
            printer.read_exact(&mut heard).unwrap();
            assert_eq!(&heard, b"hello", "round {round}");
            assert_eq!(port.read(Duration::from_millis(5)).unwrap(), b"");
            printer.write_all(&[0x12]).unwrap();
            assert_eq!(port.read(SOON).unwrap(), [0x12]);
            drop(printer);
            assert!(matches!(port.read(SOON), Err(PortError::Gone { .. })));
        }
    }

    #[test]
    fn a_printer_that_takes_nothing_is_slow_and_one_that_is_not_there_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut port = TcpPort::new(listener.local_addr().unwrap().to_string());
        let more_than_any_buffer = vec![0; 32 << 20];
        let began = Instant::now();
        assert_eq!(
            port.write(&more_than_any_buffer, Duration::from_millis(200)),
            Err(PortError::Slow(Duration::from_millis(200)))
        );
        assert!(began.elapsed() < SOON);
        drop(listener);
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut port = TcpPort::new(nobody.to_string());
        assert!(matches!(port.write(b"x", SOON), Err(PortError::Gone { .. })));
        assert!(matches!(port.read(SOON), Err(PortError::Gone { .. })));
    }
}
