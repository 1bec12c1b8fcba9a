//! The tables of the README are what the code says.

use std::fmt::Write as _;

use channel_core::{AttachmentKind, Channel as _};
use channel_testkit::conformance::Ability;

use crate::fake::Fake;

fn abilities() -> String {
    let channel = Fake::new().channel();
    let mut table = "| ability | |\n|---|---|\n".to_owned();
    for ability in Ability::ALL {
        let has = if ability.is_offered_by(&channel) {
            "yes"
        } else {
            "-"
        };
        writeln!(table, "| {ability:?} | {has} |").unwrap();
    }
    table
}

fn limits() -> String {
    let channel = Fake::new().channel();
    let limits = &channel.info().limits;
    let mut table = "| limit | |\n|---|---|\n".to_owned();
    let mut row = |name: &str, value: String| {
        writeln!(table, "| {name} | {value} |").unwrap();
    };
    let megabytes = |kind| format!("{} MB", limits.upload_bytes_for(kind) / 1_000_000);
    let rate = limits.rate_total.unwrap();
    row(
        "text of a message",
        format!("{} {:?}", limits.text.max, limits.text.unit),
    );
    row(
        "value of a button",
        format!("{} bytes", limits.action_bytes),
    );
    row("picture, by address", megabytes(AttachmentKind::Image));
    row("film, by address", megabytes(AttachmentKind::Video));
    row("recording, by address", megabytes(AttachmentKind::Audio));
    row("other file", megabytes(AttachmentKind::File));
    row(
        "calls of one kind",
        format!("{} in {} s", rate.count, rate.per.as_secs()),
    );
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
    let (before, after) = (
        "The signature is attacked in ",
        " ways in `tests/it/bypass.rs`",
    );
    let start = wanted.find(before).unwrap() + before.len();
    let end = start + wanted[start..].find(after).unwrap();
    wanted.replace_range(start..end, &crate::bypass::count().to_string());
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
