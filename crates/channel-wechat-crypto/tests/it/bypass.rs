//! Ways around a signature, at the level of the cipher.

use channel_core::Random as _;
use channel_testkit::SeededRandom;
use channel_wechat_crypto::{CallbackQuery, Refused};

use crate::vectors::{CORP, SEALED, TOKEN, at, cipher, open};

const NOW: u64 = 1_760_000_000;

fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for index in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * index)) as usize & 63];
            out.push(if index <= chunk.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    out
}

/// Opens with a signature that is right for whatever is given: what is refused here is
/// refused for what it says.
fn open_signed(timestamp: &str, nonce: &str, encrypted: &str) -> Option<Result<Vec<u8>, Refused>> {
    let query = format!("timestamp={timestamp}&nonce={nonce}&msg_signature=s");
    let mut query = CallbackQuery::parse(&query)?;
    let signature = sign(&[TOKEN, timestamp, nonce, encrypted]);
    query.msg_signature = Some(signature.into());
    Some(cipher("").open(&query, encrypted, at(NOW)))
}

/// The signature of parts, made without the code under test.
fn sign(parts: &[&str]) -> String {
    let mut sorted = parts.to_vec();
    sorted.sort_unstable();
    let whole = sorted.concat();
    crate::sha1::hex(whole.as_bytes())
}

#[test]
fn the_reference_signature_is_right() {
    for vector in SEALED {
        assert_eq!(
            sign(&[TOKEN, "1760000000", "nonce42", vector.encrypted]),
            vector.signature
        );
    }
}

#[test]
fn signatures_have_one_spelling() {
    let good = &SEALED[0];
    let upper = good.signature.to_uppercase();
    let mut mixed = good.signature.to_owned();
    mixed.replace_range(2..3, "E");
    let values = [
        String::new(),
        upper,
        mixed,
        good.signature[..39].to_owned(),
        good.signature[1..].to_owned(),
        good.signature[..20].to_owned(),
        format!("{}0", good.signature),
        format!("0{}", good.signature),
        format!("{0}{0}", good.signature),
        format!("sha1={}", good.signature),
        format!("{},{}", good.signature, good.signature),
        format!("%20{}", good.signature),
        format!("{}%00", good.signature),
        format!("{}%0a", good.signature),
        "0".repeat(40),
        "%00".repeat(40),
        encode(good.signature.as_bytes()).replace('=', ""),
        good.signature.replace('0', "%EF%BC%90"),
        good.signature.replace('a', "%D0%B0"),
        good.signature.repeat(100),
    ];
    for value in &values {
        assert!(open("", good.encrypted, value).is_err(), "{value}");
    }
    assert!(open("", good.encrypted, good.signature).is_ok());
}

#[test]
fn requests_age_both_ways() {
    let good = &SEALED[0];
    let query = format!(
        "msg_signature={}&timestamp={NOW}&nonce=nonce42",
        good.signature
    );
    let query = CallbackQuery::parse(&query).unwrap();
    for (now, fresh) in [
        (NOW, true),
        (NOW + 299, true),
        (NOW + 300, true),
        (NOW - 299, true),
        (NOW + 301, false),
        (NOW - 301, false),
        (NOW + 86_400, false),
        (0, false),
    ] {
        let opened = cipher("").open(&query, good.encrypted, at(now));
        assert_eq!(opened.is_ok(), fresh, "{now}");
    }
}

#[test]
fn bytes_cannot_be_moved_between_the_parts() {
    // Each cut of each concatenation that has the same signature as a good request.
    for vector in SEALED.iter().filter(|vector| vector.receiver.is_empty()) {
        let mut sorted = [TOKEN, "1760000000", "nonce42", vector.encrypted];
        sorted.sort_unstable();
        let whole = sorted.concat();
        let mut tried = 0;
        let text = whole.find(vector.encrypted).unwrap();
        for start in 0..whole.len() {
            for end in [
                text + vector.encrypted.len(),
                whole.find("nonce42").unwrap(),
                whole.len() - TOKEN.len(),
            ] {
                let Some(encrypted) = whole.get(start..end) else {
                    continue;
                };
                let before = &whole[..start];
                let after = whole[end..].strip_suffix(TOKEN).unwrap_or(&whole[end..]);
                for (timestamp, nonce) in [
                    (before, after),
                    (after, before),
                    ("1760000000", after),
                    ("1760000000", before),
                ] {
                    if encrypted == vector.encrypted
                        && (timestamp, nonce) == ("1760000000", "nonce42")
                    {
                        continue;
                    }
                    let mut again = [TOKEN, timestamp, nonce, encrypted];
                    again.sort_unstable();
                    if again.concat() == whole {
                        tried += 1;
                        let opened = open_signed(timestamp, nonce, encrypted);
                        assert!(
                            opened.is_none_or(|opened| opened.is_err()),
                            "{timestamp} {nonce}"
                        );
                    }
                }
            }
        }
        assert!(tried > 0, "{}", vector.name);
    }
}

#[test]
fn no_change_of_a_sealed_text_opens() {
    let good = &SEALED[3];
    let text = good.encrypted.as_bytes();
    for index in 0..text.len() {
        let mut changed = text.to_vec();
        changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        // Signed again, as somebody could who knows the token but not the key.
        if let Some(Ok(opened)) = open_signed("1760000000", "nonce42", &changed) {
            // CBC lets a block be garbled; the frame around it still has to hold.
            assert_eq!(opened.len(), good.message.len());
        }
    }
    for shorter in (4..text.len()).step_by(4) {
        let cut = &good.encrypted[..text.len() - shorter];
        assert!(
            open_signed("1760000000", "nonce42", cut).unwrap().is_err(),
            "{shorter}"
        );
    }
    let doubled = [good.encrypted.trim_end_matches('='), good.encrypted].concat();
    for other in [
        doubled.as_str(),
        &good.encrypted.replace('=', ""),
        &format!("{}=", good.encrypted),
        &good.encrypted.replace('+', "-").replace('/', "_"),
        &format!(" {}", good.encrypted),
        &format!("{}\n", good.encrypted),
        &good
            .encrypted
            .replacen("A==", "B==", 1)
            .replacen("Q==", "R==", 1)
            .replacen("w==", "x==", 1)
            .replacen("g==", "h==", 1),
        "",
        "=",
        "====",
    ] {
        assert!(
            open_signed("1760000000", "nonce42", other)
                .unwrap()
                .is_err(),
            "{other}"
        );
    }
}

#[test]
fn nothing_random_opens() {
    let random = SeededRandom::new(7);
    for round in 0..20_000_usize {
        let mut bytes = vec![0; 32 * (1 + round % 4)];
        random.fill(&mut bytes);
        let text = encode(&bytes);
        assert!(
            open_signed("1760000000", "nonce42", &text)
                .unwrap()
                .is_err()
        );
    }
}

#[test]
fn every_failure_says_the_same() {
    let good = &SEALED[4];
    let failures = [
        open("", good.encrypted, good.signature),
        open(CORP, good.encrypted, "00"),
        open(CORP, "eHh4", good.signature),
    ];
    let words: Vec<_> = failures
        .iter()
        .map(|it| it.as_ref().unwrap_err().to_string())
        .collect();
    assert!(words.iter().all(|line| *line == words[0]), "{words:?}");
}

#[test]
fn a_text_ends_on_thirty_two_bytes() {
    // A good frame whose padding goes to the cipher's own block of 16.
    let mut frame = b"0123456789abcdef\0\0\0\x18".to_vec();
    frame.resize(20 + 24, b'a');
    frame.resize(48, 4);
    let sealed = cipher("").key().seal_file(&frame).unwrap();
    let short = encode(&sealed[..48]);
    assert!(
        open_signed("1760000000", "nonce42", &short)
            .unwrap()
            .is_err()
    );
    frame.truncate(44);
    let whole = encode(&cipher("").key().seal_file(&frame).unwrap());
    assert_eq!(
        open_signed("1760000000", "nonce42", &whole)
            .unwrap()
            .unwrap(),
        [b'a'; 24]
    );
}
