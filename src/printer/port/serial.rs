//! A printer on a serial port: a plug of nine pins, an adapter, the processor's own pins.
//!
//! Eight data bits, no parity, one stop bit: what every printer can, and most come with. What differs is the speed, and how
//! the printer says that it is full.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use rustix::termios::{ControlModes, InputModes, OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr};

use super::PortError;
use super::file::{self, FilePort};
use crate::config::Flow;

/// Opens nothing yet.
pub fn serial_port(device: PathBuf, baud: u32, flow: Flow) -> FilePort {
    FilePort::new(move || {
        let file = file::open(&device)?;
        let gone = |error: io::Error| PortError::Gone { port: device.display().to_string(), why: error.to_string() };
        set_up(&file, baud, flow).map_err(gone)?;
        Ok((file, device.clone()))
    })
}

fn set_up(port: &File, baud: u32, flow: Flow) -> io::Result<()> {
    let mut modes = tcgetattr(port)?;
    // A byte is a byte: pictures have all of them.
    modes.make_raw();
    modes.set_speed(baud)?;
    modes.control_modes.remove(ControlModes::CSTOPB | ControlModes::CRTSCTS);
    // Without CLOCAL an adapter whose plug has no carrier line would never open again.
    modes.control_modes.insert(ControlModes::CLOCAL | ControlModes::CREAD);
    modes.input_modes.remove(InputModes::IXOFF);
    match flow {
        Flow::None => {}
        Flow::RtsCts => modes.control_modes.insert(ControlModes::CRTSCTS),
        Flow::XonXoff => modes.input_modes.insert(InputModes::IXON),
    }
    tcsetattr(port, OptionalActions::Now, &modes)?;
    // What was said before is no answer to us.
    tcflush(port, QueueSelector::IOFlush)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::time::Duration;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::super::Port;
    use super::*;

    const SOON: Duration = Duration::from_secs(60);

    /// The printer's end of a cable, and the path of ours.
    fn cable() -> (File, PathBuf) {
        let printer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&printer).unwrap();
        unlockpt(&printer).unwrap();
        let path = ptsname(&printer, Vec::new()).unwrap().into_string().unwrap();
        (File::from(printer), path.into())
    }

    #[test]
    fn every_byte_arrives_as_it_is_in_both_directions() {
        let (mut printer, path) = cable();
        let mut port = serial_port(path, 19_200, Flow::None);
        let all: Vec<u8> = (0..=255).collect();
        port.write(&all, SOON).unwrap();
        let mut heard = vec![0; all.len()];
        printer.read_exact(&mut heard).unwrap();
        assert_eq!(heard, all);
        printer.write_all(&all).unwrap();
        let mut said = Vec::new();
        while said.len() < all.len() {
            let more = port.read(SOON).unwrap();
            assert!(!more.is_empty(), "{} of them", said.len());
            said.extend(more);
        }
        assert_eq!(said, all);
        let modes = tcgetattr(&printer).unwrap();
        assert_eq!((modes.input_speed(), modes.output_speed()), (19_200, 19_200));
        assert_eq!(port.read(Duration::from_millis(5)).unwrap(), b"");
    }

    #[test]
    fn a_printer_that_says_it_is_full_is_waited_for() {
        let (mut printer, path) = cable();
        let mut port = serial_port(path, 9_600, Flow::XonXoff);
        port.write(b"x", SOON).unwrap();
        printer.read_exact(&mut [0]).unwrap();
        printer.write_all(&[0x13]).unwrap();
        // The kernel hears it in its own time; far more would fit.
        let wait = Duration::from_millis(20);
        let taken = (0..1_000).take_while(|_| port.write(b"y", wait) != Err(PortError::Slow(wait))).count();
        assert!(taken < 1_000, "it was never heard");
        printer.write_all(&[0x11]).unwrap();
        port.write(b"z", SOON).unwrap();
        let mut heard = vec![0; taken + 1];
        printer.read_exact(&mut heard).unwrap();
        assert_eq!(heard, [&vec![b'y'; taken][..], b"z"].concat());
    }

    #[test]
    fn a_port_that_goes_is_opened_again() {
        let (printer, path) = cable();
        let mut port = serial_port(path.clone(), 9_600, Flow::RtsCts);
        port.write(b"x", SOON).unwrap();
        drop(printer);
        assert!(matches!(port.write(b"x", SOON), Err(PortError::Gone { .. })));
        assert!(matches!(port.write(b"x", SOON), Err(PortError::Gone { .. })), "it is not there any more");
        let nothing = serial_port("/dev/null".into(), 9_600, Flow::None).write(b"x", SOON);
        assert!(matches!(&nothing, Err(PortError::Gone { port, .. }) if port == "/dev/null"), "{nothing:?}");
    }
}
