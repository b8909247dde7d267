//! Tariffs made by chance: every key of the page, and any of them together. A tariff is a list of parts, each a line of the
//! head or a table, so that one can be left out by itself when a disagreement is made smaller.

use kioskd_tests::chance::Chance;

/// Zones with unlike changes of the clock: at two in the morning, never, at midnight, by half an hour, and a minute after
/// midnight, which gives a day in two pieces; one has left out a whole day.
pub const ZONES: [&str; 9] = [
    "Europe/Berlin",
    "Asia/Shanghai",
    "Asia/Taipei",
    "America/Havana",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "America/New_York",
    "America/St_Johns",
    "Pacific/Apia",
];

const CLASSES: [&str; 3] = ["car", "van", "motorcycle"];
const WEEK: [&str; 8] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday"];
/// Times of the day at which rules like to change, some where clocks do.
const TIMES: [&str; 17] = [
    "00:00", "00:30", "01:00", "01:30", "02:00", "02:15", "03:00", "06:00", "07:30", "08:00", "12:00", "17:59",
    "18:00", "20:00", "22:00", "23:00", "23:59",
];
const YEARLY: [&str; 9] = ["01-01", "02-28", "02-29", "03-01", "04-30", "06-15", "10-31", "11-01", "12-31"];

pub struct Maker(pub Chance);

impl Maker {
    fn one_in(&mut self, many: u64) -> bool {
        self.0.below(many) == 0
    }

    fn amount(&mut self) -> u64 {
        match self.0.below(12) {
            0 => 0,
            1 => 1,
            2 => self.0.below(1_000_000_001),
            3..=6 => (self.0.below(40) + 1) * 50,
            _ => self.0.below(3000),
        }
    }

    /// Of steps: lengths that meet each other, and some that don't.
    fn minutes(&mut self) -> u64 {
        match self.0.below(10) {
            0 => self.0.below(1440) + 1,
            1 => self.0.below(10_080) + 1,
            2 => self.0.below(10) + 1,
            _ => self.0.pick(&[10, 15, 20, 30, 30, 45, 60, 60, 60, 90, 120, 180, 240, 720, 1440]),
        }
    }

    fn time(&mut self) -> String {
        if self.one_in(5) {
            let minute = self.0.below(1440);
            return format!("{:02}:{:02}", minute / 60, minute % 60);
        }
        self.0.pick(&TIMES).to_owned()
    }

    fn subset(&mut self, of: &[&str]) -> String {
        loop {
            let chosen =
                of.iter().filter(|_| self.0.below(2) == 0).map(|name| format!("\"{name}\"")).collect::<Vec<_>>();
            if !chosen.is_empty() {
                return format!("[{}]", chosen.join(", "));
            }
        }
    }

    fn days(&mut self) -> String {
        match self.0.below(6) {
            0 | 1 => {
                format!("days = [{}]\n", WEEK[..5].iter().map(|d| format!("\"{d}\"")).collect::<Vec<_>>().join(", "))
            }
            2 => "days = [\"sat\", \"sun\", \"holiday\"]\n".to_owned(),
            // Not all of them, for that is no condition.
            _ => {
                let without = self.0.below(8) as usize;
                let days = WEEK.iter().enumerate().filter(|(day, _)| *day != without).map(|(_, day)| *day);
                format!("days = {}\n", self.subset(&days.collect::<Vec<_>>()))
            }
        }
    }

    fn hours(&mut self) -> String {
        let from = self.time();
        let until = if self.one_in(10) { "24:00".to_owned() } else { self.time() };
        if from == "00:00" && until == "24:00" {
            return self.hours();
        }
        format!("from = \"{from}\"\nuntil = \"{until}\"\n")
    }

    fn dates(&mut self) -> String {
        if self.one_in(3) {
            let year = 2001 + self.0.below(44);
            let (first, last) = (self.0.below(12) + 1, self.0.below(12) + 1);
            let later = year + u64::from(last < first) + self.0.below(3);
            let (day, end) = (self.0.below(14) + 1, self.0.below(14) + 15);
            return format!("first = {year}-{first:02}-{day:02}\nlast = {later}-{last:02}-{end}\n");
        }
        format!("first = \"{}\"\nlast = \"{}\"\n", self.0.pick(&YEARLY), self.0.pick(&YEARLY))
    }

    /// Days, hours and dates, each or not; at least one of them.
    fn window(&mut self) -> String {
        loop {
            let days = if self.one_in(3) { self.days() } else { String::new() };
            let hours = if self.one_in(3) { String::new() } else { self.hours() };
            let dates = if self.one_in(5) { self.dates() } else { String::new() };
            let window = days + &hours + &dates;
            if !window.is_empty() {
                return window;
            }
        }
    }

    fn price(&mut self) -> String {
        match self.0.below(8) {
            0 => return "free = true\n".to_owned(),
            1 | 2 => return format!("flat = {}\n", self.amount()),
            _ => (),
        }
        let rounding = if self.one_in(4) {
            format!("rounding = \"{}\"\n", self.0.pick(&["up", "down", "minute"]))
        } else {
            String::new()
        };
        let mut steps = Vec::new();
        for _ in 0..=self.0.below(4) {
            let times = if self.one_in(3) { format!(", times = {}", self.0.below(6) + 1) } else { String::new() };
            steps.push(format!("{{ minutes = {}, price = {}{times} }}", self.minutes(), self.amount()));
        }
        format!("{rounding}steps = [{}]\n", steps.join(", "))
    }

    fn for_classes(&mut self, classes: &[&str]) -> String {
        if classes.len() > 1 && self.one_in(3) {
            return format!("classes = {}\n", self.subset(classes));
        }
        String::new()
    }

    pub fn tariff(&mut self, zone: &str) -> Vec<String> {
        let mut parts = vec![
            "name = { en = \"By chance\" }\n".to_owned(),
            format!("currency = \"{}\"\n", self.0.pick(&["EUR", "TWD", "JPY", "KWD"])),
            format!("zone = \"{zone}\"\n"),
        ];
        let classes = &CLASSES[..1 + self.0.below(3) as usize];
        if classes.len() > 1 || self.one_in(2) {
            parts.push(format!("classes = {classes:?}\n"));
        }
        parts.push(format!("crossing = \"{}\"\n", self.0.pick(&["runs-on", "cut", "split"])));
        parts.push(format!("restart = \"{}\"\n", self.0.pick(&["never", "window", "day", "24h"])));
        let others = [
            ("rounding", &["up", "down", "minute"][..]),
            ("last_minute", &["included", "excluded"]),
            ("may_fall", &["true", "false"]),
        ];
        for (key, values) in others {
            if self.one_in(2) {
                let value = self.0.pick(values);
                let quote = if key == "may_fall" { "" } else { "\"" };
                parts.push(format!("{key} = {quote}{value}{quote}\n"));
            }
        }
        if self.one_in(2) {
            let rate = self.0.pick(&["0%", "6%", "19%", "7.7%", "8.875%", "33.3333%", "100%"]);
            parts.push(format!("tax = {{ rate = \"{rate}\", included = {} }}\n", self.0.below(2) == 0));
        }
        if self.one_in(2) {
            let year = 2001 + self.0.below(44);
            let day = self.0.below(28) + 1;
            parts.push(format!(
                "holidays = {{ dates = [{year}-02-{day:02}, {}-11-0{}], yearly = {} }}\n",
                year + 1,
                day % 9 + 1,
                self.subset(&YEARLY)
            ));
        }
        self.graces(&mut parts);
        self.rates(&mut parts, classes);
        for _ in 0..[0, 0, 1, 2, 3][self.0.below(5) as usize] {
            let fixed = self.fixed(classes);
            parts.push(fixed);
        }
        for _ in 0..[0, 0, 1, 1, 2, 4][self.0.below(6) as usize] {
            let cap = self.cap(classes);
            parts.push(cap);
        }
        self.lost(&mut parts);
        for number in 0..self.0.below(6) {
            let worth = match self.0.below(3) {
                0 => format!("minutes = {}", self.minutes()),
                1 => format!("percent = {}", self.0.pick(&[1, 10, 25, 33, 50, 50, 99, 100])),
                _ => format!("amount = {}", self.amount().max(1)),
            };
            parts.push(format!("[[validation]]\nname = \"v{number}\"\n{worth}\n"));
        }
        for _ in 0..[0, 0, 1, 2, 3][self.0.below(5) as usize] {
            let name = self.0.pick(&["day", "night"]);
            let window = if self.one_in(8) { String::new() } else { self.window() };
            parts.push(format!("[[season]]\nname = \"{name}\"\n{}{window}", self.for_classes(classes)));
        }
        if self.one_in(4) {
            parts.push(format!("[re_entry]\nwithin = {}\n", self.minutes()));
        }
        parts
    }

    fn graces(&mut self, parts: &mut Vec<String>) {
        if self.one_in(2) {
            let mut grace = "[grace]\n".to_owned();
            for key in ["entry", "leaving", "payment"] {
                if self.one_in(2) {
                    let most = self.0.pick(&[1, 16, 31, 31, 121, 1441]);
                    grace += &format!("{key} = {}\n", self.0.below(most));
                }
            }
            if self.one_in(2) {
                grace += &format!("late = \"{}\"\n", self.0.pick(&["difference", "anew", "anew"]));
            }
            parts.push(grace);
        }
        if self.one_in(3) {
            let minutes = match self.0.below(4) {
                0 => self.0.below(10_080) + 1,
                1 => self.0.pick(&[1440, 720, 1380, 1500, 240]),
                _ => self.0.pick(&[1, 5, 15, 30, 60, 90]),
            };
            let per = self.0.pick(&["", "per = \"stay\"\n", "per = \"day\"\n", "per = \"day\"\n"]);
            let exceeded = self.0.pick(&["lost", "deducted", "deducted"]);
            parts.push(format!("[free]\nminutes = {minutes}\n{per}exceeded = \"{exceeded}\"\n"));
        }
    }

    /// Some with windows, and then one that always holds; in one for all classes or in one for each.
    fn rates(&mut self, parts: &mut Vec<String>, classes: &[&str]) {
        let apart = self.one_in(3);
        let groups =
            if apart { classes.iter().map(|class| vec![*class]).collect::<Vec<_>>() } else { vec![classes.to_vec()] };
        for group in &groups {
            let only = if apart { format!("classes = {group:?}\n") } else { String::new() };
            for _ in 0..[0, 1, 1, 2, 3, 5][self.0.below(6) as usize] {
                let whose = if apart { only.clone() } else { self.for_classes(classes) };
                parts.push(format!("[[rate]]\n{whose}{}{}", self.window(), self.price()));
            }
            parts.push(format!("[[rate]]\n{only}{}", self.price()));
        }
    }

    fn fixed(&mut self, classes: &[&str]) -> String {
        let mut fixed = format!("[[fixed]]\n{}", self.for_classes(classes));
        if !self.one_in(5) {
            fixed += &self.window();
        }
        let (mut from, mut until) = (self.time(), self.time());
        if from > until {
            std::mem::swap(&mut from, &mut until);
        }
        if self.one_in(4) {
            until = "24:00".to_owned();
        }
        let out = self.0.below(4);
        if out & 1 == 1 {
            fixed += &format!("out_from = \"{from}\"\n");
        }
        if out & 2 == 2 {
            fixed += &format!("out_until = \"{until}\"\n");
        }
        if out > 0 && self.one_in(3) {
            fixed += &format!("out_day = {}\n", self.0.pick(&[0, 1, 1, 1, 2, 30]));
        }
        if self.one_in(3) {
            fixed += &format!("longest = {}\n", self.minutes());
        }
        let applies = self.0.pick(&["always", "when-lower"]);
        fixed + &format!("price = {}\napplies = \"{applies}\"\n", self.amount())
    }

    fn cap(&mut self, classes: &[&str]) -> String {
        let mut cap = format!("[[cap]]\n{}", self.for_classes(classes));
        let per = self.0.pick(&["stay", "day", "hours", "hours", "window"]);
        cap += &format!("per = \"{per}\"\namount = {}\n", self.amount());
        match per {
            "hours" => {
                let hours =
                    if self.one_in(5) { self.0.below(720) + 1 } else { self.0.pick(&[1, 2, 5, 12, 12, 24, 24, 36]) };
                cap += &format!("hours = {hours}\n");
                if self.one_in(2) {
                    cap += &format!("midnight = {}\n", !self.one_in(5));
                }
            }
            "window" => cap += &self.hours(),
            _ => (),
        }
        if per != "stay" {
            if self.one_in(3) {
                cap += &self.days();
            }
            if self.one_in(6) {
                cap += &self.dates();
            }
        }
        cap
    }

    fn lost(&mut self, parts: &mut Vec<String>) {
        if self.one_in(4) {
            return;
        }
        let what = if self.one_in(3) {
            format!("price = {}\n", self.amount())
        } else {
            let surcharge = if self.one_in(2) { format!("surcharge = {}\n", self.amount()) } else { String::new() };
            format!("since = \"{}\"\n{surcharge}", self.time())
        };
        parts.push(format!("[lost]\n{what}"));
    }
}
