//! Messages that are sent part by part.

use std::time::Duration;

use channel_core::{ErrorKind, OutboundMessage, Parts, Receipt, Upload};

use crate::conformance::bench::{Bench, Check, ensure, failed, ignored, worked};
use crate::conformance::{Ability, Shown};
use crate::failure::Failure;

fn ability(bench: &Bench) -> Check<&dyn Parts> {
    bench.ability(Ability::Parts, bench.channel.as_parts())
}

/// A message that becomes at least three platform messages, with a file where the platform
/// shows files.
fn long(bench: &Bench) -> Check<OutboundMessage> {
    let limit = bench.channel.info().limits.text;
    if limit.max > 1 << 17 {
        return ignored("the limit is out of reach of a test");
    }
    let message = bench.message("word ".repeat(limit.max / 2))?;
    Ok(if bench.platform.shows_files() {
        message.attach(Upload::file("a.txt", "a file"))
    } else {
        message
    })
}

fn count(parts: &dyn Parts, message: &OutboundMessage) -> Check<usize> {
    worked("parts", parts.parts(message))
}

async fn send(
    bench: &Bench,
    parts: &dyn Parts,
    message: &OutboundMessage,
    part: usize,
) -> Check<Receipt> {
    loop {
        let sent = bench.within("send a part", parts.send_part(message, part));
        match sent.await? {
            // A part leaves at once or not at all; its sender waits.
            Err(error) if error.kind() == ErrorKind::RateLimited => {
                let wait = error.retry_after().unwrap_or(Duration::from_secs(1));
                bench.clock.sleep(wait).await;
            }
            sent => return worked("send a part", sent),
        }
    }
}

/// Whether people see the same, whatever the ids.
fn same(one: &Shown, other: &Shown) -> bool {
    (&one.text, &one.files, &one.buttons) == (&other.text, &other.files, &other.buttons)
}

pub(super) async fn sends_all_parts_as_it_sends_the_whole(bench: &Bench) -> Check {
    let parts = ability(bench)?;
    let message = long(bench)?;
    let planned = count(parts, &message)?;
    bench.send_message(&message).await?;
    let whole = bench.platform.shown().await.len();
    let mut named = Vec::new();
    for part in 0..planned {
        named.extend(send(bench, parts, &message, part).await?.messages);
    }
    let shown = bench.platform.shown().await;
    let Some((first, second)) = shown.split_at_checked(whole) else {
        return failed(format!("{} messages are shown, not {whole}", shown.len()));
    };
    ensure!(
        first.len() == second.len() && first.iter().zip(second).all(|(a, b)| same(a, b)),
        "{} parts show something else than the whole message of {whole}",
        second.len()
    );
    let at: Vec<_> = second.iter().map(|shown| shown.at.clone()).collect();
    ensure!(at == named, "the receipts name something else");
    Ok(())
}

pub(super) async fn plans_the_same_parts_for_the_same_message(bench: &Bench) -> Check {
    let parts = ability(bench)?;
    let message = long(bench)?;
    let planned = count(parts, &message)?;
    let stored = serde_json::to_string(&message).and_then(|json| serde_json::from_str(&json));
    let Ok(stored) = stored else {
        return failed("the message cannot be stored");
    };
    send(bench, parts, &message, 0).await?;
    for again in [&message, &stored] {
        let again = count(parts, again)?;
        ensure!(again == planned, "{planned} parts, and {again} later");
    }
    let empty = count(parts, &bench.message("")?)?;
    ensure!(empty == 0, "an empty message has {empty} parts");
    Ok(())
}

pub(super) async fn refuses_a_part_out_of_range(bench: &Bench) -> Check {
    let parts = ability(bench)?;
    let message = bench.message("one part")?;
    for part in [1, 2, usize::MAX] {
        match bench
            .within("send a part", parts.send_part(&message, part))
            .await?
        {
            Ok(_) => return failed(format!("part {part} of 1 was sent")),
            Err(error) => {
                let kind = error.kind();
                ensure!(kind == ErrorKind::Invalid, "it is {kind}, expected invalid");
            }
        }
    }
    let shown = bench.platform.shown().await.len();
    ensure!(shown == 0, "{shown} messages are shown");
    Ok(())
}

pub(super) async fn sends_a_failed_part_alone(bench: &Bench) -> Check {
    let parts = ability(bench)?;
    let message = long(bench)?;
    send(bench, parts, &message, 0).await?;
    bench.break_down(Failure::ServerError).await?;
    let broken = parts.send_part(&message, 1);
    if bench.within("send a part", broken).await?.is_ok() {
        return failed("sending succeeded although the server failed");
    }
    bench.platform.fail(0, None).await;
    let receipt = send(bench, parts, &message, 1).await?;
    let shown = bench.platform.shown().await;
    let at: Vec<_> = shown.into_iter().skip(1).map(|shown| shown.at).collect();
    ensure!(
        at == receipt.messages,
        "{} messages follow the first, the receipt names {}",
        at.len(),
        receipt.messages.len()
    );
    Ok(())
}
