//! Answers that are shown while they are written.

use std::time::Duration;

use channel_core::{Body, Destination, Receipt, ReplyStream};

use super::sending::fits;
use crate::conformance::Ability;
use crate::conformance::bench::{Bench, Check, ensure, failed, ignored, worked};
use crate::failure::Failure;

async fn open(bench: &Bench) -> Check<Box<dyn ReplyStream>> {
    let stream = bench.ability(Ability::Stream, bench.channel.as_stream())?;
    let to = Destination::from(bench.direct()?);
    worked("stream", bench.within("stream", stream.stream(&to)).await?)
}

async fn show(bench: &Bench, stream: &mut dyn ReplyStream, text: &str) -> Check {
    let body = Body::plain(text);
    worked("show", bench.within("show", stream.show(&body)).await?)
}

async fn finish(bench: &Bench, stream: Box<dyn ReplyStream>, text: &str) -> Check<Receipt> {
    let message = bench.message(text)?;
    let finish = stream.finish(message);
    worked("finish", bench.within("finish", finish).await?)
}

/// The final message is there, once, and nothing of the previews is left.
async fn is_final(bench: &Bench, receipt: &Receipt, text: &str) -> Check {
    let shown = bench.platform.shown().await;
    let [only] = shown.as_slice() else {
        return failed(format!("{} messages are shown, not one", shown.len()));
    };
    ensure!(only.text == text, "it shows {:?}", only.text);
    ensure!(
        receipt.messages == [only.at.clone()],
        "the receipt names something else"
    );
    Ok(())
}

pub(super) async fn shows_nothing_before_the_first_words(bench: &Bench) -> Check {
    let _stream = open(bench).await?;
    let shown = bench.platform.shown().await.len();
    ensure!(shown == 0, "{shown} messages are shown");
    Ok(())
}

pub(super) async fn shows_the_final_message_of_a_stream(bench: &Bench) -> Check {
    let mut stream = open(bench).await?;
    show(bench, stream.as_mut(), "one").await?;
    let receipt = finish(bench, stream, "one two").await?;
    is_final(bench, &receipt, "one two").await
}

pub(super) async fn shows_the_final_message_after_many_previews(bench: &Bench) -> Check {
    let mut stream = open(bench).await?;
    let mut text = String::new();
    // A burst without a pause is throttled, and the final message is not.
    for number in 1..=50 {
        text.push_str(&format!("word{number} "));
        show(bench, stream.as_mut(), &text).await?;
        if bench.virtual_time && number % 10 == 0 {
            bench.clock.sleep(Duration::from_secs(2)).await;
        }
    }
    let receipt = finish(bench, stream, "the end").await?;
    is_final(bench, &receipt, "the end").await
}

pub(super) async fn finishes_a_stream_whose_previews_failed(bench: &Bench) -> Check {
    let mut stream = open(bench).await?;
    bench.break_down(Failure::ServerError).await?;
    show(bench, stream.as_mut(), "one").await?;
    bench.platform.fail(0, None).await;
    let receipt = finish(bench, stream, "one two").await?;
    is_final(bench, &receipt, "one two").await
}

pub(super) async fn splits_a_final_message_that_is_too_long(bench: &Bench) -> Check {
    let limit = bench.channel.info().limits.text;
    if limit.max > 1 << 17 {
        return ignored("the limit is out of reach of a test");
    }
    let mut stream = open(bench).await?;
    show(bench, stream.as_mut(), "word").await?;
    if bench.virtual_time {
        bench.clock.sleep(Duration::from_secs(2)).await;
    }
    let text = "word ".repeat(limit.max / 2);
    let receipt = finish(bench, stream, &text).await?;
    let shown = bench.platform.shown().await;
    shown.iter().try_for_each(|shown| fits(shown, limit))?;
    let words = |text: &str| text.split_whitespace().count();
    let total: usize = shown
        .iter()
        .map(|shown| shown.text.matches("word").count())
        .sum();
    ensure!(
        total == words(&text),
        "{total} of {} words are shown",
        words(&text)
    );
    let at: Vec<_> = shown.into_iter().map(|shown| shown.at).collect();
    ensure!(at == receipt.messages, "the receipt names something else");
    Ok(())
}
