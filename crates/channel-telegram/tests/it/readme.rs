//! The tables of the README are what the code says.

use std::fmt::Write as _;

use channel_core::{AttachmentKind, Channel, Limits, Rate};
use channel_telegram::Telegram;
use channel_testkit::conformance::Ability;

use crate::fake::{Fake, TOKEN};
use crate::webhook::SECRET;

fn abilities() -> String {
    let fake = Fake::new();
    let polling = fake.channel();
    let hooked = fake.builder().webhook_secret(SECRET).build().unwrap();
    let mut table = "| ability | polling | webhook |\n|---|---|---|\n".to_owned();
    for ability in Ability::ALL {
        let has = |channel: &dyn Channel| {
            if ability.is_offered_by(channel) {
                "yes"
            } else {
                "-"
            }
        };
        let (polls, hooks) = (has(&polling), has(&hooked));
        writeln!(table, "| {ability:?} | {polls} | {hooks} |").unwrap();
    }
    table
}

fn limits() -> String {
    let fake = Fake::new();
    let cloud = fake.channel();
    let own = Telegram::builder()
        .token(TOKEN)
        .api_base("http://127.0.0.1:8081")
        .transport(fake.transport.transport())
        .build()
        .unwrap();
    let (cloud, own) = (&cloud.info().limits, &own.info().limits);
    let mut table = "| limit | api.telegram.org | self-hosted |\n|---|---|---|\n".to_owned();
    let mut row = |name: &str, value: &dyn Fn(&Limits) -> String| {
        writeln!(table, "| {name} | {} | {} |", value(cloud), value(own)).unwrap();
    };
    let megabytes = |bytes: u64| format!("{} MB", bytes / 1_000_000);
    let rate = |rate: Option<Rate>| {
        rate.map_or("-".to_owned(), |rate| {
            format!("{} in {} s", rate.count, rate.per.as_secs())
        })
    };
    row("text of a message", &|it| {
        format!("{} {:?}", it.text.max, it.text.unit)
    });
    row("caption", &|it| {
        format!("{} {:?}", it.caption.max, it.caption.unit)
    });
    row("value of a button", &|it| {
        format!("{} bytes", it.action_bytes)
    });
    row("picture sent", &|it| {
        megabytes(it.upload_bytes_for(AttachmentKind::Image))
    });
    row("other file sent", &|it| {
        megabytes(it.upload_bytes_for(AttachmentKind::File))
    });
    row("file received", &|it| megabytes(it.download_bytes));
    row("files in one album", &|it| it.attachments.to_string());
    row("messages to a person", &|it| rate(it.rate_direct));
    row("messages to a group", &|it| rate(it.rate_group));
    row("messages in all", &|it| rate(it.rate_total));
    row("between edits, to a person", &|it| {
        format!("{} s", it.edit_pause_direct.as_secs())
    });
    row("between edits, to a group", &|it| {
        format!("{} s", it.edit_pause_group.as_secs())
    });
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
