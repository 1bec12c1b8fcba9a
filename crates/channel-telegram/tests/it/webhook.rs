//! Receiving over HTTP, and everything that tries to get around the secret.

use bytes::Bytes;
use channel_core::{Channel as _, ErrorKind, Event, Rejection, Webhook as _};
use channel_telegram::Telegram;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Request, StatusCode};

use crate::fake::Fake;

pub(crate) const SECRET: &str = "s3cret_TOKEN-1";
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-telegram-bot-api-secret-token");
const UPDATE: &str = r#"{"update_id":500,"message":{"message_id":5,"date":1700000000,"chat":{"id":42,"type":"private","first_name":"Ada","username":"ada_t"},"from":{"id":42,"is_bot":false,"first_name":"Ada","username":"ada_t","language_code":"en"},"text":"hello"}}"#;

fn channel() -> Telegram {
    let fake = Fake::new();
    let builder = fake.builder().username("kit_bot").webhook_secret(SECRET);
    builder.build().unwrap()
}

pub(crate) fn request(body: impl Into<Bytes>) -> Request<Bytes> {
    let mut request = Request::post("/telegram/webhook")
        .body(body.into())
        .unwrap();
    let headers = request.headers_mut();
    headers.insert(HEADER, HeaderValue::from_static(SECRET));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request
}

/// Hands an update in the way Telegram does.
pub(crate) fn deliver(update: &str) -> Result<Event, Rejection> {
    deliver_request(&request(update.to_owned()))
}

pub(crate) fn deliver_request(request: &Request<Bytes>) -> Result<Event, Rejection> {
    thread_local!(static CHANNEL: Telegram = channel());
    let now = std::time::UNIX_EPOCH;
    let accepted = CHANNEL.with(|channel| channel.receive(request, now))?;
    let [event] = <[Event; 1]>::try_from(accepted.events).unwrap();
    Ok(event)
}

#[test]
fn offers_one_way_to_receive_and_none_without_a_secret() {
    let polling = Fake::new().channel();
    assert!(polling.as_webhook().is_none() && polling.as_events().is_some());
    let hooked = channel();
    assert!(hooked.as_webhook().is_some() && hooked.as_events().is_none());
    assert_eq!(hooked.routes()[0].path, "/telegram/webhook");
    assert_eq!(hooked.routes()[0].max_body, 1 << 20);
    // Even called directly, nothing is believed without a secret.
    assert_eq!(
        polling
            .receive(&request(UPDATE), std::time::UNIX_EPOCH)
            .unwrap_err()
            .status(),
        StatusCode::UNAUTHORIZED
    );
}

#[test]
fn takes_an_update_with_the_secret() {
    let event = deliver(UPDATE).unwrap();
    assert_eq!(event.message().unwrap().text, "hello");
}

/// Family 1 to 4, 8, 10 and 14 of the list of bypasses; Telegram signs no body and has no
/// timestamp, nonce, challenge or encryption, so the others do not apply.
#[test]
fn every_way_around_the_secret_is_refused_alike() {
    let channel = channel();
    let mut values: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
    let mut one = |name: &str, value: &[u8]| values.push((name.to_owned(), vec![value.to_vec()]));
    one("empty", b"");
    one("joined with comma", b"s3cret_TOKEN-1,s3cret_TOKEN-1");
    one("trailing comma", b"s3cret_TOKEN-1,");
    one("bad then good in one", b"nope, s3cret_TOKEN-1");
    one("leading space", b" s3cret_TOKEN-1");
    one("trailing space", b"s3cret_TOKEN-1 ");
    one("leading tab", b"\ts3cret_TOKEN-1");
    one("upper case", b"S3CRET_TOKEN-1");
    one("lower case", b"s3cret_token-1");
    one("mixed case", b"S3cret_TOKEN-1");
    one("prefix", b"Bearer s3cret_TOKEN-1");
    one("sha256 prefix", b"sha256=s3cret_TOKEN-1");
    one("v0 prefix", b"v0=s3cret_TOKEN-1");
    one("doubled", b"s3cret_TOKEN-1s3cret_TOKEN-1");
    one("junk behind", b"s3cret_TOKEN-1=junk");
    one("one byte short", b"s3cret_TOKEN-");
    one("one byte long", b"s3cret_TOKEN-12");
    one("one byte missing in front", b"3cret_TOKEN-1");
    one("half", b"s3cret_");
    one("one byte", b"s");
    one("zeros", b"00000000000000");
    one("padded with =", b"s3cret_TOKEN-1==");
    one("base64", b"czNjcmV0X1RPS0VOLTE=");
    one("base64url", b"czNjcmV0X1RPS0VOLTE");
    one("hex", b"7333637265745f544f4b454e2d31");
    one("percent", b"s3cret%5FTOKEN-1");
    one("underscore for dash", b"s3cret_TOKEN_1");
    one("full width", "ｓ3cret_TOKEN-1".as_bytes());
    one("homoglyph", "ѕ3cret_TOKEN-1".as_bytes());
    one("unicode digit", "s3cret_TOKEN-１".as_bytes());
    one("zero width", "s3cret\u{200b}_TOKEN-1".as_bytes());
    one("invalid utf-8", b"s3cret_TOKEN-\xff");
    one("quoted", b"\"s3cret_TOKEN-1\"");
    one("the bot token", crate::fake::TOKEN.as_bytes());
    one("null", b"null");
    one("undefined", b"undefined");
    one("wildcard", b"*");
    one("very long", &[b'a'; 60_000]);
    let good = SECRET.as_bytes().to_vec();
    values.push(("absent".to_owned(), vec![]));
    values.push(("good twice".to_owned(), vec![good.clone(), good.clone()]));
    values.push(("good, bad".to_owned(), vec![good.clone(), b"nope".to_vec()]));
    values.push(("bad, good".to_owned(), vec![b"nope".to_vec(), good.clone()]));
    values.push((
        "bad, bad".to_owned(),
        vec![b"nope".to_vec(), b"nope".to_vec()],
    ));
    values.push(("a thousand".to_owned(), vec![good.clone(); 1000]));
    // Every single bit.
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut changed = good.clone();
            changed[at] ^= 1 << bit;
            values.push((format!("bit {bit} of byte {at}"), vec![changed]));
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut tried = 0;
    for (name, values) in values {
        let mut request = request(UPDATE);
        request.headers_mut().remove(HEADER);
        let valid: Result<Vec<HeaderValue>, _> = values
            .iter()
            .map(|value| HeaderValue::from_bytes(value))
            .collect();
        // What cannot be a header value (NUL, line ends) cannot reach us.
        let Ok(valid) = valid else { continue };
        for value in valid {
            request.headers_mut().append(HEADER, value);
        }
        let rejection = channel
            .receive(&request, std::time::UNIX_EPOCH)
            .unwrap_err();
        assert_eq!(rejection.status(), StatusCode::UNAUTHORIZED, "{name}");
        assert!(rejection.response().body().is_empty());
        seen.insert(rejection.reason());
        tried += 1;
    }
    assert_eq!(seen.len(), 1, "one answer for all");
    assert!(tried >= 100, "{tried} rows");
}

#[test]
fn the_secret_elsewhere_is_no_secret() {
    let channel = channel();
    let mut request = request(format!(r#"{{"secret_token":"{SECRET}","update_id":1}}"#));
    request.headers_mut().remove(HEADER);
    *request.uri_mut() = format!("/telegram/webhook?secret_token={SECRET}")
        .parse()
        .unwrap();
    for name in [
        "authorization",
        "x-telegram-bot-api-secret",
        "cookie",
        "x-forwarded-for",
    ] {
        let name = HeaderName::from_static(name);
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static(SECRET));
    }
    let rejection = channel
        .receive(&request, std::time::UNIX_EPOCH)
        .unwrap_err();
    assert_eq!(rejection.status(), StatusCode::UNAUTHORIZED);
}

#[test]
fn the_secret_comes_before_everything_else() {
    let channel = channel();
    let mut request = request(vec![b'{'; (1 << 20) + 1]);
    request.headers_mut().clear();
    let rejection = channel
        .receive(&request, std::time::UNIX_EPOCH)
        .unwrap_err();
    assert_eq!(rejection.status(), StatusCode::UNAUTHORIZED);
}

#[test]
fn a_verified_request_that_is_no_update_is_malformed() {
    for body in [
        "",
        "{",
        "nope",
        r#"{"update_id":1"#,
        "[]",
        "{}",
        "null",
        r#"{"update_id":"1"}"#,
        r#"{"update_id":1}x"#,
    ] {
        let rejection = deliver(body).unwrap_err();
        assert_eq!(rejection.status(), StatusCode::BAD_REQUEST, "{body}");
    }
    let now = std::time::UNIX_EPOCH;
    let mut typed = request(UPDATE);
    typed
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    assert_eq!(
        channel()
            .receive(&typed, now)
            .unwrap_err()
            .status()
            .as_u16(),
        415
    );
    let mut packed = request(UPDATE);
    packed
        .headers_mut()
        .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    assert_eq!(
        channel()
            .receive(&packed, now)
            .unwrap_err()
            .status()
            .as_u16(),
        415
    );
    let large = request(vec![b' '; (1 << 20) + 1]);
    assert_eq!(
        channel()
            .receive(&large, now)
            .unwrap_err()
            .status()
            .as_u16(),
        413
    );
    let mut charset = request(UPDATE);
    charset.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("Application/JSON; charset=utf-8"),
    );
    assert!(channel().receive(&charset, now).is_ok());
}

#[test]
fn a_repeated_request_has_the_same_event_id() {
    assert_eq!(deliver(UPDATE).unwrap().id, deliver(UPDATE).unwrap().id);
}

#[test]
fn setting_the_webhook_sends_the_secret_and_the_kinds() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.builder().webhook_secret(SECRET).build().unwrap();
        channel
            .set_webhook("https://bot.example/telegram/webhook")
            .await
            .unwrap();
        let fields = fake.last("setWebhook");
        assert_eq!(fields["secret_token"], SECRET);
        assert_eq!(fields["url"], "https://bot.example/telegram/webhook");
        assert!(fields["allowed_updates"].as_array().unwrap().len() > 10);
        channel.delete_webhook().await.unwrap();
        assert_eq!(fake.calls("deleteWebhook").len(), 1);
        let error = channel.set_webhook("ftp://x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let error = fake.channel().set_webhook("https://x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    });
}
