//! What the customer sees, as a file or in the terminal.

use std::io::{IsTerminal, Write, stdin, stdout};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use image::DynamicImage;
use image::imageops::FilterType;
use kioskd::console::{Out, half_blocks, say};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Size;
use ratatui::{Terminal, TerminalOptions, Viewport, crossterm};
use ratatui_image::picker::{Picker, ProtocolType};
use ratatui_image::protocol::Protocol;
use ratatui_image::{Image, Resize};
use serde_json::json;

use crate::arguments::Arguments;
use crate::running::ask;

/// Lines that stay free for what comes before and after it.
const MARGIN: u16 = 2;

pub fn take(arguments: &Arguments, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(file.is_some() || !arguments.json, "--json needs a FILE for the picture");
    let (png, code) = ask(arguments, async |kiosk| kiosk.screenshot().await)?;
    match file {
        Some(file) => {
            std::fs::write(file, &png).with_context(|| format!("{} could not be written", file.display()))?;
            match arguments.json {
                true => say(format_args!("{:#}", json!({ "file": file, "bytes": png.len(), "code": code })))?,
                false => say(format_args!("{} has what the customer sees", file.display()))?,
            }
        }
        None if stdout().is_terminal() => show(read(&png)?, code.as_deref())?,
        None => Out.write_all(&png)?,
    }
    Ok(ExitCode::SUCCESS)
}

pub fn read(png: &[u8]) -> anyhow::Result<DynamicImage> {
    image::load_from_memory(png).context("the kiosk has sent a picture that can't be read")
}

/// How this terminal draws pictures, which it is asked. Half blocks where none would answer, because whoever waits for the
/// answer goes on taking the keys: consoles, and tmux and screen, which may have no terminal behind them.
pub fn picker() -> Picker {
    let kind = std::env::var("TERM").unwrap_or_default();
    let silent = ["linux", "vt", "dumb", "screen", "tmux"].iter().any(|start| kind.starts_with(start));
    let within = std::env::var_os("TMUX").is_some() || std::env::var_os("STY").is_some();
    if silent || within || kind.is_empty() || !stdin().is_terminal() {
        return Picker::halfblocks();
    }
    Picker::from_query_stdio().unwrap_or_else(|_| Picker::halfblocks())
}

/// As large as it fits into so many cells.
pub fn fitted(picker: &Picker, picture: DynamicImage, size: Size) -> anyhow::Result<Protocol> {
    Ok(picker.new_protocol(picture, size, Resize::Fit(Some(FilterType::Triangle)))?)
}

fn show(picture: DynamicImage, code: Option<&str>) -> anyhow::Result<()> {
    let (columns, rows) = crossterm::terminal::size().context("this terminal does not say how large it is")?;
    let picker = picker();
    let size = Size::new(columns, rows.saturating_sub(MARGIN).max(1));
    let protocol = fitted(&picker, picture, size)?;
    let viewport = Viewport::Inline(protocol.size().height);
    let mut terminal = Terminal::with_options(CrosstermBackend::new(stdout()), TerminalOptions { viewport })?;
    terminal.draw(|frame| frame.render_widget(Image::new(&protocol), frame.area()))?;
    drop(terminal);
    say("")?;
    // Half blocks are too coarse for a code within the picture.
    if let Some(code) = code.filter(|_| picker.protocol_type() == ProtocolType::Halfblocks) {
        match half_blocks(code, columns) {
            Some(lines) => say(format_args!("the code on the glass:\n{lines}"))?,
            None => say(format_args!("the code on the glass needs a wider terminal; it says {code}"))?,
        }
    }
    Ok(())
}
