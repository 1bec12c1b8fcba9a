//! DingTalk's numbers, and what they allow to promise.
//!
//! Where no page is named the number is of those that robots, connectors and the official SDKs
//! agree upon and the documentation does not state.

use std::time::Duration;

use channel_core::{
    AttachmentKind, Bucket, Call, Chats, Guarantees, Limits, Pacing, Rate, Redelivery, Repeat,
    ReplyWay, Rule, Scope, TextLimit, TextUnit,
};

/// The longest text of one message. DingTalk bounds `msgParam` in bytes and a session's text
/// in units that it does not name; so many characters pass everywhere.
pub(crate) const TEXT: TextLimit = TextLimit::new(3800, TextUnit::CodePoints);
/// The largest `msgParam`, in bytes, with room left
/// (<https://open.dingtalk.com/document/orgapp/the-robot-sends-a-group-message>).
pub(crate) const PARAM: usize = 14_500;
/// The longest title of a message, which notifications show, in characters.
pub(crate) const TITLE: usize = 40;
/// The most buttons of a card that opens addresses: `sampleActionCard6` is the last of its kind
/// (<https://open.dingtalk.com/document/orgapp/types-of-messages-sent-by-robots>).
pub(crate) const LINKS: usize = 5;
/// The longest value of a button, in bytes. DingTalk names no bound.
pub(crate) const VALUE: usize = 512;
/// The longest notice over a card, in characters.
pub(crate) const NOTICE: usize = 200;
/// The largest file, in bytes
/// (<https://open.dingtalk.com/document/orgapp/upload-media-files>).
pub(crate) const FILE: u64 = 20 << 20;
/// The largest file that is fetched, in bytes.
pub(crate) const DOWNLOAD: u64 = 50 << 20;
/// The largest request that is taken, in bytes.
pub(crate) const BODY: usize = 256 << 10;
/// The longest id of DingTalk's that is believed, in bytes.
pub(crate) const ID: usize = 256;
/// The longest code of a file that is believed, in bytes.
pub(crate) const CODE: usize = 4096;

/// How long an event that nobody answered comes again: within a minute, once
/// (<https://github.com/open-dingtalk/dingtalk-stream-sdk-nodejs>).
pub(crate) const KEPT: Duration = Duration::from_secs(60);
/// How long the answer to a press is waited for.
pub(crate) const PRESS: Duration = Duration::from_millis(2500);
/// How long the sign stays that an answer is being written, if nobody takes it away.
pub(crate) const TYPING: Duration = Duration::from_secs(300);
/// How long before its end a token is fetched anew, as the official SDKs do.
pub(crate) const TOKEN_EARLY: Duration = Duration::from_secs(300);
/// How long a session webhook works. Each says when it ends; the ledger counts back from that.
pub(crate) const SESSION_WINDOW: Duration = Duration::from_secs(90 * 60);
/// How long before its end a session webhook is not used any more.
pub(crate) const SESSION_EARLY: Duration = Duration::from_secs(30);
/// How long an `outTrackId` is counted on to name the same card.
pub(crate) const OUT_TRACK_ID: Duration = Duration::from_secs(3600);

/// The way that needs no token.
pub(crate) const SESSION: ReplyWay = ReplyWay::within("session webhook", SESSION_WINDOW, u32::MAX);
/// The way that always works for members of the organisation.
pub(crate) const ROBOT: ReplyWay = ReplyWay::always("robot");

const SECOND: Duration = Duration::from_secs(1);
/// Messages of a custom robot in a minute
/// (<https://open.dingtalk.com/document/robots/custom-robot-access>).
const GROUP_ROBOT: u32 = 20;
const MINUTE: Duration = Duration::from_secs(60);
/// Calls of an app for cards: half of what is measured.
pub(crate) const CARDS: Bucket = Bucket::new(Rate::new(20, SECOND), 20);
/// Calls of an app that send.
const SENDS: Rate = Rate::new(20, SECOND);

/// The limits that others need.
pub(crate) fn limits() -> Limits {
    let mut limits = Limits::new(TEXT);
    limits.action_bytes = VALUE;
    limits.upload_bytes = vec![(Some(AttachmentKind::Image), FILE), (None, FILE)];
    limits.download_bytes = DOWNLOAD;
    // Each file is a message of its own.
    limits.attachments = usize::MAX;
    limits.rate_total = Some(SENDS);
    limits.edit_pause_direct = Duration::from_millis(500);
    limits.edit_pause_group = Duration::from_millis(500);
    limits
}

/// How fast the outbox may let requests go.
pub(crate) fn pacing() -> Pacing {
    Pacing::off()
        .groups(&["robot:"])
        .rule(Rule::within(Scope::Chat, GROUP_ROBOT, MINUTE, 5).only_in(Chats::Groups))
        .rule(Rule::new(Scope::Channel, SENDS, 10).only(Call::Send))
        .rule(Rule::new(Scope::Channel, CARDS.rate, 10).only(Call::Edit))
}

/// What can be promised: nothing that sends takes a key but cards.
pub(crate) fn guarantees() -> Guarantees {
    Guarantees::new(Redelivery::For(KEPT), Repeat::Doubles)
        .call("send a card", Repeat::Keyed(OUT_TRACK_ID))
        .call("update a card", Repeat::Idempotent)
        .call("recall a message", Repeat::Idempotent)
        .call("react", Repeat::Idempotent)
}
