//! The bot behind a webhook while the disk under its store fails: what is refused is said so with a
//! 503, comes again, and is answered once when the disk is well. Nobody restarts anything.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

use channel_emulator::line::{Line, LineConfig, LineServer, NewBot};
use channel_testkit::disk::{beside, in_own_mounts, mount, set_immutable};

use crate::durable::Disk;
use crate::process::Echo;

const SECRET: &str = "8c570fa6dd201bb328f1c1eac23a96d8";
const TOKEN: &str = "line-token-synthetic";
const PATIENCE: Duration = Duration::from_secs(60);

struct Site {
    line: LineServer,
    bot: String,
    ada: String,
    said: Vec<String>,
    echo: Echo,
}

impl Site {
    async fn open(disk: &Disk) -> Self {
        let config = LineConfig::default().webhook_retry(Duration::from_millis(200), 1_000);
        let line = Line::start(config).await.unwrap();
        let new = NewBot::new(SECRET, TOKEN, "Kit").redelivery();
        let bot = line.add_bot(&new).unwrap();
        let ada = line.user("Ada");
        let (api, data) = (line.api_base(), line.data_api_base());
        let echo = Echo::start(&[
            ("CHANNEL_LINE_CHANNEL_SECRET", SECRET),
            ("CHANNEL_LINE_CHANNEL_ACCESS_TOKEN", TOKEN),
            ("CHANNEL_LINE_API_BASE", &api),
            ("CHANNEL_LINE_DATA_API_BASE", &data),
            ("CHANNEL_STORE", &disk.variable()),
        ])
        .ready("line");
        let hook = format!("http://127.0.0.1:{}/line/webhook", echo.port);
        line.set_webhook(&bot, &hook).unwrap();
        line.use_webhook(&bot, true);
        line.follow(&bot, &ada).unwrap();
        let mut site = Self {
            line,
            bot,
            ada,
            said: Vec::new(),
            echo,
        };
        site.say("before").await;
        site.all_are_heard_once().await;
        site
    }

    /// Says something and waits for what the bot answers to the platform.
    async fn say(&mut self, text: &str) -> u16 {
        let before = self.line.deliveries().len();
        self.line.say(&self.bot, &self.ada, text).unwrap();
        self.said.push(format!("echo: {text}"));
        let answer = self.line.wait_for(PATIENCE, |line| {
            let deliveries = line.deliveries();
            let mut new = deliveries.iter().skip(before);
            new.find(|delivery| delivery.attempt == 1)?.status
        });
        answer.await.expect("every webhook is answered")
    }

    async fn all_are_heard_once(&self) {
        let heard = || {
            let mut heard = BTreeMap::<String, usize>::new();
            for sent in self.line.sent(&self.bot) {
                let text = sent.message["text"].as_str().unwrap_or_default();
                *heard.entry(text.to_owned()).or_default() += 1;
            }
            heard
        };
        let all = self.line.wait_for(PATIENCE, |_| {
            let heard = heard();
            self.said
                .iter()
                .all(|text| heard.contains_key(text))
                .then_some(())
        });
        let heard_all = all.await.is_ok();
        assert!(
            heard_all,
            "{:?} of {:?}, {:?}",
            heard(),
            self.said,
            self.line.deliveries()
        );
        for text in &self.said {
            assert_eq!(heard().get(text), Some(&1), "{text}");
        }
    }

    /// Says things while the disk is ill until one has been refused.
    async fn is_refused(&mut self, round: &str) {
        for number in 0..200 {
            let status = self.say(&format!("{round} {number}")).await;
            assert!(status == 200 || status == 503, "{status}");
            if status == 503 {
                return;
            }
        }
        panic!("the disk was ill and nothing was refused");
    }

    /// In the end the bot stops well, and the platform has not seen any other answer than these.
    fn ends_well(self) {
        let odd: Vec<_> = self
            .line
            .deliveries()
            .into_iter()
            .filter(|delivery| !matches!(delivery.status, Some(200 | 503)))
            .collect();
        assert!(odd.is_empty(), "{odd:?}");
        assert_eq!(self.echo.terminate(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_answered_with_503_until_there_is_space() {
    if in_own_mounts("disk::a_full_disk_is_answered_with_503_until_there_is_space") {
        return;
    }
    let disk = Disk::new();
    mount(&["-t", "tmpfs", "-o", "size=8m", "tmpfs"], disk.path());
    let mut site = Site::open(&disk).await;
    for round in 0..3 {
        let filler = disk.path().join("filler");
        let mut file = std::fs::File::create(&filler).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        // What is removed while it is open still takes its room.
        drop(file);
        site.is_refused(&format!("full {round}")).await;
        std::fs::remove_file(filler).unwrap();
        site.all_are_heard_once().await;
    }
    site.ends_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_cannot_be_written_for_a_while_are_answered_with_503() {
    let disk = Disk::new();
    let mut site = Site::open(&disk).await;
    let log = beside(&disk.store(), "-wal");
    for round in 0..3 {
        if !set_immutable(&[&disk.store(), &log], true) {
            return;
        }
        site.is_refused(&format!("immutable {round}")).await;
        assert!(set_immutable(&[&disk.store(), &log], false));
        site.all_are_heard_once().await;
    }
    site.ends_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_cut_short_is_answered_with_503_and_put_right() {
    let disk = Disk::new();
    let mut site = Site::open(&disk).await;
    let log = beside(&disk.store(), "-wal");
    let mut refused = 0;
    for round in 0..60_u64 {
        let length = std::fs::metadata(&log).unwrap().len();
        let file = OpenOptions::new().write(true).open(&log).unwrap();
        file.set_len(length * (round * 379 % 1000) / 1000).unwrap();
        let status = site.say(&format!("cut {round}")).await;
        assert!(status == 200 || status == 503, "{status}");
        refused += usize::from(status == 503);
    }
    assert!(refused > 0, "no cut was noticed by a webhook");
    site.all_are_heard_once().await;
    site.ends_well();
}
