//! From a text to words.

use channel_policy::{Line, Normaliser, ParseError, tokenise};

fn read(text: &str) -> Result<Line, ParseError> {
    Normaliser::new(Some("@Kit_Bot")).read(text)
}

fn command(text: &str) -> (String, Vec<String>) {
    match read(text) {
        Ok(Line::Command(line)) => (line.name, line.arguments),
        other => panic!("{text:?} is {other:?}"),
    }
}

#[test]
fn double_quotes_keep_words_together_and_nothing_else_does() {
    for (text, words) in [
        ("", vec![]),
        ("  a  b ", vec!["a", "b"]),
        (r#"a "b c" d"#, vec!["a", "b c", "d"]),
        (r#"a"b c"d"#, vec!["ab cd"]),
        (r#""""#, vec![""]),
        ("it's o'clock", vec!["it's", "o'clock"]),
        (r"a\ b", vec![r"a\", "b"]),
        ("a\u{3000}b", vec!["a", "b"]),
    ] {
        assert_eq!(tokenise(text).unwrap(), words, "{text:?}");
    }
    assert_eq!(tokenise(r#"a "b"#), Err(ParseError::UnbalancedQuote));
}

#[test]
fn all_spellings_of_a_command_are_one() {
    for text in [
        "/run now",
        "  /RUN   now ",
        "/run@kit_bot now",
        "/Run@KIT_BOT now",
        "@kit_bot /run now",
        "@Kit_Bot   /run@kit_bot now",
        "/r\u{200b}un now",
        "\u{202e}/run now",
        "\u{feff}/run now",
    ] {
        let (name, arguments) = command(text);
        assert_eq!(
            (name.as_str(), arguments),
            ("/run", vec!["now".to_owned()]),
            "{text:?}"
        );
    }
}

#[test]
fn a_command_for_another_bot_is_not_ours() {
    assert_eq!(read("/run@other now"), Ok(Line::ForAnother));
    assert_eq!(read("/run@ now"), Ok(Line::ForAnother));
    let nameless = Normaliser::new(None);
    assert_eq!(nameless.read("/run@kit_bot"), Ok(Line::ForAnother));
}

#[test]
fn a_command_counts_at_the_start_only() {
    for text in ["please /run", "@other /run", "x/run", "／run"] {
        assert!(matches!(read(text), Ok(Line::Text(_))), "{text:?}");
    }
    assert_eq!(read("@kit_bot hello"), Ok(Line::Text("hello".into())));
    assert_eq!(read(" \u{200b} "), Ok(Line::Empty));
    assert_eq!(read("@kit_bot"), Ok(Line::Empty));
}

#[test]
fn what_only_looks_like_a_command_is_refused() {
    // The first letter of the second is Cyrillic.
    for text in ["/", "/\u{0430}pprove", "/a.b", "/\u{ff41}", "/ run"] {
        assert_eq!(read(text), Err(ParseError::BadName), "{text:?}");
    }
    assert!(read(&format!("/{}", "a".repeat(64))).is_ok());
    assert!(read(&format!("/{}", "a".repeat(65))).is_err());
    assert_eq!(read(r#"/run "a"#), Err(ParseError::UnbalancedQuote));
}

/// Commands that somebody dresses up: each is the command that the eye sees, ordinary words,
/// another bot's, or refused. None is a command that the eye does not see.
#[test]
fn dressed_up_commands_are_what_the_eye_sees_or_nothing() {
    let seen = |text: &str| match read(text) {
        Ok(Line::Command(command)) => format!("command {}", command.name),
        Ok(Line::Text(_)) => "text".to_owned(),
        Ok(Line::ForAnother) => "for another".to_owned(),
        Ok(Line::Empty) => "empty".to_owned(),
        Ok(other) => format!("{other:?}"),
        Err(error) => format!("{error:?}"),
    };
    for (text, expected) in [
        // Zero width, soft hyphen, joiners, byte order mark.
        ("/st\u{200b}op", "command /stop"),
        ("\u{feff}/stop", "command /stop"),
        ("/s\u{00ad}t\u{200d}op", "command /stop"),
        // Marks that turn the direction of writing.
        ("\u{202e}/stop\u{202c}", "command /stop"),
        ("\u{2067}/pots\u{2069}", "command /pots"),
        // Letters of other alphabets that look the same, and wide ones.
        ("/st\u{043e}p", "BadName"),
        ("/\u{ff53}top", "BadName"),
        ("/sto\u{0301}p", "BadName"),
        ("\u{2215}stop", "text"),
        ("\u{ff0f}stop", "text"),
        // Mentions, ours in any case, and one that only looks like ours.
        ("@KIT_bot /STOP", "command /stop"),
        ("/stop@Kit_Bot now", "command /stop"),
        ("/stop@kit_b\u{043e}t", "for another"),
        ("/stop@", "for another"),
        ("/stop@kit_bot@other", "for another"),
        ("@kit_bot @kit_bot /stop", "text"),
        // Quotes in quotes, and quotes that never end.
        (r#"/stop "a "b" c""#, "command /stop"),
        (r#"/stop "a "b c"#, "command /stop"),
        (r#"/stop "a" "b"#, "UnbalancedQuote"),
        (r#"/"stop""#, "BadName"),
        // What a shell would take apart is one word here.
        ("/stop;rm", "BadName"),
        ("/stop\u{0}", "BadName"),
    ] {
        assert_eq!(seen(text), expected, "{text:?}");
    }
    for length in [65, 4096, 100_000] {
        assert_eq!(seen(&format!("/{}", "a".repeat(length))), "BadName");
    }
}
