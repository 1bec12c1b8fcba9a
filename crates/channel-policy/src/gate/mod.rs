//! The gate: every rule, in one order.

mod brought;
mod config;
mod foretell;
mod lately;
mod spelt;
mod subject;
mod told;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use channel_core::{
    Addressed, Bound, ChannelId, ChannelInfo, Clock, Error, Event, EventKind, Grant, Hold, Policy,
    Result, SenderKind, Verdict,
};

use crate::access::{Access, DirectPolicy};
use crate::allowlist::Allowlist;
use crate::audit::{Audit, AuditEvent};
use crate::context::Overheard;
use crate::identity::{Directory, Identities, Resolution};
use crate::pairing::{Invited, Pairing, Requested};
use crate::rate::{Admission, RateLimiter};
use crate::reason::{Counts, Reason};
use crate::trigger::Trigger;
pub use config::GateBuilder;
use lately::Lately;
use spelt::Spelt;
use subject::{Kind, Subject};
use told::Told;

const RATE_LIMITED: &str = "Too many messages. Please try again in a minute.";
const UNAVAILABLE: &str = "This is temporarily unavailable. Please try again later.";
const PAIRED: &str = "You are connected now.";

/// One rule of a [`Gate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The channel has settings, and a person writes.
    Sender,
    /// A connect command is settled, whoever sends it: before the allowlist, or nobody new
    /// could connect, and before the group trigger, so that a code that others have read
    /// is spoilt.
    Connect,
    /// The message is meant for the bot.
    Trigger,
    /// The sender and the chat have not said too much.
    Rate,
    /// The message is not too long.
    Length,
    /// The sender is allowed, or asks to be.
    Access,
    /// The account is bound.
    Identity,
}

/// Judges every event: one [`Policy`] made of all rules of this crate.
///
/// Nobody passes whom the settings do not name. Every verdict is counted and, with an
/// audit, recorded.
#[derive(Debug)]
pub struct Gate {
    clock: Arc<dyn Clock>,
    access: HashMap<ChannelId, Access>,
    others: Option<Access>,
    everywhere: Allowlist,
    /// How the platforms of the channels compare ids and handles.
    spelt: Spelt,
    allow_all: bool,
    strict: bool,
    limiter: Option<RateLimiter>,
    max_chars: usize,
    pairing: Option<Arc<Pairing>>,
    identities: Option<Arc<dyn Identities>>,
    require_bound: bool,
    directory: Option<Arc<dyn Directory>>,
    audit: Option<Arc<dyn Audit>>,
    counts: Counts,
    /// Who was told how to connect.
    told: Told,
    /// Strangers who have a pairing code.
    asked: Told,
    /// Those who were let in, where that took a look at a store.
    lately: Lately,
    /// Talk that was not meant for the bot.
    overheard: Overheard,
}

/// What a rule makes of an event.
enum Step {
    /// The next rule decides.
    On,
    /// It may pass as far as access goes.
    Allowed(Reason),
    /// It ends here.
    Refused(Reason),
    /// It ends here, with words for the sender.
    Answered(Reason, String),
}

/// What the rules have found out so far.
struct Pass {
    reason: Reason,
    bound: Option<Bound>,
    skip: usize,
    context: Option<String>,
}

impl Gate {
    /// The order of the rules; nothing else orders them.
    ///
    /// Before them an event has been verified, has got its place in the queue, and only
    /// then been acknowledged; after them comes the handler.
    pub const ORDER: [Stage; 7] = [
        Stage::Sender,
        Stage::Connect,
        Stage::Trigger,
        Stage::Rate,
        Stage::Length,
        Stage::Access,
        Stage::Identity,
    ];

    /// How often a reason was given.
    #[must_use]
    pub fn count(&self, reason: Reason) -> u64 {
        self.counts.get(reason)
    }

    fn access(&self, channel: &ChannelId) -> Option<&Access> {
        self.access.get(channel).or(self.others.as_ref())
    }

    async fn walk(&self, event: &Event) -> Result<Pass, Step> {
        let mut pass = Pass {
            reason: Reason::PlatformEvent,
            bound: None,
            skip: 0,
            context: None,
        };
        let Some(access) = self.access(&event.channel) else {
            return Err(Step::Refused(Reason::UnknownChannel));
        };
        let subject = match subject::read(event) {
            Kind::Somebody(subject) => subject,
            Kind::Platform => {
                if let EventKind::Deleted(deleted) = &event.kind {
                    self.overheard.forget(&event.channel, &deleted.messages);
                }
                return Ok(pass);
            }
            Kind::Unknown => return Err(Step::Refused(Reason::UnknownEvent)),
        };
        for stage in Self::ORDER {
            let step = match stage {
                Stage::Sender => sender(&subject),
                Stage::Connect => self.connect(&subject).await,
                Stage::Trigger => match self.trigger(&subject, access, &mut pass) {
                    Step::On => Step::On,
                    end => {
                        self.overhear(&subject, access).await;
                        end
                    }
                },
                Stage::Rate => self.rate(&subject),
                Stage::Length => self.length(&subject),
                Stage::Access => self.may(&subject, access).await,
                Stage::Identity => self.identity(&subject, &mut pass).await,
            };
            match step {
                Step::On => {}
                Step::Allowed(reason) => pass.reason = reason,
                end => return Err(end),
            }
        }
        pass.context = self.before(&subject, access, pass.skip);
        Ok(pass)
    }

    /// Remembers talk that is not meant for the bot, of those whom the bot would answer: what
    /// anybody else says reaches no handler, this way neither.
    async fn overhear(&self, subject: &Subject<'_>, access: &Access) {
        let most = access.groups.context();
        let Some(message) = subject.message.filter(|_| most > 0) else {
            return;
        };
        if self.shows_code(subject.event)
            || !matches!(self.may(subject, access).await, Step::Allowed(_))
        {
            return;
        }
        if let (Some(identities), true) = (&self.identities, self.require_bound) {
            let owner = identities.resolve(subject.account()).await;
            if !matches!(owner, Resolution::Bound(_)) {
                return;
            }
        }
        if subject.is_new {
            self.overheard.hear(message, most);
        } else {
            self.overheard.correct(message);
        }
    }

    /// What was said before a message that has passed. A command gets nothing, because it counts
    /// only at the start, and leaves it for the next message.
    fn before(&self, subject: &Subject<'_>, access: &Access, skip: usize) -> Option<String> {
        let message = subject.message?;
        if !subject.is_new || subject.is_direct() || access.groups.context() == 0 {
            return None;
        }
        let text = message.text.get(skip..).unwrap_or_default();
        let mut words = text.split_whitespace();
        let is_command = words.find(|word| !word.starts_with('@'));
        let is_command = message.addressed == Addressed::Command
            || is_command.is_some_and(|word| word.starts_with('/'));
        (!is_command).then(|| self.overheard.take(message))?
    }

    async fn connect(&self, subject: &Subject<'_>) -> Step {
        let (Some(identities), Some(message), true) =
            (&self.identities, subject.message, subject.is_new)
        else {
            return Step::On;
        };
        match identities.connect(message).await {
            None => Step::On,
            Some(settled) => match settled.answer {
                Some(answer) => Step::Answered(settled.reason, answer),
                None => Step::Refused(settled.reason),
            },
        }
    }

    fn trigger(&self, subject: &Subject<'_>, access: &Access, pass: &mut Pass) -> Step {
        let Some(message) = subject.message else {
            return Step::On;
        };
        let platform = &subject.account().platform;
        let declared = self.spelt.by(platform);
        match access.groups.decide_spelt(message, platform, declared) {
            Trigger::Respond { skip } => {
                pass.skip = skip;
                Step::On
            }
            Trigger::Ignore => Step::Refused(Reason::NotAddressed),
        }
    }

    fn rate(&self, subject: &Subject<'_>) -> Step {
        let (Some(limiter), true) = (&self.limiter, subject.counts) else {
            return Step::On;
        };
        let now = self.clock.elapsed();
        match limiter.admit(subject.account(), subject.channel, subject.chat, now) {
            Admission::Admitted => Step::On,
            Admission::RefusedFirst => Step::Answered(Reason::RateLimited, RATE_LIMITED.to_owned()),
            Admission::Refused => Step::Refused(Reason::RateLimited),
        }
    }

    fn length(&self, subject: &Subject<'_>) -> Step {
        let text = subject.message.map_or("", |message| message.text.as_str());
        if text.len() <= self.max_chars {
            return Step::On;
        }
        let chars = text.chars().count();
        if chars <= self.max_chars {
            return Step::On;
        }
        let answer = format!(
            "The message has {chars} characters, the limit is {}.",
            self.max_chars
        );
        Step::Answered(Reason::TooLong, answer)
    }

    /// Platform allow-all, role, paired, allowlists, global allow-all, deny. Where nobody can
    /// tell whether the sender is paired, the lists alone let pass.
    async fn may(&self, subject: &Subject<'_>, access: &Access) -> Step {
        if let Some(step) = self.may_before_pairing(subject, access) {
            return step;
        }
        let paired = match &self.pairing {
            Some(pairing) => pairing.is_paired(subject.account()).await,
            None => Ok(false),
        };
        if matches!(paired, Ok(true)) {
            self.asked.forget(subject.account());
            return Step::Allowed(Reason::Paired);
        }
        if let Some(step) = self.may_after_pairing(subject, access) {
            return step;
        }
        if let Err(error) = paired {
            return unavailable(subject, &error);
        }
        match access.direct {
            // Few are strangers, and the verdict on everybody would have to keep room for it.
            DirectPolicy::Pairing if subject.is_direct() => Box::pin(self.ask(subject)).await,
            _ => Step::Refused(Reason::NotAllowed),
        }
    }

    fn may_before_pairing(&self, subject: &Subject<'_>, access: &Access) -> Option<Step> {
        if subject.is_direct() && access.direct == DirectPolicy::Disabled {
            return Some(Step::Refused(Reason::DirectDisabled));
        }
        if access.allow_all {
            return Some(Step::Allowed(Reason::AllowAll));
        }
        let has_role = self.has_role(subject, access);
        has_role.then_some(Step::Allowed(Reason::Role))
    }

    fn may_after_pairing(&self, subject: &Subject<'_>, access: &Access) -> Option<Step> {
        if self.is_listed(subject, access) {
            return Some(Step::Allowed(Reason::Allowlist));
        }
        if self.allow_all {
            return Some(Step::Allowed(Reason::AllowAllChannels));
        }
        let is_open = subject.is_direct() && access.direct == DirectPolicy::Open;
        is_open.then_some(Step::Allowed(Reason::DirectOpen))
    }

    fn has_role(&self, subject: &Subject<'_>, access: &Access) -> bool {
        let (Some(directory), false) = (&self.directory, access.roles.is_empty()) else {
            return false;
        };
        let roles = directory.roles(subject.event);
        access.roles.iter().any(|role| roles.contains(role))
    }

    fn is_listed(&self, subject: &Subject<'_>, access: &Access) -> bool {
        let account = subject.account();
        let wants_handle = access.senders.has_handles() || self.everywhere.has_handles();
        let handle = match &self.directory {
            Some(directory) if wants_handle => directory.handle(subject.event),
            _ => None,
        };
        let (platform, handle) = (&account.platform, handle.as_deref());
        let declared = self.spelt.by(platform);
        let (senders, chats) = (&access.senders, &access.chats);
        senders.has_spelt(account, handle, declared)
            || self.everywhere.has_spelt(account, handle, declared)
            || !subject.is_direct() && chats.has_chat_spelt(platform, subject.chat, declared)
    }

    /// A stranger in a direct chat: an invite code, or a request to be let in.
    async fn ask(&self, subject: &Subject<'_>) -> Step {
        let (Some(pairing), Some(message), true, SenderKind::Person) = (
            &self.pairing,
            subject.message,
            subject.is_new,
            subject.sender.kind,
        ) else {
            return Step::Refused(Reason::NotAllowed);
        };
        match pairing.accept(subject.account(), &message.text).await {
            Ok(Some(Invited::Accepted)) => {
                return Step::Answered(Reason::InviteAccepted, PAIRED.to_owned());
            }
            Ok(Some(Invited::Invalid)) => return Step::Refused(Reason::InviteInvalid),
            Ok(Some(Invited::Locked)) => return Step::Refused(Reason::InviteLocked),
            Ok(None) => {}
            Err(error) => return unavailable(subject, &error),
        }
        let name = subject.sender.name.as_deref();
        let requested = pairing.request(subject.account(), name).await;
        if matches!(requested, Ok(Requested::Code(_) | Requested::Waiting)) {
            self.asked.first(subject.account(), self.clock.elapsed());
        }
        match requested {
            Ok(Requested::Code(code)) => {
                let answer = format!(
                    "Your pairing code is {}. Ask the administrator to approve it within an hour.",
                    code.expose()
                );
                Step::Answered(Reason::PairingRequested, answer)
            }
            Ok(Requested::Waiting) => Step::Refused(Reason::PairingWaiting),
            Ok(Requested::Full) => Step::Refused(Reason::PairingFull),
            Err(error) => unavailable(subject, &error),
        }
    }

    async fn identity(&self, subject: &Subject<'_>, pass: &mut Pass) -> Step {
        let Some(identities) = &self.identities else {
            return Step::On;
        };
        let account = subject.account();
        match identities.resolve(account).await {
            Resolution::Bound(bound) => {
                pass.bound = Some(bound);
                Step::On
            }
            _ if !self.require_bound => Step::On,
            Resolution::Unavailable => closed(subject),
            Resolution::Unbound => {
                let now = self.clock.elapsed();
                if subject.is_new && self.told.first(account, now) {
                    Step::Answered(Reason::Unbound, identities.instruction(account))
                } else {
                    Step::Refused(Reason::Unbound)
                }
            }
        }
    }

    fn conclude(&self, event: &Event, outcome: Result<Pass, Step>) -> Verdict {
        let (reason, verdict) = match outcome {
            Ok(pass) => (pass.reason, pass.into()),
            Err(Step::Answered(reason, answer)) => {
                let verdict = match reason {
                    // It names the pairing code.
                    Reason::PairingRequested => Verdict::Confide(reason.as_str(), answer),
                    _ => Verdict::Answer(reason.as_str(), answer),
                };
                (reason, verdict)
            }
            Err(Step::Refused(reason) | Step::Allowed(reason)) => {
                (reason, Verdict::Refuse(reason.as_str()))
            }
            Err(Step::On) => (
                Reason::NotAllowed,
                Verdict::Refuse(Reason::NotAllowed.as_str()),
            ),
        };
        self.counts.add(reason);
        if let Some(audit) = &self.audit {
            let mut line = AuditEvent::new(
                self.clock.now(),
                "verdict",
                verdict.is_yes(),
                reason.as_str(),
            )
            .channel(&event.channel);
            if let Kind::Somebody(subject) = subject::read(event) {
                line = line.account(subject.account());
            }
            if let Verdict::Grant(grant) = &verdict
                && let Some(bound) = &grant.bound
            {
                line = line.owner(&bound.owner);
            }
            audit.record(line);
        }
        verdict
    }
}

impl From<Pass> for Verdict {
    fn from(pass: Pass) -> Self {
        let reason = pass.reason.as_str();
        if pass.bound.is_none() && pass.skip == 0 && pass.context.is_none() {
            return Self::Allow(reason);
        }
        Self::Grant(Box::new(
            Grant::new(reason)
                .bound(pass.bound)
                .skip(pass.skip)
                .context(pass.context),
        ))
    }
}

/// Whether the sender may cannot be told, and so may not. In shared chats strangers learn
/// nothing.
fn unavailable(subject: &Subject<'_>, error: &Error) -> Step {
    tracing::warn!(%error, "whether somebody is paired cannot be told");
    if subject.is_direct() {
        closed(subject)
    } else {
        Step::Refused(Reason::StoreUnavailable)
    }
}

/// Closed while a store cannot be asked; who writes is told.
fn closed(subject: &Subject<'_>) -> Step {
    if subject.is_new {
        Step::Answered(Reason::StoreUnavailable, UNAVAILABLE.to_owned())
    } else {
        Step::Refused(Reason::StoreUnavailable)
    }
}

fn sender(subject: &Subject<'_>) -> Step {
    match subject.sender.kind {
        SenderKind::Person | SenderKind::Chat => Step::On,
        _ => Step::Refused(Reason::NotAPerson),
    }
}

#[async_trait]
impl Policy for Gate {
    async fn judge(&self, event: &Event) -> Verdict {
        // Before the look: a pairing that is taken back meanwhile is not remembered.
        let revocations = self.pairing.as_ref().map(|pairing| pairing.revocations());
        let outcome = self.walk(event).await;
        self.remember(event, &outcome, revocations);
        self.conclude(event, outcome)
    }

    fn foretell(&self, event: &Event) -> Verdict {
        match self.walk_without_io(event) {
            Ok(pass) => pass.into(),
            Err(reason) => Verdict::Refuse(reason.as_str()),
        }
    }

    fn check(&self, channels: &[&ChannelInfo]) -> Result<()> {
        self.spelt.learn(channels);
        if let Some(id) = self
            .access
            .keys()
            .find(|id| channels.iter().all(|info| info.id != **id))
        {
            return Err(Error::config(format!(
                "access to {id}: there is no channel of this name"
            )));
        }
        for info in channels {
            let listed = match self.access(&info.id) {
                Some(access) => access.has_list(),
                None => false,
            };
            if self.strict && !listed && !self.everywhere.concerns(&info.platform) {
                return Err(Error::config(format!(
                    "access to {}: the strict profile wants an allowlist",
                    info.id
                )));
            }
        }
        Ok(())
    }

    async fn still_holds(&self, bound: &Bound) -> bool {
        match &self.identities {
            Some(identities) => identities.still_holds(bound).await,
            None => true,
        }
    }

    async fn hold(&self, bound: &Bound) -> Result<Option<Hold>> {
        match &self.identities {
            Some(identities) => identities.hold(bound).await,
            None => Ok(Some(Hold::default())),
        }
    }

    fn is_secret(&self, event: &Event) -> bool {
        self.shows_code(event)
    }

    fn judges_groups(&self) -> bool {
        true
    }
}
