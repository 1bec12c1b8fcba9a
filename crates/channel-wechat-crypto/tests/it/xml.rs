//! Documents, good and hostile.

use channel_testkit::SeededRandom;
use channel_wechat_crypto::{
    ENVELOPE, XmlError, XmlLimits, XmlWriter, parse_xml, read_envelope, write_envelope,
};

use crate::vectors::{SEALED, at, cipher};

const GOOD: &str = "<xml><ToUserName><![CDATA[gh_test]]></ToUserName>\n <FromUserName>o&lt;1&#x4e2d;&#65;</FromUserName>\
    <Pics><item>a</item><item>b</item></Pics><Empty/><TaskId>t1</TaskId ><MsgId>18446744073709551615</MsgId></xml>\n";

fn parse(text: &str) -> Result<channel_wechat_crypto::Element<'_>, XmlError> {
    parse_xml(text.as_bytes(), &XmlLimits::MESSAGE)
}

#[test]
fn reads_what_the_platforms_send() {
    let xml = parse(GOOD).unwrap();
    assert_eq!(xml.get("ToUserName"), Some("gh_test"));
    assert_eq!(xml.get("FromUserName"), Some("o<1\u{4e2d}A"));
    assert_eq!(xml.number("MsgId"), Some(u64::MAX));
    assert_eq!(xml.get("Empty"), None);
    assert_eq!(xml.get("TaskId"), Some("t1"));
    let pics = xml.child("Pics").unwrap();
    let items: Vec<_> = pics.children_named("item").map(|it| &*it.text).collect();
    assert_eq!(items, ["a", "b"]);
    assert!(!format!("{xml:?}").contains("gh_test"));
    let with_declaration = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{GOOD}");
    assert!(parse(&with_declaration).is_ok());
}

#[test]
fn what_people_write_inside_cdata_is_their_business() {
    let text = "<!DOCTYPE a [<!ENTITY x \"y\">]> <?php ?> <!-- c --> &lol; </xml>";
    let document = format!("<xml><Content><![CDATA[{text}]]></Content></xml>");
    let xml = parse(&document).unwrap();
    assert_eq!(xml.get("Content"), Some(text));
}

#[test]
fn refuses_everything_but_elements_and_text() {
    let leaf = |inside: &str| format!("<xml><a>{inside}</a></xml>");
    let bad = [
        ("doctype", "<!DOCTYPE xml><xml/>".to_owned()),
        ("doctype in lower case", "<!doctype xml><xml/>".to_owned()),
        ("doctype inside", "<xml><!DOCTYPE a></xml>".to_owned()),
        (
            "external",
            "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><xml><a>&e;</a></xml>"
                .to_owned(),
        ),
        (
            "external http",
            "<!DOCTYPE x SYSTEM \"http://127.0.0.1/x.dtd\"><xml/>".to_owned(),
        ),
        (
            "parameter entity",
            "<!DOCTYPE x [<!ENTITY % p \"q\"> %p;]><xml/>".to_owned(),
        ),
        (
            "entity declaration",
            "<xml><!ENTITY e \"x\"></xml>".to_owned(),
        ),
        ("unknown entity", leaf("&lol;")),
        ("entity outside", "&lt;<xml/>".to_owned()),
        ("bare ampersand", leaf("a & b")),
        ("open reference", leaf("&#x41")),
        ("nul reference", leaf("&#0;")),
        ("surrogate reference", leaf("&#xD800;")),
        ("huge reference", leaf("&#99999999999;")),
        ("comment", leaf("<!-- x -->")),
        ("comment outside", "<!-- x --><xml/>".to_owned()),
        ("instruction", leaf("<?php x ?>")),
        (
            "stylesheet",
            "<?xml-stylesheet href=\"x\"?><xml/>".to_owned(),
        ),
        (
            "late declaration",
            "<xml><?xml version=\"1.0\"?></xml>".to_owned(),
        ),
        (
            "other encoding",
            "<?xml version=\"1.0\" encoding=\"GBK\"?><xml/>".to_owned(),
        ),
        ("attribute", "<xml><a b=\"c\">d</a></xml>".to_owned()),
        ("attribute on the root", "<xml a=\"b\"/>".to_owned()),
        ("namespace", "<xml xmlns=\"x\"/>".to_owned()),
        ("prefix", "<xml><a:b/></xml>".to_owned()),
        ("include", "<xml><xi:include href=\"x\"/></xml>".to_owned()),
        ("other root", "<html/>".to_owned()),
        ("two roots", "<xml/><xml/>".to_owned()),
        ("text after", "<xml/>x".to_owned()),
        ("text before", "x<xml/>".to_owned()),
        ("no root", String::new()),
        ("spaces", "  ".to_owned()),
        ("open", "<xml><a>".to_owned()),
        ("crossed", "<xml><a><b></a></b></xml>".to_owned()),
        ("closed twice", "<xml></xml></xml>".to_owned()),
        ("mixed", "<xml>text<a/></xml>".to_owned()),
        ("twice", "<xml><a>1</a><a>2</a></xml>".to_owned()),
        ("end of cdata in text", leaf("a ]]> b")),
        ("open cdata", leaf("<![CDATA[a")),
        ("byte order mark", "\u{feff}<xml/>".to_owned()),
        ("empty name", "<xml><></></xml>".to_owned()),
        ("long name", format!("<xml><{0}/></xml>", "a".repeat(65))),
        ("too deep", "<xml><a><b><c/></b></a></xml>".to_owned()),
        (
            "too many",
            format!(
                "<xml>{}</xml>",
                (0..31).map(|n| format!("<a{n}/>")).collect::<String>()
            ),
        ),
        ("too long", leaf(&"x".repeat(40_001))),
        ("too long in pieces", leaf(&"x&amp;".repeat(25_000))),
    ];
    for (what, document) in bad {
        assert!(parse(&document).is_err(), "{what}");
    }
    let not_text: [&[u8]; 4] = [
        b"\xff\xfe<\0x\0m\0l\0/\0>\0",
        b"<\0x\0m\0l\0/\0>\0",
        b"<xml><a>\xff</a></xml>",
        b"\0",
    ];
    for document in not_text {
        assert!(
            parse_xml(document, &XmlLimits::MESSAGE).is_err(),
            "{document:?}"
        );
    }
}

#[test]
fn bombs_go_off_nowhere() {
    let lol: String = (1..10)
        .map(|n| {
            format!(
                "<!ENTITY lol{n} \"{}\">",
                format!("&lol{};", n - 1).repeat(10)
            )
        })
        .collect();
    let attributes: String = (0..20_000).map(|n| format!(" a{n}=\"\"")).collect();
    let bombs = [
        format!("<!DOCTYPE l [<!ENTITY lol0 \"lol\">{lol}]><xml><a>&lol9;</a></xml>"),
        format!(
            "<!DOCTYPE l [<!ENTITY a \"{}\">]><xml><b>{}</b></xml>",
            "a".repeat(50_000),
            "&a;".repeat(50_000)
        ),
        "<xml>".repeat(100_000),
        format!("<xml>{}", "<a>".repeat(100_000)),
        format!("<xml><a{attributes}/></xml>"),
        format!("<xml><!--{}--></xml>", "x".repeat(1 << 20)),
        format!("<xml><a>{}</a></xml>", "]]>".repeat(300_000)),
        format!("<xml><a>{}</a></xml>", "&amp;".repeat(1_000_000)),
        format!("<xml><{}/></xml>", "a".repeat(1 << 20)),
        format!("<xml>{}</xml>", "<a/>".repeat(500_000)),
    ];
    // Larger than any real message, so that the other bounds are tried too.
    let wide = XmlLimits::new(8 << 20, 7, 128, 64 << 10, &["a"]);
    for (number, bomb) in bombs.iter().enumerate() {
        for limits in [&wide, &ENVELOPE, &XmlLimits::MESSAGE] {
            assert!(parse_xml(bomb.as_bytes(), limits).is_err(), "{number}");
        }
    }
}

fn below(random: &SeededRandom, end: usize) -> usize {
    usize::try_from(random.next_u64() % end as u64).unwrap()
}

#[test]
fn changed_documents_do_no_harm() {
    let random = SeededRandom::new(3);
    let pieces = [
        "<",
        ">",
        "/",
        "&",
        ";",
        "]]>",
        "<![CDATA[",
        "<!",
        "<?",
        "\0",
        "=",
        "\"",
        "xml",
        "\u{4e2d}",
    ];
    let mut read = 0;
    for _ in 0..10_000 {
        let mut text = GOOD.as_bytes().to_vec();
        for _ in 0..1 + random.next_u64() % 3 {
            let at = below(&random, text.len());
            let piece = pieces[below(&random, pieces.len())];
            match random.next_u64() % 3 {
                0 => text[at] = random.next_u64().to_le_bytes()[0],
                1 => drop(text.remove(at)),
                _ => drop(text.splice(at..at, piece.bytes())),
            }
        }
        read += usize::from(parse_xml(&text, &XmlLimits::MESSAGE).is_ok());
    }
    assert!(read > 0 && read < 10_000, "{read}");
}

#[test]
fn envelopes_are_read_and_written() {
    for vector in SEALED {
        let sealed = cipher(vector.receiver)
            .seal(
                vector.message.as_bytes(),
                at(1_760_000_000),
                "nonce42",
                *b"0123456789abcdef",
            )
            .unwrap();
        let written = write_envelope(&sealed);
        assert_eq!(read_envelope(written.as_bytes()).unwrap(), vector.encrypted);
        let xml = parse(&written).unwrap();
        assert_eq!(xml.get("MsgSignature"), Some(vector.signature));
        assert_eq!(xml.number("TimeStamp"), Some(1_760_000_000));
        assert_eq!(xml.get("Nonce"), Some("nonce42"));
    }
    for bad in [
        "<xml/>",
        "<xml><Encrypt/></xml>",
        "<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>",
        "<xml><a><Encrypt>a</Encrypt></a></xml>",
        "<Encrypt>a</Encrypt>",
        "{\"encrypt\":\"a\"}",
    ] {
        assert!(read_envelope(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn what_is_written_reads_the_same() {
    for text in [
        "",
        "a",
        "]]>",
        "]]]]>>",
        "]]]>",
        "<a>&amp;",
        "]]",
        ">",
        "\u{4e2d}\u{1f600}\r\n\t",
    ] {
        let written = XmlWriter::new().open("Outer").text("a", text).finish();
        let read = parse(&written).unwrap();
        let inner = read.child("Outer").unwrap();
        assert_eq!(inner.child("a").unwrap().text, text, "{written}");
    }
    let written = XmlWriter::new().text("a", "\u{0}b\u{b}\u{fffe}c").finish();
    assert_eq!(parse(&written).unwrap().get("a"), Some("bc"));
}
