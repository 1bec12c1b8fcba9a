//! Sending.

use channel_core::{OutboundMessage, Receipt, TextLimit, TextUnit, Upload};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::conformance::bench::{Bench, Check, ensure, failed, ignored};
use crate::conformance::{Happening, Place, Shown};

/// The longest limit that texts are made for, in the platform's unit.
const REACH: usize = 1 << 17;

pub(super) async fn sends_text_and_returns_its_id(bench: &Bench) -> Check {
    let at = bench.send_one("hello, world").await?;
    let shown = bench.find(&at).await?;
    ensure!(shown.text == "hello, world", "it shows {:?}", shown.text);
    ensure!(at.chat == bench.direct()?.chat, "it is in another chat");
    Ok(())
}

pub(super) async fn sends_nothing_for_an_empty_message(bench: &Bench) -> Check {
    let receipt = bench.send("").await?;
    ensure!(receipt.messages.is_empty(), "the receipt is not empty");
    ensure!(
        bench.platform.shown().await.is_empty(),
        "something is shown"
    );
    Ok(())
}

pub(super) async fn sends_plain_text_to_the_letter(bench: &Bench) -> Check {
    let text =
        "*a* _b_ ~c~ `d` [e](f) <b>g</b> & &amp; \\h ||i|| #j > k \u{1f469}\u{200d}\u{1f680}";
    let at = bench.send_one(text).await?;
    let shown = bench.find(&at).await?.text;
    ensure!(shown == text, "{text:?} is shown as {shown:?}");
    Ok(())
}

pub(super) async fn sends_a_file(bench: &Bench) -> Check {
    if !bench.platform.shows_files() {
        return ignored("the fake platform does not show files");
    }
    let content: Vec<u8> = (0..=255).collect();
    let message =
        OutboundMessage::new(bench.direct()?, "").attach(Upload::file("a.bin", content.clone()));
    let receipt = bench.send_message(&message).await?;
    ensure!(!receipt.messages.is_empty(), "the receipt is empty");
    let shown = bench.platform.shown().await;
    let files: Vec<_> = shown.into_iter().flat_map(|shown| shown.files).collect();
    let [(name, bytes)] = files.as_slice() else {
        return failed(format!("{} files are shown", files.len()));
    };
    ensure!(name == "a.bin", "its name is {name:?}");
    ensure!(*bytes == content, "its content has changed");
    Ok(())
}

/// Words of many scripts, some of them of several code points, without two spaces in a
/// row: `size` units, and not many more.
fn long_text(size: usize, unit: TextUnit) -> String {
    const WORDS: [&str; 8] = [
        "plain",
        "e\u{301}tude",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}",
        "\u{1f1e9}\u{1f1ea}\u{1f1eb}\u{1f1f7}",
        "\u{4e2d}\u{6587}\u{5b57}",
        "\u{928}\u{93f}\u{917}\u{940}",
        "\u{1f44d}\u{1f3fd}\u{1f44d}\u{1f3fd}\u{1f44d}\u{1f3fd}",
        "unbreakable\u{2011}and\u{2011}longer",
    ];
    let mut text = String::new();
    let mut measured = 0;
    for (number, word) in (1_u32..).zip(WORDS.iter().cycle()) {
        let piece = format!("{word} {number} ");
        measured += unit.measure(&piece);
        text.push_str(&piece);
        if measured >= size {
            break;
        }
    }
    text.trim_end().to_owned()
}

struct Split {
    text: String,
    limit: TextLimit,
    receipt: Receipt,
    shown: Vec<Shown>,
}

/// Sends a text of about `times` times the limit.
async fn send_long(bench: &Bench, times: usize) -> Check<Split> {
    let limit = bench.channel.info().limits.text;
    if limit.max > REACH {
        return ignored("the limit is out of reach of a test");
    }
    let text = long_text(limit.max.saturating_mul(times), limit.unit);
    let receipt = bench.send(text.as_str()).await?;
    let shown = bench.platform.shown().await;
    ensure!(shown.len() > 1, "it was not split");
    Ok(Split {
        text,
        limit,
        receipt,
        shown,
    })
}

pub(super) fn fits(shown: &Shown, limit: TextLimit) -> Check {
    let counted = shown.counted.as_ref().unwrap_or(&shown.text);
    let size = limit.unit.measure(counted);
    ensure!(
        size <= limit.max,
        "a part has {size} units, the limit is {}",
        limit.max
    );
    Ok(())
}

/// Platforms trim parts, so white space may be lost where a text is cut.
fn letters<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    texts
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .collect()
}

fn shown_letters(shown: &[Shown]) -> String {
    letters(shown.iter().map(|shown| shown.text.as_str()))
}

pub(super) async fn splits_within_the_limit(bench: &Bench) -> Check {
    let split = send_long(bench, 3).await?;
    split
        .shown
        .iter()
        .try_for_each(|shown| fits(shown, split.limit))
}

pub(super) async fn splits_between_graphemes(bench: &Bench) -> Check {
    let split = send_long(bench, 3).await?;
    let whole: std::collections::HashSet<_> = split.text.graphemes(true).collect();
    for shown in &split.shown {
        let broken = shown.text.graphemes(true).find(|it| !whole.contains(it));
        ensure!(broken.is_none(), "a part holds a piece of a grapheme");
    }
    Ok(())
}

pub(super) async fn loses_nothing_when_it_splits(bench: &Bench) -> Check {
    let split = send_long(bench, 3).await?;
    ensure!(
        shown_letters(&split.shown) == letters(std::iter::once(split.text.as_str())),
        "the parts together are not the text"
    );
    Ok(())
}

pub(super) async fn names_every_part_in_the_receipt(bench: &Bench) -> Check {
    let split = send_long(bench, 3).await?;
    let shown: Vec<_> = split.shown.into_iter().map(|shown| shown.at).collect();
    ensure!(
        shown == split.receipt.messages,
        "the receipt names {} messages, {} are shown, or in another order",
        split.receipt.messages.len(),
        shown.len()
    );
    Ok(())
}

pub(super) async fn sends_a_grapheme_over_the_limit_or_refuses_it(bench: &Bench) -> Check {
    let limit = bench.channel.info().limits.text;
    if limit.max > REACH || limit.unit == TextUnit::Graphemes {
        return ignored("no grapheme is longer than the limit");
    }
    let accents = std::iter::repeat_n('\u{301}', limit.max + 10);
    let text: String = std::iter::once('e').chain(accents).collect();
    let message = bench.message(text)?;
    match bench.within("send", bench.channel.send(&message)).await? {
        Ok(receipt) => {
            ensure!(!receipt.messages.is_empty(), "it was silently dropped");
            let shown = bench.platform.shown().await;
            shown.iter().try_for_each(|shown| fits(shown, limit))
        }
        Err(error) => {
            let kind = error.kind();
            ensure!(
                kind == channel_core::ErrorKind::Invalid,
                "it was refused as {kind}"
            );
            Ok(())
        }
    }
}

pub(super) async fn sends_a_huge_text(bench: &Bench) -> Check {
    let split = send_long(bench, 12).await?;
    let last = split.shown.last();
    let end: String = split.text.chars().rev().take(5).collect();
    let shown: String = last
        .map(|shown| shown.text.trim_end().chars().rev().take(5).collect())
        .unwrap_or_default();
    ensure!(shown == end, "the end is missing");
    Ok(())
}

/// Replies to a text, with an answer that was stored before, and looks where it went.
async fn reply(bench: &Bench, place: Place) -> Check {
    let Some(target) = bench.platform.place(place) else {
        return ignored(format!("the platform does not have the place {place:?}"));
    };
    let mut inbox = bench.inbox().await?;
    let text = "a question";
    inbox.happen(Happening::Text { place, text }).await?;
    let arrived = inbox.next().await?;
    let answer = arrived.message()?.reply("an answer");
    arrived.ack().await?;
    let stored = serde_json::to_string(&answer).and_then(|json| serde_json::from_str(&json));
    let Ok(stored) = stored else {
        return failed("the answer cannot be stored");
    };
    let receipt = bench.send_message(&stored).await?;
    let Some(at) = receipt.first() else {
        return failed("the receipt is empty");
    };
    let shown = bench.find(at).await?;
    ensure!(shown.text == "an answer", "it shows {:?}", shown.text);
    ensure!(shown.at.chat == target.chat, "it went to another chat");
    ensure!(shown.thread == target.thread, "it went to another thread");
    Ok(())
}

pub(super) async fn replies_into_the_same_chat(bench: &Bench) -> Check {
    reply(bench, Place::Direct).await
}

pub(super) async fn replies_into_the_same_thread(bench: &Bench) -> Check {
    reply(bench, Place::Thread).await
}
