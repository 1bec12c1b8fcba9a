//! The addresses that a group bot writes to. Each is its own credential.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use channel_core::Secret;

use crate::api;

/// How many chats are remembered; the oldest is forgotten first.
const CHATS: usize = 1000;

/// Webhooks by chat, learnt from what came in.
#[derive(Default)]
pub(super) struct Webhooks(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    by_chat: HashMap<String, Secret>,
    order: VecDeque<String>,
}

impl std::fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Webhooks")
    }
}

impl Webhooks {
    pub(super) fn learn(&self, chat: &str, url: Secret) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.by_chat.insert(chat.to_owned(), url).is_some() {
            return;
        }
        if memory.order.len() >= CHATS
            && let Some(oldest) = memory.order.pop_front()
        {
            memory.by_chat.remove(&oldest);
        }
        memory.order.push_back(chat.to_owned());
    }

    pub(super) fn of(&self, chat: &str) -> Option<Secret> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.by_chat.get(chat).cloned()
    }
}

/// Whether an address is a webhook of WeCom, or of the server that was configured: what a
/// message says is not written to blindly.
pub(super) fn is_webhook(url: &str, configured: &str) -> bool {
    let path = url
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('/'))
        .map(|(_, path)| path);
    path.is_some_and(|path| path.starts_with("cgi-bin/webhook/send?key="))
        && !url.contains(['#', '\\'])
        && url.bytes().all(|byte| byte.is_ascii_graphic())
        && api::is_ours(url, configured)
}

/// The address that takes files for the same bot.
pub(super) fn upload_address(webhook: &Secret, kind: &str) -> Secret {
    let address = webhook
        .expose()
        .replacen("/webhook/send?", "/webhook/upload_media?", 1);
    Secret::new(format!("{address}&type={kind}"))
}
