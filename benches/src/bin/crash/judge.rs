//! Compares what people saw with what they wrote and with what the store says.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Result, ensure};
use channel_delivery::{PartState, SqliteStore, Store as _};

use crate::bot::{self, NOTE};
use crate::platform::{CHATS, Kind, Platform, Shown};

/// What the comparison has found.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Parts that were shown.
    pub(crate) shown: usize,
    /// Parts that were shown again with the note.
    pub(crate) marked: usize,
    /// Parts that the store holds as uncertain.
    pub(crate) uncertain: usize,
    /// Parts that were not shown, each with a delivery that says so.
    pub(crate) not_shown: usize,
}

/// One part of what people saw.
struct Sight<'a> {
    text: &'a str,
    is_marked: bool,
}

/// Fails if anything is missing that no delivery accounts for, was shown twice in silence, or
/// came out of order.
pub(crate) async fn judge(platform: &Platform, store: &SqliteStore) -> Result<Verdict> {
    let kind = platform.kind();
    let shown = platform.shown();
    let chats = chats(&shown);
    let mut verdict = Verdict::default();
    let held = held(store, &mut verdict).await?;
    ensure!(
        kind == Kind::Held || held.is_empty(),
        "the platform can be asked, or the bot repeats, and something is uncertain: {held:?}"
    );
    for chat in 0..CHATS {
        let nothing = Vec::new();
        let sights = chats.get(chat.to_string().as_str()).unwrap_or(&nothing);
        let expected = expected(platform.said(), chat);
        let first = shown_once(kind, sights, &mut verdict)?;
        let mut last = None;
        for text in &expected {
            let Some(place) = first.get(text.as_str()) else {
                ensure!(
                    is_accounted_for(text, &held),
                    "{text:?} is missing, and no delivery says so"
                );
                verdict.not_shown += 1;
                continue;
            };
            ensure!(last < Some(*place), "{text:?} came out of order");
            last = Some(*place);
            verdict.shown += 1;
        }
        let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
        let unknown = first.keys().find(|text| !expected.contains(**text));
        ensure!(unknown.is_none(), "nobody has asked for {unknown:?}");
    }
    Ok(verdict)
}

/// Whether a delivery says that it may not have been shown, or that the answer before it may
/// not have been: then the handler has heard so, and said nothing more.
fn is_accounted_for(text: &str, held: &BTreeSet<String>) -> bool {
    let number = text.strip_prefix(bot::SECOND);
    let before = number.map(|number| format!("{}{number}", bot::FIRST));
    held.contains(text) || before.is_some_and(|before| held.contains(&before))
}

/// What is said in a chat, in order.
fn expected(said: u64, chat: u64) -> Vec<String> {
    let numbers = (0..said).filter(|number| number % CHATS == chat);
    numbers.flat_map(bot::answers).flatten().collect()
}

/// What was seen in each chat, in order.
fn chats(shown: &[Shown]) -> HashMap<&str, Vec<Sight<'_>>> {
    let mut chats: HashMap<&str, Vec<Sight<'_>>> = HashMap::new();
    // A message that is the note alone stands above the one that it is about.
    let mut noted = BTreeSet::new();
    for Shown { chat, text } in shown {
        if text == NOTE {
            noted.insert(chat);
            continue;
        }
        let (text, has_note) = bot::without_note(text);
        let is_marked = noted.remove(chat) || has_note;
        chats
            .entry(chat)
            .or_default()
            .push(Sight { text, is_marked });
    }
    chats
}

/// Where each text was first seen.
fn shown_once<'a>(
    kind: Kind,
    sights: &[Sight<'a>],
    verdict: &mut Verdict,
) -> Result<BTreeMap<&'a str, usize>> {
    let mut first = BTreeMap::new();
    for (place, sight) in sights.iter().enumerate() {
        ensure!(
            kind == Kind::Marked || !sight.is_marked,
            "{:?} was repeated, and nobody wanted that",
            sight.text
        );
        verdict.marked += usize::from(sight.is_marked);
        if first.contains_key(sight.text) {
            let text = sight.text;
            ensure!(sight.is_marked, "{text:?} was shown twice in silence");
            continue;
        }
        first.insert(sight.text, place);
    }
    Ok(first)
}

/// The parts of which the store says that they may not have been shown.
async fn held(store: &SqliteStore, verdict: &mut Verdict) -> Result<BTreeSet<String>> {
    let mut held = BTreeSet::new();
    let mut after = None;
    loop {
        let page = store.dead_deliveries(after, 1000).await?;
        let Some(last) = page.last() else {
            return Ok(held);
        };
        after = Some(last.delivery.id);
        for dead in &page {
            let stored = &dead.delivery;
            let texts = bot::parts(&stored.delivery.message);
            for (text, part) in texts.into_iter().zip(&stored.parts) {
                verdict.uncertain += usize::from(part.state == PartState::Uncertain);
                if part.state != PartState::Delivered {
                    held.insert(text.to_owned());
                }
            }
        }
    }
}
