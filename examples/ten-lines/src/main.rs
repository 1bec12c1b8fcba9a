//! A Telegram bot in ten lines. It wants a token from @BotFather:
//! `CHANNEL_TELEGRAM_BOT_TOKEN=... cargo run -p ten-lines`
use channel_kit::prelude::*;
#[tokio::main]
async fn main() -> Result<()> {
    let bot = Bot::new(AllowEveryone).channel(Telegram::from_env()?);
    let bot = bot.on_message(|message| async move {
        message.reply(format!("echo: {}", message.text)).await?;
        Ok(())
    });
    bot.run().await
}
