//! What is asked next, by chance and by what the store in memory has.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::{
    AccountRef, Body, ChannelId, Chat, ChatId, ChatKind, Event, EventKind, IdempotencyKey, Message,
    MessageRef, OutboundMessage, Platform, Proof, Raw, Receipt, ReplyTo, Sender, Target, Unknown,
};
use channel_delivery::{
    DeliveryId, EventState, Fence, MemoryStore, NewDelivery, NewEvent, Outcome, Part, PartState,
    Recorded, Seq, Store as _, StoredDelivery, StoredEvent, WorkerId,
};
use channel_testkit::SeededRandom;

use super::call::{Answer, Call};

pub(super) const CHANNELS: [&str; 2] = ["acme", "beta"];
pub(super) const CHATS: [&str; 3] = ["ada", "bob", "team"];
/// So few that they are met again.
pub(super) const KEYS: u64 = 12;
/// How many of the last names of events are met again.
const LATELY: u64 = 6;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Enroll,
    Leave,
    Renew,
    Record,
    Claim,
    Owned,
    Begin,
    Finish,
    Plan,
    Update,
    ClaimDeliveries,
    Ahead,
    OwnedDeliveries,
    NotePreview,
    SetTarget,
    RetryEvent,
    DropEvent,
    RetryDelivery,
    DropDelivery,
    Sweep,
}

/// How often what is asked; each seed has its own favourites.
const KINDS: [(Kind, u64); 20] = [
    (Kind::Enroll, 1),
    (Kind::Leave, 1),
    (Kind::Renew, 3),
    (Kind::Record, 9),
    (Kind::Claim, 4),
    (Kind::Owned, 2),
    (Kind::Begin, 12),
    (Kind::Finish, 16),
    (Kind::Plan, 10),
    (Kind::Update, 24),
    (Kind::ClaimDeliveries, 4),
    (Kind::Ahead, 5),
    (Kind::OwnedDeliveries, 2),
    (Kind::NotePreview, 2),
    (Kind::SetTarget, 2),
    (Kind::RetryEvent, 1),
    (Kind::DropEvent, 1),
    (Kind::RetryDelivery, 1),
    (Kind::DropDelivery, 1),
    (Kind::Sweep, 3),
];

/// Everything that chance decides.
pub(super) struct Draw {
    random: SeededRandom,
    often: [(Kind, u64); 20],
    pub(super) now: SystemTime,
    /// All workers that there ever were, and those of which nothing is known but that they
    /// live.
    pub(super) workers: Vec<Fence>,
    pub(super) alive: Vec<Fence>,
    /// Who changed a delivery last.
    owners: BTreeMap<DeliveryId, Fence>,
    known: Numbers,
    /// With those that are not answered yet.
    given: Numbers,
}

/// The last numbers that were given.
#[derive(Debug, Default, Clone, Copy)]
struct Numbers {
    event: i64,
    delivery: i64,
}

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        let random = SeededRandom::new(seed);
        let favour = |(kind, often)| {
            let times = match random.next_u64() % 4 {
                0 => 0,
                3 => 4,
                _ => 1,
            };
            (kind, often * times)
        };
        let often = KINDS.map(favour);
        Self {
            random,
            often,
            now: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            workers: Vec::new(),
            alive: Vec::new(),
            owners: BTreeMap::new(),
            known: Numbers::default(),
            given: Numbers::default(),
        }
    }

    pub(super) fn below(&self, bound: u64) -> u64 {
        self.random.next_u64() % bound
    }

    pub(super) fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<'a, T>(&self, from: &'a [T]) -> Option<&'a T> {
        from.get(usize::try_from(self.below(from.len().max(1) as u64)).unwrap())
    }

    /// Mostly the first of them, so that much meets there.
    fn mostly_first<'a>(&self, names: &[&'a str]) -> &'a str {
        let first = names.first().filter(|_| self.chance(60));
        first.or_else(|| self.pick(names)).unwrap()
    }

    pub(super) fn channel(&self) -> ChannelId {
        ChannelId::new(self.mostly_first(&CHANNELS))
    }

    fn chat(&self) -> ChatId {
        ChatId::from(self.mostly_first(&CHATS))
    }

    fn key(&self) -> IdempotencyKey {
        IdempotencyKey::new(format!("key-{}", self.below(KEYS)))
    }

    pub(super) fn limit(&self) -> usize {
        *self.pick(&[0, 1, 2, 3, 1000]).unwrap()
    }

    fn target(&self) -> Target {
        let target = Target::chat(self.chat());
        match self.chance(25) {
            true => target.thread("thread"),
            false => target,
        }
    }

    /// Time goes on: mostly by a little, sometimes by so much that leases end.
    pub(super) fn wait(&mut self) {
        let millis = match self.below(60) {
            0 => 20_000,
            1..20 => self.below(1000),
            _ => 0,
        };
        self.now += Duration::from_millis(millis);
    }

    /// A living worker, or one that has been.
    fn worker(&self) -> Fence {
        let from = match self.chance(93) && !self.alive.is_empty() {
            true => &self.alive,
            false => &self.workers,
        };
        self.pick(from).copied().unwrap_or(Fence::new(1))
    }

    /// An event that is there, or may have been, or never was.
    fn any_event(&self) -> Seq {
        Seq::new(self.number_to(self.known.event))
    }

    fn any_delivery(&self) -> DeliveryId {
        DeliveryId::new(self.number_to(self.known.delivery))
    }

    fn number_to(&self, last: i64) -> i64 {
        if last == 0 || self.chance(3) {
            return 100_000;
        }
        let number = self.below(u64::try_from(last).unwrap());
        i64::try_from(number + 1).unwrap()
    }

    /// What an answer says of numbers and owners.
    pub(super) fn heard(&mut self, asked: &Call, answer: &Answer) {
        match (asked, answer) {
            (Call::Update(fence, delivery, _), Answer::Done) => {
                self.owners.insert(*delivery, *fence);
            }
            (_, Answer::Recorded(recorded)) => {
                for answer in recorded {
                    if let Recorded::Fresh { seq, .. } = answer {
                        self.given.event = seq.number();
                    }
                }
            }
            (_, Answer::Planned(planned)) if planned.is_new => {
                self.given.delivery = planned.delivery.id.number();
            }
            _ => {}
        }
    }

    /// Everything is answered: before that nobody can ask about what was given a number.
    pub(super) const fn all_is_answered(&mut self) {
        self.known = self.given;
    }

    pub(super) fn after_event(&self) -> Option<Seq> {
        self.chance(50).then(|| self.any_event())
    }

    pub(super) fn after_delivery(&self) -> Option<DeliveryId> {
        self.chance(50).then(|| self.any_delivery())
    }

    /// The next request.
    pub(super) async fn call(&self, memory: &MemoryStore) -> Call {
        if self.alive.is_empty() {
            return self.enroll();
        }
        let fence = self.worker();
        match self.kind() {
            Kind::Enroll => self.enroll(),
            Kind::Leave => Call::Leave(fence),
            Kind::Renew => Call::Renew(fence),
            Kind::Record => self.record(fence),
            Kind::Claim => Call::Claim(fence, self.limit()),
            Kind::Owned => Call::Owned(fence, self.after_event(), self.limit()),
            Kind::Begin => self.begin(memory, false).await,
            Kind::Finish => self.begin(memory, true).await,
            Kind::Plan => self.plan(fence),
            Kind::Update => self.update(memory).await,
            Kind::ClaimDeliveries => Call::ClaimDeliveries(fence, self.limit()),
            Kind::Ahead => Call::Ahead(fence, self.any_delivery(), self.limit()),
            Kind::OwnedDeliveries => {
                Call::OwnedDeliveries(fence, self.after_delivery(), self.limit())
            }
            Kind::NotePreview => {
                Call::NotePreview(fence, self.channel(), self.key(), self.receipt())
            }
            Kind::SetTarget => self.target_is_dead(),
            Kind::RetryEvent => Call::RetryEvent(self.dead_event(memory).await),
            Kind::DropEvent => Call::DropEvent(self.dead_event(memory).await),
            Kind::RetryDelivery => Call::RetryDelivery(self.dead_delivery(memory).await),
            Kind::DropDelivery => Call::DropDelivery(self.dead_delivery(memory).await),
            Kind::Sweep => {
                let back = Duration::from_secs(self.below(60));
                Call::Sweep(self.now - back, self.limit())
            }
        }
    }

    fn kind(&self) -> Kind {
        if self.chance(2) {
            return Kind::Enroll;
        }
        let all = self.often.iter().map(|(_, often)| often).sum();
        let mut place = self.below(all);
        for (kind, often) in &self.often {
            match place.checked_sub(*often) {
                Some(rest) => place = rest,
                None => return *kind,
            }
        }
        Kind::Enroll
    }

    fn enroll(&self) -> Call {
        Call::Enroll(WorkerId::new(format!("worker {}", self.workers.len())))
    }

    fn record(&self, fence: Fence) -> Call {
        let many = *self.pick(&[1, 1, 1, 2, 3]).unwrap();
        Call::Record(fence, (0..many).map(|_| self.event()).collect())
    }

    fn event(&self) -> NewEvent {
        let last = u64::try_from(self.given.event).unwrap();
        let number = match self.chance(60) {
            true => last + self.below(LATELY),
            false => (last + 1).saturating_sub(self.below(LATELY)),
        };
        let (channel, id) = (self.channel(), format!("id-{number}"));
        let kind = match self.chance(10) {
            true => EventKind::Unknown(Box::new(Unknown::new("odd", Raw::default()))),
            false => EventKind::Message(Box::new(self.message(&channel, &id))),
        };
        let event = NewEvent::new(Event::new(id.as_str().into(), channel, kind));
        match self.chance(30) {
            true => event.cursor(format!("after {id}")),
            false => event,
        }
    }

    fn message(&self, channel: &ChannelId, id: &str) -> Message {
        let account = AccountRef::new(Platform::new("acme"), "ada".into());
        let target = self.target();
        let mut message = Message::new(
            id.into(),
            Chat::new(target.chat.clone(), ChatKind::Group),
            Sender::new(account, Proof::Verified),
            ReplyTo::new(channel.clone(), target),
        );
        message.text = format!("words {}", self.below(1000));
        message
    }

    fn outcome(&self) -> Outcome {
        let reason = format!("reason {}", self.below(10));
        match self.below(8) {
            0..2 => Outcome::Handled { remark: None },
            2 => Outcome::Handled {
                remark: Some(reason),
            },
            3 => Outcome::Refused { reason },
            4..6 => Outcome::Retry {
                not_before: self.now + Duration::from_millis(self.below(9000)),
                reason,
            },
            _ => Outcome::Dead { reason },
        }
    }

    fn plan(&self, fence: Fence) -> Call {
        let body = Body::plain(format!("words {}", self.below(1000)));
        let message = OutboundMessage::new(self.target(), body);
        let parts = *self.pick(&[0, 1, 1, 1, 2, 3]).unwrap();
        let delivery = NewDelivery::new(self.channel(), self.key(), message, parts);
        Call::Plan(
            fence,
            match self.chance(60) {
                true => delivery.answering(self.any_event()),
                false => delivery,
            },
        )
    }

    async fn update(&self, memory: &MemoryStore) -> Call {
        let all = self.deliveries(memory).await;
        if all.is_empty() && self.chance(92) {
            return self.plan(self.worker());
        }
        let picked = self.pick(&all).filter(|_| self.chance(92));
        let (fence, id, parts) = match picked {
            Some((fence, stored)) => (*fence, stored.id, stored.parts.as_slice()),
            None => (self.worker(), self.any_delivery(), [].as_slice()),
        };
        let change = |part: usize| {
            let from = parts.get(part).cloned().unwrap_or(Part::prepared());
            (part, self.part_after(&from))
        };
        let beyond = usize::from(self.chance(3));
        let first = self.below((parts.len() + beyond).max(1) as u64);
        let first = usize::try_from(first).unwrap();
        let mut changes = vec![change(first)];
        if first + 1 < parts.len() && self.chance(30) {
            changes.push(change(first + 1));
        }
        Call::Update(fence, id, changes)
    }

    /// What a part may become, and now and then what it may not.
    fn part_after(&self, from: &Part) -> Part {
        let legal = PartState::ALL.into_iter();
        let legal: Vec<_> = legal.filter(|to| from.state.may_become(*to)).collect();
        let all = match self.chance(90) && !legal.is_empty() {
            true => legal.as_slice(),
            false => &PartState::ALL,
        };
        let reason = format!("reason {}", self.below(10));
        match *self.pick(all).unwrap() {
            PartState::Prepared => Part::prepared(),
            PartState::Sending => from.clone().sending(),
            PartState::Delivered => from.clone().delivered(self.receipt()),
            PartState::Failed => {
                let later = self.now + Duration::from_millis(self.below(9000));
                from.clone().failed(later, reason)
            }
            state => from.clone().because(state, reason),
        }
    }

    fn receipt(&self) -> Receipt {
        let message = |_| MessageRef::new(self.chat(), format!("m{}", self.below(99)).into());
        Receipt::new((0..self.below(3)).map(message).collect())
    }

    fn target_is_dead(&self) -> Call {
        let until = self.now + Duration::from_millis(self.below(60_000));
        let dead = self.chance(70).then(|| (until, "blocked".to_owned()));
        Call::SetTarget(self.channel(), self.chat(), dead)
    }

    /// What the living have unfinished, without what no answer has spoken of.
    async fn events(&self, memory: &MemoryStore) -> Vec<(Fence, StoredEvent)> {
        let mut all = Vec::new();
        for fence in &self.alive {
            let owned = memory.owned(*fence, None, 1000).await.unwrap_or_default();
            all.extend(owned.into_iter().map(|event| (*fence, event)));
        }
        all.retain(|(_, event)| event.seq.number() <= self.known.event);
        all
    }

    async fn deliveries(&self, memory: &MemoryStore) -> Vec<(Fence, StoredDelivery)> {
        let mut all = Vec::new();
        for fence in &self.alive {
            let owned = memory.owned_deliveries(*fence, None, 1000).await;
            all.extend(
                owned
                    .unwrap_or_default()
                    .into_iter()
                    .map(|one| (*fence, one)),
            );
        }
        for dead in memory.dead_deliveries(None, 1000).await.unwrap() {
            let owner = self.owners.get(&dead.delivery.id);
            all.extend(owner.map(|owner| (*owner, dead.delivery)));
        }
        all.retain(|(_, stored)| stored.id.number() <= self.known.delivery);
        all
    }

    /// Begins an attempt, or ends one if there is one that has begun.
    async fn begin(&self, memory: &MemoryStore, finishes: bool) -> Call {
        let mut all = self.events(memory).await;
        if all.is_empty() && self.chance(92) {
            return self.record(self.worker());
        }
        let is_begun = |(_, event): &(Fence, StoredEvent)| event.state == EventState::Handling;
        let finishes = finishes && all.iter().any(is_begun);
        if finishes && self.chance(95) {
            all.retain(is_begun);
        }
        let picked = self.pick(&all).filter(|_| self.chance(92));
        let picked = picked.map(|(fence, event)| (*fence, event.seq));
        let (fence, event) = picked.unwrap_or_else(|| (self.worker(), self.any_event()));
        match finishes {
            true => Call::Finish(fence, event, self.outcome()),
            false => Call::Begin(fence, event),
        }
    }

    async fn dead_event(&self, memory: &MemoryStore) -> Seq {
        let dead = memory.dead_events(None, 1000).await.unwrap();
        let picked = self.pick(&dead).filter(|_| self.chance(80));
        picked.map_or_else(|| self.any_event(), |dead| dead.seq)
    }

    async fn dead_delivery(&self, memory: &MemoryStore) -> DeliveryId {
        let dead = memory.dead_deliveries(None, 1000).await.unwrap();
        let picked = self.pick(&dead).filter(|_| self.chance(80));
        picked.map_or_else(|| self.any_delivery(), |dead| dead.delivery.id)
    }
}
