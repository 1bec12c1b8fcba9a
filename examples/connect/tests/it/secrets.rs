//! Nothing in clear: not in a store, not in a log, not in an answer, whatever people do with
//! codes. The bot runs in a process of its own, so that all that it writes is caught.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use channel_binding::{Bindings, ConnectGate, ConnectPlatform, SqlBindings};
use channel_emulator::telegram::{Author, Group, Place, TelegramConfig};
use channel_emulator::{Telegram, TelegramServer};
use channel_kit::core::{AccountRef, OwnerId, Platform, Secret};
use channel_kit::http::transport;
use channel_kit::prelude::SqliteStore;
use channel_kit::runtime::Bot;
use channel_policy::{
    AccessConfig, AuditRing, DirectPolicy, Gate, Pairing, PolicyStore, Requested,
};
use channel_testkit::{canary, find_secret};

/// The folder of the run; its presence says that this is the process that is watched.
const FOLDER: &str = "CONNECT_TEST_FOLDER";
const PATIENCE: Duration = Duration::from_secs(30);
const TELEGRAM: Platform = Platform::new("telegram");
const TEAM: i64 = -1_000_000_001;

#[test]
fn no_code_is_ever_written() {
    let folder = std::env::temp_dir().join(canary());
    std::fs::create_dir_all(folder.join("kept")).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "secrets::the_run", "--ignored", "--nocapture"])
        .env(FOLDER, &folder)
        .output()
        .unwrap();
    let written = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{}", tail(&written));
    let told = std::fs::read_to_string(folder.join("told")).unwrap();
    let (marker, secrets) = told.split_once('\n').unwrap();
    let secrets: Vec<&str> = secrets.lines().collect();
    assert!(secrets.len() >= 12, "{}", secrets.len());
    let mut files = vec![("standard output and error".to_owned(), written)];
    read_all(&folder.join("kept"), &mut files);
    // A word that is there is found: in the inbox, and in what was written.
    let found = |name: &str| {
        let mut of = files.iter().filter(|(file, _)| file.contains(name));
        of.any(|(_, bytes)| find_secret(marker, bytes).is_some())
    };
    assert!(
        found("before/bot.db-wal"),
        "the log of the inbox was looked at"
    );
    assert!(found("kept/bot.db"), "the inbox was looked at");
    assert!(files[0].1.contains("TRACE"), "everything was logged");
    assert!(
        files[0].1.contains("invite_accepted"),
        "the audit was looked at"
    );
    for (name, bytes) in &files {
        for (number, secret) in secrets.iter().enumerate() {
            let found = find_secret(secret, bytes);
            assert!(found.is_none(), "{name} holds secret {number} as {found:?}");
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}

fn tail(text: &str) -> &str {
    text.get(text.floor_char_boundary(text.len().saturating_sub(2000))..)
        .unwrap_or_default()
}

fn read_all(folder: &Path, files: &mut Vec<(String, String)>) {
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            read_all(&path, files);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let name = path.display().to_string();
            files.push((name, String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
}

#[tokio::test]
#[ignore = "run by no_code_is_ever_written, in a process of its own"]
async fn the_run() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::NEW)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    Run::start(PathBuf::from(folder)).await.go().await;
}

/// A durable bot with everything that has codes, and the people who send them.
struct Run {
    folder: PathBuf,
    telegram: TelegramServer,
    bot: i64,
    bindings: Bindings,
    pairing: Arc<Pairing>,
    ring: Arc<AuditRing>,
    running: channel_kit::runtime::Running,
    marker: String,
    /// What must be nowhere.
    secrets: Vec<String>,
}

impl Run {
    async fn start(folder: PathBuf) -> Self {
        let transport = transport();
        let (clock, random) = (transport.clock.clone(), transport.random.clone());
        let telegram = Telegram::start(TelegramConfig::default()).await.unwrap();
        let token = format!("7000000001:{}", canary());
        let bot = telegram.add_bot(&token, "acme_bot").unwrap();
        for (id, name) in [
            (42, "Ada"),
            (43, "Bob"),
            (44, "Eve"),
            (45, "Cleo"),
            (46, "Dora"),
        ] {
            telegram.user(id, name);
        }
        telegram
            .group(&Group::new(TEAM, "Team").admin(bot))
            .unwrap();

        let kept = folder.join("kept");
        let address = format!("sqlite:{}", kept.join("bindings.db").display());
        let store = SqlBindings::connect(&address).await.unwrap();
        let policies: Arc<dyn PolicyStore> = Arc::new(store.clone());
        let ring = Arc::new(AuditRing::default());
        let bindings = Bindings::builder("Acme", store, clock.clone(), random.clone())
            .platform(ConnectPlatform::by_link(TELEGRAM, "Telegram", |code| {
                Some(format!("https://t.me/acme_bot?start={code}"))
            }))
            .audit(ring.clone())
            .build()
            .unwrap();
        let pairing = Pairing::new(clock.clone(), random)
            .keep_in(policies.clone())
            .audit(ring.clone());
        let pairing = Arc::new(pairing);
        let access = AccessConfig::new().direct(DirectPolicy::Pairing);
        let gate = Gate::builder(clock)
            .channel("telegram", access)
            .without_rate_limits()
            .pairing(pairing.clone())
            .identities(Arc::new(
                ConnectGate::new(bindings.clone()).keep_in(policies),
            ))
            .require_bound_identity(false)
            .audit(ring.clone())
            .build()
            .unwrap();
        let adapter = channel_kit::telegram::Telegram::builder()
            .token(Secret::new(token.as_str()))
            .api_base(telegram.api_base())
            .build()
            .unwrap();
        let inbox = SqliteStore::open(kept.join("bot.db")).await.unwrap();
        let running = Bot::new(gate)
            .store(inbox)
            .channel(adapter)
            .on_message(|message| async move {
                message.reply(format!("you said: {}", message.text)).await?;
                Ok(())
            })
            .start()
            .await
            .unwrap();
        Self {
            folder,
            telegram,
            bot,
            bindings,
            pairing,
            ring,
            running,
            marker: canary(),
            secrets: vec![token],
        }
    }

    fn chat(&self, user: i64) -> Place {
        Place::Private {
            bot: self.bot,
            user,
        }
    }

    /// Somebody writes to the bot; the answer.
    async fn says(&self, user: i64, text: &str) -> String {
        let place = self.chat(user);
        let answers = |view: channel_emulator::telegram::View<'_>| {
            let by_bot = |author| matches!(author, Author::Bot(_));
            let all = view.history(place);
            let mut texts = all.into_iter().filter(|message| by_bot(message.author));
            let mut all = Vec::new();
            all.extend(texts.by_ref().filter_map(|message| message.text));
            all
        };
        let before = self.telegram.look(answers).len();
        self.telegram.private_text(self.bot, user, text).unwrap();
        let found = self.telegram.wait_for(PATIENCE, |view| {
            let answers = answers(view);
            answers.get(before).cloned()
        });
        found.await.unwrap()
    }

    /// Somebody writes to the bot and is not answered: what comes after it is.
    async fn is_ignored(&self, user: i64, text: &str) {
        self.telegram.private_text(self.bot, user, text).unwrap();
        let update = self.telegram.wait_for(PATIENCE, |view| {
            view.pending(self.bot).is_empty().then_some(())
        });
        update.await.unwrap();
    }

    /// What somebody is given by another process, or by this one before it started again: the
    /// gate here has not heard of it.
    async fn asked_elsewhere(&mut self, user: i64) -> String {
        let account = AccountRef::new(TELEGRAM, user.to_string().into());
        let asked = self.pairing.request(&account, None).await.unwrap();
        let code = match asked {
            Requested::Code(code) => Some(code),
            _ => None,
        };
        self.pairing_code(code.unwrap().expose())
    }

    /// The code must be nowhere, however it is written.
    fn pairing_code(&mut self, code: &str) -> String {
        assert_eq!(code.len(), 17, "a code");
        self.secrets.push(code.to_owned());
        self.secrets.push(code.replace('-', ""));
        self.secrets.push(code.to_lowercase());
        code.to_owned()
    }

    async fn invite(&mut self) -> String {
        let code = self.pairing.invite("root", &TELEGRAM).await.unwrap();
        let code = code.expose().to_owned();
        self.secrets.push(code.replace('-', ""));
        self.secrets.push(code.to_lowercase());
        self.secrets.push(code.clone());
        code
    }

    async fn connect_code(&mut self) -> String {
        let ada = OwnerId::new("ada");
        let offer = self.bindings.mint(&ada, "telegram").await.unwrap();
        let mut out = std::io::stdout();
        std::io::Write::write_all(&mut out, format!("{offer:?}\n").as_bytes()).unwrap();
        let code = offer.code.expose().to_owned();
        self.secrets.push(code.clone());
        code
    }

    async fn go(mut self) {
        // A stranger asks, and is approved by the code.
        let asked = self.says(42, "hello").await;
        let code = asked.split(' ').nth(4).unwrap().trim_end_matches('.');
        self.pairing.approve("root", code).await.unwrap();
        self.pairing_code(code);
        let marker = self.marker.clone();
        assert_eq!(self.says(42, &marker).await, format!("you said: {marker}"));

        // A stranger with an invite, and one who has guessed too often to be heard.
        let invite = self.invite().await;
        assert_eq!(self.says(43, &invite).await, "You are connected now.");
        let waiting = self.says(44, "hello").await;
        let code = waiting.split(' ').nth(4).unwrap().trim_end_matches('.');
        let code = self.pairing_code(code);
        self.is_ignored(44, &code).await;
        self.is_ignored(44, &format!("my code is {code}")).await;
        // One whom this process has given nothing, and whom it hears for the first time.
        let code = self.asked_elsewhere(46).await;
        self.is_ignored(46, &code).await;
        self.telegram.group_text(TEAM, 46, &code).unwrap();
        // By one who may talk, to whom it was shown.
        let shown = format!("Dora has {}, what now?", code.to_lowercase());
        assert_eq!(self.says(42, &shown).await, format!("you said: {shown}"));
        for _ in 0..5 {
            self.is_ignored(44, "AAAA-BBBB-CCCC-DDDD").await;
        }
        let live = self.invite().await;
        self.is_ignored(44, &live).await;
        // Among other words, by one who may talk, in a group, and as a change.
        let shown = format!("look: {}!", live.to_lowercase());
        assert_eq!(self.says(42, &shown).await, format!("you said: {shown}"));
        let bare = live.replace('-', " ");
        assert_eq!(self.says(43, &bare).await, format!("you said: {bare}"));
        self.telegram.group_text(TEAM, 44, &live).unwrap();
        let id = self.telegram.private_text(self.bot, 44, "a slip").unwrap();
        self.telegram.edit(self.chat(44), id, &live).unwrap();
        // It was only shown: it still lets in whoever sends it first.
        assert_eq!(self.says(45, &live).await, "You are connected now.");

        // Connect codes: used, used again, exposed, wrongly sent, never sent.
        let code = self.connect_code().await;
        let start = format!("/start {code}");
        assert_eq!(self.says(42, &start).await, "Connected to Acme.");
        assert!(self.says(43, &start).await.contains("not valid"));
        let code = self.connect_code().await;
        self.telegram
            .group_text(TEAM, 44, &format!("/start {code}"))
            .unwrap();
        let code = self.connect_code().await;
        for text in [
            code.clone(),
            format!("/start {code} please"),
            format!("start {code}"),
            format!("/connect {code}"),
            format!("https://t.me/acme_bot?start={code}"),
            format!("my code is {code}, is it not?"),
        ] {
            assert_eq!(self.says(42, &text).await, format!("you said: {text}"));
        }
        assert!(
            self.says(42, &marker).await.ends_with(&marker),
            "all is handled"
        );
        self.end().await;
    }

    /// Everything that is kept and shown, while it runs and after it.
    async fn end(self) {
        let ada = OwnerId::new("ada");
        let mut shown = format!("{:?} {:?}\n", self.bindings, self.pairing);
        for event in self.ring.events() {
            writeln!(
                shown,
                "{event:?} {}",
                serde_json::to_string(&event).unwrap()
            )
            .unwrap();
        }
        writeln!(shown, "{:?}", self.pairing.pending().await).unwrap();
        writeln!(shown, "{:?}", self.bindings.trail(&ada, 100).await).unwrap();
        writeln!(shown, "{:?}", self.bindings.list(&ada).await).unwrap();
        writeln!(shown, "{:?}", self.running.status()).unwrap();
        std::io::Write::write_all(&mut std::io::stdout(), shown.as_bytes()).unwrap();
        let kept = self.folder.join("kept");
        let before = kept.join("before");
        std::fs::create_dir_all(&before).unwrap();
        for file in std::fs::read_dir(&kept).unwrap() {
            let file = file.unwrap();
            if file.path().is_file() {
                std::fs::copy(file.path(), before.join(file.file_name())).unwrap();
            }
        }
        self.running.stop().await;
        self.telegram.stop();
        let told = format!("{}\n{}\n", self.marker, self.secrets.join("\n"));
        std::fs::write(self.folder.join("told"), told).unwrap();
    }
}
