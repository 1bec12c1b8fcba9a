//! The bot: all of its code. It does not know which platform it talks to.

use std::time::Duration;

use channel_core::{Action, Button, InboundMessage as _, Message, Upload};
use channel_runtime::{HandlerResult, Incoming};

/// The longest `/sleep`, in seconds, and the longest `/stream`, in words.
const LONGEST: u64 = 120;
/// The largest file that is fetched, in bytes.
const LARGEST_FILE: u64 = 10 << 20;
/// The pause between two words of a stream.
const WORD: Duration = Duration::from_millis(80);

const WELCOME: &str = "**Hello!** I am one small bot behind every platform on this page. Whatever you write comes \
                       back as an echo; `/help` lists what else I can do.";

const HELP: &str = "\
**What I can do**

- any text: I echo it, and quote you
- `/buttons`: buttons to press
- `/stream 20`: an answer that grows while I write it
- `/markdown`: rich text, rendered for each platform
- `/file`: a file to download
- `/react`: an emoji on your message
- `/whoami`: whose account this is, once it is connected
- `/sleep 3`: a slow answer, while others go on
- send me a file, or edit your message: I notice";

const MARKDOWN: &str = "\
# One source, every dialect

Some **bold**, some *italic*, some ~~struck~~ words, `code`, and a [link](https://example.com).

1. first
2. second
   - nested

> Quoted words.

```rust
fn main() {}
```";

/// Answers a message.
pub(crate) async fn message(message: Incoming<Message>) -> HandlerResult {
    if !message.attachments.is_empty() {
        return files(&message).await;
    }
    let command = message.command();
    let number = |otherwise: u64, text: &str| text.parse().unwrap_or(otherwise).min(LONGEST);
    match command.map(|command| (command.name, command.arguments)) {
        Some(("start", _)) => drop(message.reply(markdown(WELCOME)).await?),
        Some(("help", _)) => drop(message.reply(markdown(HELP)).await?),
        Some(("markdown", _)) => drop(message.reply(markdown(MARKDOWN)).await?),
        Some(("whoami", _)) => drop(message.reply(whoami(&message)).await?),
        Some(("react", _)) => message.react("👍").await?,
        Some(("stream", words)) => stream(&message, number(20, words)).await?,
        Some(("sleep", seconds)) => sleep(&message, number(3, seconds)).await?,
        Some(("buttons", _)) => {
            let row = ["Tea", "Coffee"].map(|label| Button::press(label, label));
            let question = message.compose("Tea or coffee?").buttons(row);
            message.send(&question).await?;
        }
        Some(("file", _)) => {
            let file = Upload::file("hello.txt", "hello from channel-kit\n");
            let answer = message.compose("Here is a file.");
            message
                .send(&answer.attach(file.with_mime("text/plain")))
                .await?;
        }
        _ if message.text.is_empty() => {}
        _ => drop(message.reply(format!("echo: {}", message.text)).await?),
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
    action.notice(&format!("{} it is", action.value)).await?;
    action.reply(format!("pressed {}", action.value)).await?;
    Ok(())
}

fn markdown(source: &str) -> channel_core::Body {
    channel_core::Body::markdown(source)
}

/// The gate has found out whose account it is.
fn whoami(message: &Incoming<Message>) -> String {
    match message.authorized().bound() {
        Some(bound) => format!("You are {}: this account is connected.", bound.owner),
        None => "I do not know whose account this is. Connect it under \"Connected accounts\"."
            .to_owned(),
    }
}

async fn files(message: &Incoming<Message>) -> HandlerResult {
    for attachment in &message.attachments {
        let bytes = message.download(attachment, LARGEST_FILE).await?;
        let name = attachment.name.as_deref().unwrap_or("unnamed");
        message
            .reply(format!("received {name}, {} bytes", bytes.len()))
            .await?;
    }
    Ok(())
}

async fn typing(message: &Incoming<Message>) -> HandlerResult {
    if let Some(typing) = message.channel().as_typing() {
        let to = message.return_address.clone().into();
        typing.start_typing(&to).await?;
    }
    Ok(())
}

async fn sleep(message: &Incoming<Message>, seconds: u64) -> HandlerResult {
    typing(message).await?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    message.reply(format!("slept {seconds}")).await?;
    Ok(())
}

async fn stream(message: &Incoming<Message>, words: u64) -> HandlerResult {
    typing(message).await?;
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
