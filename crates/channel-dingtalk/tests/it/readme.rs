//! The tables of the README are what the code says.

use std::fmt::Write as _;

use channel_core::{AttachmentKind, Channel as _, Rate};
use channel_testkit::conformance::Ability;

use crate::fake::Fake;

fn abilities() -> String {
    let fake = Fake::new();
    let channels = [fake.linked(), fake.carded(), fake.channel()];
    let mut table = String::from(
        "| ability | stream mode | with a card template | webhook |\n|---|---|---|---|\n",
    );
    for ability in Ability::ALL {
        let marks = channels.each_ref().map(|channel| {
            if ability.is_offered_by(channel) {
                "yes"
            } else {
                "-"
            }
        });
        writeln!(table, "| {ability:?} | {} |", marks.join(" | ")).unwrap();
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
    let robot = "robot:x".into();
    let mut rules = channel
        .info()
        .pacing
        .rules_for(&robot, channel_core::Call::Send);
    // What a minute can see at most: the burst, and what follows at the rate.
    let robot = rules.next().map(|(_, rule)| {
        let mut rate = rule.bucket.rate;
        rate.count += rule.bucket.burst;
        rate
    });
    let mut table = String::from("| limit | |\n|---|---|\n");
    for (name, value) in [
        (
            "text of a message",
            format!("{} {:?}", it.text.max, it.text.unit),
        ),
        ("value of a button", format!("{} bytes", it.action_bytes)),
        (
            "picture sent",
            format!("{} MiB", it.upload_bytes_for(AttachmentKind::Image) >> 20),
        ),
        (
            "file sent",
            format!("{} MiB", it.upload_bytes_for(AttachmentKind::File) >> 20),
        ),
        ("file received", format!("{} MiB", it.download_bytes >> 20)),
        ("messages of an app", rate(it.rate_total)),
        ("messages of a custom robot", rate(robot)),
        (
            "between previews",
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
