//! The senders of the load generator, and their bindings.

use channel_binding::{Bindings, ConnectGate};
use channel_core::{
    AccountRef, Chat, ChatKind, Error, Message, OwnerId, Platform, Proof, ReplyTo, Result, Sender,
    Target,
};
use channel_policy::{Identities as _, Reason};

/// How many people write.
const PEOPLE: usize = 20;

/// Who writes in Slack.
pub(crate) fn slack() -> Vec<AccountRef> {
    let account = |n| {
        let id = format!("U01AAAA{n:04}");
        AccountRef::new(Platform::new("slack"), id.into()).in_workspace("T0123ABCDEF".into())
    };
    (0..PEOPLE).map(account).collect()
}

/// Who writes in LINE.
pub(crate) fn line() -> Vec<AccountRef> {
    let account = |n| {
        let id = format!("U{}{n:06}", "0".repeat(26));
        AccountRef::new(Platform::new("line"), id.into())
    };
    (0..PEOPLE).map(account).collect()
}

/// Binds each of them, as they would do it themselves: with a code in a direct chat.
pub(crate) async fn bind(
    bindings: &Bindings,
    gate: &ConnectGate,
    people: Vec<AccountRef>,
) -> Result<()> {
    for account in people {
        let owner = OwnerId::new(account.sender.as_str());
        let offer = bindings.mint(&owner, account.platform.as_str()).await?;
        let sender = Sender::new(account, Proof::Verified);
        let reply = ReplyTo::new("bench".into(), Target::chat(owner.as_str()));
        let chat = Chat::new(owner.as_str().into(), ChatKind::Direct);
        let mut message = Message::new("1".into(), chat, sender, reply);
        message.text = format!("/connect {}", offer.code.expose());
        let settled = gate.connect(&message).await;
        if settled.is_none_or(|settled| settled.reason != Reason::Connected) {
            return Err(Error::config("an account was not bound"));
        }
    }
    Ok(())
}
