//! Nothing in clear: not in the database, not in a log, not in an error.

use channel_core::{OwnerId, Secret};
use channel_testkit::{assert_absent, canary, capture_tracing};

use crate::fixture::{Database, Kind, Kit};

#[tokio::test]
async fn a_full_run_writes_no_code_and_no_credential() {
    let credential = canary();
    let ((kit, codes, shown), logs) = capture_tracing(async {
        let kit = Kit::new(Kind::Sqlite).await;
        let ada = OwnerId::new("ada");
        let mut shown = String::new();
        let mut codes = Vec::new();
        for sender in ["a", "b", "c"] {
            let offer = kit.bindings.mint(&ada, "acme").await.unwrap();
            shown += &format!("{offer:?}");
            let code = offer.code.expose().to_owned();
            let wrong = kit.direct("eve", &format!("/connect {code}x"));
            shown += &format!("{:?}", kit.settle(&wrong).await);
            assert_eq!(kit.send(sender, &code).await, "connected");
            let replayed = kit.direct("eve", &format!("/connect {code}"));
            shown += &format!("{:?}", kit.settle(&replayed).await);
            codes.push(code);
        }
        // One that is never used, and one that is spoilt.
        codes.push(kit.mint("bob").await);
        let linked = kit.bindings.mint(&ada, "linked").await.unwrap();
        shown += &format!("{linked:?}");
        codes.push(linked.code.expose().to_owned());
        for binding in kit.bindings.list(&ada).await.unwrap() {
            let secret = Secret::new(credential.clone());
            kit.bindings
                .put_credential(&ada, &binding.id, &secret)
                .await
                .unwrap();
            shown += &format!("{:?}", kit.bindings.credential(&ada, &binding.id).await);
            shown += &format!("{binding:?} {}", serde_json::to_string(&binding).unwrap());
            if codes.len() % 2 == 0 {
                kit.bindings.disconnect(&ada, &binding.id).await.unwrap();
            }
        }
        shown += &format!("{:?} {:?} {:?}", kit.bindings, kit.gate, kit.ring.events());
        shown += &format!("{:?}", kit.bindings.trail(&ada, 100).await);
        (kit, codes, shown)
    })
    .await;
    let disk = kit.database.bytes();
    assert!(
        disk.contains("channel_connect_codes"),
        "the database was looked at"
    );
    for written in [&logs, &shown, &disk] {
        for secret in codes.iter().chain([&credential]) {
            assert_absent(secret, written);
        }
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_not_repeated() {
    let password = canary();
    for url in [
        format!("postgres://kit:{password}@127.0.0.1:1/none"),
        format!("postgres://kit:{password}@127.0.0.1:notaport/none"),
        format!("mysql://kit:{password}@127.0.0.1/none"),
        format!("sqlite:/nowhere/{password}/bindings.db"),
    ] {
        let error = channel_binding::SqlBindings::connect(&url)
            .await
            .unwrap_err();
        assert_absent(&password, &format!("{error} {error:?}"));
    }
    drop(Database::new(Kind::Memory).await);
}
