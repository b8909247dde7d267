use std::sync::mpsc::channel;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::super::edges::tests::rig;
use super::*;
use crate::fleet::keygen::keygen;
use crate::operation::{KeyName, Rights};
use crate::signed::jws::Signer;
use crate::signed::keyset::{KeyEntry, KeysetContent};

/// A command may be on its way through the reader while the keys change.
#[test]
fn what_a_key_has_asked_before_it_was_revoked_is_not_done_afterwards() {
    let mut rig = rig(|| ());
    let folder = tempfile::tempdir().unwrap();
    let pair = keygen(folder.path(), &Name::parse("root").unwrap()).unwrap();
    let root = Signer::from_pem(&std::fs::read(pair.private).unwrap(), Actor::ROOT).unwrap();
    let keyset = |version, kids: [&str; 2]| {
        let entry = |kid: &str| {
            let key = BASE64_URL_SAFE_NO_PAD.encode([kid.len() as u8; 32]);
            KeyEntry { kid: KeyName::parse(kid).unwrap(), key, roles: Vec::new() }
        };
        let keys = kids.map(entry).to_vec();
        KeysetContent { fleet: "f".into(), version, keys, revoked: Vec::new() }.sign(&root).unwrap()
    };
    let address = Address { fleet: Name::parse("f").unwrap(), kiosk: Name::parse("k").unwrap() };
    let first = Keyset::open(&root.public(), "f", keyset(1, ["a", "bb"]).as_str().as_bytes()).unwrap();
    let boot = BootId::parse("5b1f0c9d2e7a4836").unwrap();
    let desk = Arc::new(CommandDesk::new(address, boot, root.public(), first, || None));
    rig.kiosk.desk = Some(Arc::clone(&desk));

    let (tell, told) = channel();
    let ask = |kiosk: &mut Kiosk, kid: &str, counter: u64| {
        let by = Actor::Fleet { kid: KeyName::parse(kid).unwrap(), counter };
        let id = RequestId::parse(&format!("{kid}-{counter}")).unwrap();
        let (rights, asked) = (Rights::ALL, Operation::Lock { reason: crate::operation::Reason::parse("x").unwrap() });
        let request = Request { id, by, rights, live: false, expired: false, asked };
        let tell = tell.clone();
        kiosk.operate(request, Box::new(move |outcome| tell.send(outcome).unwrap()));
    };
    ask(&mut rig.kiosk, "a", 1);
    // The reader has not answered yet, because the loop has not turned.
    desk.adopt(&keyset(2, ["bb", "ccc"])).unwrap();
    let answer = std::cell::OnceCell::new();
    rig.until(|_| told.try_recv().is_ok_and(|told| answer.set(told).is_ok()));
    assert_eq!(answer.into_inner(), Some(Err("the key is revoked".into())));
    assert_eq!(rig.kiosk.state.conditions.locked, None);

    ask(&mut rig.kiosk, "bb", 1);
    rig.until(|kiosk| kiosk.state.conditions.locked.is_some());
    rig.kiosk.end();
}
