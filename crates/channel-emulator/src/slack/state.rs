//! Everything the platform knows.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::Value;

use super::config::SlackConfig;
use super::deliver::{Delivery, Parcel};
use super::faults::Plan;
use super::interact::{Interaction, ResponseUrl, Trigger};
use super::ledger::Call;
use super::methods::oauth::{Code, Refresh};
use super::methods::schedule::Scheduled;
use super::methods::views::View;
use super::model::{App, Channel, File, Install, Message, Team, Token, User};
use crate::common::ledger::Ledger;
use crate::common::random::Sequence;
use crate::common::shared::Stateful;

/// Entries kept of each log and table.
pub(crate) const MAX_ENTRIES: usize = 50_000;
/// All files together, in bytes; the oldest go first.
const MAX_FILES: usize = 512 * 1024 * 1024;

/// The whole platform.
#[derive(Debug)]
pub(crate) struct State {
    /// The time of the current step, in milliseconds since the epoch.
    pub(crate) now_ms: i64,
    /// Where the platform is reached, without a trailing slash.
    pub(crate) base: String,
    pub(crate) apps: BTreeMap<String, App>,
    pub(crate) teams: BTreeMap<String, Team>,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) channels: BTreeMap<String, Channel>,
    pub(crate) tokens: HashMap<String, Token>,
    /// App-level tokens of the apps that use Socket Mode.
    pub(crate) tickets: BTreeMap<String, (String, i64)>,
    pub(crate) codes: BTreeMap<String, Code>,
    pub(crate) refreshes: HashMap<String, Refresh>,
    pub(crate) files: BTreeMap<String, File>,
    pub(crate) scheduled: BTreeMap<String, Scheduled>,
    pub(crate) ephemerals: VecDeque<(String, Message)>,
    pub(crate) views: BTreeMap<String, View>,
    /// Status of assistant threads by channel and thread, and until when it is shown.
    pub(crate) statuses: BTreeMap<(String, String), (String, i64)>,
    pub(crate) triggers: BTreeMap<String, Trigger>,
    pub(crate) response_urls: BTreeMap<String, ResponseUrl>,
    pub(crate) interactions: VecDeque<Interaction>,
    /// What waits to be sent to apps.
    pub(crate) outgoing: VecDeque<Parcel>,
    pub(crate) deliveries: VecDeque<Delivery>,
    /// Every event that was made, with its app, oldest first.
    pub(crate) events: VecDeque<(String, Value)>,
    pub(crate) rates: BTreeMap<(String, &'static str), (i64, u32)>,
    pub(crate) posts: BTreeMap<(String, String), (i64, u32)>,
    pub(crate) faults: Plan,
    pub(crate) ledger: Ledger<Call>,
    pub(crate) settings: SlackConfig,
    last_ts: i64,
    count: u64,
    random: Sequence,
}

impl Stateful for State {
    type Call = Call;

    fn set_now(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
    }
    fn ledger(&mut self) -> &mut Ledger<Call> {
        &mut self.ledger
    }
}

impl State {
    pub(crate) fn new(config: &SlackConfig) -> Self {
        Self {
            now_ms: config.clock.millis(),
            base: "http://127.0.0.1".to_owned(),
            apps: BTreeMap::new(),
            teams: BTreeMap::new(),
            users: BTreeMap::new(),
            channels: BTreeMap::new(),
            tokens: HashMap::new(),
            tickets: BTreeMap::new(),
            codes: BTreeMap::new(),
            refreshes: HashMap::new(),
            files: BTreeMap::new(),
            scheduled: BTreeMap::new(),
            ephemerals: VecDeque::new(),
            views: BTreeMap::new(),
            statuses: BTreeMap::new(),
            triggers: BTreeMap::new(),
            response_urls: BTreeMap::new(),
            interactions: VecDeque::new(),
            outgoing: VecDeque::new(),
            deliveries: VecDeque::new(),
            events: VecDeque::new(),
            rates: BTreeMap::new(),
            posts: BTreeMap::new(),
            faults: Plan::default(),
            ledger: Ledger::new(config.ledger),
            settings: config.clone(),
            last_ts: 0,
            count: 0,
            random: Sequence::new(config.seed),
        }
    }

    /// Seconds since the epoch.
    pub(crate) const fn seconds(&self) -> i64 {
        self.now_ms.div_euclid(1000)
    }

    /// A new message id, above all earlier ones.
    pub(crate) fn ts(&mut self) -> String {
        let micros = self.now_ms.saturating_mul(1000);
        // The platform counts in steps of 100 where a second has several messages.
        self.last_ts = micros.max(self.last_ts.saturating_add(100));
        stamp(self.last_ts)
    }

    /// A new id of a kind, such as `U`.
    pub(crate) fn id(&mut self, kind: &str) -> String {
        const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKLMNPQRSTVWXY";
        self.count += 1;
        let mut rest = self.count;
        let mut tail = [b'0'; 6];
        for digit in tail.iter_mut().rev() {
            *digit = DIGITS
                .get(usize::try_from(rest % 32).unwrap_or(0))
                .copied()
                .unwrap_or(b'0');
            rest /= 32;
        }
        let middle = self.random.next() % 0xfff;
        format!("{kind}0{middle:03X}{}", String::from_utf8_lossy(&tail))
    }

    /// Random-looking hexadecimal digits, `words` times sixteen.
    pub(crate) fn hex(&mut self, words: usize) -> String {
        (0..words)
            .map(|_| format!("{:016x}", self.random.next()))
            .collect()
    }

    /// An app in a workspace, while it is installed there.
    pub(crate) fn install(&self, app: &str, team: &str) -> Option<&Install> {
        let install = self.apps.get(app)?.installs.get(team)?;
        install.active.then_some(install)
    }

    /// A message that everybody in the channel sees.
    pub(crate) fn message(&self, channel: &str, ts: &str) -> Option<&Message> {
        self.channels.get(channel)?.messages.get(ts)
    }

    pub(crate) fn message_mut(&mut self, channel: &str, ts: &str) -> Option<&mut Message> {
        self.channels.get_mut(channel)?.messages.get_mut(ts)
    }

    /// Keeps a file, and forgets the oldest contents where they grow too many.
    pub(crate) fn keep_file(&mut self, id: &str, file: File) {
        let mut size: usize = self.files.values().map(|file| file.bytes.len()).sum();
        size += file.bytes.len();
        while size > MAX_FILES || self.files.len() >= MAX_ENTRIES {
            let Some((_, old)) = self.files.pop_first() else {
                break;
            };
            size -= old.bytes.len();
        }
        self.files.insert(id.to_owned(), file);
    }
}

/// Microseconds since the epoch as a message id.
fn stamp(micros: i64) -> String {
    format!(
        "{}.{:06}",
        micros.div_euclid(1_000_000),
        micros.rem_euclid(1_000_000)
    )
}

/// Appends to a bounded log.
pub(crate) fn log<T>(entries: &mut VecDeque<T>, entry: T) {
    if entries.len() >= MAX_ENTRIES {
        entries.pop_front();
    }
    entries.push_back(entry);
}

/// Makes room for one more in a bounded table, whose keys grow.
pub(crate) fn bound<K: Ord, T>(entries: &mut BTreeMap<K, T>) {
    if entries.len() >= MAX_ENTRIES {
        entries.pop_first();
    }
}
