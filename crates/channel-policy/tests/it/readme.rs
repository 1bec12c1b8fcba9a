//! The table of the README is what the code says.

use std::fmt::Write as _;

use channel_policy::{Line, Normaliser};

/// What the page asks for, and a text that shows it.
const ROWS: [(&str, &str); 18] = [
    ("trim", "  /run   now  "),
    ("an empty text is nothing", "   "),
    ("double quotes keep words together", r#"/run "two words""#),
    ("an empty argument is one too", r#"/run """#),
    ("an apostrophe is a letter", "/run it's"),
    ("an open double quote is refused", r#"/run "two words"#),
    (
        "a command in small letters, its arguments as written",
        "/RUN Now",
    ),
    ("our own name behind it is cut off", "/run@Kit now"),
    ("another bot's is not for us", "/run@other now"),
    ("our own mention before it is cut off", "@kit /run now"),
    ("another mention is not", "@other /run now"),
    ("before words too", "@kit hello"),
    ("our mention alone is nothing", "@kit"),
    ("a command at the start only", "please /run"),
    ("the slash is needed", "run now"),
    ("a name of other characters is refused", "/run;now"),
    ("also where the eye takes them for ours", "/r\u{1d1c}n now"),
    ("what cannot be seen does not count", "/r\u{200b}un now"),
];

fn shown(text: &str) -> String {
    if text.is_empty() {
        return "an empty word".to_owned();
    }
    let shown: String = text
        .chars()
        .map(|c| match c {
            ' '..='~' => c.to_string(),
            c => c.escape_unicode().to_string(),
        })
        .collect();
    format!("`{shown}`")
}

fn parsing() -> String {
    let normaliser = Normaliser::new(Some("kit"));
    let mut table = "| the page | a text | is read as |\n|---|---|---|\n".to_owned();
    for (asks, text) in ROWS {
        let read = match normaliser.read(text) {
            Ok(Line::Command(line)) => {
                let words: Vec<_> = line.arguments.iter().map(|word| shown(word)).collect();
                let words = if words.is_empty() {
                    "nothing".to_owned()
                } else {
                    words.join(" and ")
                };
                format!("command {} with {words}", shown(&line.name))
            }
            Ok(Line::Text(text)) => format!("text {}", shown(&text)),
            Ok(Line::ForAnother) => "another bot's command".to_owned(),
            Ok(Line::Empty) => "nothing".to_owned(),
            Ok(other) => panic!("a row for {other:?} is missing"),
            Err(error) => format!("refused: {error}"),
        };
        writeln!(table, "| {asks} | {} | {read} |", shown(text)).unwrap();
    }
    table
}

#[test]
fn the_table_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut wanted = text.clone();
    let mark = "<!-- parsing: written by a test, UPDATE_README=1 -->\n";
    let start = wanted.find(mark).unwrap() + mark.len();
    let end = start + wanted[start..].find("<!-- end -->").unwrap();
    wanted.replace_range(start..end, &parsing());
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(path, &wanted).unwrap();
    } else {
        assert_eq!(text, wanted, "run with UPDATE_README=1");
    }
}
