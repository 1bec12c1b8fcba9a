use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use channel_testkit::{VirtualClock, assert_absent, canary, capture_tracing, find_secret};

/// Has all characters that encodings treat in different ways.
const SECRET: &str = "123456:AAbb-_/+\"\\ \u{e9}zz~~??>>";

fn percent(text: &str, all: bool) -> String {
    let plain = |byte: u8| !all && (byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[test]
fn finds_a_secret_in_each_encoding() {
    let escaped: String = SECRET
        .encode_utf16()
        .map(|unit| format!("\\u{unit:04x}"))
        .collect();
    let forms = [
        ("plain text", SECRET.to_owned()),
        ("hex", hex::encode(SECRET)),
        ("upper-case hex", hex::encode_upper(SECRET)),
        ("percent-encoding", percent(SECRET, false)),
        ("full percent-encoding", percent(SECRET, true)),
        ("JSON", serde_json::to_string(SECRET).unwrap()),
        ("escaped JSON", escaped),
        ("a list of bytes", format!("{:?}", SECRET.as_bytes())),
        (
            "a list of bytes",
            serde_json::to_string(SECRET.as_bytes()).unwrap(),
        ),
        ("JSON", format!("{SECRET:?}")),
    ];
    for (name, form) in forms {
        let haystack = format!("before {form} after");
        assert_eq!(find_secret(SECRET, &haystack), Some(name), "{form}");
    }
}

#[test]
fn finds_a_secret_inside_longer_base64() {
    for (before, after) in [
        ("", ""),
        ("a", ":b"),
        ("ab", ":"),
        ("abc", "x"),
        ("user:", ""),
    ] {
        let text = format!("{before}{SECRET}{after}");
        for encoded in [
            STANDARD.encode(&text),
            STANDARD_NO_PAD.encode(&text),
            URL_SAFE.encode(&text),
        ] {
            let found = find_secret(SECRET, &format!("Basic {encoded}\n"));
            assert!(found.is_some_and(|name| name.ends_with("Base64")));
        }
    }
}

#[test]
fn finds_nothing_where_nothing_is() {
    let other = canary();
    let text = [
        other.clone(),
        hex::encode(&other),
        STANDARD.encode(&other),
        percent(&other, true),
    ];
    assert_absent(&canary(), &text.concat());
    assert_absent("", "an empty secret is nowhere");
}

#[test]
fn canaries_are_unique_and_32_letters_long() {
    let all: std::collections::HashSet<_> = (0..1_000).map(|_| canary()).collect();
    assert_eq!(all.len(), 1_000);
    assert!(all.iter().all(|it| it.len() == 32));
}

#[test]
fn captures_every_level_and_every_field() {
    let work = async {
        let span = tracing::trace_span!("poll", offset = 17);
        let _inside = span.enter();
        tracing::trace!(bytes = 3, "read");
        tracing::error!("failed");
    };
    let ((), logs) = VirtualClock::new().block_on(capture_tracing(work));
    for part in ["offset=17", "bytes=3", "read", "failed", "TRACE", "ERROR"] {
        assert!(logs.contains(part), "{part} is not in {logs}");
    }
}
