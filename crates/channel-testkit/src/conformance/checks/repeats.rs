//! What a second attempt does: as much as the guarantees say.

use channel_core::{History, OutboundMessage, Repeat};

use crate::conformance::Ability;
use crate::conformance::bench::{Bench, Check, ensure, ignored, worked};
use crate::failure::Failure;

fn keyed(bench: &Bench, text: &str, key: &str) -> Check<OutboundMessage> {
    Ok(bench.message(text)?.key(key))
}

async fn find(
    bench: &Bench,
    history: &dyn History,
    message: &OutboundMessage,
) -> Check<Option<channel_core::MessageRef>> {
    let found = bench.within("find", history.find(message)).await?;
    worked("find", found)
}

/// Whether a message that is sent can be read back; the check is ignored where it cannot.
fn reads_back(bench: &Bench) -> Check {
    match bench.channel.info().guarantees.send() {
        Repeat::ReadBack => Ok(()),
        _ => ignored("the channel does not claim that a message can be read back"),
    }
}

pub(super) async fn finds_what_was_sent_under_a_key(bench: &Bench) -> Check {
    reads_back(bench)?;
    let history = bench.ability(Ability::History, bench.channel.as_history())?;
    let first = keyed(bench, "one", "key-1")?;
    let at = bench.send_message(&first).await?.first().cloned();
    bench.send_message(&keyed(bench, "two", "key-2")?).await?;
    let found = find(bench, history, &first).await?;
    ensure!(
        found.is_some() && found == at,
        "sent {at:?}, found {found:?}"
    );
    bench.break_down(Failure::LostAnswer).await?;
    let lost = keyed(bench, "three", "key-3")?;
    // That this is uncertain is another check's matter.
    let _ = bench.within("send", bench.channel.send(&lost)).await?;
    bench.platform.fail(0, None).await;
    let shown = bench.platform.shown().await;
    let at = shown.into_iter().find(|it| it.text == "three");
    let found = find(bench, history, &lost).await?;
    ensure!(
        found == at.map(|shown| shown.at),
        "a message whose answer was lost is not found"
    );
    Ok(())
}

pub(super) async fn finds_nothing_under_another_key(bench: &Bench) -> Check {
    let history = bench.ability(Ability::History, bench.channel.as_history())?;
    bench.send_message(&keyed(bench, "one", "key-1")?).await?;
    bench.send_message(&bench.message("two")?).await?;
    // The words are no proof: people say the same thing twice.
    for (text, key) in [
        ("one", Some("key-2")),
        ("one", None),
        ("two", Some("key-2")),
    ] {
        let mut message = bench.message(text)?;
        message.key = key.map(Into::into);
        let found = find(bench, history, &message).await?;
        ensure!(found.is_none(), "found {found:?} under {key:?}");
    }
    bench.break_down(Failure::ServerError).await?;
    let failed = keyed(bench, "three", "key-3")?;
    let _ = bench.within("send", bench.channel.send(&failed)).await?;
    bench.platform.fail(0, None).await;
    let shown = bench.platform.shown().await.len();
    let found = find(bench, history, &failed).await?;
    ensure!(
        shown > 2 || found.is_none(),
        "found what the server has not shown"
    );
    Ok(())
}

pub(super) async fn shows_a_message_once_when_its_key_is_repeated(bench: &Bench) -> Check {
    if !matches!(bench.channel.info().guarantees.send(), Repeat::Keyed(_)) {
        return ignored("the channel does not claim that the platform takes keys");
    }
    let message = keyed(bench, "once", "key-1")?;
    let first = bench.send_message(&message).await?;
    let again = bench.send_message(&message).await?;
    ensure!(first == again, "the receipts differ");
    bench.send_message(&keyed(bench, "once", "key-2")?).await?;
    let shown = bench.platform.shown().await.len();
    ensure!(
        shown == 2,
        "two keys, the first of them twice: {shown} messages"
    );
    Ok(())
}

pub(super) async fn can_read_back_where_it_says_so(bench: &Bench) -> Check {
    let mut calls = bench.channel.info().guarantees.calls();
    if !calls.any(|(_, repeat)| repeat == Repeat::ReadBack) {
        return ignored("the channel does not claim to read anything back");
    }
    ensure!(
        bench.channel.as_history().is_some(),
        "its guarantees claim read-back, and it has no History"
    );
    Ok(())
}
