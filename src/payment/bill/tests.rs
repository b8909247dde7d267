//! The sample bills are written after the documented format; see the sources in `wechat` and `alipay`.

use jiff::civil::date;
use proptest::prelude::*;

use super::*;

const ALL: &[u8] = include_bytes!("../../../tests/golden/payment/wechat-all.csv");
const SUCCESS: &[u8] = include_bytes!("../../../tests/golden/payment/wechat-success.csv");
const REFUND: &[u8] = include_bytes!("../../../tests/golden/payment/wechat-refund.csv");
const OLDER: &[u8] = include_bytes!("../../../tests/golden/payment/wechat-older.csv");
const ALIPAY: &[u8] = include_bytes!("../../../tests/golden/payment/alipay-detail.csv");

const FIRST: &str = "01KAE0ZZZZ0000000000000001_1";
const SECOND: &str = "01KAE0ZZZZ0000000000000002_1";

fn wechat(bytes: &[u8]) -> Bill {
    read(Kind::Wechat, bytes).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn day(day: i8) -> Option<Period> {
    Period::of_days(date(2026, 11, day), date(2026, 11, day))
}

fn refund(number: &str) -> What {
    What::Refund { number: Some(number.into()), failed: None }
}

/// Charge, amount and what it is, row by row.
fn rows(bill: &Bill) -> Vec<(&str, Minor, What)> {
    bill.entries.iter().map(|entry| (entry.charge.as_str(), entry.amount, entry.what.clone())).collect()
}

#[test]
fn wechat_all() {
    let bill = wechat(ALL);
    assert_eq!(bill.findings, []);
    assert_eq!((bill.payments, bill.refunds, bill.covers), (true, true, day(18)));
    let back = refund("R_01KAE0ZZZZ0000000000000002_1_1");
    assert_eq!(rows(&bill), [(FIRST, 300, What::Payment), (SECOND, 600, What::Payment), (SECOND, 300, back)]);
    let first = &bill.entries[0];
    assert_eq!((first.line, first.at), (2, date(2026, 11, 18).at(20, 1, 10, 0)));
    assert_eq!((first.provider.as_str(), first.currency.code()), ("4200000000202611180000000001", "CNY"));
    assert_eq!(
        bill.entries.iter().map(|entry| entry.fee).collect::<Vec<_>>(),
        [Some(2_000), Some(3_000), Some(-2_000)]
    );
}

#[test]
fn wechat_payments_only_and_refunds_only() {
    let bill = wechat(SUCCESS);
    assert_eq!((bill.findings.len(), bill.payments, bill.refunds), (0, true, false));
    assert_eq!(rows(&bill), [(FIRST, 300, What::Payment)]);
    let bill = wechat(REFUND);
    assert_eq!((bill.findings.len(), bill.payments, bill.refunds), (0, false, true));
    let failed = What::Refund { number: Some(format!("R_{FIRST}_1")), failed: Some("CHANGE".into()) };
    assert_eq!(rows(&bill), [(SECOND, 300, refund(&format!("R_{SECOND}_1"))), (FIRST, 300, failed)]);
    assert_eq!(bill.covers, day(19), "the refunds' day, not the payments'");
}

#[test]
fn wechat_by_its_older_names() {
    let bill = wechat(OLDER);
    assert_eq!(bill.findings, []);
    assert_eq!(rows(&bill), [(FIRST, 300, What::Payment), (FIRST, 300, refund(&format!("R_{FIRST}_1")))]);
}

#[test]
fn alipay() {
    let bill = read(Kind::Alipay, ALIPAY).unwrap();
    assert_eq!(bill.findings, []);
    assert_eq!((bill.payments, bill.refunds, bill.covers), (true, true, day(18)));
    let back = refund(&format!("R_{SECOND}_1"));
    assert_eq!(rows(&bill), [(FIRST, 300, What::Payment), (SECOND, 600, What::Payment), (SECOND, 300, back)]);
    assert_eq!(bill.entries[2].at, date(2026, 11, 18).at(20, 6, 2, 0));
    assert_eq!(
        bill.entries.iter().map(|entry| entry.fee).collect::<Vec<_>>(),
        [Some(2_000), Some(4_000), Some(-2_000)]
    );
    let utf8 = csv::Encoding::Gb18030.decode(ALIPAY).unwrap();
    assert_eq!(read(Kind::Alipay, utf8.as_bytes()).unwrap(), bill, "in UTF-8 too");
}

#[test]
fn columns_are_found_by_name() {
    // The same bill with its columns the other way round.
    let turned: Vec<String> = text(ALL)
        .trim_start_matches('\u{feff}')
        .replace("Cola, cold", "Cola")
        .lines()
        .enumerate()
        .map(|(nth, line)| match nth {
            0..=3 => line.split(',').rev().collect::<Vec<_>>().join(","),
            _ => line.to_owned(),
        })
        .collect();
    assert_eq!(wechat(turned.join("\n").as_bytes()), wechat(ALL));
}

#[test]
fn the_kind_is_told_by_the_header() {
    for bill in [ALL, SUCCESS, REFUND, OLDER] {
        assert_eq!(Kind::of(bill), Some(Kind::Wechat));
    }
    assert_eq!(Kind::of(ALIPAY), Some(Kind::Alipay));
    assert_eq!(Kind::of(csv::Encoding::Gb18030.decode(ALIPAY).unwrap().as_bytes()), Some(Kind::Alipay));
    assert_eq!(Kind::of(b"a,b,c"), None);
    assert_eq!(read_any(ALL).unwrap(), wechat(ALL));
    assert_eq!(read_any(ALIPAY).unwrap(), read(Kind::Alipay, ALIPAY).unwrap());
    assert!(matches!(read_any(&b"a,b,c"[..]), Err(BillError::NoBill)));
    assert!(matches!(read_any(&b"\x1f\x8b\x08"[..]), Err(BillError::Gzip)));
}

#[test]
fn other_files_are_refused_with_what_to_do() {
    let refused = |kind, bytes: &[u8]| read(kind, bytes).unwrap_err().to_string();
    assert!(refused(Kind::Wechat, b"\x1f\x8b\x08\0\0").contains("gunzip < FILE"));
    assert!(refused(Kind::Alipay, b"PK\x03\x04\x14").contains("unzip FILE"));
    assert!(refused(Kind::Alipay, b"\xff\xfea\0").contains("UTF-8"));
    assert!(refused(Kind::Wechat, b"").contains("微信订单号"));
    assert!(refused(Kind::Wechat, ALIPAY).contains("微信订单号"));
    assert!(refused(Kind::Alipay, ALL).contains("业务明细"));
    let short = refused(Kind::Wechat, "商户订单号,微信订单号,交易时间\n".as_bytes());
    assert_eq!(short, "line 1: the header row has no column 交易状态; take the bill as it was downloaded");
}

/// The first finding that names a line.
fn finding(bill: &Bill, line: u64) -> &str {
    bill.findings.iter().find(|finding| finding.line == line).map_or("none", |finding| &finding.what)
}

#[test]
fn a_line_that_does_not_fit_is_a_finding_and_the_rest_is_read() {
    let all = text(ALL);
    for (from, to, what) in [
        ("`3.00,`0.00,`\r", "`3.001,`0.00,`\r", "订单金额 `3.001` is not an amount"),
        ("`3.00,`0.00,`\r", "`-3.00,`0.00,`\r", "below nothing"),
        ("`2026-11-18 20:01:10", "`2026-11-18", "交易时间 `2026-11-18` is not a time"),
        ("`SUCCESS,`OTHERS", "`PENDING,`OTHERS", "交易状态 `PENDING` is not known"),
        ("`OTHERS,`CNY", "`OTHERS,`XYZ", "货币种类 `XYZ` is no currency"),
        ("`01KAE0ZZZZ0000000000000001_1", "`", "商户订单号 is empty"),
        ("`o0001,", "", "26 values, 27 columns"),
        ("`OTHERS,`CNY", "`OTHERS\u{1},`\u{1}", "货币种类 `?` is no currency"),
        ("0000000001_1", "\u{1b}[2J", "商户订单号 `01KAE0ZZZZ000000?[2J` has control characters"),
    ] {
        let broken = all.replacen(from, to, 1);
        assert_ne!(broken, all, "{from}");
        let bill = wechat(broken.as_bytes());
        assert!(finding(&bill, 2).contains(what), "{:?}", bill.findings);
        assert_eq!((bill.findings.len(), bill.entries.len()), (1, 2), "{what}");
    }
    let mut bytes = ALL.to_vec();
    let at = bytes.windows(4).position(|part| part == b"Cola").unwrap();
    bytes[at] = 0xff;
    assert!(finding(&wechat(&bytes), 2).contains("not in the encoding"));
    let long = all.replacen("Cola", &"x".repeat(csv::LINE), 1);
    assert!(finding(&wechat(long.as_bytes()), 2).contains("too long"));

    let detail = csv::Encoding::Gb18030.decode(ALIPAY).unwrap().into_owned();
    for (from, to, what) in [
        ("交易\t,可樂", "充值\t,可樂", "业务类型 `充值` is not known"),
        ("2026-11-18 20:01:10,\t", ",\t", "完成时间 `` is not a time"),
        (",3.00,3.00,", ",3.00元,3.00,", "订单金额 `3.00元` is not an amount"),
        ("可樂、瓶裝", "\"可樂、瓶裝", "a quotation mark is not closed"),
    ] {
        let broken = detail.replacen(from, to, 1);
        assert_ne!(broken, detail, "{from}");
        let bill = read(Kind::Alipay, broken.as_bytes()).unwrap();
        assert!(finding(&bill, 6).contains(what), "{:?}", bill.findings);
        assert_eq!(bill.entries.len(), 2, "{what}");
    }
}

#[test]
fn a_bill_that_was_cut_off_says_so() {
    let all = text(ALL);
    let cut = &all[..all.find("总交易单数").unwrap()];
    assert!(wechat(cut.as_bytes()).findings[0].what.contains("without its sums"));
    let lost: Vec<&str> = all.lines().enumerate().filter(|(nth, _)| *nth != 2).map(|(_, line)| line).collect();
    assert!(wechat(lost.join("\n").as_bytes()).findings[0].what.contains("counts 3 rows and has 2"));
    let more = format!("{all}`1,`2\r\n");
    assert_eq!(finding(&wechat(more.as_bytes()), 7), "a row behind the sums");

    let detail = csv::Encoding::Gb18030.decode(ALIPAY).unwrap().into_owned();
    let cut = &detail[..detail.find("#-----------------------------------------业务明细列表结束").unwrap()];
    assert!(read(Kind::Alipay, cut.as_bytes()).unwrap().findings[0].what.contains("without its last line"));
    let lost: Vec<&str> = detail.lines().enumerate().filter(|(nth, _)| *nth != 5).map(|(_, line)| line).collect();
    let bill = read(Kind::Alipay, lost.join("\n").as_bytes()).unwrap();
    assert!(bill.findings[0].what.contains("counts 2 payments, 1 could be read"), "{:?}", bill.findings);
}

#[test]
fn a_day_without_sales() {
    let empty: Vec<&str> = std::str::from_utf8(ALL).unwrap().lines().take(1).collect();
    let sums = "总交易单数,应结订单总金额\n`0,`0.00\n";
    let bill = wechat(format!("{}\n{sums}", empty[0]).as_bytes());
    assert_eq!((bill.findings.len(), bill.entries.len(), bill.covers), (0, 0, None));
}

#[test]
fn findings_are_bounded() {
    let header = text(SUCCESS).lines().next().unwrap().to_owned();
    let many = format!("{header}\n{}", "x\n".repeat(FINDINGS + 5));
    let bill = wechat(many.as_bytes());
    assert_eq!((bill.findings.len(), bill.more_findings), (FINDINGS, 6));
}

proptest! {
    #[test]
    fn no_bytes_break_a_bill(
        which in 0..5usize, at in 0..4_000usize, gone in 0..40usize,
        put in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut bytes = [ALL, SUCCESS, REFUND, OLDER, ALIPAY][which].to_vec();
        let from = at.min(bytes.len());
        let to = (from + gone).min(bytes.len());
        bytes.splice(from..to, put);
        for kind in [Kind::Wechat, Kind::Alipay] {
            if let Ok(bill) = read(kind, bytes.as_slice()) {
                prop_assert!(bill.entries.iter().all(|entry| entry.amount >= 0 && entry.line >= 2));
            }
        }
        let _ = read_any(bytes.as_slice());
    }
}
