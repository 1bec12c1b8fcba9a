//! Known answers.
//!
//! Made with `wechatpy` 1.8.18, then decrypted by the official `@wecom/aibot-node-sdk` 1.0.7
//! and by Tencent's sample code; `NODE_SDK` is made by that SDK. All keys are synthetic.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::Secret;
use channel_wechat_crypto::{CallbackQuery, MessageCipher, Refused};

pub(crate) const TOKEN: &str = "synthetic_token_1";
pub(crate) const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
pub(crate) const CORP: &str = "wwcorp00000000001";
const APP: &str = "wx0123456789abcdef";
const PREFIX: [u8; 16] = *b"0123456789abcdef";

pub(crate) struct Vector {
    pub(crate) name: &'static str,
    pub(crate) receiver: &'static str,
    pub(crate) message: &'static str,
    pub(crate) encrypted: &'static str,
    pub(crate) signature: &'static str,
}
/// With the fixed prefix: these have to come out the same when they are sealed again.
pub(crate) const SEALED: &[Vector] = &[
    Vector {
        name: "short",
        receiver: "",
        message: r#"ok"#,
        encrypted: "4j/AuRx71kQlxVlzbpsMWFM3FLIlE7+Rr0vpqUk+32s=",
        signature: "00e3a158a418829e199d1763cd26555c7a1f0053",
    },
    Vector {
        name: "full padding",
        receiver: "",
        message: r#"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"#,
        encrypted: "4j/AuRx71kQlxVlzbpsMWDEYgTHNhlPesqHoUCIQ50pe8mPvCQvzCyvKXNQzFxuKKnQPGhatAKxEfJszfiTtwrePeoPysqL/5qQA+AmmyqiJHZCmcQg44m4LQvTN6KFv",
        signature: "055c54b72e897ba8436d9ed269f1490cc7b58660",
    },
    Vector {
        name: "challenge",
        receiver: CORP,
        message: r#"1234567890123456"#,
        encrypted: "4j/AuRx71kQlxVlzbpsMWCmisfbiha2lA5RT3f6lwz2DgF9vh0Ojaxb2qOkuPe/0VcWBoQ5jRVVY90ilaz1IGQ==",
        signature: "6b17a89bc79a67ed0611ce6771bae39fc0737af6",
    },
    Vector {
        name: "AI bot",
        receiver: "",
        message: r#"{"msgid":"m1","aibotid":"aib1","chattype":"single","from":{"userid":"zhangsan"},"msgtype":"text","text":{"content":"hi"}}"#,
        encrypted: "4j/AuRx71kQlxVlzbpsMWL7K4jVm7Pkc9gVbBC/Q7QA4WFhkLjvhhT+7p6aHA2do6Qx2EVBSV1n69uUoNWhcBbnV+52V+EmhW3tmFajLmjdrbiEot76yc92UZM1Ki08+W2ShXzT5C1W++qYLAQNWpSilUhJVOouRoTDcXkrCKViCHgPH0yqI1Gpu2TAvnl3E8C2yvAX+cCjeYLUialiyhQ==",
        signature: "0259a5f9eeaf6caa95ce783340ea60ce6c4be4c5",
    },
    Vector {
        name: "custom app",
        receiver: CORP,
        message: r#"<xml><ToUserName><![CDATA[wwcorp00000000001]]></ToUserName><FromUserName><![CDATA[zhangsan]]></FromUserName><CreateTime>1760000000</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hi]]></Content><MsgId>1002</MsgId><AgentID>1000002</AgentID></xml>"#,
        encrypted: "4j/AuRx71kQlxVlzbpsMWAdkpSYxxsse+Vn8xy/4Sed1vtF8Kfu6UW2/z4bu9nY84qnUFb4pxadp+zKSVmc7sRD5BgSCSXXJ3cPGYC0H1pasdzAznkZPz59rt11D+3zC2vybSEvB6wlNl/W6wDPDoCzzMUOn6U9C8p5+/jw4c9XUPG1nVmdSzeyDxgP5OtIqkQPd6hZztFNzK7s91O5t7k+INr+P59SElTUC0OjlGXorGC+KffwXqMG3cAG/E/PlL811XRDxigFNRt7zwtaRHwkx8FCymujfPKH3C8VthhvreZdGxt2acezQme2+i9O1696Z6Vehlh1eZdnANfd7bX7z/wpFKSzNlUbp/sEtO+qhLMNzJ/9wvL6NdDfXGGsynDWvt++oxT9G5WjVpVluPtDvDHmA4/ks2E3HMR8nFt0=",
        signature: "11b9b2e29d9a3b178e2557f6a1c317779667721f",
    },
    Vector {
        name: "official account",
        receiver: APP,
        message: r#"<xml><ToUserName><![CDATA[gh_test]]></ToUserName><FromUserName><![CDATA[oUser1]]></FromUserName><CreateTime>1760000000</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hello 你好]]></Content><MsgId>1001</MsgId></xml>"#,
        encrypted: "4j/AuRx71kQlxVlzbpsMWLm46Mnar9BezEzzX2KCjX57/J8vbaPhHhE4DI5Lh4VdoOTJ9o+ZrLwKkMby4oCRFIq2bR0lEk/+m0y05JalRcfIJAuzO4IPpPq7PbuyOGTW9eIApOHI/hYcZfTL04u6Kqy1Ocggv0/s7l1Q1DqrfK0L6k7n0s1dIfHkuTfAl6+W0CeH2U2W8OEOhFjYxZONiSvCNT3T4rPc3vQ76T3p8kih1JQhuW1NQAXnWKjOEp4gOR16WqVMxLCIpwngDuStqGwDHeO/rSBApm+JITIL8ILkT90Pq50JfRGIAtP0P22PxBIesMYhhg6uQiaiO6bunktRoTZQHeV4H4q1i3VFcQ3UWWQY8CqvBR8o+tmvKySZ",
        signature: "df5202d81941f754e34d2204984ce853a12e8d91",
    },
];

/// With a prefix of their own.
const FOREIGN: &[Vector] = &[
    Vector {
        name: "node sdk",
        receiver: "",
        message: r#"{"msgid":"m1","aibotid":"aib1","chattype":"single","from":{"userid":"zhangsan"},"msgtype":"text","text":{"content":"hi"}}"#,
        encrypted: "l8nOgyl+bBolGQ4OQZ1BPuIJJDFda9Hmc0wAW3N+6FEr1N7J4lfuEz8nkKq9aP1yLSwl9jE5rGt5KY2CtMH2LixqX7WyIZ2Tc3uSt4iXJbifYNfyqYBo6tOFfwesAsxM5VTb3pDQtKLQK8vsehjwmi+qfFF8Fr3B5/DZ3yglTf3PUd2KmZWhaF5uxyYVHjw1DWZqmZyE+jbq6t36ILwDTw==",
        signature: "54d571787d3456ba964a4763552a5565ac2f3dd3",
    },
    Vector {
        name: "official account, other prefix",
        receiver: APP,
        message: r#"<xml><ToUserName><![CDATA[gh_test]]></ToUserName><FromUserName><![CDATA[oUser1]]></FromUserName><CreateTime>1760000000</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hello 你好]]></Content><MsgId>1001</MsgId></xml>"#,
        encrypted: "xNQSEGWsRmUBsxMsT0cmwNatdf6mRjtfRepXj22PeRQC+qBXcEVtIJF7p1mwhQKUe+rbO23w5gG4brQDjiHD+m8kNOcOhidAiXIaKXRQnAUwMuyC/sAna8DSLixRo+LWFYwqne+Po9712X7SVDpMv/Ne9iCuLn4pHHqxdNP16//x4xo2WwiO3BorN17p+G1eLyqnZk1Kev5ZqXsLJ+HDG8g5QliJSktuB2OpJDI1jeZRyhywbKaP6P7XeoycdkqZlRkV61rBGeR3iGjIU+W5m/4IjUvTFSCreROg+IIm1uX/22U1Tx1FdiJ8KuXtOyzAfcQ4FA6cS8BL25VxLeIc6Z4G9fkNuXe6YoJ+cK3Sb6fcYVTYAGojvObG/U6sKW4e",
        signature: "5af1d820901f8b2766acf6bedcf1e0ccf8501332",
    },
];

/// Signed properly, and to be refused: what, text, signature.
const BAD: &[(&str, &str, &str)] = &[
    (
        "pad byte 0",
        "4j/AuRx71kQlxVlzbpsMWIuc7PWRAqjhSYU6jhz32tE=",
        "f7f820ebb997766e8343cd1209cad6c3f8753736",
    ),
    (
        "pad byte 33",
        "4j/AuRx71kQlxVlzbpsMWEJCcUX0hEQ75Dt9sWtHZHk=",
        "b7f30244bf06b61355939d86adbc87ffcf25b53f",
    ),
    (
        "mixed pad bytes",
        "4j/AuRx71kQlxVlzbpsMWJWIaaZaNKnQsrHqsLsRqBw=",
        "809c9cebf9d86778ee60f572236a4f3fe9fdd405",
    ),
    (
        "length 9999",
        "4j/AuRx71kQlxVlzbpsMWBXsVRHV2yhT37Diy007de4=",
        "248e1f8725b4450cbe098a001065fd340aadc2ce",
    ),
    (
        "under 20 bytes",
        "6cPvirI0U+bwdJzWNueojkMg1ROjWZve/z6dQY0MFo8=",
        "2824b0b2df66a861c3f7a70ada81f95f2b51035a",
    ),
    (
        "17-byte ciphertext",
        "eHh4eHh4eHh4eHh4eHh4eHg=",
        "df0f2c98cb4468da57846452f81896726e510ba2",
    ),
    (
        "not base64",
        "not base64 !!",
        "b55fa03a4b2f450db1920f2eb62b9b50876e0e5e",
    ),
];

pub(crate) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

pub(crate) fn cipher(receiver: &str) -> MessageCipher {
    MessageCipher::new(Secret::new(TOKEN), &Secret::new(KEY), receiver).unwrap()
}

pub(crate) fn open(receiver: &str, encrypted: &str, signature: &str) -> Result<Vec<u8>, Refused> {
    let query = format!("msg_signature={signature}&timestamp=1760000000&nonce=nonce42");
    let query = CallbackQuery::parse(&query).unwrap();
    cipher(receiver).open(&query, encrypted, at(1_760_000_000))
}

#[test]
fn opens_what_the_vendors_libraries_have_sealed() {
    for vector in SEALED.iter().chain(FOREIGN) {
        let opened = open(vector.receiver, vector.encrypted, vector.signature);
        assert_eq!(
            opened.unwrap(),
            vector.message.as_bytes(),
            "{}",
            vector.name
        );
    }
}

#[test]
fn seals_to_the_same_bytes_as_the_vendors_libraries() {
    for vector in SEALED {
        let sealed = cipher(vector.receiver)
            .seal(
                vector.message.as_bytes(),
                at(1_760_000_000),
                "nonce42",
                PREFIX,
            )
            .unwrap();
        assert_eq!(sealed.encrypt, vector.encrypted, "{}", vector.name);
        assert_eq!(sealed.signature, vector.signature, "{}", vector.name);
    }
}

#[test]
fn refuses_what_is_signed_and_not_sealed_properly() {
    assert_eq!(BAD.len(), 7);
    for (what, encrypted, signature) in BAD {
        let refused = open("", encrypted, signature).unwrap_err();
        assert_eq!(refused.reason(), "sealed", "{what}");
    }
}

#[test]
fn refuses_a_wrong_signature() {
    let first = &SEALED[0];
    let wrong = "10e3a158a418829e199d1763cd26555c7a1f0053";
    assert_eq!(
        open("", first.encrypted, wrong).unwrap_err().reason(),
        "signature"
    );
    // The hash of the parts in the order of the query, as some libraries make it.
    let official = SEALED.last().unwrap();
    let unsorted = "64ccdb0e30107787dab57c9214c9f5b1a9620a96";
    assert!(open(official.receiver, official.encrypted, unsorted).is_err());
}

#[test]
fn refuses_what_is_for_somebody_else() {
    for vector in SEALED.iter().chain(FOREIGN) {
        for other in [
            "",
            "wwcorp00000000002",
            "wxffffffffffffffff",
            "wwcorp0000000000",
            "1",
        ] {
            if other != vector.receiver {
                let opened = open(other, vector.encrypted, vector.signature);
                assert_eq!(opened.unwrap_err().reason(), "sealed", "{}", vector.name);
            }
        }
    }
}

#[test]
fn requests_in_the_clear_are_signed_too() {
    let check = |signature: &str, now: u64| {
        let query = format!("signature={signature}&timestamp=1760000000&nonce=nonce42");
        cipher("").check_plain(&CallbackQuery::parse(&query).unwrap(), at(now))
    };
    assert!(check("035fa28c02baf0367c66516d8e13aec0f74332d6", 1_760_000_000).is_ok());
    assert!(check("135fa28c02baf0367c66516d8e13aec0f74332d6", 1_760_000_000).is_err());
    assert!(check("035fa28c02baf0367c66516d8e13aec0f74332d6", 1_760_000_301).is_err());
    assert!(check("", 1_760_000_000).is_err());
    assert_eq!(
        cipher("").sign_plain("1760000000", "nonce42"),
        "035fa28c02baf0367c66516d8e13aec0f74332d6"
    );
}

#[test]
fn keys_are_forty_three_characters() {
    let make = |key: &str| MessageCipher::new(Secret::new("t"), &Secret::new(key), "");
    assert!(make(KEY).is_ok());
    // A generator that left bits in the last character: the same key.
    assert!(make(&KEY.replace("Hh8", "Hh9")).is_ok());
    for bad in [
        "",
        &KEY[1..],
        &format!("{KEY}="),
        &format!("{KEY}A"),
        &KEY.replace('A', "-"),
    ] {
        assert!(make(bad).is_err(), "{bad}");
    }
    assert!(MessageCipher::new(Secret::new(""), &Secret::new(KEY), "").is_err());
    let shown = format!("{:?}", make(KEY).unwrap());
    assert!(!shown.contains(KEY), "{shown}");
}

#[test]
fn files_open_with_their_own_key() {
    let key = channel_wechat_crypto::AesKey::from_base64(&Secret::new(format!("{KEY}="))).unwrap();
    for length in [0, 1, 15, 16, 31, 32, 33, 1000] {
        let plain = vec![0x5a; length];
        let sealed = key.seal_file(&plain).unwrap();
        assert_eq!(sealed.len() % 32, 0);
        assert_eq!(key.open_file(&sealed).unwrap(), plain);
        assert!(key.open_file(&sealed[1..]).is_none());
        let other =
            channel_wechat_crypto::AesKey::from_base64(&Secret::new(KEY.replace("AAEC", "BBEC")));
        assert_ne!(other.unwrap().open_file(&sealed), Some(plain));
    }
    assert!(key.open_file(b"").is_none());
}
