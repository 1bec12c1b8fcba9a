//! The tables of the README are what the code says.

use std::fmt::Write as _;

use channel_core::{AttachmentKind, Channel as _, Rate};
use channel_testkit::conformance::Ability;

use crate::fake::Fake;

fn abilities() -> String {
    let fake = Fake::new();
    let gateway = fake.channel();
    let endpoint = fake.endpoint();
    let mut table = String::from("| ability | gateway | interactions endpoint |\n|---|---|---|\n");
    for ability in Ability::ALL {
        let mark = |offered| if offered { "yes" } else { "-" };
        let (a, b) = (
            ability.is_offered_by(&gateway),
            ability.is_offered_by(&endpoint),
        );
        writeln!(table, "| {ability:?} | {} | {} |", mark(a), mark(b)).unwrap();
    }
    table
}

fn limits() -> String {
    let channel = Fake::new().channel();
    let it = &channel.info().limits;
    let rate = |rate: Option<Rate>| {
        rate.map_or("-".to_owned(), |rate| {
            format!("{} in {} s", rate.count, rate.per.as_secs())
        })
    };
    let mut table = String::from("| limit | |\n|---|---|\n");
    for (name, value) in [
        (
            "text of a message",
            format!("{} {:?}", it.text.max, it.text.unit),
        ),
        (
            "value of a button",
            format!("{} characters", it.action_bytes),
        ),
        (
            "file sent",
            format!("{} MiB", it.upload_bytes_for(AttachmentKind::File) >> 20),
        ),
        ("files of a message", it.attachments.to_string()),
        ("file received", format!("{} MiB", it.download_bytes >> 20)),
        (
            "messages to a chat, until the server says otherwise",
            rate(it.rate_group),
        ),
        ("calls together", rate(it.rate_total)),
        (
            "between edits",
            format!("{} ms", it.edit_pause_group.as_millis()),
        ),
    ] {
        writeln!(table, "| {name} | {value} |").unwrap();
    }
    table
}

#[test]
fn the_tables_are_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut wanted = text.clone();
    let guarantees = Fake::new().channel().info().guarantees.to_markdown();
    for (name, table) in [
        ("guarantees", guarantees),
        ("abilities", abilities()),
        ("limits", limits()),
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

/// What the ids of senders mean.
#[test]
fn a_binding_holds_where_sender_ids_mean_the_same() {
    let scope = Fake::new().channel().info().binding_scope;
    assert_eq!(scope, channel_core::BindingScope::Personal);
}

/// Which spellings of a name are one.
#[test]
fn capitals_count_in_ids_and_not_in_usernames() {
    let spelling = Fake::new().channel().info().spelling;
    let wanted = channel_core::Spelling::exact().handles(channel_core::Case::Insensitive);
    assert_eq!(spelling, wanted);
}
