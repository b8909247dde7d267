use serde_json::{Map, Value, json};

use super::*;
use crate::fleet::keygen::keygen;
use crate::operation::Reason;
use crate::signed::jws::Signer;
use crate::signed::keyset::{KeyEntry, KeysetContent, Role};

const BOOT: &str = "5b1f0c9d2e7a4836";
/// 2026-11-30, in seconds.
const NOW: u64 = 1_796_000_000;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn signer(kid: &str) -> Signer {
    let directory = tempfile::tempdir().unwrap();
    let pair = keygen(directory.path(), &name("k")).unwrap();
    Signer::from_pem(&std::fs::read(pair.private).unwrap(), kid).unwrap()
}

fn entry(signer: &Signer, roles: &[Role]) -> KeyEntry {
    use base64::Engine as _;
    let key = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(signer.public().bytes());
    KeyEntry { kid: KeyName::parse(signer.kid()).unwrap(), key, roles: roles.to_vec() }
}

/// A kiosk `K1` of the fleet `demo`, and those who may command it.
struct Fleet {
    root: Signer,
    office: Signer,
    second: Signer,
    watcher: Signer,
    desk: CommandDesk,
}

impl Fleet {
    fn new() -> Self {
        Self::at(|| Some(Wall(NOW * 1_000)))
    }

    fn at(clock: fn() -> Option<Wall>) -> Self {
        let [root, office, second, watcher] = ["root", "office", "second", "watcher"].map(signer);
        let keys = vec![
            entry(&office, &[Role::Sell]),
            entry(&second, &[Role::Sell]),
            entry(&watcher, &[Role::Config, Role::Update]),
        ];
        let content = KeysetContent { fleet: "demo".into(), version: 3, keys, revoked: Vec::new() };
        let text = content.sign(&root).unwrap();
        let keyset = Keyset::open(&root.public(), "demo", text.as_str().as_bytes()).unwrap();
        let address = Address { fleet: name("demo"), kiosk: name("K1") };
        let desk = CommandDesk::new(address, BootId::parse(BOOT).unwrap(), root.public(), keyset, clock);
        Self { root, office, second, watcher, desk }
    }

    fn keyset(&self, version: u64, keys: Vec<KeyEntry>) -> KeysetText {
        let content = KeysetContent { fleet: "demo".into(), version, keys, revoked: Vec::new() };
        content.sign(&self.root).unwrap()
    }

    fn rotate(&self, id: &str, message: &[u8]) -> Result<Request, Rejected> {
        self.desk.open(Addressee::Everyone, &name("rotate-keys"), &name(id), message)
    }

    /// To the kiosk's own topic.
    fn open(&self, verb: &str, id: &str, message: &[u8]) -> Result<Request, Rejected> {
        self.desk.open(Addressee::ThisKiosk, &name(verb), &name(id), message)
    }
}

fn lock() -> CommandContent {
    CommandContent {
        aud: "demo/K1".into(),
        jti: RequestId::parse("c1").unwrap(),
        verb: "lock".into(),
        args: args(json!({ "reason": "cleaning" })),
        ctr: 7,
        nonce: None,
        exp: None,
    }
}

fn args(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn sign(signer: &Signer, content: &CommandContent) -> Vec<u8> {
    signer.sign(Purpose::Command, content).unwrap()
}

#[test]
fn what_the_office_signs_is_a_request_by_its_key_and_counter() {
    let fleet = Fleet::new();
    let request = fleet.open("lock", "c1", &sign(&fleet.office, &lock())).unwrap();
    let wanted = Request {
        id: RequestId::parse("c1").unwrap(),
        by: Actor::Fleet { kid: KeyName::parse("office").unwrap(), counter: 7 },
        rights: Rights { configure: false, update: false, ..Rights::ALL },
        live: false,
        expired: false,
        asked: Operation::Lock { reason: Reason::parse("cleaning").unwrap() },
    };
    assert_eq!(request, wanted);
    // To everybody; with this run's number; in time.
    let all = CommandContent { aud: "demo/all".into(), nonce: Some(BOOT.into()), exp: Some(NOW), ..lock() };
    let request = fleet.desk.open(Addressee::Everyone, &name("lock"), &name("c1"), &sign(&fleet.second, &all)).unwrap();
    assert!(request.live && !request.expired);
    assert_eq!(fleet.desk.rejections(), Rejections::default());
}

#[test]
fn a_key_without_the_role_has_no_right() {
    let fleet = Fleet::new();
    let request = fleet.open("lock", "c1", &sign(&fleet.watcher, &lock())).unwrap();
    assert_eq!(request.rights, Rights { configure: true, update: true, ..Rights::default() });
    assert!(request.permitted(false).is_err());
}

#[test]
fn another_run_of_the_daemon_is_not_this_moment() {
    let fleet = Fleet::new();
    for nonce in [None, Some("0000000000000000".to_owned()), Some(String::new())] {
        let request = fleet.open("lock", "c1", &sign(&fleet.office, &CommandContent { nonce, ..lock() })).unwrap();
        assert!(!request.live);
    }
}

#[test]
fn what_is_late_expires_only_while_the_kiosk_knows_the_time() {
    let late = CommandContent { exp: Some(NOW - 1), ..lock() };
    let fleet = Fleet::new();
    let request = fleet.open("lock", "c1", &sign(&fleet.office, &late)).unwrap();
    assert!(request.expired, "it is refused with a record, so that its counter is used");
    let unset = Fleet::at(|| None);
    assert!(!unset.open("lock", "c1", &sign(&unset.office, &late)).unwrap().expired);
}

/// Every message that is no command of this fleet to this kiosk, and why it is none.
#[test]
fn whatever_else_comes_is_rejected_and_says_why() {
    let fleet = Fleet::new();
    let good = sign(&fleet.office, &lock());
    let by = |content| sign(&fleet.office, &content);
    let message = Rejected::Message;
    let mut altered = good.clone();
    let at = altered.iter().position(|byte| *byte == b':').unwrap() + 5;
    altered[at] ^= 1;
    let mut other_kid = signer("office");
    let forged = sign(&other_kid, &lock());
    other_kid = signer("stranger");
    let cases: Vec<(&str, &str, Vec<u8>, Rejected)> = vec![
        ("lock", "c1", b"{".to_vec(), message(BadMessage::Malformed)),
        ("lock", "c1", Vec::new(), message(BadMessage::Malformed)),
        ("lock", "c1", good[..good.len() - 1].to_vec(), message(BadMessage::Malformed)),
        ("lock", "c1", vec![b' '; LONGEST + 1], Rejected::TooLong),
        ("lock", "c1", serde_json::to_vec(&lock()).unwrap(), message(BadMessage::Malformed)),
        ("lock", "c1", altered, message(BadMessage::Signature)),
        ("lock", "c1", forged, message(BadMessage::Signature)),
        ("lock", "c1", sign(&other_kid, &lock()), message(BadMessage::UnknownKey)),
        ("lock", "c1", fleet.office.sign(Purpose::Ack, &lock()).unwrap(), message(BadMessage::Purpose)),
        ("lock", "c1", by(CommandContent { aud: "demo/K2".into(), ..lock() }), Rejected::Audience),
        ("lock", "c1", by(CommandContent { aud: "street/K1".into(), ..lock() }), Rejected::Audience),
        ("lock", "c1", by(CommandContent { aud: "demo/all".into(), ..lock() }), Rejected::Audience),
        ("unlock", "c1", good.clone(), Rejected::Topic),
        ("lock", "c2", good.clone(), Rejected::Topic),
        ("lock", "c1", by(CommandContent { ctr: 0, ..lock() }), Rejected::Counter),
        ("lock", "c1", by(CommandContent { ctr: ReplayWindow::MOST + 1, ..lock() }), Rejected::Counter),
        ("reboot-all", "c1", by(CommandContent { verb: "reboot-all".into(), ..lock() }), Rejected::UnknownVerb),
        ("lock", "c1", by(CommandContent { args: Map::new(), ..lock() }), Rejected::Arguments),
        (
            "lock",
            "c1",
            by(CommandContent { args: args(json!({ "reason": "x", "until": "noon" })), ..lock() }),
            Rejected::Arguments,
        ),
        (
            "lock",
            "c1",
            by(CommandContent { args: args(json!({ "reason": "x".repeat(201) })), ..lock() }),
            Rejected::Arguments,
        ),
        (
            "lock",
            "c1",
            by(CommandContent { args: args(json!({ "reason": "x", "do": "unlock" })), ..lock() }),
            Rejected::Arguments,
        ),
        (
            "refill",
            "c1",
            by(CommandContent { verb: "refill".into(), args: args(json!({ "slots": ["A1"] })), ..lock() }),
            Rejected::Arguments,
        ),
        (
            "lock",
            "c1",
            fleet.office.sign(Purpose::Command, &json!({ "aud": "demo/K1", "more": 1 })).unwrap(),
            message(BadMessage::Content),
        ),
        // The office's signature is not the root's, whatever stands under it.
        (
            "rotate-keys",
            "c1",
            by(CommandContent { verb: "rotate-keys".into(), ..lock() }),
            Rejected::Keyset(BadKeyset::Message(BadMessage::Purpose)),
        ),
    ];
    let all = cases.len() as u64;
    for (verb, id, message, why) in cases {
        assert_eq!(fleet.open(verb, id, &message).unwrap_err(), why, "{}", String::from_utf8_lossy(&message));
    }
    assert_eq!(fleet.desk.open(Addressee::Everyone, &name("lock"), &name("c1"), &good), Err(Rejected::Audience));
    let Rejections { count, last } = fleet.desk.rejections();
    assert_eq!((count, last), (all + 1, Some((Rejected::Audience, Some(Wall(NOW * 1_000))))));
}

#[test]
fn a_keyset_comes_from_the_root_alone_and_never_goes_back() {
    let fleet = Fleet::new();
    let (office, third) = (entry(&fleet.office, &[Role::Sell]), signer("third"));
    let next = fleet.keyset(5, vec![office.clone(), entry(&third, &[Role::Sell])]);
    let request = fleet.rotate("keyset-5", next.as_str().as_bytes()).unwrap();
    assert!(request.by.is_root() && request.rights == Rights::ALL);
    assert_eq!(request.asked, Operation::RotateKeys { version: 5, keyset: next.clone() });
    // It is not in force before it is on disk.
    assert!(fleet.open("lock", "c1", &sign(&fleet.second, &lock())).is_ok());
    fleet.desk.adopt(&next).unwrap();
    let dropped = fleet.open("lock", "c1", &sign(&fleet.second, &lock())).unwrap_err();
    assert_eq!(dropped, Rejected::Message(BadMessage::UnknownKey));
    let by = |kid: &str| Actor::Fleet { kid: KeyName::parse(kid).unwrap(), counter: 1 };
    assert!(!fleet.desk.counts(&by("second")) && fleet.desk.counts(&by("third")) && fleet.desk.counts(&Actor::Menu));
    assert!(fleet.open("lock", "c1", &sign(&third, &lock())).is_ok());

    // Asked about again it is the same; an older or another one of its version is none.
    assert!(fleet.rotate("keyset-5", next.as_str().as_bytes()).is_ok());
    let rejected = |id: &str, text: &KeysetText| fleet.rotate(id, text.as_str().as_bytes()).unwrap_err();
    let old = fleet.keyset(4, vec![office.clone(), entry(&fleet.second, &[Role::Sell])]);
    assert_eq!(rejected("keyset-4", &old), Rejected::OldKeyset);
    let twin = fleet.keyset(5, vec![office.clone(), entry(&fleet.second, &[Role::Sell])]);
    assert_eq!(rejected("keyset-5", &twin), Rejected::OldKeyset);
    assert_eq!(rejected("c9", &next), Rejected::KeysetNumber);
    fleet.desk.adopt(&old).unwrap();
    assert!(!fleet.desk.counts(&by("second")), "what the ledger holds of an older one changes nothing");

    let content = |keys| KeysetContent { fleet: "demo".into(), version: 6, keys, revoked: Vec::new() };
    let two = content(vec![office.clone(), entry(&third, &[Role::Sell])]);
    let by_office = fleet.office.sign(Purpose::Keyset, &two).unwrap();
    let why = fleet.rotate("keyset-6", &by_office).unwrap_err();
    assert_eq!(why, Rejected::Keyset(BadKeyset::Message(BadMessage::UnknownKey)));
    let one = fleet.root.sign(Purpose::Keyset, &content(vec![office])).unwrap();
    assert_eq!(fleet.rotate("keyset-6", &one).unwrap_err(), Rejected::Keyset(BadKeyset::Count(1)));
    let other = KeysetContent { fleet: "street".into(), ..two };
    let other = fleet.root.sign(Purpose::Keyset, &other).unwrap();
    assert_eq!(fleet.rotate("keyset-6", &other).unwrap_err(), Rejected::Keyset(BadKeyset::Fleet("street".into())));
}

#[test]
fn of_a_flood_few_go_on_and_one_a_second_is_answered() {
    let fleet = Fleet::new();
    let good = sign(&fleet.office, &lock());
    let taken = (0..1_000).filter(|_| fleet.open("lock", "c1", &good).is_ok()).count();
    assert!((64..200).contains(&taken), "{taken}");
    assert_eq!(fleet.open("lock", "c1", &good), Err(Rejected::TooMany));
    assert_eq!(fleet.desk.rejections().count, 0, "a busy kiosk is no attack");
    let told = (0..1_000).filter(|_| fleet.open("lock", "c1", b"x").is_err() && fleet.desk.is_told()).count();
    assert!((1..4).contains(&told), "{told}");
    assert_eq!(fleet.desk.rejections().count, 1_000);
}
