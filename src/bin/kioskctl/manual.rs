//! What shells and `man` read, made from the definition of the arguments.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use kioskd::console::Out;

use crate::arguments::Arguments;

/// Without what is hidden.
fn shown() -> Command {
    let whole = Arguments::command();
    let verbs: Vec<Command> = whole.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned().collect();
    let about = whole.get_about().cloned().unwrap_or_default();
    let after = whole.get_after_help().cloned().unwrap_or_default();
    Command::new("kioskctl")
        .version(env!("CARGO_PKG_VERSION"))
        .about(about)
        .after_help(after)
        .subcommand_required(true)
        .args(whole.get_arguments().cloned())
        .subcommands(verbs)
}

pub fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut shown(), "kioskctl", &mut script);
    Out.write_all(&script).and_then(|()| Out.flush())?;
    Ok(ExitCode::SUCCESS)
}

/// `kioskctl.1`, and `kioskctl-VERB.1` for each verb.
pub fn pages(into: &Path) -> anyhow::Result<ExitCode> {
    let mut whole = shown().disable_help_subcommand(true);
    whole.build();
    page(&whole, into, "kioskctl")?;
    for verb in whole.get_subcommands() {
        page(verb, into, &format!("kioskctl-{}", verb.get_name()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn page(command: &Command, into: &Path, name: &str) -> anyhow::Result<()> {
    let path = into.join(format!("{name}.1"));
    let page = clap_mangen::Man::new(command.clone()).title(name.to_uppercase()).manual("kioskd");
    let write = || page.render(&mut File::create(&path)?);
    write().with_context(|| path.display().to_string())
}
