//! What chance does to the messages: a bad wire, any bytes, signed nonsense.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A wire that loses, doubles, delays and reorders in both directions, and somebody on it who replays everything he has
/// ever heard, also what was said to another kiosk: whoever gets an answer gets the true one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_bad_wire_an_answer_is_the_true_one_or_none() {
    let rounds = if std::env::var_os("KIOSKD_LONG").is_some() { 300 } else { 25 };
    let (mut answered, mut lost) = (0, 0);
    for seed in 0..rounds {
        let Rig { client, mut asked, gateway, kiosk, .. } = Rig::new();
        let rail = Arc::new(Gateway::new(Arc::clone(&client), "wechat", Duration::from_millis(60)));
        let hears = Arc::clone(&client);
        let wire = tokio::spawn(async move {
            let mut chance = Chance(seed * 7919 + 1);
            let mut heard: Vec<Vec<u8>> = Vec::new();
            while let Some(message) = asked.recv().await {
                let (request, _) = kiosk.open::<Request>(Purpose::PayRequest, &message).unwrap();
                let content = reply(US, "wechat", &request.nonce, &honest(&request.ask));
                let mut elsewhere = content.clone();
                elsewhere["kiosk"] = json!("street/K2");
                heard.push(gateway.sign(Purpose::PayReply, &content).unwrap());
                heard.push(gateway.sign(Purpose::PayReply, &elsewhere).unwrap());
                let copies = chance.below(3);
                let mut out = vec![heard[heard.len() - 2].clone(); copies];
                out.extend((0..chance.below(6)).map(|_| heard[chance.below(heard.len())].clone()));
                for message in out {
                    let delay = [0, 0, 5, 20, 80][chance.below(5)];
                    let client = Arc::clone(&hears);
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_millis(delay)).await;
                        client.reply(&message, NOW).ok();
                    });
                }
            }
        });
        let asking: Vec<_> = (0..16)
            .map(|n| {
                let rail = Arc::clone(&rail);
                tokio::spawn(async move {
                    match n % 4 {
                        0 => rail
                            .query(&charge(n))
                            .await
                            .map(|said| json!(said)["payments"] == report(&charge(n))["payments"]),
                        1 => rail.create(&new_charge(n)).await.map(|c| c.payload.contains(charge(n).charge.as_str())),
                        2 => rail.refund(&refund(n)).await.map(|report| report == RefundReport::Processing),
                        _ => rail.query_refund(&refund(n)).await.map(|report| report == RefundReport::Done),
                    }
                })
            })
            .collect();
        for ask in asking {
            match ask.await.unwrap() {
                Ok(true) => answered += 1,
                Err(RailError::Unknown(_)) => lost += 1,
                other => panic!("seed {seed}: {other:?}"),
            }
        }
        wire.abort();
    }
    println!("{answered} answers, {lost} without one");
    assert!(answered > rounds && lost > 0);
}

/// Marsaglia's xorshift64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z0-9/_]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let key = prop_oneof![Just("charge".to_owned()), Just("report".to_owned()), "[a-z]{1,8}"];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key, inner, 0..6)
                .prop_map(|map: BTreeMap<String, Value>| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_rejected(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let rig = Rig::new();
        prop_assert!(rig.client.reply(&bytes, None).is_err());
        prop_assert!(rig.client.notice(&bytes, None).is_err());
    }

    #[test]
    fn any_change_of_a_notice_is_rejected(at in any::<prop::sample::Index>(), bit in 0..8u32, cut in any::<bool>()) {
        let rig = Rig::new();
        let mut message = rig.sign(Purpose::PayNotice, &notice("n1", &charge(1)));
        let at = at.index(message.len());
        if cut { message.truncate(at) } else { message[at] ^= 1 << bit }
        prop_assert!(rig.client.notice(&message, None).is_err());
    }

    /// Signed by the gateway, and nonsense in one place.
    #[test]
    fn nonsense_in_a_signed_message_is_no_report(at in any::<prop::sample::Index>(), nonsense in any_json()) {
        let paths = ["/kiosk", "/rail", "/charge", "/charge/charge", "/charge/amount", "/report", "/report/payments",
            "/report/payments/0", "/report/payments/0/amount", "/report/returned", "/report/standing", ""];
        let rig = Rig::new();
        let mut said = notice("n1", &charge(1));
        let path = at.get(&paths);
        let before = said.pointer(path).cloned();
        *said.pointer_mut(path).unwrap() = nonsense.clone();
        if let Ok(Some(taken)) = rig.notice(&said, None) {
            // What may be changed without breaking the form or the sense: nothing that the charge does not hold to.
            let about = taken.is_about(&charge(1)).is_ok();
            let harmless = before == Some(nonsense) || path.starts_with("/report") || !about;
            prop_assert!(harmless, "{path} {said}");
        }
        prop_assert!(rig.reply(&said, None).is_err());
    }
}
