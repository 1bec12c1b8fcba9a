//! What was written in a chat.

use channel_core::{Message, MessageId, MessageRef};

use crate::conformance::Ability;
use crate::conformance::bench::{Bench, Check, ensure, worked};

/// Sends five messages and gives their places, oldest first.
async fn talk(bench: &Bench) -> Check<Vec<MessageRef>> {
    bench.ability(Ability::History, bench.channel.as_history())?;
    let mut said = Vec::new();
    for number in 1..=5 {
        said.push(bench.send_one(&format!("sentence {number}")).await?);
    }
    Ok(said)
}

async fn read(bench: &Bench, before: Option<&MessageId>, limit: usize) -> Check<Vec<Message>> {
    let history = bench.ability(Ability::History, bench.channel.as_history())?;
    let of = bench.direct()?;
    let read = history.history(&of, before, limit);
    worked("history", bench.within("history", read).await?)
}

fn texts(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|it| it.text.as_str()).collect()
}

pub(super) async fn reads_history_newest_first(bench: &Bench) -> Check {
    let said = talk(bench).await?;
    let read = read(bench, None, 5).await?;
    let wanted: Vec<_> = (1..=5).rev().map(|n| format!("sentence {n}")).collect();
    ensure!(texts(&read) == wanted, "it reads {:?}", texts(&read));
    let at: Vec<_> = read.iter().rev().map(Message::at).collect();
    ensure!(at == said, "the ids are not those of the receipts");
    Ok(())
}

pub(super) async fn reads_no_more_history_than_asked_for(bench: &Bench) -> Check {
    talk(bench).await?;
    for limit in [0, 1, 3] {
        let read = read(bench, None, limit).await?.len();
        ensure!(read == limit, "asked for {limit} messages, got {read}");
    }
    Ok(())
}

pub(super) async fn reads_only_history_before_a_message(bench: &Bench) -> Check {
    let said = talk(bench).await?;
    let Some(third) = said.get(2) else {
        return Ok(());
    };
    let read = read(bench, Some(&third.id), 2).await?;
    ensure!(
        texts(&read) == ["sentence 2", "sentence 1"],
        "it reads {:?}",
        texts(&read)
    );
    Ok(())
}
