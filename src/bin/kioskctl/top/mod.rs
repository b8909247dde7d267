//! `kioskctl top`: the running kiosk on one screen, and the common tasks on keys.
//!
//! Policy: the kiosk is asked on a thread of its own, so that a key is answered at once whatever the bus does. A kiosk that
//! goes away is told, and it is looked for until it is back. What changes something is asked about first.

mod draw;
mod watch;

use std::io::{IsTerminal, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use kioskd::dbus::Address;
use kioskd::operation::Operation;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::Size;
use ratatui_image::picker::Picker;
use ratatui_image::protocol::Protocol;

use crate::screenshot;
use watch::{Glass, News, Snapshot, Wanted, Watcher};

/// Between two looks at what the kiosk has said.
const TICK: Duration = Duration::from_millis(100);

pub fn run(address: Address) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        stdout().is_terminal() && std::io::stdin().is_terminal(),
        "top needs a terminal; `kioskctl status` says the same once"
    );
    let mut terminal = ratatui::try_init()?;
    let ended = Top::new(Watcher::start(address)).run(&mut terminal);
    ratatui::restore();
    ended.map(|()| ExitCode::SUCCESS)
}

/// What the screen is made of.
struct Top {
    watcher: Watcher,
    picker: Picker,
    /// The last that was heard; stays when the kiosk goes away.
    last: Option<Snapshot>,
    /// Why there is no kiosk now.
    gone: Option<String>,
    preview: Preview,
    /// Which of the orders.
    selected: usize,
    over: Over,
    /// What came of the last key.
    message: Option<String>,
}

/// What lies over the screen.
enum Over {
    Nothing,
    /// An order's story, from this line on.
    Story {
        text: String,
        from: u16,
    },
    /// Something that is done after a `y`.
    Sure {
        question: &'static str,
        asked: Operation,
    },
}

/// The picture of the glass, made for a place of one size.
#[derive(Default)]
struct Preview {
    glass: Option<Glass>,
    drawn: Option<(Size, Protocol)>,
}

impl Preview {
    fn renew(&mut self, glass: Glass) {
        *self = Self { glass: Some(glass), drawn: None };
    }

    /// The picture for this place, or why there is none.
    fn fitted(&mut self, picker: &Picker, size: Size) -> Result<&Protocol, String> {
        let picture = match &self.glass {
            None => return Err("the glass is being looked at".into()),
            Some(Glass::Dark(why)) => return Err(why.clone()),
            Some(Glass::Lit(picture)) => picture,
        };
        if self.drawn.as_ref().is_none_or(|(known, _)| *known != size) {
            let protocol = screenshot::fitted(picker, picture.clone(), size).map_err(|error| error.to_string())?;
            self.drawn = Some((size, protocol));
        }
        Ok(&self.drawn.as_ref().expect("it has just been drawn").1)
    }
}

impl Top {
    fn new(watcher: Watcher) -> Self {
        Self {
            watcher,
            picker: screenshot::picker(),
            last: None,
            gone: None,
            preview: Preview::default(),
            selected: 0,
            over: Over::Nothing,
            message: None,
        }
    }

    fn run(mut self, terminal: &mut ratatui::DefaultTerminal) -> anyhow::Result<()> {
        loop {
            terminal.draw(|frame| draw::all(frame, &mut self))?;
            while let Some(news) = self.watcher.news().context("the kiosk is not asked any more")? {
                self.hear(news);
            }
            if event::poll(TICK)? {
                match event::read()? {
                    Event::Key(key) if key.kind == KeyEventKind::Press && !self.press(key) => return Ok(()),
                    _ => {}
                }
            }
        }
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Snapshot(snapshot) => {
                self.gone = None;
                self.selected = self.selected.min(snapshot.orders.len().saturating_sub(1));
                self.last = Some(*snapshot);
            }
            News::Glass(glass) => self.preview.renew(glass),
            News::Gone(why) => {
                self.preview.renew(Glass::Dark("no kiosk".into()));
                self.gone = Some(why);
            }
            News::Story(text) => self.over = Over::Story { text, from: 0 },
            News::Said(message) => self.message = Some(message),
        }
    }

    /// Whether to go on.
    fn press(&mut self, key: KeyEvent) -> bool {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return false;
        }
        match &mut self.over {
            Over::Sure { asked, .. } => {
                let asked = asked.clone();
                self.over = Over::Nothing;
                if key.code == KeyCode::Char('y') {
                    self.watcher.want(Wanted::Operate(asked));
                } else {
                    self.message = Some("nothing was done".into());
                }
                return true;
            }
            Over::Story { from, .. } => {
                match key.code {
                    KeyCode::Down | KeyCode::Char('j') => *from = from.saturating_add(1),
                    KeyCode::PageDown | KeyCode::Char(' ') => *from = from.saturating_add(10),
                    KeyCode::Up | KeyCode::Char('k') => *from = from.saturating_sub(1),
                    KeyCode::PageUp => *from = from.saturating_sub(10),
                    _ => self.over = Over::Nothing,
                }
                return true;
            }
            Over::Nothing => {}
        }
        self.message = None;
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return false,
            KeyCode::Down | KeyCode::Char('j') => {
                let orders = self.last.as_ref().map_or(0, |last| last.orders.len());
                self.selected = (self.selected + 1).min(orders.saturating_sub(1));
            }
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::Enter => {
                let order = self.last.as_ref().and_then(|last| last.orders.get(self.selected));
                if let Some(order) = order {
                    self.watcher.want(Wanted::Story(order.id.clone()));
                }
            }
            KeyCode::Char('m') => self.ask(|last| match last.stopped_by("maintenance") {
                true => ("End maintenance? y", Operation::Maintenance { on: false }),
                false => ("Begin maintenance? Nothing is sold meanwhile. y", Operation::Maintenance { on: true }),
            }),
            KeyCode::Char('u') if self.last.as_ref().is_some_and(|last| !last.stopped_by("locked")) => {
                self.message = Some("it is not locked".into());
            }
            KeyCode::Char('u') => self.ask(|_| ("Unlock the kiosk? y", Operation::Unlock)),
            KeyCode::Char('r') => {
                self.ask(|_| ("Is every slot full, and is none faulty any more? y", Operation::Refill));
            }
            KeyCode::Char('s') => self.watcher.want(Wanted::Screenshot(PathBuf::from("kiosk.png"))),
            _ => {}
        }
        true
    }

    fn ask(&mut self, what: impl FnOnce(&Snapshot) -> (&'static str, Operation)) {
        match &self.last {
            Some(last) if self.gone.is_none() => {
                let (question, asked) = what(last);
                self.over = Over::Sure { question, asked };
            }
            _ => self.message = Some("there is no kiosk to ask".into()),
        }
    }
}
