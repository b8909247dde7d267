//! What is said of a file that is no tariff.

use super::*;

#[test]
fn a_file_is_refused_where_it_is_wrong() {
    let cases = [
        ("rate = 1\n", "4:8: ", "invalid type"),
        ("[[rate]]\nflat = 1\nsteps = [{ minutes = 1, price = 1 }]\n", "4:1: ", "write one of steps"),
        ("[[rate]]\nsteps = [{ minutes = 0, price = 1 }]\n", "5:22: ", "`minutes` is 0; write 1 to 10080"),
        ("[[rate]]\nsteps = [{ minutes = 30, price = -1 }]\n", "5:34: ", "`price` is -1; write 0 to 1000000000"),
        ("[[rate]]\nsteps = []\n", "4:1: ", "write one of steps"),
        ("[[rate]]\nfrom = \"8:00\"\nuntil = \"18:00\"\nfree = true\n", "5:8: ", "no time of the day"),
        ("[[rate]]\nfrom = \"08:00\"\nfree = true\n", "5:8: ", "belong together"),
        ("[[rate]]\nfrom = \"08:00\"\nuntil = \"18:00\"\nfree = true\n", "4:1: ", "there is a gap"),
        ("[[rate]]\nfree = true\n[[rate]]\nflat = 1\n", "6:1: ", "never holds"),
        ("[[rate]]\nfree = true\ndays = [\"someday\"]\n", "6:9: ", "no such day"),
        ("[[rate]]\nfree = true\ndays = []\n", "6:8: ", "`days` is empty; leave the key out"),
        ("[[rate]]\nfree = true\nclasses = []\n", "6:11: ", "`classes` is empty; leave the key out"),
        ("[[rate]]\nfree = true\nrounding = \"down\"\n", "6:12: ", "`rounding` is for steps"),
        ("[[rate]]\nflat = 100\nrounding = \"up\"\n", "6:12: ", "`rounding` is for steps"),
        ("[[rate]]\nfree = true\nfirst = 2026-05-02\nlast = 2026-05-01\n", "7:8: ", "`last` is before `first`"),
        ("[[rate]]\nfree = true\nfirst = \"02-30\"\nlast = \"03-01\"\n", "6:9: ", "no day of a year"),
        ("[[rate]]\nfree = true\nclasses = [\"bus\"]\n", "6:12: ", "no such class"),
        ("[holidays]\nyearly = [\"xmas\"]\n[[rate]]\nfree = true\n", "5:11: ", "no day of a year"),
        ("[holidays]\nyearly = [\"+1-+2\"]\n[[rate]]\nfree = true\n", "5:11: ", "no day of a year"),
        (
            "[[rate]]\nfree = true\n[[cap]]\nper = \"day\"\nfrom = \"00:00\"\nuntil = \"24:00\"\namount = 1\n",
            "7:7: ",
            "has no `from` and `until`",
        ),
        ("[re_enter]\nwithin = 60\n[[rate]]\nfree = true\n", "4:2: ", "unknown key `re_enter`; write one of `name`"),
        ("[re_entry]\nwithin = 0\n[[rate]]\nfree = true\n", "5:10: ", "`within` is 0; write 1 to 10080"),
        ("[[rate]]\nfree = true\n[[season]]\nname = \"a b\"\n", "7:8: ", "season pass's name"),
        ("[[rate]]\nfree = true\n[[cap]]\nper = \"hours\"\namount = 1\n", "7:7: ", "write hours = 24"),
        ("[[rate]]\nfree = true\n[[cap]]\nper = \"window\"\namount = 1\n", "7:7: ", "needs `from` and `until`"),
        ("[[rate]]\nfree = true\n[lost]\n", "6:1: ", "one rule"),
        ("[[rate]]\nfree = true\n[[validation]]\nname = \"a b\"\npercent = 101\n", "7:8: ", "validation's name"),
        ("", "1:1: ", "there is a gap"),
        ("name = = 1", "4:8: ", ""),
    ];
    for (rules, place, what) in cases {
        let problems = read(rules).map(|_| "nothing").unwrap_err();
        let told: Vec<String> =
            problems.iter().map(|problem| format!("{}:{}: {}", problem.line, problem.column, problem.what)).collect();
        assert!(told.iter().any(|line| line.starts_with(place) && line.contains(what)), "{rules}\n{told:#?}");
        assert!(told.iter().all(|line| !line.contains('\n')), "{told:#?}");
    }
    let head = |head: &str| parse(format!("{head}\n{HALF_HOURS}").as_bytes()).unwrap_err()[0].what.clone();
    assert!(head("name = { en = \"A\" }\ncurrency = \"RMB\"\nzone = \"Asia/Shanghai\"").contains("unknown currency"));
    assert!(head("name = { en = \"A\" }\ncurrency = \"CNY\"\nzone = \"Asia/Peking\"").contains("unknown time zone"));
    assert!(head("name = { en = \"A\" }\ncurrency = \"CNY\"\nzone = \"Etc/Unknown\"").contains("unknown time zone"));
    assert!(head("currency = \"CNY\"\nzone = \"Asia/Shanghai\"").contains("missing key `name`"));
    assert!(parse(&vec![b'#'; LIMIT + 1]).unwrap_err()[0].what.contains("larger"));
    assert!(parse(b"# \xff").unwrap_err()[0].what.contains("UTF-8"));
    let seventeen: Vec<String> = (0..1_000).map(|nth| format!("\"c{nth}\"")).collect();
    assert!(read(&format!("classes = [{}]\n{HALF_HOURS}", seventeen.join(","))).unwrap_err()[0].what.contains("16"));
}

#[test]
fn a_file_that_is_far_too_long_is_refused_at_once() {
    let started = std::time::Instant::now();
    let file = |list: &str, one: &str| {
        let room = LIMIT - 200;
        read(&format!("{list} = [{}]\n", format!("{one},").repeat(room / (one.len() + 1)))).unwrap_err()
    };
    for (list, one, what) in [
        ("rate", "{}", "more than 64 rates; keep 64"),
        ("classes", "\"\"", "more than 16 classes; keep 16"),
        ("holidays.dates", "2026-02-17", "more than 2000 dates of holidays; keep 2000"),
        ("holidays.yearly", "\"\"", "more than 366 holidays of every year; keep 366"),
        ("rate = [{ days", "\"x\"", ""),
    ] {
        let problems = if what.is_empty() {
            let days = "\"x\",".repeat(60_000);
            read(&format!("[[rate]]\nfree = true\ndays = [{days}]\n")).unwrap_err()
        } else {
            file(list, one)
        };
        assert!(problems.len() <= 101, "{list}: {} problems", problems.len());
        assert!(problems.iter().any(|problem| problem.what.contains(what)), "{list}: {:?}", problems[0]);
    }
    // A debug build on a busy machine takes a twentieth of it; a problem looked for in the whole text each time took minutes.
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    let steps = "{ minutes = 1, price = 1 },".repeat(65);
    assert!(read(&format!("[[rate]]\nsteps = [{steps}]\n")).unwrap_err()[0].what.contains("more than 64 steps"));
}
