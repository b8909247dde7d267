//! What can be typed: the verbs, what each takes, and what its help says. Completions and the pages of the manual are made of the
//! same definition.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::civil::Date;
use kioskd::ledger::Table;

/// What stands below the list of verbs.
const FIRST: &str = "\
At a dead machine: status, claims, `maintenance on`, test, refill, `maintenance off`. A demo is found with --bus session, and \
its ledger with --state and the directory that it names.

Exit status, unless the verb's own help says otherwise:
  0  it is done, or the answer is there
  1  it says no: refused, not selling, not in the ledger
  2  nobody could be asked, or the arguments make no sense";

const EVERYWHERE: &str = "Options of every verb";

const WHY: &str = "One line of at most 200 characters; it is on record";

/// Look into a kiosk, and keep it.
#[derive(Parser)]
#[command(name = "kioskctl", version, after_help = FIRST, max_term_width = 110)]
pub struct Arguments {
    /// Which of several kiosks on this board, by its unit's instance.
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "NAME", value_parser = instance)]
    pub kiosk: Option<String>,
    /// The kiosk's state directory [default: /var/lib/kioskd, with --kiosk the folder NAME in it].
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Where the running kiosk is: a demo is on the session's bus.
    #[arg(long, global = true, help_heading = EVERYWHERE, value_enum, default_value = "system")]
    pub bus: Which,
    /// Answers for programs.
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub json: bool,
    #[command(subcommand)]
    pub verb: Verb,
}

impl Arguments {
    /// The kiosk's state directory.
    pub fn state(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(|| {
            let mut usual = PathBuf::from("/var/lib/kioskd");
            usual.extend(&self.kiosk);
            usual
        })
    }
}

/// As the configuration has it, in `[dbus] instance`.
fn instance(text: &str) -> Result<String, String> {
    let fits = text.len() <= 32
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if fits {
        Ok(text.to_owned())
    } else {
        Err("it has letters, digits, _ and -, and begins with none of the digits or -".into())
    }
}

#[derive(Subcommand)]
pub enum Verb {
    /// Does it sell, and if not, why, and what is there to do.
    #[command(after_help = "\
Exit status: 0 it sells, 1 it does not, 2 nobody can say.

Examples:
  kioskctl status
  kioskctl status --json | jq .reasons")]
    Status,
    /// Test every part and wire, alone or with you in front of the machine.
    #[command(after_help = "\
It tells what the kiosk says of each part, and then tries with you each relay, the drop sensor, the door, the paper and the touch of \
the glass. With a person it \
begins maintenance and ends it; Enter is yes, n is no, q leaves. What was found with a person goes on record, and with --report \
what was found without one.

Exit status: 0 nothing is wrong, 1 something is or it could not be recorded, 2 the kiosk could not be asked.

Examples:
  kioskctl test --quick                 nothing moves and nobody is asked
  kioskctl test --dry                   what the whole test would do
  kioskctl test --report K0001.report   with you in front of the machine; you leave with a signed report")]
    Test {
        /// Without a person: nothing moves.
        #[arg(long)]
        quick: bool,
        /// Say what would be done with a person, and do nothing.
        #[arg(long, conflicts_with_all = ["quick", "report"])]
        dry: bool,
        /// Write what was found into a new file, signed by the kiosk.
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
        /// Test nothing, and read the newest test on record.
        #[arg(long, conflicts_with_all = ["quick", "dry"])]
        last: bool,
    },
    /// Open claims, with the short codes that their customers have.
    #[command(after_help = "\
Reads the ledger, whether a kiosk runs or not.

Examples:
  kioskctl claims
  kioskctl why 482913       the story of one of them, by its short code")]
    Claims,
    /// The whole story of one order.
    #[command(after_help = "\
Reads the ledger, whether a kiosk runs or not. Exit status 1: there is no such order.

Examples:
  kioskctl why                      the newest order
  kioskctl why 482913               by the short code on a slip
  kioskctl why 03-0004567-9         a stay in a car park, by its ticket
  kioskctl why 2026-11-29T10:15     the last that had begun by then")]
    Why {
        /// Its number or short code, the number of a charge, a payment or a refund as the provider knows it, a stay's ticket number or
        /// plate, or a time in UTC, 2026-11-29T10:15, for the last order begun by then; the newest order without it.
        order: Option<String>,
    },
    /// The newest orders.
    #[command(after_help = "\
Reads the ledger, whether a kiosk runs or not. Times are UTC.

Example:
  kioskctl orders --limit 5")]
    Orders {
        #[arg(long, default_value_t = 20, help = "So many of them", value_parser = some())]
        limit: usize,
    },
    /// What lies in each slot, and which may not be used, and why.
    #[command(after_help = "\
Reads the ledger, whether a kiosk runs or not.

Examples:
  kioskctl stock
  kioskctl export stock > stock.csv")]
    Stock,
    /// What people have asked of the machine, who, and what came of it.
    #[command(after_help = "\
The newest comes first. Reads the ledger, whether a kiosk runs or not. Times are UTC; `id NUMBER` says who a user is.

Example:
  kioskctl operations --limit 5")]
    Operations {
        #[arg(long, default_value_t = 20, help = "So many of them", value_parser = some())]
        limit: usize,
    },
    /// The daemon's journal, by `journalctl`: of one order, or all of it.
    #[command(after_help = "\
Examples:
  kioskctl log -f
  kioskctl log 01KB7M3V8Q0000000000000000")]
    Log {
        /// Its number.
        order: Option<String>,
        /// Go on with what is written from now on.
        #[arg(long, short)]
        follow: bool,
        /// So many of the newest lines.
        #[arg(long, short = 'n', default_value_t = 200)]
        lines: u32,
    },
    /// Take the kiosk out of service; the reason is on the glass.
    #[command(after_help = "\
Example:
  kioskctl lock \"cleaning, back at ten\"")]
    Lock {
        /// One line of at most 200 characters.
        reason: String,
    },
    /// Put it back into service.
    #[command(after_help = "\
Example:
  kioskctl unlock")]
    Unlock,
    /// Somebody works on the machine, or does no more: meanwhile nothing is sold.
    #[command(after_help = "\
Examples:
  kioskctl maintenance on
  kioskctl maintenance off")]
    Maintenance {
        #[arg(value_enum, help = "Begin it or end it")]
        switch: Switch,
    },
    /// Every slot is full and none is faulty; or some are, or so much was put in.
    #[command(after_help = "\
What is added is added once: where the answer is lost it is asked for again under the same number.

Examples:
  kioskctl refill                           all slots
  kioskctl refill --slot A1 --slot B2       these two
  kioskctl refill --add A1=5 --add B2=3     five more in A1, three more in B2; faults stay")]
    Refill {
        /// This slot alone; may be written several times.
        #[arg(long, value_name = "SLOT")]
        slot: Vec<String>,
        /// So many units more lie in the slot than before; may be written several times, and is done for all or for none.
        #[arg(long, value_name = "SLOT=UNITS", conflicts_with = "slot")]
        add: Vec<String>,
        /// The number of a request whose answer was lost: done once at most.
        #[arg(long, value_name = "NUMBER", requires = "add")]
        request: Option<String>,
    },
    /// So many units lie in a slot.
    #[command(after_help = "\
Example:
  kioskctl set-stock A1 5")]
    SetStock {
        #[arg(help = "As printed on the machine")]
        slot: String,
        #[arg(help = "Units in it now")]
        count: u32,
    },
    /// Energise a relay once, in maintenance alone.
    #[command(after_help = "\
It moves whatever lies in the slot, and with the door open too. What the sensor sees fall is taken from the stock.

Example:
  kioskctl maintenance on && kioskctl pulse A1")]
    Pulse {
        /// A slot's name, or gate:LANE.
        outlet: String,
    },
    /// One car may pass the gate.
    #[command(after_help = "\
It is answered when the lane says what came of it, which takes as long as the car.

Example:
  kioskctl raise --reason \"paid at the office\"")]
    Raise {
        #[arg(long, help = WHY)]
        reason: String,
    },
    /// The gate stays open until it is released.
    #[command(after_help = "\
Example:
  kioskctl keep-open --reason \"the concert is over\"")]
    KeepOpen {
        #[arg(long, help = WHY)]
        reason: String,
    },
    /// The gate is no longer kept open, and the lane may lower it.
    #[command(after_help = "\
Look first that nothing is under the arm.

Example:
  kioskctl release --reason \"the road is clear\"")]
    Release {
        #[arg(long, help = WHY)]
        reason: String,
    },
    /// A ticket counts no more: it is lost, or its car is not there.
    #[command(after_help = "\
Example:
  kioskctl void-ticket 03-0004567-9 --reason \"lost, paid at the office\"")]
    VoidTicket {
        /// Its number, as printed.
        ticket: String,
        #[arg(long, help = WHY)]
        reason: String,
    },
    /// So many cars are inside: a person has counted them.
    #[command(after_help = "\
Example:
  kioskctl cars-inside 120 --reason \"counted at night\"")]
    CarsInside {
        #[arg(help = "As counted")]
        cars: u32,
        #[arg(long, help = WHY)]
        reason: String,
    },
    /// A camera has read the number plate of a car at the gate.
    #[command(after_help = "\
What comes of it is as docs/parking.md says: at an entry it is on the ticket, at an exit its stay opens the gate where it is paid.

Example:
  kioskctl plate-seen \"KN AB 123\"")]
    PlateSeen {
        /// 2 to 10 letters and digits, with or without what stands between them.
        plate: String,
    },
    /// Print a page on which the paper's width, its characters and its code can be looked at.
    #[command(after_help = "\
Example:
  kioskctl print-test")]
    PrintTest,
    /// Which languages the glass offers, and which a new customer sees first.
    #[command(after_help = "\
Without a language it shows them. A customer who is in the middle of something keeps what they have.

Examples:
  kioskctl languages
  kioskctl languages zh-Hant en     these two, and zh-Hant for a new customer")]
    Languages {
        /// Of the configuration's, in the order of their switch.
        #[arg(value_name = "LANGUAGE")]
        languages: Vec<String>,
    },
    /// Restart the board, between sales.
    #[command(after_help = "\
It asks before it does so; where nobody can be asked, --yes is wanted. What was paid and not settled is settled after the start.

Examples:
  kioskctl reboot
  ssh K0001 kioskctl reboot --yes")]
    Reboot {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// One unit out of a slot, faulty or not, to see whether it works; no revenue.
    #[command(after_help = "\
Example:
  kioskctl test-vend A1")]
    TestVend {
        #[arg(help = "As printed on the machine")]
        slot: String,
    },
    /// A person has decided a claim.
    #[command(after_help = "\
`kioskctl claims` names the open ones, and `kioskctl why ORDER` tells what happened.

Example:
  kioskctl settle-claim 482913 paid-outside")]
    SettleClaim {
        /// Its number or short code.
        order: String,
        #[arg(value_enum, help = "What was decided")]
        how: How,
    },
    /// The cash-up: report what was taken since the last one, and print it.
    #[command(after_help = "\
Examples:
  kioskctl settle                   the next report
  kioskctl settle --show            what it would say now; makes none
  kioskctl settle --print 12        a lost one once more")]
    Settle {
        /// Make none, and read a report in the ledger, whether a kiosk runs or not; without a number what has happened since
        /// the last report. Exits with 1 where there is none.
        #[arg(long, value_name = "NUMBER", num_args = 0..=1, default_missing_value = "0")]
        show: Option<u32>,
        /// Make none, and print one once more on the kiosk's printer, as a copy.
        #[arg(long, value_name = "NUMBER", conflicts_with = "show")]
        print: Option<u32>,
    },
    /// Verify the whole ledger: its chain, and that its tables say the same; or what a kiosk has given away.
    #[command(after_help = "\
Every record is read, and every table is compared with what the records add up to. Reads the ledger, whether a kiosk runs or not. \
With --report or --bundle nothing is read but that file, and it holds when the kiosk with this key has signed it.

Exit status: 0 it holds, 1 it does not, or can't be read.

Examples:
  sudo kioskctl verify
  kioskctl verify --report K0001.report --key K0001.pem
  kioskctl verify --bundle kioskd-K0001-20261129T101500Z.tar.gz --key K0001.pem")]
    Verify {
        /// The report of a test, in place of the ledger.
        #[arg(long, value_name = "FILE", requires = "key", group = "given-away")]
        report: Option<PathBuf>,
        /// A bundle for support, in place of the ledger.
        #[arg(long, value_name = "FILE", requires = "key", group = "given-away")]
        bundle: Option<PathBuf>,
        /// The kiosk's public key.
        #[arg(long, value_name = "PEM", requires = "given-away")]
        key: Option<PathBuf>,
    },
    /// The ledger's audit for other people's programs: an EVA-DTS data file.
    #[command(after_help = "\
Example:
  kioskctl audit --eva-dts --output audit.dts")]
    Audit {
        /// EVA-DTS 6.1, the only form there is.
        #[arg(long, required = true)]
        eva_dts: bool,
        /// Says what the machine and its slots are called.
        #[arg(long, value_name = "FILE", default_value = "/etc/kioskd/kiosk.toml")]
        config: PathBuf,
        /// Standard output without it.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// A table of the ledger as CSV, or with --json as JSON.
    #[command(after_help = "\
Example:
  kioskctl export orders > orders.csv")]
    Export {
        #[arg(value_enum, help = "Which")]
        table: Export,
    },
    /// What the rails kept of what was paid: an estimate by the configured rates.
    #[command(after_help = "\
Example:
  kioskctl fees --config /etc/kioskd/kiosk.toml --from 2026-11-01 --to 2026-11-30")]
    Fees {
        /// Has the rates, as [[rail.fee]] under its rails.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The first day, in the configuration's time zone: 2026-11-01.
        #[arg(long, value_name = "DATE")]
        from: Option<Date>,
        /// The last day.
        #[arg(long, value_name = "DATE")]
        to: Option<Date>,
        /// Other rates to try: a file with the same [[rail]] and [[rail.fee]] entries.
        #[arg(long = "if", value_name = "FILE")]
        other: Option<PathBuf>,
    },
    /// What a kiosk of a car park has done: cars by the hour, what was paid by the lines of the bills, unpaid exits.
    #[command(after_help = "\
Of this kiosk alone, by day and hour of the site; what another lane has done stands in its own ledger. Cars inside are what this kiosk \
knew of the whole site. Reads the ledger, whether a kiosk runs or not.

Examples:
  kioskctl parking                                        the last seven days
  kioskctl parking --from 2026-11-01 --to 2026-11-30")]
    Parking {
        /// Says what the kiosk is for, and its time zone.
        #[arg(long, value_name = "FILE", default_value = "/etc/kioskd/kiosk.toml")]
        config: PathBuf,
        /// The first day, in the configuration's time zone: 2026-11-01; six days before the last without it.
        #[arg(long, value_name = "DATE")]
        from: Option<Date>,
        /// The last day; today without it.
        #[arg(long, value_name = "DATE")]
        to: Option<Date>,
    },
    /// Compare a provider's bill with the ledger.
    #[command(after_help = "\
Exit status: 0 they agree, 1 they differ, 2 on errors.

Example:
  kioskctl reconcile --bill bill.csv --rail wechat --from 2026-11-01 --to 2026-11-30")]
    Reconcile {
        /// WeChat Pay's trade bill (交易账单) or Alipay's single trades (业务明细), unpacked.
        #[arg(long, value_name = "FILE")]
        bill: PathBuf,
        /// The rail whose bill it is.
        #[arg(long, value_name = "NAME")]
        rail: String,
        /// The first day to compare, Beijing time; all that the bill covers without it.
        #[arg(long, value_name = "DATE", requires = "to")]
        from: Option<Date>,
        /// The last day.
        #[arg(long, value_name = "DATE", requires = "from")]
        to: Option<Date>,
        /// Others are paid on this account too: what is unknown here is theirs.
        #[arg(long)]
        shared: bool,
    },
    /// Everything that support needs, in one file without any secret.
    #[command(after_help = "\
It has the status, orders, claims, operations, what verify says, the configuration without its secrets, the machine and the journal. \
It works without a running kiosk, too; what can't be had is left out, and the manifest says why. The manifest has the SHA-256 of \
each member, and the running kiosk signs it; without one it is signed where the caller may read [fleet] signing_key. Run it as \
root for all of it.

Exit status: 0 the file is written, 2 it is not.

Examples:
  sudo kioskctl bundle
  sudo kioskctl bundle - | ssh support@example.com 'cat > K0001.tar.gz'")]
    Bundle {
        /// Where to: a new file, or - for standard output; kioskd-KIOSK-TIME.tar.gz here without it.
        #[arg(value_name = "FILE")]
        output: Option<PathBuf>,
        /// The kiosk's configuration.
        #[arg(long, value_name = "FILE", default_value = "/etc/kioskd/kiosk.toml")]
        config: PathBuf,
    },
    /// The running kiosk on one screen, with the common tasks on keys.
    #[command(after_help = "\
It shows how it is, what the customer sees and the newest orders. Enter is an order's story, q leaves.

Example:
  kioskctl top")]
    Top,
    /// What the customer sees on the glass now, as a PNG file or in this terminal.
    #[command(after_help = "\
Examples:
  kioskctl screenshot
  kioskctl screenshot glass.png")]
    Screenshot {
        /// Without it the picture is drawn in the terminal, or goes to a pipe as it is.
        file: Option<PathBuf>,
    },
    /// Make the configuration's line for a service PIN.
    #[command(after_help = "\
The PIN is read twice from a terminal, or once from a pipe, and is not shown. The line has its hash.

Example:
  kioskctl pin     and its answer goes under [service] in the configuration")]
    Pin,
    /// What a shell needs in order to complete verbs and options.
    #[command(after_help = "\
Examples:
  kioskctl completions bash > /usr/share/bash-completion/completions/kioskctl
  kioskctl completions zsh > /usr/share/zsh/site-functions/_kioskctl
  kioskctl completions fish > /usr/share/fish/vendor_completions.d/kioskctl.fish")]
    Completions {
        #[arg(value_enum, help = "Whose")]
        shell: Shell,
    },
    /// Write the pages of the manual into a directory, one a verb.
    #[command(hide = true)]
    Man {
        #[arg(value_name = "DIR", help = "It is there already")]
        into: PathBuf,
    },
}

fn some() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=1_000_000)
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Which {
    System,
    Session,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Export {
    Orders,
    /// The units of all orders.
    Items,
    Refunds,
    Claims,
    Stock,
    Operations,
}

impl Export {
    pub fn table(self) -> Table {
        match self {
            Self::Orders => Table::Orders,
            Self::Items => Table::Items,
            Self::Refunds => Table::Refunds,
            Self::Claims => Table::Claims,
            Self::Stock => Table::Stock,
            Self::Operations => Table::Operations,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum How {
    /// The customer has the goods.
    Delivered,
    /// The rest goes back through the provider.
    Refund,
    /// Paid back by other means.
    PaidOutside,
}
