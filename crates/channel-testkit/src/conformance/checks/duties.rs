//! The channel's own connection: life, and the duty to acknowledge.

use channel_core::Connection;

use crate::conformance::Ability;
use crate::conformance::bench::{Bench, Check, Inbox, SILENCE, ensure, failed, ignored, worked};

async fn connected(bench: &Bench) -> Check<Inbox<'_>> {
    bench.ability(Ability::Events, bench.channel.as_events())?;
    bench.inbox().await
}

/// A connection over which events come again.
async fn redelivering(bench: &Bench) -> Check<Inbox<'_>> {
    let inbox = connected(bench).await?;
    if !bench.platform.redelivers() {
        return ignored("the platform delivers each event once");
    }
    Ok(inbox)
}

pub(super) async fn reports_ready_first(bench: &Bench) -> Check {
    bench.ability(Ability::Events, bench.channel.as_events())?;
    let mut inbox = bench.closed_inbox();
    inbox.connect();
    let news = inbox.news().await?;
    ensure!(news == Connection::Ready, "it begins with {news:?}");
    Ok(())
}

pub(super) async fn proves_life_within_90_seconds(bench: &Bench) -> Check {
    if !bench.virtual_time {
        return ignored("it takes minutes of real time");
    }
    let mut inbox = connected(bench).await?;
    for _ in 0..3 {
        let before = bench.clock.elapsed();
        inbox.news().await?;
        let silence = bench.clock.elapsed().saturating_sub(before);
        ensure!(silence <= SILENCE, "it was silent for {silence:?}");
    }
    Ok(())
}

pub(super) async fn redelivers_what_was_not_acknowledged(bench: &Bench) -> Check {
    let mut inbox = redelivering(bench).await?;
    let first = inbox.deliver("one").await?;
    let second = inbox.deliver("two").await?;
    drop((first, second));
    inbox.reopen().await?;
    inbox.expect("one").await?.ack().await?;
    inbox.expect("two").await?.ack().await
}

pub(super) async fn forgets_what_was_acknowledged(bench: &Bench) -> Check {
    let mut inbox = connected(bench).await?;
    inbox.deliver("one").await?.ack().await?;
    inbox.deliver("two").await?.ack().await?;
    inbox.reopen().await?;
    inbox.deliver("three").await?.ack().await
}

pub(super) async fn takes_acknowledgements_in_any_order(bench: &Bench) -> Check {
    let mut inbox = redelivering(bench).await?;
    let first = inbox.deliver("one").await?;
    let second = inbox.deliver("two").await?;
    let third = inbox.deliver("three").await?;
    third.ack().await?;
    first.ack().await?;
    drop(second);
    inbox.reopen().await?;
    // A cursor cannot step over the second, so the third may come again.
    let again = inbox.next().await?;
    let text = &again.message()?.text;
    ensure!(text == "two", "expected \"two\" again, got {text:?}");
    again.ack().await?;
    inbox.text("four").await?;
    let mut next = inbox.next().await?;
    if next.message()?.text == "three" {
        next.ack().await?;
        next = inbox.next().await?;
    }
    ensure!(next.message()?.text == "four", "the next event is missing");
    next.ack().await
}

pub(super) async fn redelivers_what_was_refused(bench: &Bench) -> Check {
    let mut inbox = redelivering(bench).await?;
    let Some(received) = inbox.deliver("one").await?.received else {
        return failed("the event has no duty");
    };
    worked("nak", received.nak().await)?;
    inbox.text("two").await?;
    // It comes again at once, or with the next connection.
    let next = inbox.next().await?;
    let again = next.message()?.text == "one";
    next.ack().await?;
    if again {
        return Ok(());
    }
    inbox.reopen().await?;
    inbox.expect("one").await?.ack().await
}

pub(super) async fn closes_cleanly(bench: &Bench) -> Check {
    let mut inbox = connected(bench).await?;
    inbox.deliver("one").await?.ack().await?;
    drop(inbox);
    let events = bench.ability(Ability::Events, bench.channel.as_events())?;
    worked("close", bench.within("close", events.close()).await?)
}

pub(super) async fn reconnects_by_itself(bench: &Bench) -> Check {
    let mut inbox = connected(bench).await?;
    inbox.deliver("before").await?.ack().await?;
    if !bench.platform.disconnect().await {
        return ignored("the fake platform cannot break the connection");
    }
    let mut lost = false;
    loop {
        match inbox.news().await? {
            Connection::Lost { .. } => lost = true,
            Connection::Ready if lost => break,
            Connection::Ready => return failed("it is ready again and was never lost"),
            _ => {}
        }
    }
    inbox.deliver("after").await?.ack().await
}
