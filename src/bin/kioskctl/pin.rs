//! The line of the configuration for a service PIN. The PIN itself is shown nowhere and kept nowhere.

use std::io::{self, IsTerminal, Stdin};

use anyhow::Context;
use kioskd::console::{complain, say};
use kioskd::signed::pin::PinHash;
use kioskd::vocabulary::Pin;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// Twice from a terminal, once from a pipe.
pub fn make() -> anyhow::Result<()> {
    let stdin = io::stdin();
    let pin = if stdin.is_terminal() {
        let quiet = Quiet::of(&stdin)?;
        let pin = ask(&stdin, "The new PIN, 4 to 12 digits: ")?;
        let again = ask(&stdin, "The same once more: ")?;
        drop(quiet);
        anyhow::ensure!(pin == again, "these were two different PINs; nothing is made of them");
        pin
    } else {
        read(&stdin)?
    };
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| anyhow::anyhow!("the kernel has no random numbers: {error}"))?;
    let hash = PinHash::of(&pin, &salt).map_err(|why| anyhow::anyhow!("the PIN can't be hashed: {why}"))?;
    if stdin.is_terminal() {
        complain("write this under [service] in the kiosk's configuration, and start kioskd anew:");
    }
    Ok(say(format_args!("pin = \"{}\"", hash.as_str()))?)
}

fn ask(stdin: &Stdin, question: &str) -> anyhow::Result<Pin> {
    complain(question);
    read(stdin)
}

fn read(stdin: &Stdin) -> anyhow::Result<Pin> {
    let mut line = Zeroizing::new(String::with_capacity(64));
    stdin.read_line(&mut line)?;
    Pin::parse(line.trim_end_matches(['\n', '\r'])).context("a PIN is 4 to 12 digits, and nothing else")
}

/// A terminal that does not show what is typed, for as long as this lives. Ctrl-C is a character meanwhile, which is no
/// digit: whoever was killed here would leave a terminal that shows nothing.
struct Quiet<'a> {
    stdin: &'a Stdin,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn of(stdin: &'a Stdin) -> anyhow::Result<Self> {
        let before = tcgetattr(stdin)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        tcsetattr(stdin, OptionalActions::Flush, &quiet)?;
        Ok(Self { stdin, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(self.stdin, OptionalActions::Flush, &self.before) {
            complain(format_args!("the terminal shows nothing any more ({error}); type: stty sane"));
        }
    }
}
