//! Cards: in the platform's own form or as text, but never dropped.

use channel_core::{Button, Card, Choice};

use crate::conformance::Ability;
use crate::conformance::bench::{Bench, Check, ensure, failed, ignored, worked};

/// What a card of each kind of block says, word by word.
const WORDS: [&str; 10] = [
    "Deployment",
    "waits",
    "Branch",
    "main",
    "Author",
    "ada",
    "fine-print",
    "Where",
    "below",
    "above",
];

fn card() -> Card {
    Card::new("Deployment")
        .text("it waits below")
        .field("Branch", "main")
        .field("Author", "ada")
        .divider()
        .note("fine-print")
        .choice(Choice::new(
            "Where",
            [("Staging", "to:s"), ("Live", "to:l")],
        ))
        .actions([
            Button::press("Approve", "card:yes"),
            Button::press("Reject", "card:no"),
        ])
}

/// All words and all labels that are on show.
async fn shown(bench: &Bench) -> (String, Vec<String>) {
    let shown = bench.platform.shown().await;
    let texts: Vec<_> = shown.iter().map(|shown| shown.text.as_str()).collect();
    let text = texts.join("\n");
    (
        text,
        shown.into_iter().flat_map(|shown| shown.buttons).collect(),
    )
}

pub(super) async fn shows_every_word_of_a_card(bench: &Bench) -> Check {
    let message = bench.message("above")?.card(card());
    bench.send_message(&message).await?;
    let (text, _) = shown(bench).await;
    for word in WORDS {
        ensure!(text.contains(word), "{word:?} is not shown");
    }
    Ok(())
}

pub(super) async fn shows_every_button_of_a_card(bench: &Bench) -> Check {
    if !bench.platform.shows_buttons() {
        return ignored("the fake platform does not show buttons");
    }
    let below = [Button::press("Later", "later")];
    let message = bench.message("")?.card(card()).buttons(below);
    bench.send_message(&message).await?;
    let (_, buttons) = shown(bench).await;
    for label in ["Staging", "Live", "Approve", "Reject", "Later"] {
        let times = buttons.iter().filter(|button| *button == label).count();
        ensure!(times == 1, "{label:?} is shown {times} times");
    }
    Ok(())
}

pub(super) async fn updates_a_card(bench: &Bench) -> Check {
    let cards = bench.ability(Ability::Cards, bench.channel.as_cards())?;
    let message = bench.message("")?.card(card());
    let receipt = bench.send_message(&message).await?;
    let Some(at) = receipt.last() else {
        return failed("the receipt is empty");
    };
    let done = Card::new("Rolled-out").note("by ada");
    let updated = bench.within("update", cards.update_card(at, &done)).await?;
    worked("update", updated)?;
    let after = bench.platform.shown().await.len();
    ensure!(
        after == receipt.messages.len(),
        "{after} messages are shown after the update"
    );
    let (text, _) = shown(bench).await;
    ensure!(text.contains("Rolled-out"), "the new title is not shown");
    ensure!(!text.contains("Deployment"), "the old title is still shown");
    Ok(())
}
