//! The command line over a store that a bot has left behind.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use channel_core::AllowEveryone;
use channel_delivery::{EventState, SqliteStore, Store as _};
use channel_runtime::Bot;
use channel_testkit::{Failure, MemoryChannel};
use serde_json::Value;

struct Left {
    folder: PathBuf,
}

impl Drop for Left {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Left {
    /// A bot has answered `hello`, died of `poison`, and was blocked by Bob.
    async fn behind(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tools-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let left = Self { folder };
        let store = SqliteStore::open(left.path()).await.unwrap();
        let channel = MemoryChannel::new();
        let running = Bot::new(AllowEveryone)
            .store(store.clone())
            .attempts(1)
            .channel(channel.clone())
            .on_message(|message| async move {
                assert!(!message.text.contains("poison"), "as asked");
                message.reply(format!("echo: {}", message.text)).await?;
                Ok(())
            })
            .start()
            .await
            .unwrap();
        channel.user("ada").says("hello secret-word");
        channel.user("ada").says("poison secret-word");
        left.until(&store, EventState::Handled, 1).await;
        left.until(&store, EventState::Dead, 1).await;
        channel.fail(Failure::Blocked);
        channel.user("bob").says("blocked");
        left.until(&store, EventState::Handled, 2).await;
        running.stop().await;
        left
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
    let left = Left::behind("list").await;
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
    let left = Left::behind("retry").await;
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
async fn a_journal_says_nothing_of_people_unless_asked() {
    let left = Left::behind("journal").await;
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
    let left = Left::behind("replay").await;
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
