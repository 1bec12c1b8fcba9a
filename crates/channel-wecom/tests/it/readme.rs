//! The tables of the README are what the code says.

use std::fmt::Write as _;

use channel_core::{AttachmentKind, Channel, Limits, Rate};
use channel_testkit::conformance::Ability;

use crate::server::Server;
use crate::switch::{Switch, Tasks};

const NAMES: [&str; 4] = [
    "group bot",
    "custom app",
    "AI bot, callback",
    "AI bot, connection",
];

fn channels() -> [Box<dyn Channel>; 4] {
    let server = Server::new();
    let switch = Switch::new(&Tasks::default());
    [
        Box::new(server.bot().build().unwrap()),
        Box::new(server.app().build().unwrap()),
        Box::new(crate::aibot::builder(&server).build().unwrap()),
        Box::new(switch.builder().build().unwrap()),
    ]
}

fn head(first: &str) -> String {
    format!(
        "| {first} | {} |\n|---|---|---|---|---|\n",
        NAMES.join(" | ")
    )
}

fn abilities() -> String {
    let channels = channels();
    let mut table = head("ability");
    for ability in Ability::ALL {
        let has = channels.each_ref().map(|channel| {
            if ability.is_offered_by(channel.as_ref()) {
                "yes"
            } else {
                "-"
            }
        });
        writeln!(table, "| {ability:?} | {} |", has.join(" | ")).unwrap();
    }
    table
}

fn limits() -> String {
    let channels = channels();
    let mut table = head("limit");
    let mut row = |name: &str, value: &dyn Fn(&Limits) -> String| {
        let values = channels
            .each_ref()
            .map(|channel| value(&channel.info().limits));
        writeln!(table, "| {name} | {} |", values.join(" | ")).unwrap();
    };
    let size = |bytes: u64| format!("{} MiB", bytes >> 20);
    let rate = |rate: Option<Rate>| {
        rate.map_or("-".to_owned(), |rate| {
            format!("{} in {} s", rate.count, rate.per.as_secs())
        })
    };
    row("text of a message", &|it| {
        format!("{} {:?}", it.text.max, it.text.unit)
    });
    row("value of a button", &|it| {
        format!("{} bytes", it.action_bytes)
    });
    row("picture sent", &|it| {
        size(it.upload_bytes_for(AttachmentKind::Image))
    });
    row("other file sent", &|it| {
        size(it.upload_bytes_for(AttachmentKind::File))
    });
    row("file received", &|it| size(it.download_bytes));
    row("messages to a person", &|it| rate(it.rate_direct));
    row("messages to a group", &|it| rate(it.rate_group));
    row("messages in all", &|it| rate(it.rate_total));
    row("between frames of a growing answer", &|it| {
        format!("{} ms", it.edit_pause_direct.as_millis())
    });
    table
}

fn guarantees() -> String {
    let channels = channels();
    let mut out = String::new();
    for (name, channel) in NAMES.iter().zip(&channels) {
        write!(
            out,
            "### {name}\n\n{}\n",
            channel.info().guarantees.to_markdown()
        )
        .unwrap();
    }
    out
}

fn bypass() -> String {
    const FAMILIES: [(u8, &str); 13] = [
        (1, "where the signature stands"),
        (2, "its value"),
        (3, "its length"),
        (4, "encodings"),
        (5, "algorithms"),
        (6, "timestamps and nonces"),
        (8, "bodies"),
        (9, "transfer"),
        (10, "routing"),
        (11, "challenges"),
        (12, "concatenation"),
        (13, "decryption"),
        (14, "identity"),
    ];
    let counts = crate::bypass::counts();
    let names: Vec<_> = counts.iter().map(|(name, _)| *name).collect();
    let mut table = format!("| family | {} |\n|---|---|---|---|\n", names.join(" | "));
    let mut line = |name: String, of: &dyn Fn(&std::collections::BTreeMap<u8, usize>) -> usize| {
        let rows: Vec<_> = counts
            .iter()
            .map(|(_, rows)| of(rows).to_string())
            .collect();
        writeln!(table, "| {name} | {} |", rows.join(" | ")).unwrap();
    };
    for (family, name) in FAMILIES {
        line(format!("{family} {name}"), &|rows| {
            rows.get(&family).copied().unwrap_or_default()
        });
    }
    line("rows".to_owned(), &|rows| rows.values().sum());
    table
}

#[test]
fn the_tables_are_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut wanted = text.clone();
    for (name, table) in [
        ("abilities", abilities()),
        ("limits", limits()),
        ("guarantees", guarantees()),
        ("bypass", bypass()),
    ] {
        let mark = format!("<!-- {name}: written by a test, UPDATE_README=1 -->\n");
        let start = wanted.find(&mark).unwrap() + mark.len();
        let end = start + wanted[start..].find("<!-- end -->").unwrap();
        wanted.replace_range(start..end, &table);
    }
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(path, &wanted).unwrap();
    } else {
        assert_eq!(text, wanted, "run with UPDATE_README=1");
    }
}
