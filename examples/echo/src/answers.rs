//! What the bot answers.

use std::time::Duration;

use channel_kit::core::{Action, AttachmentKind, Button, InboundMessage as _, Message, Upload};
use channel_kit::runtime::{HandlerResult, Incoming};
use sha2::{Digest as _, Sha256};

/// The longest `/sleep` and `/stream`.
const LONGEST: u64 = 3600;
/// The largest file that is fetched, in bytes.
const LARGEST_FILE: u64 = 50 << 20;
/// The pause between two words of a stream.
const WORD: Duration = Duration::from_millis(50);

/// Answers a new message.
pub(crate) async fn message(message: Incoming<Message>) -> HandlerResult {
    if !message.attachments.is_empty() {
        return files(&message).await;
    }
    let command = message.command();
    let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number <= LONGEST);
    match command.map(|command| (command.name, number(command.arguments))) {
        Some(("sleep", Some(seconds))) => {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            message.reply(format!("slept {seconds}")).await?;
        }
        Some(("stream", Some(words))) => stream(&message, words).await?,
        Some(("panic", _)) => boom(),
        Some(("file", _)) => {
            let hello = Upload::new(
                AttachmentKind::File,
                "hello.txt",
                channel_kit::core::UploadSource::Bytes("hello".into()),
            );
            message
                .send(&message.compose("").attach(hello.with_mime("text/plain")))
                .await?;
        }
        Some(("buttons", _)) => {
            let buttons = [Button::press("A", "A"), Button::press("B", "B")];
            message
                .send(&message.compose("choose").buttons(buttons))
                .await?;
        }
        _ if message.text.is_empty() => {}
        _ => {
            message.reply(format!("echo: {}", message.text)).await?;
        }
    }
    Ok(())
}

/// Answers an edit.
pub(crate) async fn edited(message: Incoming<Message>) -> HandlerResult {
    message.reply(format!("edited: {}", message.text)).await?;
    Ok(())
}

/// Answers a press.
pub(crate) async fn pressed(action: Incoming<Action>) -> HandlerResult {
    action.reply(format!("pressed {}", action.value)).await?;
    Ok(())
}

/// `/panic`: shows that nobody else notices.
#[expect(clippy::panic, reason = "this is what the command is for")]
fn boom() {
    panic!("as asked by /panic");
}

async fn files(message: &Incoming<Message>) -> HandlerResult {
    for attachment in &message.attachments {
        let bytes = message.download(attachment, LARGEST_FILE).await?;
        let name = attachment.name.as_deref().unwrap_or("unnamed");
        let digest = hex::encode(Sha256::digest(&bytes));
        message
            .reply(format!("file {name} {} {digest}", bytes.len()))
            .await?;
    }
    Ok(())
}

async fn stream(message: &Incoming<Message>, words: u64) -> HandlerResult {
    let mut reply = message.stream().await?;
    let mut text = String::new();
    for word in 1..=words {
        if word > 1 {
            text.push(' ');
        }
        text.push_str(&word.to_string());
        reply.show(text.as_str()).await?;
        tokio::time::sleep(WORD).await;
    }
    reply.finish(text).await?;
    Ok(())
}
