//! Events and deliveries that were set aside.

use std::str::FromStr;

use channel_core::{Error, Result};
use channel_delivery::{
    DeadDelivery, DeadEvent, DeliveryId, PartState, Seq, SqliteStore, Store as _,
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{StoreArg, line, millis, tame};

/// How many are read at once.
const PAGE: usize = 100;

/// Shows, retries and drops what was set aside. Works while the bot runs.
#[derive(Debug, Args)]
#[non_exhaustive]
pub struct DeadCommand {
    #[command(flatten)]
    store: StoreArg,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists events (e1, e2 ...) that failed too often, and deliveries (d1, d2 ...) that were
    /// given up or may or may not have arrived; without content.
    List {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Shows one of them with its content, as JSON.
    Inspect {
        /// Such as e12 or d7.
        id: DeadId,
    },
    /// Tries them again: an event from its first attempt, of a delivery the parts that did
    /// not arrive. A running bot takes them up within seconds.
    Retry(Which),
    /// Drops them for good.
    Drop(Which),
}

#[derive(Debug, Args)]
struct Which {
    /// Such as e12 or d7.
    #[arg(required_unless_present = "all")]
    ids: Vec<DeadId>,
    /// All that there are.
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

/// The name of something that was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeadId {
    Event(Seq),
    Delivery(DeliveryId),
}

impl FromStr for DeadId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "wanted: e and the number of an event, or d and that of a delivery";
        let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0);
        if let Some(number) = text.strip_prefix('e').and_then(number) {
            return Ok(Self::Event(Seq::new(number)));
        }
        text.strip_prefix('d')
            .and_then(number)
            .map(|number| Self::Delivery(DeliveryId::new(number)))
            .ok_or(WANTED)
    }
}

impl std::fmt::Display for DeadId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Event(seq) => write!(f, "e{seq}"),
            Self::Delivery(id) => write!(f, "d{id}"),
        }
    }
}

impl DeadCommand {
    /// Does what was asked.
    ///
    /// # Errors
    ///
    /// `Config` for a store or an id that is not there.
    pub async fn run(self) -> Result<()> {
        let store = self.store.open().await?;
        match self.action {
            Action::List { json } => list(&store, json).await,
            Action::Inspect { id } => inspect(&store, id).await,
            Action::Retry(which) => {
                for id in which.find(&store).await? {
                    let now = channel_http::transport().clock.now();
                    let found = match id {
                        DeadId::Event(seq) => store.retry_event(seq, now).await?,
                        DeadId::Delivery(id) => store.retry_delivery(id, now).await?,
                    };
                    told(id, found, "will be tried again")?;
                }
                Ok(())
            }
            Action::Drop(which) => {
                for id in which.find(&store).await? {
                    let now = channel_http::transport().clock.now();
                    let found = match id {
                        DeadId::Event(seq) => store.drop_event(seq, now).await?,
                        DeadId::Delivery(id) => store.drop_delivery(id, now).await?,
                    };
                    told(id, found, "dropped")?;
                }
                Ok(())
            }
        }
    }
}

fn told(id: DeadId, found: bool, done: &str) -> Result<()> {
    if !found {
        return Err(Error::config(format!("nothing called {id} was set aside")));
    }
    line(&format!("{id} {done}"))
}

impl Which {
    async fn find(self, store: &SqliteStore) -> Result<Vec<DeadId>> {
        if !self.all {
            return Ok(self.ids);
        }
        let mut ids = Vec::new();
        for_each(store, |dead| {
            ids.push(dead.id());
            Ok(())
        })
        .await?;
        Ok(ids)
    }
}

enum Dead {
    Event(Box<DeadEvent>),
    Delivery(Box<DeadDelivery>),
}

impl Dead {
    fn id(&self) -> DeadId {
        match self {
            Self::Event(event) => DeadId::Event(event.seq),
            Self::Delivery(dead) => DeadId::Delivery(dead.delivery.id),
        }
    }

    fn describe(&self) -> Value {
        match self {
            Self::Event(event) => json!({
                "id": self.id().to_string(),
                "what": event.kind,
                "channel": event.channel,
                "recorded_at": millis(event.recorded_at),
                "attempts": event.attempts,
                "reason": event.reason,
            }),
            Self::Delivery(dead) => {
                let parts = &dead.delivery.parts;
                let states: Vec<_> = parts.iter().map(|part| part.state.as_str()).collect();
                let mut reasons = parts.iter().rev().filter_map(|part| part.reason.as_deref());
                json!({
                    "id": self.id().to_string(),
                    "what": "delivery",
                    "channel": dead.delivery.delivery.channel,
                    "recorded_at": millis(dead.delivery.planned_at),
                    "answers": dead.delivery.delivery.answers.map(|seq| format!("e{seq}")),
                    "parts": states,
                    "uncertain": parts.iter().any(|part| part.state == PartState::Uncertain),
                    "reason": reasons.next(),
                })
            }
        }
    }
}

async fn for_each(store: &SqliteStore, mut each: impl FnMut(Dead) -> Result<()>) -> Result<()> {
    let mut after = None;
    loop {
        let page = store.dead_events(after, PAGE).await?;
        after = page.last().map(|event| event.seq);
        for event in page {
            each(Dead::Event(Box::new(event)))?;
        }
        if after.is_none() {
            break;
        }
    }
    let mut after = None;
    loop {
        let page = store.dead_deliveries(after, PAGE).await?;
        after = page.last().map(|dead| dead.delivery.id);
        for dead in page {
            each(Dead::Delivery(Box::new(dead)))?;
        }
        if after.is_none() {
            return Ok(());
        }
    }
}

async fn list(store: &SqliteStore, json: bool) -> Result<()> {
    for_each(store, |dead| {
        let about = dead.describe();
        if json {
            return line(&about.to_string());
        }
        let word = |name: &str| about.get(name).and_then(Value::as_str).unwrap_or("-");
        let count = about.get("attempts").or_else(|| about.get("parts"));
        line(&tame(&format!(
            "{} {} on {}: {} ({})",
            word("id"),
            word("what"),
            word("channel"),
            word("reason"),
            count.map(Value::to_string).unwrap_or_default(),
        )))
    })
    .await
}

async fn inspect(store: &SqliteStore, wanted: DeadId) -> Result<()> {
    let mut found = false;
    for_each(store, |dead| {
        if dead.id() != wanted {
            return Ok(());
        }
        found = true;
        let content = match &dead {
            Dead::Event(event) => json!(event.event),
            Dead::Delivery(dead) => json!(dead.delivery.delivery.message),
        };
        let mut about = dead.describe();
        if let Some(about) = about.as_object_mut() {
            about.insert("content".to_owned(), content);
        }
        line(&format!("{about:#}"))
    })
    .await?;
    if found {
        return Ok(());
    }
    Err(Error::config(format!(
        "nothing called {wanted} was set aside"
    )))
}
