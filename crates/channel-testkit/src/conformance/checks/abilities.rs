//! The optional abilities: what is offered has to work.

use channel_core::{Action, Button, CommandInfo, Destination, ErrorKind, EventKind, MessageRef};

use crate::conformance::bench::{Bench, Check, ensure, failed, ignored, worked};
use crate::conformance::{Ability, Happening};

/// A check that could only see that a call succeeds is not passed.
fn unseen<T>(what: &str) -> Check<T> {
    ignored(format!("the fake platform does not show {what}"))
}

pub(super) async fn edits_a_message(bench: &Bench) -> Check {
    let edit = bench.ability(Ability::Edit, bench.channel.as_edit())?;
    let at = bench.send_one("before").await?;
    let after = bench.message("after *this* & that")?;
    worked("edit", bench.within("edit", edit.edit(&at, &after)).await?)?;
    let shown = bench.find(&at).await?.text;
    ensure!(shown == "after *this* & that", "it shows {shown:?}");
    ensure!(
        bench.platform.shown().await.len() == 1,
        "it made another message"
    );
    Ok(())
}

pub(super) async fn accepts_an_edit_that_changes_nothing(bench: &Bench) -> Check {
    let edit = bench.ability(Ability::Edit, bench.channel.as_edit())?;
    let at = bench.send_one("the same").await?;
    let same = bench.message("the same")?;
    worked("edit", bench.within("edit", edit.edit(&at, &same)).await?)
}

pub(super) async fn refuses_an_edit_that_does_not_fit(bench: &Bench) -> Check {
    let edit = bench.ability(Ability::Edit, bench.channel.as_edit())?;
    let limit = bench.channel.info().limits.text;
    if limit.max > 1 << 20 {
        return ignored("the limit is out of reach of a test");
    }
    let at = bench.send_one("short").await?;
    let long = bench.message("x".repeat(limit.max + 1))?;
    match bench.within("edit", edit.edit(&at, &long)).await? {
        Ok(()) => failed("it was accepted"),
        Err(error) if error.kind() == ErrorKind::Invalid => Ok(()),
        Err(error) => failed(format!("it is {}, expected invalid", error.kind())),
    }
}

pub(super) async fn deletes_a_message(bench: &Bench) -> Check {
    let delete = bench.ability(Ability::Delete, bench.channel.as_delete())?;
    let at = bench.send_one("to be deleted").await?;
    let kept = bench.send_one("to be kept").await?;
    worked("delete", bench.within("delete", delete.delete(&at)).await?)?;
    let shown = bench.platform.shown().await;
    let shown: Vec<_> = shown.into_iter().map(|shown| shown.at).collect();
    ensure!(
        shown == [kept],
        "{} messages are left, not one",
        shown.len()
    );
    Ok(())
}

pub(super) async fn finds_nothing_to_delete_twice(bench: &Bench) -> Check {
    let delete = bench.ability(Ability::Delete, bench.channel.as_delete())?;
    let at = bench.send_one("to be deleted").await?;
    // That the first attempt deletes is another check's matter.
    let _ = bench.within("delete", delete.delete(&at)).await?;
    match bench.within("delete", delete.delete(&at)).await? {
        Ok(()) => failed("it was deleted twice"),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => failed(format!("it is {}, expected not_found", error.kind())),
    }
}

/// Reacts to a message of a user, as bots do, or to one of its own.
async fn react(bench: &Bench) -> Check<(MessageRef, String)> {
    let react = bench.ability(Ability::React, bench.channel.as_react())?;
    let at = bench.send_one("react to this").await?;
    let emoji = bench.platform.emoji().to_owned();
    let reacted = bench.within("react", react.react(&at, &emoji)).await?;
    worked("react", reacted)?;
    Ok((at, emoji))
}

pub(super) async fn reacts(bench: &Bench) -> Check {
    let (at, emoji) = react(bench).await?;
    match bench.platform.reactions(&at).await {
        None => unseen("reactions"),
        Some(reactions) if reactions == [emoji] => Ok(()),
        Some(reactions) => failed(format!("the reactions are {reactions:?}")),
    }
}

pub(super) async fn takes_a_reaction_back(bench: &Bench) -> Check {
    let (at, emoji) = react(bench).await?;
    let ability = bench.ability(Ability::React, bench.channel.as_react())?;
    let undone = bench
        .within("unreact", ability.unreact(&at, &emoji))
        .await?;
    worked("unreact", undone)?;
    match bench.platform.reactions(&at).await {
        None => unseen("reactions"),
        Some(reactions) if reactions.is_empty() => Ok(()),
        Some(reactions) => failed(format!("the reactions are {reactions:?}")),
    }
}

pub(super) async fn shows_that_it_writes(bench: &Bench) -> Check {
    let typing = bench.ability(Ability::Typing, bench.channel.as_typing())?;
    ensure!(!typing.lasts().is_zero(), "the sign lasts no time");
    let to = Destination::from(bench.direct()?);
    let started = bench.within("typing", typing.start_typing(&to)).await?;
    worked("typing", started)?;
    match bench.platform.typing().await {
        None => unseen("who writes"),
        Some(0) => failed("the platform shows nothing"),
        Some(_) => Ok(()),
    }
}

const CONTENT: &[u8] = b"\x00\x01content\xfe\xff";

async fn attachment(bench: &Bench) -> Check<channel_core::Attachment> {
    bench.ability(Ability::Media, bench.channel.as_media())?;
    let mut inbox = bench.inbox().await?;
    let (name, bytes) = ("a.bin", CONTENT);
    inbox.happen(Happening::File { name, bytes }).await?;
    let arrived = inbox.next().await?;
    let attachment = match arrived.message()?.attachments.as_slice() {
        [only] => only.clone(),
        all => return failed(format!("the message has {} attachments", all.len())),
    };
    arrived.ack().await?;
    Ok(attachment)
}

pub(super) async fn downloads_a_file(bench: &Bench) -> Check {
    let media = bench.ability(Ability::Media, bench.channel.as_media())?;
    let attachment = attachment(bench).await?;
    // Exactly the bound is within it.
    let download = media.download(&attachment, CONTENT.len() as u64);
    let bytes = worked("download", bench.within("download", download).await?)?;
    ensure!(bytes == CONTENT, "the content has changed");
    Ok(())
}

pub(super) async fn refuses_a_download_over_the_bound(bench: &Bench) -> Check {
    let media = bench.ability(Ability::Media, bench.channel.as_media())?;
    let attachment = attachment(bench).await?;
    let download = media.download(&attachment, CONTENT.len() as u64 - 1);
    match bench.within("download", download).await? {
        Ok(_) => failed("it was downloaded"),
        Err(error) if error.kind() == ErrorKind::Invalid => Ok(()),
        Err(error) => failed(format!("it is {}, expected invalid", error.kind())),
    }
}

async fn press(bench: &Bench) -> Check<Action> {
    bench.ability(Ability::Actions, bench.channel.as_actions())?;
    let mut inbox = bench.inbox().await?;
    let message = bench.message("choose")?.buttons([
        Button::press("Yes", "value:yes"),
        Button::press("No", "value:no"),
    ]);
    let receipt = bench.send_message(&message).await?;
    let Some(at) = receipt.last() else {
        return failed("the receipt is empty");
    };
    let press = Happening::Press {
        message: at,
        value: "value:no",
    };
    inbox.happen(press).await?;
    let arrived = inbox.next().await?;
    let EventKind::Action(action) = &arrived.event.kind else {
        return failed(format!("the press became a {}", arrived.event.name()));
    };
    let action = Action::clone(action);
    arrived.ack().await?;
    Ok(action)
}

pub(super) async fn receives_a_press_with_its_value(bench: &Bench) -> Check {
    let action = press(bench).await?;
    ensure!(
        action.value == "value:no",
        "its value is {:?}",
        action.value
    );
    let chat = bench.direct()?.chat;
    ensure!(action.chat.id == chat, "it is in another chat");
    ensure!(
        action.return_address.target().chat == chat,
        "its return address leads elsewhere"
    );
    Ok(())
}

pub(super) async fn answers_a_press(bench: &Bench) -> Check {
    let actions = bench.ability(Ability::Actions, bench.channel.as_actions())?;
    let action = press(bench).await?;
    let answer = actions.answer_action(&action, Some("noted"));
    worked("answer", bench.within("answer", answer).await?)?;
    match bench.platform.answered().await {
        None => unseen("answers to presses"),
        Some(1) => Ok(()),
        Some(answers) => failed(format!("the platform got {answers} answers")),
    }
}

pub(super) async fn publishes_commands(bench: &Bench) -> Check {
    let commands = bench.ability(Ability::Commands, bench.channel.as_commands())?;
    let menu = [
        CommandInfo::new("help", "Says what it can do"),
        CommandInfo::new("stop", "Stops"),
    ];
    for menu in [&menu[..1], &menu[..]] {
        let publish = commands.publish_commands(menu);
        worked("publish", bench.within("publish", publish).await?)?;
    }
    match bench.platform.commands().await {
        None => unseen("commands"),
        Some(names) if names == ["help", "stop"] => Ok(()),
        Some(names) => failed(format!("the menu is {names:?}")),
    }
}
