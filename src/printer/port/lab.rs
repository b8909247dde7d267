//! On the lab's kernel: a USB printer is a gadget of the same machine, whose other end we hold.

use std::fs::File;
use std::path::Path;

use super::file::FilePort;
use super::usb::{usb_port, usb_printers};
use super::*;

const GADGETS: &str = "/sys/kernel/config/usb_gadget";
const SOON: Duration = Duration::from_secs(5);

/// Until it is there; the kernel plugs and unplugs in its own time.
fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(began.elapsed() < SOON, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

struct Gadget;

impl Gadget {
    fn new() -> Self {
        let gadget = Path::new(GADGETS).join("kioskd");
        let write = |file: &str, text: &str| std::fs::write(gadget.join(file), text).unwrap();
        std::fs::create_dir_all(gadget.join("functions/printer.0")).unwrap();
        std::fs::create_dir_all(gadget.join("configs/c.1")).unwrap();
        write("idVendor", "0x0525");
        write("idProduct", "0xa4a8");
        write("functions/printer.0/pnp_string", "MFG:Kioskd;MDL:Paper 58;CLS:PRINTER;");
        std::os::unix::fs::symlink(gadget.join("functions/printer.0"), gadget.join("configs/c.1/printer.0")).unwrap();
        Self
    }

    fn plug(&self) {
        let udc = std::fs::read_dir("/sys/class/udc").unwrap().next().unwrap().unwrap().file_name();
        std::fs::write(Path::new(GADGETS).join("kioskd/UDC"), udc.as_encoded_bytes()).unwrap();
        until("the printer", || usb_printers().pop().filter(|printer| printer.path.exists()));
    }

    fn unplug(&self) {
        std::fs::write(Path::new(GADGETS).join("kioskd/UDC"), "\n").unwrap();
        until("its end", || usb_printers().is_empty().then_some(()));
    }
}

/// The printer's own end.
fn printer() -> FilePort {
    // It reads and writes like any other end, without waiting.
    usb_port(Some("/dev/g_printer0".into()), None)
}

#[test]
#[ignore = "needs the lab's kernel: tests/lab runs it"]
fn a_usb_printer_hears_answers_goes_and_comes_back() {
    let gadget = Gadget::new();
    let mut port = usb_port(None, Some("paper 58".into()));
    assert_eq!(port.write(b"x", SOON), Err(PortError::NoPrinter));
    for round in 0..3 {
        gadget.plug();
        let mut other_end = printer();
        let job: Vec<u8> = (0..20_000u32).map(|n| (n * 7 + round) as u8).collect();
        let heard = std::thread::scope(|scope| {
            let writer = scope.spawn(|| port.write(&job, SOON));
            let mut heard = Vec::new();
            while heard.len() < job.len() {
                heard.extend(until("bytes", || other_end.read(SOON).ok().filter(|bytes| !bytes.is_empty())));
            }
            writer.join().unwrap().unwrap();
            heard
        });
        assert!(heard == job, "round {round}: every byte once and in order");
        other_end.write(&[0x12], SOON).unwrap();
        assert_eq!(port.read(SOON).unwrap(), [0x12]);
        assert_eq!(port.read(Duration::from_millis(20)).unwrap(), b"");

        // A printer that takes nothing more, and is then pulled out in the middle of a job.
        let began = Instant::now();
        let stuck = port.write(&vec![0; 1 << 20], Duration::from_millis(200));
        assert!(matches!(stuck, Err(PortError::Slow(_))) && began.elapsed() < SOON, "{stuck:?}");
        drop(other_end);
        gadget.unplug();
        assert!(matches!(port.write(b"x", SOON), Err(PortError::Gone { .. })), "the file is the old printer's");
        assert_eq!(port.write(b"x", SOON), Err(PortError::NoPrinter));
    }
    // What nobody can ask is an error that names it.
    let said = File::open("/dev/usb/lp0").unwrap_err();
    assert_eq!(said.kind(), std::io::ErrorKind::NotFound);
}
