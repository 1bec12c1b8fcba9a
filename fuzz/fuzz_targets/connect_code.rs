//! Whatever people write is a connect command or it is not, a command line or an error; and
//! what was read once reads the same again.

#![no_main]

use channel_binding::{CodeHash, connect_argument};
use channel_policy::{CommandLine, Line, Normaliser, SaltedHash, tokenise};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for word in ["connect", "start"] {
        let Some(argument) = connect_argument(text, word) else {
            continue;
        };
        assert!(!argument.is_empty() && !argument.contains(char::is_whitespace));
        let plain = format!("/{word} {argument}");
        assert_eq!(connect_argument(&plain, word), Some(argument));
        assert_eq!(connect_argument(&format!("@bot {plain}"), word), Some(argument));
        assert_eq!(connect_argument(&format!("{plain} more"), word), None);
        code(argument);
    }
    code(text);
    if let Some(hash) = SaltedHash::from_hex(text) {
        assert_eq!(hash.to_hex(), text.to_ascii_lowercase());
    }

    if let Ok(words) = tokenise(text) {
        assert!(words.iter().all(|word| !word.contains('"')), "quotes quote");
        let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
        assert_eq!(tokenise(&quoted.join(" ")), Ok(words));
    }

    for me in [None, Some("kit_bot"), Some("@Kit_Bot")] {
        line(&Normaliser::new(me), text);
    }
});

/// A code has one spelling, and its hash does not hold it.
fn code(text: &str) {
    if let Some(hash) = CodeHash::of(text) {
        assert_eq!(text.len(), 22);
        assert_eq!(hash.as_str().len(), 64);
        assert!(!hash.as_str().contains(text));
        assert!(CodeHash::of(&format!("{text}=")).is_none());
    }
}

fn line(normaliser: &Normaliser, text: &str) {
    match normaliser.read(text) {
        Ok(Line::Command(CommandLine { name, arguments, .. })) => {
            let word = name.strip_prefix('/').expect("a slash");
            assert!((1..=64).contains(&word.len()));
            assert!(word.bytes().all(|b| b.is_ascii_lowercase()
                || b.is_ascii_digit()
                || matches!(b, b'_' | b'-')));
            let quoted: Vec<_> = arguments.iter().map(|it| format!("\"{it}\"")).collect();
            let again = normaliser.read(&format!("{name} {}", quoted.join(" ")));
            let Ok(Line::Command(again)) = again else {
                panic!("it was a command: {again:?}");
            };
            assert_eq!((again.name, again.arguments), (name, arguments));
        }
        Ok(Line::Text(words)) => assert_eq!(words, words.trim()),
        Ok(Line::Empty | Line::ForAnother) | Err(_) => {}
        Ok(_) => {}
    }
}
