//! Connect commands as the chat sees them, and the order in which they are judged.

use std::sync::Arc;

use async_trait::async_trait;
use channel_binding::{
    BindingRecord, BindingStore, Closed, CodeHash, ConnectGate, ConnectPlatform, ConversationKey,
    Details, Disconnected, LiveCodes, MemoryBindings, Minted, NewCode, Redeemed, Redemption,
    SealedCredential, TrailEntry, Whose,
};
use channel_core::{
    AccountRef, BindingId, BindingScope, ChannelInfo, Chat, ChatKind, Clock as _, Error, ErrorKind,
    Event, EventKind, Hold, Limits, Message, OwnerId, Platform, Policy as _, Proof, Result,
    SenderKind, TextLimit, TextUnit, Verdict,
};
use channel_policy::{AccessConfig, Gate, Identities as _, Reason, Resolution};

use crate::fixture::{ACME, Database, Kind, Kit, LINKED, MILLI, SECOND, account, builder, message};

pub(crate) async fn kit() -> Kit {
    Kit::new(Kind::Memory).await
}

fn in_group(mut message: Message) -> Message {
    message.chat = Chat::new("team".into(), ChatKind::Group);
    message
}

pub(crate) fn event(message: Message) -> Event {
    let channel = message.channel().clone();
    Event::new("e1".into(), channel, EventKind::Message(Box::new(message)))
}

#[tokio::test]
async fn what_an_owner_gets_is_what_the_page_shows() {
    let kit = kit().await;
    let ada = OwnerId::new("ada");
    let offer = kit.bindings.mint(&ada, "acme").await.unwrap();
    let code = offer.code.expose();
    assert_eq!(code.len(), 22);
    assert!(offer.url.is_none());
    assert_eq!(
        offer.instruction.expose(),
        format!("Send /connect {code} to the Kit Acme bot")
    );
    assert_eq!(offer.expires_in.as_secs(), 600);

    let offer = kit.bindings.mint(&ada, "linked").await.unwrap();
    let code = offer.code.expose();
    assert_eq!(
        offer.url.unwrap().expose(),
        format!("https://linked.example/kit?start={code}")
    );
    assert_eq!(
        offer.instruction.expose(),
        "Open the link and press Start in Linked"
    );
}

#[tokio::test]
async fn a_link_without_a_bot_is_not_configured() {
    let kit = kit().await;
    let bindings = builder(MemoryBindings::new(), &kit.clock)
        .platform(ConnectPlatform::by_link(
            Platform::new("nameless"),
            "N",
            |_| None,
        ))
        .build()
        .unwrap();
    assert!(!bindings.platform("nameless").unwrap().is_configured());
    let error = bindings
        .mint(&OwnerId::new("ada"), "nameless")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn each_platform_has_one_command() {
    let kit = kit().await;
    let offer = kit
        .bindings
        .mint(&OwnerId::new("ada"), "linked")
        .await
        .unwrap();
    let code = offer.code.expose();
    for ordinary in [
        message(LINKED, "a", &format!("/connect {code}")),
        message(LINKED, "a", "/start"),
        message(LINKED, "a", "/start campaign-7"),
        message(ACME, "a", &format!("/start {code}")),
        message(Platform::new("other"), "a", &format!("/connect {code}")),
    ] {
        assert_eq!(
            kit.gate.connect(&ordinary).await,
            None,
            "{:?}",
            ordinary.text
        );
    }
    let settled = kit
        .settle(&message(LINKED, "a", &format!("/start {code}")))
        .await;
    assert_eq!(settled.reason, Reason::Connected);
    assert_eq!(settled.answer.as_deref(), Some("Connected to Kit."));
}

#[tokio::test]
async fn every_code_that_does_not_hold_gets_the_same_answer() {
    let kit = kit().await;
    let used = kit.mint("ada").await;
    assert_eq!(kit.send("a", &used).await, "connected");
    let expired = kit.mint("ada").await;
    kit.clock.advance(600 * SECOND + MILLI);
    let never = "AAAAAAAAAAAAAAAAAAAAAA".to_owned();
    let malformed = "x".to_owned();
    let mut answers = Vec::new();
    for (n, code) in [used, expired, never, malformed].iter().enumerate() {
        let message = kit.direct(&format!("s{n}"), &format!("/connect {code}"));
        answers.push(kit.settle(&message).await);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].reason, Reason::ConnectInvalid);
}

#[tokio::test]
async fn replayed_history_is_not_answered_again() {
    let kit = kit().await;
    let code = kit.mint("ada").await;
    let first = kit.direct("a", &format!("/connect {code}"));
    assert_eq!(kit.settle(&first).await.reason, Reason::Connected);
    let again = kit.settle(&first).await;
    assert_eq!(
        (again.reason, again.answer),
        (Reason::ConnectReplayed, None)
    );

    // Nor is a code that never held, of which the store knows nothing.
    let wrong = kit.direct("a", "/connect AAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(kit.settle(&wrong).await.reason, Reason::ConnectInvalid);
    assert_eq!(kit.settle(&wrong).await.reason, Reason::ConnectReplayed);

    // A restart forgets what was settled; the store knows the message that used the code.
    let restarted = ConnectGate::new(kit.bindings.clone());
    let again = restarted.connect(&first).await.unwrap();
    assert_eq!(
        (again.reason, again.answer),
        (Reason::ConnectReplayed, None)
    );

    // When the store has forgotten too, the command is too old to be meant.
    let code = kit.mint("ada").await;
    let old = kit.direct("a", &format!("/connect {code}"));
    kit.clock.advance(600 * SECOND);
    assert_eq!(
        kit.settle(&old).await.reason,
        Reason::Connected,
        "at exactly its end"
    );
    let old = kit.direct("a", "/connect AAAAAAAAAAAAAAAAAAAAAA");
    kit.clock.advance(600 * SECOND + MILLI);
    let again = kit.settle(&old).await;
    assert_eq!(
        (again.reason, again.answer),
        (Reason::ConnectReplayed, None)
    );
}

#[tokio::test]
async fn a_code_in_a_shared_chat_is_spoilt_and_its_owner_told() {
    let kit = kit().await;
    let code = kit.mint("ada").await;
    let pasted = in_group(kit.direct("eve", &format!("/connect {code}")));
    let settled = kit.settle(&pasted).await;
    assert_eq!(
        (settled.reason, settled.answer),
        (Reason::ConnectShared, None)
    );
    assert_eq!(kit.told.take(), [("ada".to_owned(), "code_exposed")]);
    assert_eq!(kit.send("a", &code).await, "connect_invalid");
    assert_eq!(kit.owner("eve").await, None);
    let trail = kit.bindings.trail(&OwnerId::new("ada"), 10).await.unwrap();
    assert_eq!(trail[0].action, "code_exposed");
}

#[tokio::test]
async fn five_wrong_codes_lock_the_sender_before_the_right_one_is_looked_up() {
    let kit = kit().await;
    for _ in 0..5 {
        assert_eq!(
            kit.send("eve", "AAAAAAAAAAAAAAAAAAAAAA").await,
            "connect_invalid"
        );
    }
    kit.clock.advance(3600 * SECOND - MILLI);
    let code = kit.mint("ada").await;
    assert_eq!(kit.send("eve", &code).await, "connect_locked");
    assert_eq!(
        kit.send("a", &code).await,
        "connected",
        "it was not used up"
    );
    kit.clock.advance(MILLI);
    let code = kit.mint("eve").await;
    assert_eq!(kit.send("eve", &code).await, "connected");
}

/// Nobody makes the bot talk by guessing on.
#[tokio::test]
async fn who_is_locked_is_told_so_once_while_the_lock_lasts() {
    const WRONG: &str = "/connect AAAAAAAAAAAAAAAAAAAAAA";
    let kit = kit().await;
    let lock = async |sender: &str| {
        for _ in 0..5 {
            let settled = kit.settle(&kit.direct(sender, WRONG)).await;
            assert_eq!(settled.reason, Reason::ConnectInvalid);
        }
    };
    let told = async |sender: &str| {
        let settled = kit.settle(&kit.direct(sender, WRONG)).await;
        assert_eq!(settled.reason, Reason::ConnectLocked);
        settled.answer.is_some()
    };
    lock("eve").await;
    assert!(told("eve").await);
    for _ in 0..20 {
        assert!(!told("eve").await);
    }
    lock("mallory").await;
    assert!(told("mallory").await, "everybody for themselves");
    kit.clock.advance(3600 * SECOND);
    lock("eve").await;
    assert!(told("eve").await, "another lock");
    assert!(!told("eve").await);
}

#[tokio::test]
async fn a_day_of_guessing_gets_five_tries_an_hour_and_locks_nobody_else() {
    let kit = kit().await;
    let mut looked_up = 0;
    for minute in 0..24 * 60u32 {
        if minute % 30 == 0 {
            let code = kit.mint("ada").await;
            let sender = format!("honest{minute}");
            assert_eq!(
                kit.send(&sender, "AAAAAAAAAAAAAAAAAAAAAA").await,
                "connect_invalid"
            );
            assert_eq!(kit.send(&sender, &code).await, "connected");
        }
        for guess in 0..10 {
            let code = format!("{:021}A", minute * 10 + guess);
            if kit.send("eve", &code).await != "connect_locked" {
                looked_up += 1;
            }
        }
        kit.clock.advance(60 * SECOND);
    }
    assert_eq!(looked_up, 120, "five an hour");
}

/// One owner, accounts on two platforms: nobody is a stranger on the second.
#[tokio::test]
async fn pain_36_the_same_person_is_the_same_owner_on_every_platform() {
    let kit = kit().await;
    let ada = OwnerId::new("ada");
    kit.connect("ada", "a").await;
    let code = kit.bindings.mint(&ada, "linked").await.unwrap().code;
    let mut message = kit.direct("17", &format!("/start {}", code.expose()));
    message.sender.account = AccountRef::new(LINKED, "17".into());
    assert_eq!(kit.settle(&message).await.reason.as_str(), "connected");
    let there = AccountRef::new(LINKED, "17".into());
    for account in [crate::fixture::account("a"), there.clone()] {
        let found = kit.bindings.resolve(&account).await.unwrap().unwrap();
        assert_eq!(found.owner, ada);
    }
    // Taken apart again, with a line of the trail for each step.
    let id = kit.bindings.resolve(&there).await.unwrap().unwrap().id;
    kit.bindings.disconnect(&ada, &id).await.unwrap();
    assert!(kit.bindings.resolve(&there).await.unwrap().is_none());
    assert_eq!(kit.owner("a").await.as_deref(), Some("ada"));
    let trail = kit.bindings.trail(&ada, 10).await.unwrap();
    let mut actions: Vec<_> = trail.iter().map(|line| line.action.as_str()).collect();
    actions.sort_unstable();
    assert_eq!(actions, ["connected", "connected", "revoked"]);
}

/// A binding that is taken back while its message is on the way: whoever acts on it asks
/// again, and the gate says the same before each answer.
#[tokio::test]
async fn a_binding_that_is_taken_back_holds_for_nothing_under_way() {
    let kit = kit().await;
    kit.connect("ada", "a").await;
    let account = crate::fixture::account("a");
    let binding = kit.bindings.resolve(&account).await.unwrap().unwrap();
    let bound = binding.bound(&account);
    assert!(kit.bindings.confirm(&bound).await.unwrap());
    assert!(kit.gate.still_holds(&bound).await);
    kit.bindings
        .disconnect(&binding.owner, &binding.id)
        .await
        .unwrap();
    assert!(!kit.bindings.confirm(&bound).await.unwrap());
    assert!(!kit.gate.still_holds(&bound).await);
    // Nor does it hold again once somebody else has the account.
    kit.connect("bob", "a").await;
    assert!(!kit.gate.still_holds(&bound).await);
    kit.connect("ada", "a").await;
    assert!(
        kit.gate.still_holds(&bound).await,
        "the same owner, the same binding"
    );
}

/// What the ids of senders mean is a fact about the platform: the adapter says it.
#[tokio::test]
async fn where_a_binding_holds_is_what_the_adapter_declares() {
    let kit = kit().await;
    for (scope, holds) in [
        (BindingScope::Workspace, false),
        (BindingScope::Personal, true),
    ] {
        let platform = Platform::new("declared");
        let limits = Limits::new(TextLimit::new(100, TextUnit::CodePoints));
        let info = ChannelInfo::new("declared".into(), platform.clone(), limits);
        let info = info.binding_scope(scope);
        let declared = ConnectPlatform::by_code(platform.clone(), "D").declared_by(&info);
        let bindings = builder(MemoryBindings::new(), &kit.clock)
            .platform(declared)
            .build()
            .unwrap();
        let gate = ConnectGate::new(bindings.clone());
        let code = bindings.mint(&OwnerId::new("ada"), "declared").await;
        let code = code.unwrap().code.expose().to_owned();
        let mut message = message(platform.clone(), "u", &format!("/connect {code}"));
        let sender = message.sender.account.clone();
        message.sender.account = sender.clone().in_workspace("here".into());
        assert_eq!(
            gate.connect(&message).await.unwrap().reason,
            Reason::Connected
        );
        let elsewhere = sender.in_workspace("there".into());
        assert_eq!(bindings.resolve(&elsewhere).await.unwrap().is_some(), holds);
    }
}

#[tokio::test]
async fn bots_and_chats_cannot_be_connected() {
    let kit = kit().await;
    let code = kit.mint("ada").await;
    for kind in [SenderKind::Bot, SenderKind::Chat, SenderKind::System] {
        let mut message = kit.direct("a", &format!("/connect {code}"));
        message.sender.kind = kind;
        assert_eq!(kit.settle(&message).await.reason, Reason::ConnectUnproven);
    }
    assert_eq!(
        kit.send("a", &code).await,
        "connected",
        "nothing was used up"
    );
}

/// The rules of a connect command in their order: each row breaks one rule and all that
/// come after it, and the reason names the one that came first.
#[tokio::test]
async fn the_order_of_the_rules_is_this_one() {
    let kit = kit().await;
    for _ in 0..5 {
        kit.send("locked", "AAAAAAAAAAAAAAAAAAAAAA").await;
    }
    let code = kit.mint("ada").await;
    let spoil = |mut message: Message, old: bool, claimed: bool, shared: bool| {
        if old {
            let now = kit.clock.now();
            message.sent_at = now.checked_sub(601 * SECOND);
        }
        if claimed {
            message.sender.proof = Proof::Claimed;
        }
        if shared { in_group(message) } else { message }
    };
    let text = "/connect AAAAAAAAAAAAAAAAAAAAAA";
    for (sender, old, claimed, shared, expected) in [
        ("locked", true, true, true, Reason::ConnectReplayed),
        ("locked", false, true, true, Reason::ConnectUnproven),
        ("locked", false, false, true, Reason::ConnectLocked),
        ("free", false, false, true, Reason::ConnectShared),
        ("free", false, false, false, Reason::ConnectInvalid),
    ] {
        let message = spoil(kit.direct(sender, text), old, claimed, shared);
        assert_eq!(kit.settle(&message).await.reason, expected);
    }
    assert_eq!(kit.send("free", &code).await, "connected");
}

#[tokio::test]
async fn the_whole_way_of_a_stranger_through_the_gate() {
    let kit = kit().await;
    let gate = Gate::builder(Arc::new(kit.clock.clone()))
        .channel("acme", AccessConfig::new().allow_from("*"))
        .identities(Arc::new(ConnectGate::new(kit.bindings.clone())))
        .build()
        .unwrap();
    let verdict = gate.judge(&event(kit.direct("a", "hello"))).await;
    assert_eq!(
        verdict,
        Verdict::Answer(
            "unbound",
            "This account is not connected yet. Sign in to Kit and connect Acme there.".into()
        )
    );
    let code = kit.mint("ada").await;
    let verdict = gate
        .judge(&event(kit.direct("a", &format!("/connect {code}"))))
        .await;
    assert_eq!(
        verdict,
        Verdict::Answer("connected", "Connected to Kit.".into())
    );
    let Verdict::Grant(grant) = gate.judge(&event(kit.direct("a", "hello"))).await else {
        panic!("refused");
    };
    assert_eq!(grant.bound.unwrap().owner.as_str(), "ada");
    let ada = OwnerId::new("ada");
    let binding = &kit.bindings.list(&ada).await.unwrap()[0];
    kit.bindings.disconnect(&ada, &binding.id).await.unwrap();
    assert_eq!(
        gate.judge(&event(kit.direct("a", "hello"))).await.reason(),
        "unbound"
    );
    // A closed list does not keep anybody from connecting.
    let closed = Gate::builder(Arc::new(kit.clock.clone()))
        .channel("acme", AccessConfig::new())
        .identities(Arc::new(ConnectGate::new(kit.bindings.clone())))
        .build()
        .unwrap();
    let code = kit.mint("ada").await;
    let verdict = closed
        .judge(&event(kit.direct("new", &format!("/connect {code}"))))
        .await;
    assert_eq!(verdict.reason(), "connected");
}

/// A store that is down: everything fails.
#[derive(Debug)]
struct Down;

fn down<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unavailable, "down"))
}

#[async_trait]
impl BindingStore for Down {
    async fn mint(&self, _: &NewCode, _: LiveCodes) -> Result<Minted> {
        down()
    }
    async fn redeem(&self, _: &Redemption) -> Result<Redeemed> {
        down()
    }
    async fn is_live(&self, _: &CodeHash, _: &Platform, _: std::time::SystemTime) -> Result<bool> {
        down()
    }
    async fn burn(
        &self,
        _: &CodeHash,
        _: &Platform,
        _: std::time::SystemTime,
    ) -> Result<Option<OwnerId>> {
        down()
    }
    async fn resolve(&self, _: &AccountRef, _: bool) -> Result<Option<BindingRecord>> {
        down()
    }
    async fn begin_message(&self, _: &AccountRef) -> Result<Option<Hold>> {
        down()
    }
    async fn hold_back(&self, _: &Whose) -> Result<Option<Box<dyn Closed>>> {
        down()
    }
    async fn find(&self, _: &OwnerId, _: &BindingId) -> Result<Option<BindingRecord>> {
        down()
    }
    async fn list(&self, _: &OwnerId) -> Result<Vec<BindingRecord>> {
        down()
    }
    async fn disconnect(
        &self,
        _: &OwnerId,
        _: &BindingId,
        _: std::time::SystemTime,
    ) -> Result<Disconnected> {
        down()
    }
    async fn revoke_platform(
        &self,
        _: &Platform,
        _: std::time::SystemTime,
    ) -> Result<Vec<BindingRecord>> {
        down()
    }
    async fn purge(&self, _: &OwnerId) -> Result<u64> {
        down()
    }
    async fn touch(&self, _: &BindingId, _: std::time::SystemTime, _: bool) -> Result<()> {
        down()
    }
    async fn credentials(
        &self,
        _: Option<&BindingId>,
        _: u32,
    ) -> Result<Vec<(BindingRecord, SealedCredential)>> {
        down()
    }
    async fn replace_credential(&self, _: &BindingId, _: i64, _: &str) -> Result<bool> {
        down()
    }
    async fn describe(&self, _: &OwnerId, _: &BindingId, _: &Details) -> Result<bool> {
        down()
    }
    async fn thread(
        &self,
        _: &ConversationKey,
        _: &str,
        _: std::time::SystemTime,
    ) -> Result<String> {
        down()
    }
    async fn put_credential(&self, _: &BindingId, _: &str) -> Result<Option<i64>> {
        down()
    }
    async fn credential(&self, _: &BindingId) -> Result<Option<SealedCredential>> {
        down()
    }
    async fn trail(&self, _: &OwnerId, _: u32) -> Result<Vec<TrailEntry>> {
        down()
    }
    async fn sweep(&self, _: std::time::SystemTime, _: std::time::SystemTime) -> Result<()> {
        down()
    }
}

#[tokio::test]
async fn a_store_that_is_down_lets_nobody_pass_and_says_so() {
    let kit = Kit::on(Down, Database::new(Kind::Memory).await);
    for _ in 0..20 {
        let message = kit.direct("a", "/connect AAAAAAAAAAAAAAAAAAAAAA");
        let settled = kit.settle(&message).await;
        assert_eq!(
            settled.reason,
            Reason::StoreUnavailable,
            "never locked by our fault"
        );
        assert!(settled.answer.unwrap().contains("temporarily unavailable"));
        // Delivered again it is tried again, not taken for settled.
        assert_eq!(kit.settle(&message).await.reason, Reason::StoreUnavailable);
    }
    assert_eq!(
        kit.gate.resolve(&account("a")).await,
        Resolution::Unavailable
    );
    let error = kit
        .bindings
        .mint(&OwnerId::new("ada"), "acme")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}
