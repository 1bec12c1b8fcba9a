//! Logins that Telegram signs, with the vectors of a widely used client library.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::{ErrorKind, Proof, Secret};
use channel_telegram::{deep_link, start_payload, verify_init_data, verify_login};

const INIT_DATA: &str = "auth_date=1700000000&query_id=AAHSYNTH&user=%7B%22id%22%3A4242%2C%22first_name%22%3A%22Ada%22%2C%22username%22%3A%22ada_t%22%7D&hash=b6ecfa05139e81e6bac17993e99694be26248624aa9ae9dc0ff63ad19ecc558c";
const WIDGET: &str = "id=4242&first_name=Ada&username=ada_t&auth_date=1700000000&hash=90e57a126f4d9f74cde81a024e95ce5f55a33431b14d2eda27859cf660a74921";
const DAY: Duration = Duration::from_secs(86_400);

fn token() -> Secret {
    Secret::new("123456:TEST-TOKEN-SYNTHETIC")
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn init_data(data: &str, now: SystemTime) -> Result<channel_telegram::Login, ErrorKind> {
    verify_init_data(&token(), data, now, DAY).map_err(|error| error.kind())
}

#[test]
fn accepts_the_known_mini_app_data() {
    let login = init_data(INIT_DATA, at(1_700_000_100)).unwrap();
    assert_eq!(login.sender.account.sender.as_str(), "4242");
    assert_eq!(login.sender.proof, Proof::Verified);
    assert_eq!(login.sender.name.as_deref(), Some("Ada"));
    assert_eq!(login.fields["query_id"], "AAHSYNTH");
    assert_eq!(login.at, at(1_700_000_000));
}

#[test]
fn accepts_the_known_login_widget_data() {
    let login = verify_login(&token(), WIDGET, at(1_700_000_100), DAY).unwrap();
    assert_eq!(login.sender.account.sender.as_str(), "4242");
    // The two schemes have different keys.
    assert!(verify_login(&token(), INIT_DATA, at(1_700_000_100), DAY).is_err());
    assert!(init_data(WIDGET, at(1_700_000_100)).is_err());
}

#[test]
fn the_order_of_the_fields_does_not_matter() {
    let (rest, hash) = INIT_DATA.rsplit_once('&').unwrap();
    let mut fields: Vec<_> = rest.split('&').collect();
    fields.reverse();
    let data = format!("{hash}&{}", fields.join("&"));
    assert!(init_data(&data, at(1_700_000_100)).is_ok());
}

#[test]
fn refuses_what_was_changed() {
    let now = at(1_700_000_100);
    let cases = [
        INIT_DATA.replace("4242", "4243"),
        INIT_DATA.replace("1700000000", "1700000001"),
        INIT_DATA.replace("query_id=AAHSYNTH&", ""),
        INIT_DATA.replace("hash=b6", "hash=b7"),
        format!("{INIT_DATA}&extra=1"),
    ];
    for data in cases {
        assert_eq!(
            init_data(&data, now).unwrap_err(),
            ErrorKind::Forbidden,
            "{data}"
        );
    }
    let malformed = [
        String::new(),
        "hash".to_owned(),
        INIT_DATA.replace("hash=", "hush="),
        INIT_DATA.replace("hash=b6ec", "hash=B6EC"),
        INIT_DATA.replace("hash=b6", "hash="),
        format!("{INIT_DATA}0"),
        format!("{INIT_DATA}&auth_date=1700000000"),
        INIT_DATA.replace("AAHSYNTH", "%ff"),
        "x=1&".repeat(10_000),
        // The signature is right, but the fields are not the signed ones.
        INIT_DATA.replace("&query_id=AAHSYNTH", "%0Aquery_id=AAHSYNTH"),
        WIDGET.replace("&username=", "%0Ausername="),
    ];
    for data in malformed {
        assert_eq!(
            init_data(&data, now).unwrap_err(),
            ErrorKind::Invalid,
            "{data}"
        );
    }
    let other = Secret::new("123456:OTHER");
    assert!(verify_init_data(&other, INIT_DATA, now, DAY).is_err());
}

#[test]
fn refuses_what_is_too_old_or_from_the_future() {
    assert!(init_data(INIT_DATA, at(1_700_000_000 + 86_400)).is_ok());
    assert!(init_data(INIT_DATA, at(1_700_000_001 + 86_400)).is_err());
    assert!(init_data(INIT_DATA, at(1_700_000_000 - 60)).is_ok());
    assert!(init_data(INIT_DATA, at(1_700_000_000 - 61)).is_err());
}

#[test]
fn deep_links_carry_connect_codes() {
    assert_eq!(
        deep_link("@kit_bot", "A_b-9").unwrap(),
        "https://t.me/kit_bot?start=A_b-9"
    );
    for (name, payload) in [
        ("", "a"),
        ("kit bot", "a"),
        ("kit_bot", ""),
        ("kit_bot", "a b"),
        ("kit_bot", "ä"),
    ] {
        assert!(deep_link(name, payload).is_err(), "{name} {payload}");
    }
    assert!(deep_link("kit_bot", &"a".repeat(65)).is_err());
    assert_eq!(start_payload("/start@kit_bot A_b-9"), Some("A_b-9"));
    for text in ["/start", "/start a b", "/stop a", "start a", "/start ä"] {
        assert_eq!(start_payload(text), None, "{text}");
    }
}
