//! What is a connect command, and what is ordinary text.

use channel_binding::{CodeHash, connect_argument};

#[test]
fn mentions_before_it_and_case_do_not_matter() {
    for text in [
        "/connect abc",
        "  /CONNECT   abc  ",
        "/connect@kit_bot abc",
        "@kit /connect abc",
        "@kit @_user_1 /connect abc",
        "<@U1> /connect abc",
        "<@!42> /connect abc",
        "<@U1|kit> /connect abc",
        "<at user_id=\"ou_1\">Kit Bot</at> /connect abc",
        "<at>Kit</at>/connect abc",
        "/connect\u{3000}abc",
    ] {
        assert_eq!(connect_argument(text, "connect"), Some("abc"), "{text:?}");
    }
}

#[test]
fn everything_else_is_ordinary_text() {
    for text in [
        "",
        "/",
        "connect abc",
        "/connect",
        "/connect a b",
        "/connected abc",
        "/start abc",
        "please /connect abc",
        "kit /connect abc",
        "@ /connect abc",
        "<@U1 /connect abc",
        "<attack>x</at> /connect abc",
        "<at /connect abc",
        "@a @a @a @a @a @a @a @a @a /connect abc",
    ] {
        assert_eq!(connect_argument(text, "connect"), None, "{text:?}");
    }
    let hostile = "<at ".repeat(100_000) + "@".repeat(100_000).as_str();
    assert_eq!(connect_argument(&hostile, "connect"), None);
}

#[test]
fn a_code_has_one_spelling() {
    let code = "AAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(code.len(), 22);
    // echo -n AAAAAAAAAAAAAAAAAAAAAA | sha256sum
    assert_eq!(
        CodeHash::of(code).unwrap().as_str(),
        "8a5bdb4cc15164126c6ef2668de9dd240d299ce6397a42c95a9411b93d080ed8"
    );
    for bad in [
        "AAAAAAAAAAAAAAAAAAAAAB",
        "AAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAA==",
        "AAAAAAAAAAA/AAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAA\u{e4}",
    ] {
        assert!(CodeHash::of(bad).is_none(), "{bad:?}");
    }
}
