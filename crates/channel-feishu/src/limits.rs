//! Feishu's numbers, and what they allow to promise.

use std::time::Duration;

use channel_core::{
    AttachmentKind, Call, Guarantees, Limits, Pacing, Rate, Redelivery, Repeat, Rule, Scope,
    TextLimit, TextUnit,
};

/// The longest text of one message. Feishu bounds the request and not the text: 150 KB for
/// `text`, 30 KB for `post` and cards
/// (<https://open.feishu.cn/document/server-docs/im-v1/message/create>). So many characters
/// fit into the latter whatever they are; longer ones are hard to read anyway.
pub(crate) const TEXT: TextLimit = TextLimit::new(4000, TextUnit::CodePoints);
/// The largest content of a `post` or card, in bytes, with room for what is around it.
pub(crate) const CONTENT: usize = 28 << 10;
/// The largest content of a `text`, in bytes, with room for what is around it.
pub(crate) const TEXT_CONTENT: usize = 140 << 10;
/// The most tables that a card takes; more are refused with 230099 and 11310, as the official
/// plugin measured (2026-03).
pub(crate) const TABLES: usize = 3;
/// The longest value of a button, in bytes. Feishu names no bound but that of the card.
pub(crate) const VALUE: usize = 2000;
/// The most buttons in a row of ours.
pub(crate) const ROW: usize = 4;
/// The longest notice over a card, in characters.
pub(crate) const TOAST: usize = 500;
/// The largest picture
/// (<https://open.feishu.cn/document/server-docs/im-v1/image/create>), in bytes.
pub(crate) const IMAGE: u64 = 10 << 20;
/// The largest file
/// (<https://open.feishu.cn/document/server-docs/im-v1/file/create>), in bytes.
pub(crate) const FILE: u64 = 30 << 20;
/// The largest file of a message that can be fetched
/// (<https://open.feishu.cn/document/server-docs/im-v1/message/get-2>), in bytes.
pub(crate) const DOWNLOAD: u64 = 100 << 20;
/// The largest request that is taken, in bytes.
pub(crate) const BODY: usize = 256 << 10;
/// The longest id of Feishu's that is believed, in bytes.
pub(crate) const ID: usize = 128;
/// The longest challenge that is echoed, in bytes.
pub(crate) const CHALLENGE: usize = 1024;

/// How long a `uuid` is remembered: of all requests with the same one at most one succeeds
/// (<https://open.feishu.cn/document/server-docs/im-v1/message/create>).
pub(crate) const UUID: Duration = Duration::from_secs(3600);
/// How long an event comes again: 15 s, 5 min, 1 h and 6 h after one another, and a little less
/// (<https://open.feishu.cn/document/server-docs/event-subscription-guide/overview>).
pub(crate) const KEPT: Duration = Duration::from_secs(7 * 3600);
/// How long the answer to a press is waited for; Feishu waits 3 s.
pub(crate) const PRESS: Duration = Duration::from_millis(2500);
/// How long the sign stays that an answer is being written, if nobody takes it away.
pub(crate) const TYPING: Duration = Duration::from_secs(300);
/// How long before its end a token is fetched anew: while more than 30 minutes remain, Feishu
/// hands out the same one
/// (<https://open.feishu.cn/document/server-docs/authentication-management/access-token/tenant_access_token_internal>).
pub(crate) const TOKEN_EARLY: Duration = Duration::from_secs(600);

/// The limits that others need.
pub(crate) fn limits() -> Limits {
    let mut limits = Limits::new(TEXT);
    limits.action_bytes = VALUE;
    limits.upload_bytes = vec![(Some(AttachmentKind::Image), IMAGE), (None, FILE)];
    limits.download_bytes = DOWNLOAD;
    // Each file is a message of its own.
    limits.attachments = usize::MAX;
    let second = Duration::from_secs(1);
    limits.rate_direct = Some(Rate::new(5, second));
    limits.rate_group = Some(Rate::new(5, second));
    limits.rate_total = Some(Rate::new(50, second));
    limits.edit_pause_direct = Duration::from_millis(400);
    limits.edit_pause_group = Duration::from_millis(400);
    limits
}

/// How fast the outbox may let requests go: five messages a second in each chat, fifty a second
/// and a thousand a minute in all
/// (<https://open.feishu.cn/document/server-docs/im-v1/message/create>).
pub(crate) fn pacing() -> Pacing {
    let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
    Pacing::off()
        .rule(Rule::within(Scope::Chat, 5, second, 2).only(Call::Send))
        .rule(Rule::within(Scope::Channel, 50, second, 10))
        .rule(Rule::within(Scope::Channel, 1000, minute, 100))
}

/// What can be promised: every message carries a `uuid`.
pub(crate) fn guarantees() -> Guarantees {
    Guarantees::new(Redelivery::For(KEPT), Repeat::Keyed(UUID))
        .call("edit a message", Repeat::Idempotent)
        .call("delete a message", Repeat::Idempotent)
        .call("react", Repeat::Idempotent)
        .call("answer a press with a notice", Repeat::Idempotent)
}
