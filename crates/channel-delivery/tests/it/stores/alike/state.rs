//! All that can be seen of a store.

use std::fmt::Debug;
use std::time::SystemTime;

use channel_core::{ChannelId, ChatId, IdempotencyKey, Receipt};
use channel_delivery::{
    Counts, DeadDelivery, DeadEvent, DeliveryId, Fence, JournalEntry, Seq, Store, StoredDelivery,
    StoredEvent,
};
use futures_util::future::join_all;

use super::draw::{CHANNELS, CHATS, Draw, KEYS};

/// Where a list is read from, and how far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    event: Option<Seq>,
    delivery: Option<DeliveryId>,
    limit: usize,
}

impl Page {
    pub(super) const ALL: Self = Self {
        event: None,
        delivery: None,
        limit: 10_000,
    };

    pub(super) fn draw(draw: &Draw) -> Self {
        Self {
            event: draw.after_event(),
            delivery: draw.after_delivery(),
            limit: draw.limit(),
        }
    }
}

/// All that can be seen of a store from one place on.
#[derive(Debug)]
pub(super) struct State {
    journal: Vec<JournalEntry>,
    dead_events: Vec<DeadEvent>,
    dead_deliveries: Vec<DeadDelivery>,
    counts: Counts,
    cursors: Vec<Option<String>>,
    targets: Vec<Option<(SystemTime, String)>>,
    previews: Vec<Option<Receipt>>,
    events: Vec<(Fence, StoredEvent)>,
    deliveries: Vec<(Fence, StoredDelivery)>,
}

impl State {
    pub(super) async fn of(
        store: &dyn Store,
        page: Page,
        alive: &[Fence],
        now: SystemTime,
    ) -> Self {
        let Page {
            event,
            delivery,
            limit,
        } = page;
        let owned = alive.iter().map(|fence| async {
            let owned = store.owned(*fence, event, limit).await;
            of(*fence, owned.unwrap_or_default())
        });
        let owned_deliveries = alive.iter().map(|fence| async {
            let owned = store.owned_deliveries(*fence, delivery, limit).await;
            of(*fence, owned.unwrap_or_default())
        });
        // Together, so that they are one batch.
        let (events, deliveries) =
            futures_util::future::join(join_all(owned), join_all(owned_deliveries)).await;
        Self {
            journal: store.journal(event, limit).await.unwrap(),
            dead_events: store.dead_events(event, limit).await.unwrap(),
            dead_deliveries: store.dead_deliveries(delivery, limit).await.unwrap(),
            counts: store.counts().await.unwrap(),
            cursors: cursors(store).await,
            targets: targets(store, now).await,
            previews: previews(store).await,
            events: events.concat(),
            deliveries: deliveries.concat(),
        }
    }
}

fn of<T>(fence: Fence, owned: Vec<T>) -> Vec<(Fence, T)> {
    owned.into_iter().map(|one| (fence, one)).collect()
}

/// What differs first: its name, and how it is here and there.
pub(super) type Difference = (String, String, String);

impl State {
    /// What another store has otherwise.
    pub(super) fn difference(&self, other: &Self) -> Option<Difference> {
        let counts = (&[&self.counts], &[&other.counts]);
        None.or_else(|| first("journal", &self.journal, &other.journal))
            .or_else(|| first("dead events", &self.dead_events, &other.dead_events))
            .or_else(|| first("dead", &self.dead_deliveries, &other.dead_deliveries))
            .or_else(|| first("counts", counts.0, counts.1))
            .or_else(|| first("cursors", &self.cursors, &other.cursors))
            .or_else(|| first("targets", &self.targets, &other.targets))
            .or_else(|| first("previews", &self.previews, &other.previews))
            .or_else(|| first("events of", &self.events, &other.events))
            .or_else(|| first("deliveries of", &self.deliveries, &other.deliveries))
    }
}

fn first<T: PartialEq + Debug>(name: &str, here: &[T], there: &[T]) -> Option<Difference> {
    let longer = here.len().max(there.len());
    let place = (0..longer).find(|place| here.get(*place) != there.get(*place))?;
    Some((
        format!("{name} {place}"),
        format!("{:?}", here.get(place)),
        format!("{:?}", there.get(place)),
    ))
}

async fn cursors(store: &dyn Store) -> Vec<Option<String>> {
    let channels = CHANNELS.map(ChannelId::new);
    let cursors = channels.iter().map(|channel| store.cursor(channel));
    join_all(cursors)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

async fn targets(store: &dyn Store, now: SystemTime) -> Vec<Option<(SystemTime, String)>> {
    let channels = CHANNELS.map(ChannelId::new);
    let chats = CHATS.map(ChatId::from);
    let all = channels
        .iter()
        .flat_map(|channel| chats.iter().map(move |chat| (channel, chat)));
    let targets = all.map(|(channel, chat)| store.dead_target(channel, chat, now));
    join_all(targets)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

async fn previews(store: &dyn Store) -> Vec<Option<Receipt>> {
    let channels = CHANNELS.map(ChannelId::new);
    let keys = (0..KEYS).map(|key| IdempotencyKey::new(format!("key-{key}")));
    let keys: Vec<_> = keys.collect();
    let all = channels
        .iter()
        .flat_map(|channel| keys.iter().map(move |key| (channel, key)));
    let previews = all.map(|(channel, key)| store.preview(channel, key));
    join_all(previews)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}
