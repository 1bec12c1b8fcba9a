//! The command line over the store of a bot.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use channel_core::AllowEveryone;
use channel_delivery::{EventState, SqliteStore, Store as _};
use channel_runtime::{Bot, Running};
use channel_testkit::disk::Folder;
use channel_testkit::{Failure, MemoryChannel};
use serde_json::Value;

struct Left {
    folder: Folder,
}

/// A bot that panics over `poison` until it is well.
struct Site {
    left: Left,
    store: SqliteStore,
    channel: MemoryChannel,
    is_well: Arc<AtomicBool>,
    running: Running,
}

impl Site {
    /// The bot has answered `hello`, has panicked over `poison`, and is blocked by Bob.
    async fn open() -> Self {
        let left = Left {
            folder: Folder::new(),
        };
        let store = SqliteStore::open(left.path()).await.unwrap();
        let (channel, is_well) = (MemoryChannel::new(), Arc::new(AtomicBool::new(false)));
        let bot = Bot::new(AllowEveryone)
            .store(store.clone())
            .attempts(1)
            .channel(channel.clone());
        let well = Arc::clone(&is_well);
        let bot = bot.on_message(move |message| {
            let is_well = well.load(Ordering::Relaxed);
            async move {
                assert!(is_well || !message.text.contains("poison"), "as asked");
                message.reply(format!("echo: {}", message.text)).await?;
                Ok(())
            }
        });
        let running = bot.start().await.unwrap();
        channel.user("ada").says("hello secret-word");
        channel.user("ada").says("poison secret-word");
        left.until(&store, EventState::Handled, 1).await;
        left.until(&store, EventState::Dead, 1).await;
        channel.fail(Failure::Blocked);
        channel.user("bob").says("blocked");
        left.until(&store, EventState::Handled, 2).await;
        Self {
            left,
            store,
            channel,
            is_well,
            running,
        }
    }
}

impl Site {
    async fn sent(&self, count: usize) {
        let sent = self.channel.wait_for_sent(count);
        let sent = tokio::time::timeout(Duration::from_secs(20), sent).await;
        assert!(sent.is_ok(), "{:?}", self.channel.texts());
    }
}

impl Left {
    /// What such a bot has left behind.
    async fn behind() -> Self {
        let site = Site::open().await;
        site.running.stop().await;
        site.left
    }

    /// What is called like this: `e` events, `d` deliveries.
    fn name(&self, what: char) -> String {
        let list = self.says(&["dead", "list"]);
        let mut names = list.lines().filter_map(|line| line.split(' ').next());
        names
            .find(|name| name.starts_with(what))
            .unwrap()
            .to_owned()
    }

    fn path(&self) -> PathBuf {
        self.folder.join("bot.db")
    }

    async fn until(&self, store: &SqliteStore, state: EventState, wanted: u64) {
        let counted = async {
            while store.counts().await.unwrap().events.get(&state) != Some(&wanted) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), counted)
            .await
            .expect("in time");
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_channel-gateway"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("CHANNEL_STORE", format!("sqlite:{}", self.path().display()))
            .args(arguments)
            .output()
            .unwrap()
    }

    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_set_aside_is_listed_without_content_and_shown_with_it() {
    let left = Left::behind().await;
    let list = left.says(&["dead", "list"]);
    assert!(
        list.contains("e2 message on memory: the handler panicked (1)"),
        "{list}"
    );
    assert!(list.contains("delivery on memory"), "{list}");
    assert!(!list.contains("secret-word"));
    let rows: Vec<Value> = left
        .says(&["dead", "list", "--json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 2);
    assert!(
        left.says(&["dead", "inspect", "e2"])
            .contains("poison secret-word")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_brings_an_event_back_and_another_drops_the_rest() {
    let left = Left::behind().await;
    assert_eq!(
        left.says(&["dead", "retry", "e2"]),
        "e2 will be tried again\n"
    );
    let again = left.run(&["dead", "retry", "e2"]);
    assert_eq!(again.status.code(), Some(2), "nothing is there any more");
    let dropped = left.says(&["dead", "drop", "--all"]);
    assert!(
        dropped.starts_with('d') && dropped.ends_with(" dropped\n"),
        "{dropped}"
    );
    assert_eq!(left.says(&["dead", "list"]), "");
    let store = SqliteStore::open(left.path()).await.unwrap();
    let counts = store.counts().await.unwrap();
    assert_eq!(counts.events.get(&EventState::Received), Some(&1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_bot_takes_up_what_one_command_brings_back() {
    let site = Site::open().await;
    let (event, delivery) = (site.left.name('e'), site.left.name('d'));
    // Others go on while these two are set aside.
    site.channel.mend();
    site.channel.user("cleo").says("others go on");
    site.sent(2).await;
    site.is_well.store(true, Ordering::Relaxed);
    site.left.says(&["dead", "retry", &event]);
    site.sent(3).await;
    site.left.says(&["dead", "retry", &delivery]);
    site.sent(4).await;
    assert_eq!(
        site.channel.texts(),
        [
            "echo: hello secret-word",
            "echo: others go on",
            "echo: poison secret-word",
            "echo: blocked"
        ]
    );
    site.left.until(&site.store, EventState::Handled, 4).await;
    assert_eq!(site.left.says(&["dead", "list"]), "");
    site.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_delivered_is_shown_and_dropped_by_its_name() {
    let left = Left::behind().await;
    let (event, delivery) = (left.name('e'), left.name('d'));
    let about = left.says(&["dead", "inspect", &delivery]);
    let about: Value = serde_json::from_str(&about).unwrap();
    assert_eq!(about["id"], delivery);
    assert_eq!(about["uncertain"], false);
    assert_eq!(about["parts"], serde_json::json!(["dead"]));
    assert_eq!(
        about["content"]["body"]["plain"], "echo: blocked",
        "{about}"
    );
    assert_eq!(
        left.says(&["dead", "drop", &delivery]),
        format!("{delivery} dropped\n")
    );
    for verb in ["inspect", "retry", "drop"] {
        let gone = left.run(&["dead", verb, &delivery]);
        assert_eq!(gone.status.code(), Some(2), "{verb}");
    }
    assert_eq!(left.name('e'), event, "the event is where it was");
    for odd in ["x1", "e-1", "e", "d99999999999999999999", "e1\u{1b}[2J"] {
        let refused = left.run(&["dead", "inspect", odd]);
        assert_eq!(refused.status.code(), Some(2), "{odd:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_says_nothing_of_people_unless_asked() {
    let left = Left::behind().await;
    let export = left.says(&["journal", "export"]);
    assert_eq!(export.lines().count(), 3);
    for hidden in ["secret-word", "ada", "bob"] {
        assert!(!export.contains(hidden), "{hidden} in {export}");
    }
    let rows: Vec<Value> = export
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows[0]["sender"], rows[1]["sender"], "the same person");
    assert_ne!(rows[0]["sender"], rows[2]["sender"]);
    assert_eq!(rows[0]["size"], 17);
    let whole = left.says(&["journal", "export", "--with-content", "--limit", "1"]);
    assert!(whole.contains("hello secret-word"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_shows_where_a_program_answers_otherwise() {
    let left = Left::behind().await;
    let export = left.says(&["journal", "export", "--with-content"]);
    let file = left.folder.join("export.jsonl");
    std::fs::write(&file, &export).unwrap();
    let file = file.to_str().unwrap();
    // Answers nothing to poison and echoes the text of everything else.
    let echo = r#"/poison/{s/.*/[]/p;d};s/.*"text":"\([^"]*\)".*/["echo: \1"]/p"#;
    let same = left.says(&["journal", "replay", file, "--", "sed", "-un", echo]);
    assert_eq!(same, "3 the same, 0 different\n");
    let loud = echo.replace("echo: ", "ECHO: ");
    let other = left.run(&["journal", "replay", file, "--", "sed", "-un", &loud]);
    assert_eq!(other.status.code(), Some(1));
    let told = String::from_utf8(other.stdout).unwrap();
    assert!(
        told.contains("  - echo: blocked\n  + ECHO: blocked\n"),
        "{told}"
    );
    // A program that says more is held to all that it says.
    let whole = r#"/poison/{s/.*/[]/p;d};s/.*"text":"\([^"]*\)".*/[{"body":{"plain":"echo: \1"},"buttons":[]}]/p"#;
    let same = left.says(&["journal", "replay", file, "--", "sed", "-un", whole]);
    assert_eq!(same, "3 the same, 0 different\n");
    let pressed = whole.replace(r#""buttons":[]"#, r#""silent":true"#);
    let other = left.run(&["journal", "replay", file, "--", "sed", "-un", &pressed]);
    assert_eq!(other.status.code(), Some(1));
    let told = String::from_utf8(other.stdout).unwrap();
    let then = r#"  - {"body":{"plain":"echo: blocked"},"silent":false}"#;
    let now = r#"  + {"body":{"plain":"echo: blocked"},"silent":true}"#;
    assert!(told.contains(&format!("{then}\n{now}\n")), "{told}");
    let redacted = left.says(&["journal", "export"]);
    std::fs::write(file, redacted).unwrap();
    let refused = left.run(&["journal", "replay", file, "--", "cat"]);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_store_that_is_not_there_is_not_made() {
    let output = Command::new(env!("CARGO_BIN_EXE_channel-gateway"))
        .args(["dead", "--store", "sqlite:/nowhere/bot.db", "list"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}
