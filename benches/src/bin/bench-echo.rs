//! An echo bot for measuring: Telegram at `TG_API` with the token `BOT_TOKEN`.

use channel_core::{AllowEveryone, Error, Result};
use channel_runtime::Bot;
use channel_telegram::{Pacing, Telegram};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let telegram = Telegram::builder()
        .api_base(variable("TG_API")?)
        .token(variable("BOT_TOKEN")?)
        .pacing(Pacing::off())
        .build()?;
    Bot::new(AllowEveryone)
        .channel(telegram)
        .on_message(|message| async move {
            message.reply(message.text.as_str()).await?;
            Ok(())
        })
        .run()
        .await
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).map_err(|_| Error::config(format!("{name} is not set")))
}
