//! The world's end of the socket, in this process.

use std::io::{BufReader, BufWriter};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kioskd::demo::machine::{Machine, Timing};
use kioskd::demo::paper::Paper;
use kioskd::service::Supervisor;
use kioskd::world::{self, Ask, ToKiosk, ToWorld, Unsolicited, World};
use serde_json::{Value, json};

type Writer = Arc<Mutex<Option<BufWriter<UnixStream>>>>;

pub struct TestWorld {
    pub machine: Arc<Machine>,
    pub paper: Arc<Paper>,
    /// The world does not answer for the counter any more.
    pub deaf: Arc<AtomicBool>,
    directory: tempfile::TempDir,
    writer: Writer,
}

impl TestWorld {
    pub fn new(speed: Timing) -> Self {
        Self::with_paper(speed, 384)
    }

    pub fn with_paper(speed: Timing, columns: u32) -> Self {
        let writer: Writer = Arc::default();
        let told = Arc::clone(&writer);
        let machine = Machine::new(move |line, active| tell(&told, &ToKiosk::Input { line, active }), speed);
        Self {
            machine: Arc::new(machine),
            paper: Arc::new(Paper::new(columns)),
            deaf: Arc::default(),
            directory: tempfile::tempdir().unwrap(),
            writer,
        }
    }

    /// Connects a kiosk. The relays drop when its connection ends, or with [`cut`](Self::cut).
    pub fn connect(&self, unsolicited: impl Fn(Unsolicited) + Send + 'static) -> Arc<World> {
        let socket = self.directory.path().join("world");
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let world = World::connect(Path::new(&socket), &Supervisor::new(|_| ()), unsolicited).unwrap();
        let (stream, _) = listener.accept().unwrap();
        *self.writer.lock().unwrap() = Some(BufWriter::new(stream.try_clone().unwrap()));
        let (machine, paper, deaf) = (Arc::clone(&self.machine), Arc::clone(&self.paper), Arc::clone(&self.deaf));
        let writer = Arc::clone(&self.writer);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            while let Ok(Some((message, _))) = world::receive::<ToWorld>(&mut reader) {
                match message {
                    ToWorld::Hello { lines, slots, .. } => machine.hello(&lines, &slots),
                    ToWorld::Ask { id, ask } => {
                        if let Some(answer) = answer(&machine, &paper, &deaf, ask) {
                            tell(&writer, &ToKiosk::Answer { id, answer });
                        }
                    }
                    _ => {}
                }
            }
            machine.drop_all_relays();
        });
        world
    }

    /// The kiosk is dead from here on.
    pub fn cut(&self) {
        if let Some(writer) = self.writer.lock().unwrap().take() {
            writer.get_ref().shutdown(Shutdown::Both).unwrap();
        }
        self.machine.drop_all_relays();
    }
}

fn answer(machine: &Machine, paper: &Paper, deaf: &AtomicBool, ask: Ask) -> Option<Result<Value, String>> {
    Some(match ask {
        Ask::SetLine { line, active } => machine.set_line(&line, active).map(|()| Value::Null),
        Ask::GetLine { line } => machine.get_line(&line).map(Value::Bool),
        Ask::I2c { .. } if deaf.load(Ordering::Relaxed) => return None,
        Ask::I2c { address, write, read } => machine.i2c(address, &write, read).map(|bytes| json!(bytes)),
        Ask::PrinterWrite { bytes } => paper.write(&bytes).map(|()| Value::Null),
        Ask::PrinterRead { wait_ms } => Ok(json!(paper.read(Duration::from_millis(wait_ms)))),
        Ask::Rail { .. } | Ask::Reboot | Ask::Copies { .. } => Err("not in this world".into()),
    })
}

fn tell(writer: &Writer, message: &ToKiosk) {
    if let Some(writer) = writer.lock().unwrap().as_mut() {
        // The kiosk may have gone; then nobody listens.
        let _ = world::send(writer, message, &[]);
    }
}
