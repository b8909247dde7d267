//! `kioskfleet watch`: the fleet in a terminal, as it is now.
//!
//! Policy: the database is asked on a thread of its own, so that a key is answered at once. What can't be asked is told, and the
//! last answer stays.

use std::io::{IsTerminal, stdin, stdout};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context;
use kioskd::fleet::collector::{Collected, DatabaseError, Line, Presence};
use kioskd::vocabulary::error_chain;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line as Text;
use ratatui::widgets::{Row, Table, TableState};

use crate::machines::{HEADS, LsArguments, Only, cells, now, wanted};

/// Between two looks at the keys.
const TICK: Duration = Duration::from_millis(100);
/// Between two questions to the database.
const ASK: Duration = Duration::from_secs(1);
/// What a person can look through.
const SHOWN: usize = 5_000;

/// All lines of one moment, and how many machines there are.
struct Look {
    lines: Vec<Line>,
    all: usize,
    online: usize,
    selling: usize,
}

pub fn watch(arguments: &LsArguments) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        !arguments.asked.is_wanted(),
        "watch reads the collector's database; without it: kioskfleet ls --broker"
    );
    anyhow::ensure!(
        stdout().is_terminal() && stdin().is_terminal() && !arguments.json,
        "watch needs a terminal; `kioskfleet ls` says the same once"
    );
    let collected = arguments.collected.open()?;
    let (tell, looks) = mpsc::sync_channel(1);
    let only = arguments.only.clone();
    let asker = std::thread::Builder::new().name("ask".into());
    asker.spawn(move || ask(collected, &only, &tell)).context("no thread")?;
    let mut terminal = ratatui::try_init()?;
    let ended = show(&mut terminal, &looks);
    ratatui::restore();
    ended.map(|()| ExitCode::SUCCESS)
}

fn ask(mut collected: Collected, only: &[Only], tell: &mpsc::SyncSender<Result<Look, String>>) {
    loop {
        let mut look = Look { lines: Vec::new(), all: 0, online: 0, selling: 0 };
        let asked = collected.machines::<DatabaseError>(|machine| {
            let line = machine.line(now());
            look.all += 1;
            look.online += usize::from(line.presence == Presence::Online);
            look.selling += usize::from(line.presence == Presence::Online && line.selling == Some(true));
            if look.lines.len() < SHOWN && wanted(only, &line) {
                look.lines.push(line);
            }
            Ok(())
        });
        let answer = asked.map(|()| look).map_err(|error| error_chain(&error).to_string());
        if tell.send(answer).is_err() {
            return;
        }
        std::thread::sleep(ASK);
    }
}

fn show(terminal: &mut ratatui::DefaultTerminal, looks: &mpsc::Receiver<Result<Look, String>>) -> anyhow::Result<()> {
    let (mut last, mut wrong, mut at) = (None::<Look>, None::<String>, TableState::default().with_selected(0));
    loop {
        while let Ok(look) = looks.try_recv() {
            match look {
                Ok(look) => (last, wrong) = (Some(look), None),
                Err(why) => wrong = Some(why),
            }
        }
        terminal.draw(|frame| draw(frame, last.as_ref(), wrong.as_deref(), &mut at))?;
        if !event::poll(TICK)? {
            continue;
        }
        let Event::Key(key) = event::read()? else { continue };
        match key.code {
            _ if key.kind != KeyEventKind::Press => {}
            KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(()),
            KeyCode::Down | KeyCode::Char('j') => at.select_next(),
            KeyCode::Up | KeyCode::Char('k') => at.select_previous(),
            KeyCode::PageDown => at.scroll_down_by(20),
            KeyCode::PageUp => at.scroll_up_by(20),
            KeyCode::Home => at.select_first(),
            KeyCode::End => at.select_last(),
            _ => {}
        }
    }
}

fn draw(frame: &mut Frame<'_>, look: Option<&Look>, wrong: Option<&str>, at: &mut TableState) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(frame.area());
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let Some(look) = look else {
        frame.render_widget(Text::from(wrong.unwrap_or("the database is being asked").to_owned()), head);
        return;
    };
    let Look { lines, all, online, selling } = look;
    frame.render_widget(Text::styled(format!("{all} machines, {online} online, {selling} selling"), bold), head);
    let now = now();
    let rows: Vec<[String; 10]> = lines.iter().map(|line| cells(line, now)).collect();
    let widest = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([HEADS[column].trim().len()]).max().unwrap_or_default().min(40)
    };
    let widths = (0..HEADS.len()).map(|column| Constraint::Length(u16::try_from(widest(column)).unwrap_or(40)));
    let style = |line: &Line| match line.presence {
        Presence::Online if line.selling == Some(true) && line.alarms.is_empty() => Style::new(),
        Presence::Online => Style::new().yellow(),
        _ => Style::new().red(),
    };
    let shown = rows.iter().zip(lines).map(|(row, line)| Row::new(row.clone()).style(style(line)));
    let table = Table::new(shown, widths)
        .column_spacing(2)
        .header(Row::new(HEADS.map(str::trim)).style(bold))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    frame.render_stateful_widget(table, body, at);
    let help = wrong.map_or_else(|| "arrows: look through   q: end".to_owned(), |why| format!("not up to date: {why}"));
    frame.render_widget(Text::from(help), foot);
}
