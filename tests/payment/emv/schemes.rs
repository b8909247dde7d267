//! Codes of every profile from seeded chance, and beside each what it must say: written here once more by hand from the
//! schemes' documents, so that a mistake in the room shows.

use jiff::civil::DateTime;
use kioskd::emv::{self, Merchant, NewChargeFacts};
use kioskd::vocabulary::{ChargeId, Currency, OrderId};
use serde_json::{Value, json};

use super::{Case, Texts};

/// SplitMix64: the same codes on every machine.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn of(&mut self, alphabet: &str, length: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..length).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }

    fn digits(&mut self, length: usize) -> String {
        self.of("0123456789", length)
    }

    /// A name: anything printable, without spaces at the ends.
    fn name(&mut self, most: usize) -> String {
        const INNER: &str =
            " !#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~";
        let length = self.below(most);
        format!("{}a", self.of(INNER, length).trim_start())
    }

    fn category(&mut self) -> String {
        ["0000", "5814", "5499", "7523", "9999"][self.below(5)].to_owned()
    }

    fn expires(&mut self) -> DateTime {
        let day = DateTime::constant(2026, 1, 1, 0, 0, 0, 0);
        day + jiff::Span::new().seconds(self.below(20 * 365 * 86_400) as i64)
    }

    /// What the kiosk itself would use, or any other text that may be used.
    fn reference(&mut self) -> String {
        if self.coin() {
            let order = OrderId::from_parts(self.next() >> 20, u128::from(self.next()) << 16);
            return emv::reference(&ChargeId::of(order, 1 + self.below(9))).unwrap();
        }
        let length = 1 + self.below(25);
        self.of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", length)
    }
}

fn texts(pairs: &[(&str, &str)]) -> Texts {
    pairs
        .iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

/// `each` codes of every profile.
pub fn made(each: usize) -> Vec<Case> {
    const PROFILES: [fn(&mut Chance, &Drawn) -> Draft; 9] =
        [pix, pix_dynamic, promptpay, promptpay_bill, paynow, qris, duitnow, vietqr, upi];
    let mut chance = Chance(20_260_101);
    let mut cases = Vec::new();
    for profile in PROFILES {
        for _ in 0..each {
            cases.push(case(&mut chance, profile));
        }
    }
    cases
}

/// What every code has.
struct Drawn {
    reference: String,
    terminal: String,
    minor: i64,
    expires: Option<DateTime>,
    name: String,
    city: String,
    category: String,
}

/// What a profile makes of it.
struct Draft {
    profile: &'static str,
    currency: &'static str,
    merchant: Value,
    objects: Texts,
    meant: Texts,
    builder: bool,
}

fn case(chance: &mut Chance, profile: fn(&mut Chance, &Drawn) -> Draft) -> Case {
    let scale = 10i64.pow(1 + chance.below(10) as u32);
    let drawn = Drawn {
        reference: chance.reference(),
        terminal: if chance.coin() { String::new() } else { chance.name(25) },
        minor: 1 + (chance.next() % scale as u64) as i64,
        expires: chance.coin().then(|| chance.expires()),
        name: chance.name(25),
        city: chance.name(15),
        category: chance.category(),
    };
    let draft = profile(chance, &drawn);
    let merchant: Merchant = serde_json::from_value(draft.merchant).unwrap();
    let payload = merchant
        .payload(&NewChargeFacts {
            reference: &drawn.reference,
            amount: drawn.minor,
            currency: Currency::from_code(draft.currency).unwrap(),
            terminal: &drawn.terminal,
            expires: drawn.expires,
        })
        .unwrap();
    let mut objects = draft.objects;
    if draft.profile != "upi" {
        objects.insert("63".to_owned(), payload[payload.len() - 4..].to_owned());
    }
    Case { profile: draft.profile, payload, objects, meant: draft.meant, builder: draft.builder }
}

/// With two decimals.
fn hundredths(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

fn pix(chance: &mut Chance, drawn: &Drawn) -> Draft {
    let Drawn { reference, name, city, category, .. } = drawn;
    let key = match chance.below(4) {
        0 => chance.digits(11),
        1 => chance.digits(14),
        2 => format!("+55{}", chance.digits(11)),
        _ => [8, 4, 4, 4, 12].map(|n| chance.of("0123456789abcdef", n)).join("-"),
    };
    let info = if chance.coin() { String::new() } else { chance.name(20) };
    let amount = hundredths(drawn.minor);
    let mut merchant = json!({"profile": "pix", "key": key, "name": name, "city": city, "category": category});
    if !info.is_empty() {
        merchant["info"] = info.clone().into();
    }
    let objects = texts(&[
        ("00", "01"),
        ("26.00", "br.gov.bcb.pix"),
        ("26.01", &key),
        ("26.02", &info),
        ("52", category),
        ("53", "986"),
        ("54", &amount),
        ("58", "BR"),
        ("59", name),
        ("60", city),
        ("62.05", reference),
    ]);
    let meant = texts(&[
        ("name", name),
        ("city", city),
        ("category", category),
        ("key", &key),
        ("info", &info),
        ("reference", reference),
        ("amount", &amount),
    ]);
    Draft { profile: "pix", currency: "BRL", merchant, objects, meant, builder: false }
}

fn pix_dynamic(chance: &mut Chance, drawn: &Drawn) -> Draft {
    let Drawn { reference, name, city, category, .. } = drawn;
    let length = 1 + chance.below(30);
    let path = chance.of("abcdefghijklmnopqrstuvwxyz0123456789-/", length);
    let url = format!("pix.example.com/{path}/{reference}");
    let template = format!("pix.example.com/{path}/{{reference}}");
    let merchant = json!({"profile": "pix-dynamic", "url": template, "name": name, "city": city, "category": category});
    let objects = texts(&[
        ("00", "01"),
        ("01", "12"),
        ("26.00", "br.gov.bcb.pix"),
        ("26.25", &url),
        ("52", category),
        ("53", "986"),
        ("58", "BR"),
        ("59", name),
        ("60", city),
        ("62.05", "***"),
    ]);
    let meant = texts(&[("name", name), ("city", city), ("category", category), ("url", &url)]);
    Draft { profile: "pix-dynamic", currency: "BRL", merchant, objects, meant, builder: false }
}

fn promptpay(chance: &mut Chance, drawn: &Drawn) -> Draft {
    let (proxy, account, id, kind, target) = match chance.below(3) {
        0 => {
            let rest = chance.digits(9);
            ("phone", format!("0{rest}"), "29.01", "MSISDN", format!("0066{rest}"))
        }
        1 => {
            let number = chance.digits(13);
            ("national-id", number.clone(), "29.02", "NATID", number)
        }
        _ => {
            let number = chance.digits(15);
            ("e-wallet", number.clone(), "29.03", "EWALLETID", number)
        }
    };
    let amount = hundredths(drawn.minor);
    let merchant = json!({"profile": "promptpay", "proxy": proxy, "account": account});
    let objects = texts(&[
        ("00", "01"),
        ("01", "12"),
        ("29.00", "A000000677010111"),
        (id, &target),
        ("53", "764"),
        ("54", &amount),
        ("58", "TH"),
        ("62.05", &drawn.reference),
        ("62.07", &drawn.terminal),
    ]);
    let meant = texts(&[("proxy", kind), ("account", &account), ("amount", &amount)]);
    Draft { profile: "promptpay", currency: "THB", merchant, objects, meant, builder: true }
}

fn promptpay_bill(chance: &mut Chance, drawn: &Drawn) -> Draft {
    let biller = chance.digits(15);
    let ref3 = if chance.coin() { "" } else { "SCB" };
    let (ref1, ref2) = drawn.reference.split_at(drawn.reference.len().min(20));
    let amount = hundredths(drawn.minor);
    let mut merchant = json!({"profile": "promptpay-bill", "biller": biller, "name": drawn.name, "city": drawn.city,
        "category": drawn.category});
    if !ref3.is_empty() {
        merchant["ref3"] = ref3.into();
    }
    let objects = texts(&[
        ("00", "01"),
        ("01", "12"),
        ("30.00", "A000000677010112"),
        ("30.01", &biller),
        ("30.02", ref1),
        ("30.03", ref2),
        ("52", &drawn.category),
        ("53", "764"),
        ("54", &amount),
        ("58", "TH"),
        ("59", &drawn.name),
        ("60", &drawn.city),
        ("62.07", ref3),
    ]);
    let meant = texts(&[("biller", &biller), ("ref1", ref1), ("ref2", ref2), ("ref3", ref3), ("amount", &amount)]);
    Draft { profile: "promptpay-bill", currency: "THB", merchant, objects, meant, builder: false }
}

fn paynow(chance: &mut Chance, drawn: &Drawn) -> Draft {
    // The builder knows companies in Singapore, codes that end, and neither terminal nor category.
    let builder = drawn.expires.is_some() && drawn.terminal.is_empty();
    let company = builder || chance.coin();
    let account = if company {
        let length = 8 + chance.below(6);
        chance.of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", length)
    } else {
        format!("+65{}", chance.digits(8))
    };
    let editable = chance.coin();
    let (city, category) = if builder { ("Singapore", "0000") } else { (drawn.city.as_str(), drawn.category.as_str()) };
    let amount = hundredths(drawn.minor);
    let ends = drawn.expires.map_or(String::new(), |at| at.strftime("%Y%m%d%H%M%S").to_string());
    let flag = if editable { "1" } else { "0" };
    let merchant = json!({"profile": "paynow", "proxy": if company { "uen" } else { "mobile" }, "account": account,
        "editable": editable, "name": drawn.name, "city": city, "category": category});
    let objects = texts(&[
        ("00", "01"),
        ("01", "12"),
        ("26.00", "SG.PAYNOW"),
        ("26.01", if company { "2" } else { "0" }),
        ("26.02", &account),
        ("26.03", flag),
        ("26.04", &ends),
        ("52", category),
        ("53", "702"),
        ("54", &amount),
        ("58", "SG"),
        ("59", &drawn.name),
        ("60", city),
        ("62.01", &drawn.reference),
        ("62.07", &drawn.terminal),
    ]);
    let meant = texts(&[
        ("account", &account),
        ("amount", &amount),
        ("editable", flag),
        ("expires", &ends),
        ("reference", &drawn.reference),
        ("name", &drawn.name),
    ]);
    Draft { profile: "paynow", currency: "SGD", merchant, objects, meant, builder }
}

fn qris(chance: &mut Chance, drawn: &Drawn) -> Draft {
    let pan = format!("9360{}", chance.digits(14));
    let length = 1 + chance.below(15);
    let number = chance.of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", length);
    let nmid = format!("ID{}", chance.digits(13));
    let criteria = ["UMI", "UKE", "UME", "UBE", "URE"][chance.below(5)];
    let postal = chance.digits(5);
    let amount = hundredths(drawn.minor);
    let merchant = json!({"profile": "qris", "acquirer": "ID.CO.BANK.WWW", "pan": pan, "merchant": number, "nmid": nmid,
        "criteria": criteria, "name": drawn.name, "city": drawn.city, "postal": postal, "category": drawn.category});
    let objects = texts(&[
        ("00", "01"),
        ("01", "12"),
        ("26.00", "ID.CO.BANK.WWW"),
        ("26.01", &pan),
        ("26.02", &number),
        ("26.03", criteria),
        ("51.00", "ID.CO.QRIS.WWW"),
        ("51.02", &nmid),
        ("51.03", criteria),
        ("52", &drawn.category),
        ("53", "360"),
        ("54", &amount),
        ("58", "ID"),
        ("59", &drawn.name),
        ("60", &drawn.city),
        ("61", &postal),
        ("62.05", &drawn.reference),
        ("62.07", &drawn.terminal),
    ]);
    Draft { profile: "qris", currency: "IDR", merchant, objects, meant: Texts::new(), builder: false }
}

fn duitnow(chance: &mut Chance, drawn: &Drawn) -> Draft {
    let acquirer = chance.digits(6);
    let length = 1 + chance.below(30);
    let qr = chance.of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", length);
    let amount = hundredths(drawn.minor);
    let merchant = json!({"profile": "duitnow", "acquirer": acquirer, "qr": qr, "name": drawn.name, "city": drawn.city,
        "category": drawn.category});
    let objects = texts(&[
        ("00", "02"),
        ("01", "12"),
        ("26.00", "A0000006150001"),
        ("26.01", &acquirer),
        ("26.02", &qr),
        ("52", &drawn.category),
        ("53", "458"),
        ("54", &amount),
        ("58", "MY"),
        ("59", &drawn.name),
        ("60", &drawn.city),
        ("62.05", &drawn.reference),
        ("62.07", &drawn.terminal),
    ]);
    Draft { profile: "duitnow", currency: "MYR", merchant, objects, meant: Texts::new(), builder: false }
}

fn vietqr(chance: &mut Chance, drawn: &Drawn) -> Draft {
    let bin = chance.digits(6);
    let card = chance.coin();
    let length = if card { 16 + chance.below(4) } else { 1 + chance.below(19) };
    let account = chance.digits(length);
    let (service, code) = if card { ("card", "QRIBFTTC") } else { ("account", "QRIBFTTA") };
    let amount = drawn.minor.to_string();
    let builder = drawn.terminal.is_empty();
    let (name, city) = if builder { ("", "") } else { (drawn.name.as_str(), drawn.city.as_str()) };
    let mut merchant = json!({"profile": "vietqr", "bin": bin, "account": account, "service": service});
    if !builder {
        merchant["name"] = name.into();
        merchant["city"] = city.into();
    }
    let objects = texts(&[
        ("00", "01"),
        ("01", "12"),
        ("38.00", "A000000727"),
        ("38.01.00", &bin),
        ("38.01.01", &account),
        ("38.02", code),
        ("53", "704"),
        ("54", &amount),
        ("58", "VN"),
        ("59", name),
        ("60", city),
        ("62.07", &drawn.terminal),
        ("62.08", &drawn.reference),
    ]);
    let meant = texts(&[
        ("bin", &bin),
        ("account", &account),
        ("service", code),
        ("amount", &amount),
        ("reference", &drawn.reference),
        ("terminal", &drawn.terminal),
        ("name", name),
        ("city", city),
    ]);
    Draft { profile: "vietqr", currency: "VND", merchant, objects, meant, builder }
}

fn upi(chance: &mut Chance, drawn: &Drawn) -> Draft {
    let address = format!("{}@{}", chance.of("abcXYZ0189.-_", 12), chance.of("abcxyz", 5));
    let amount = hundredths(drawn.minor);
    let merchant = json!({"profile": "upi", "address": address, "name": drawn.name, "category": drawn.category});
    let meant = texts(&[
        ("pa", &address),
        ("pn", &drawn.name),
        ("mc", &drawn.category),
        ("tr", &drawn.reference),
        ("tn", &drawn.terminal),
        ("am", &amount),
        ("cu", "INR"),
    ]);
    Draft { profile: "upi", currency: "INR", merchant, objects: Texts::new(), meant, builder: false }
}
