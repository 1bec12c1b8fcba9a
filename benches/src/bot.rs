//! The whole bot: poll, decode, judge, dispatch, handle, answer, acknowledge.

use std::sync::Arc;

use bytes::Bytes;
use channel_core::AllowEveryone;
use channel_runtime::Bot;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

use crate::canned::Canned;
use crate::telegram::{self, BATCH, SENT};

/// A bot that is about to receive batches.
#[derive(Debug)]
pub struct World {
    runtime: Runtime,
    canned: Arc<Canned>,
    batches: usize,
}

/// Makes a runtime and batches, each with ids of its own.
#[must_use]
pub fn world(body: &Bytes, batches: usize) -> World {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let bodies = (0..batches).map(|n| renumbered(body, n)).collect();
    let canned = Canned::new(bodies, Bytes::from_static(SENT));
    canned.wait_when_empty();
    World {
        runtime,
        canned,
        batches,
    }
}

/// The same batch with other update ids: `500` in front becomes `5nn`.
fn renumbered(body: &Bytes, n: usize) -> Bytes {
    let text = String::from_utf8_lossy(body);
    let ids = format!("\"update_id\":5{n:02}");
    text.replace("\"update_id\":500", &ids).into()
}

/// Runs an echo bot until it has answered everything; says how many answers there were.
pub fn echo(world: World) -> u64 {
    let World {
        runtime,
        canned,
        batches,
    } = world;
    let wanted = (batches * BATCH) as u64;
    let done = Arc::new(Notify::new());
    let channel = telegram::channel(&canned).expect("the settings are right");
    let sent = Arc::clone(&canned);
    let finished = Arc::clone(&done);
    let bot = Bot::new(AllowEveryone)
        .channel(channel)
        .transport(canned.transport())
        .on_message(move |message| {
            let (sent, finished) = (Arc::clone(&sent), Arc::clone(&finished));
            async move {
                message.reply(message.text.as_str()).await?;
                if sent.sent() >= wanted {
                    finished.notify_one();
                }
                Ok(())
            }
        });
    runtime.block_on(async {
        let running = bot.start().await.expect("the bot starts");
        done.notified().await;
        drop(running);
    });
    canned.sent()
}

/// The floor of [`echo`], for one batch: decode, write the answers, read what Telegram
/// says to them.
#[must_use]
pub fn echo_floor(body: &Bytes) -> usize {
    let Some(updates) = telegram::floor::decode(body) else {
        return 0;
    };
    let send = |(chat, message, text): (i64, i64, &str)| {
        let request = telegram::floor::encode(chat, message, text);
        !std::hint::black_box(request).is_empty() && telegram::floor::sent(SENT).is_some()
    };
    telegram::floor::texts(&updates)
        .filter(|text| send(*text))
        .count()
}
