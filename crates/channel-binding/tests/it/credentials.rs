//! Credentials at rest.

use channel_binding::{MemoryBindings, Sealer, SqlBindings};
use channel_core::{AccountRef, BindingId, ErrorKind, OwnerId, Platform, Secret};
use channel_testkit::SeededRandom;

use crate::fixture::{Kind, Kit, account, builder, on_every_store, secret};

on_every_store! {
    async fn a_credential_is_written_read_and_deleted_with_its_binding(kit) {
        let ada = OwnerId::new("ada");
        kit.connect("ada", "a").await;
        let id = kit.bindings.list(&ada).await.unwrap()[0].id.clone();
        assert!(kit.bindings.credential(&ada, &id).await.unwrap().is_none());
        for version in 1..=3 {
            let written = Secret::new(format!("token {version}"));
            let got = kit.bindings.put_credential(&ada, &id, &written).await.unwrap();
            assert_eq!(got, version);
            let read = kit.bindings.credential(&ada, &id).await.unwrap().unwrap();
            assert_eq!(read.expose(), written.expose());
        }
        let bob = OwnerId::new("bob");
        for error in [
            kit.bindings.credential(&bob, &id).await.unwrap_err(),
            kit.bindings.put_credential(&bob, &id, &secret('x')).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
        kit.bindings.disconnect(&ada, &id).await.unwrap();
        for error in [
            kit.bindings.credential(&ada, &id).await.unwrap_err(),
            kit.bindings.put_credential(&ada, &id, &secret('x')).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
        kit.connect("ada", "a").await;
        assert!(kit.bindings.credential(&ada, &id).await.unwrap().is_none());
    }
}

fn binding(id: &str) -> BindingId {
    BindingId::new(id)
}

fn elsewhere() -> AccountRef {
    AccountRef::new(Platform::new("other"), "a".into())
}

#[test]
fn what_was_encrypted_for_one_account_does_not_decrypt_for_another() {
    let sealer = Sealer::new(&secret('k')).unwrap();
    let random = SeededRandom::new(1);
    let seal = || {
        sealer
            .seal(&random, &binding("b1"), &account("a"), &secret('s'))
            .unwrap()
    };
    let sealed = seal();
    assert!(sealed.starts_with("v1:"));
    assert_ne!(sealed, seal(), "each has a nonce of its own");
    let open = |id: &str, whose: &AccountRef, sealed: &str| {
        let opened = sealer.open(&binding(id), whose, sealed);
        opened.map(|secret| secret.expose().to_owned())
    };
    assert_eq!(open("b1", &account("a"), &sealed), Some("s".repeat(32)));
    let workspace = account("a").in_workspace("w".into());
    for (id, whose) in [
        ("b2", &account("a")),
        ("b1", &account("b")),
        ("b1", &elsewhere()),
        ("b1", &workspace),
    ] {
        assert_eq!(open(id, whose, &sealed), None);
    }
    let mut broken = sealed.clone().into_bytes();
    let last = broken.len() - 2;
    broken[last] ^= 1;
    for bad in [
        String::from_utf8(broken).unwrap(),
        sealed.replace("v1:", "v2:"),
        sealed.replace("v1:", ""),
        "v1:".to_owned(),
        "v1:AAAA".to_owned(),
        String::new(),
    ] {
        assert_eq!(open("b1", &account("a"), &bad), None, "{bad}");
    }
}

#[test]
fn an_old_key_decrypts_until_it_is_taken_away() {
    let random = SeededRandom::new(1);
    let old = Sealer::new(&secret('o')).unwrap();
    let sealed = old
        .seal(&random, &binding("b"), &account("a"), &secret('s'))
        .unwrap();
    let new = Sealer::new(&secret('n')).unwrap();
    assert!(new.open(&binding("b"), &account("a"), &sealed).is_none());
    let both = new.with_old(&secret('o')).unwrap();
    assert!(both.open(&binding("b"), &account("a"), &sealed).is_some());
    let resealed = both
        .seal(&random, &binding("b"), &account("a"), &secret('s'))
        .unwrap();
    assert!(old.open(&binding("b"), &account("a"), &resealed).is_none());
}

#[test]
fn a_weak_key_and_a_huge_credential_are_refused() {
    assert!(Sealer::new(&Secret::new("x".repeat(31))).is_err());
    let sealer = Sealer::new(&Secret::new("x".repeat(32))).unwrap();
    let random = SeededRandom::new(1);
    let seal = |bytes: usize| {
        let credential = Secret::new("x".repeat(bytes));
        sealer.seal(&random, &binding("b"), &account("a"), &credential)
    };
    assert!(seal(16 * 1024).is_ok());
    assert!(seal(16 * 1024 + 1).is_err());
}

#[tokio::test]
async fn without_a_sealer_nothing_is_kept() {
    let kit = Kit::new(Kind::Memory).await;
    let bindings = channel_binding::Bindings::builder(
        "Kit",
        MemoryBindings::new(),
        std::sync::Arc::new(kit.clock.clone()),
        std::sync::Arc::new(SeededRandom::new(1)),
    )
    .build()
    .unwrap();
    let error = bindings
        .put_credential(&OwnerId::new("ada"), &binding("b"), &secret('s'))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    drop(builder(MemoryBindings::new(), &kit.clock));
    assert!(SqlBindings::connect("mysql://x").await.is_err());
}
