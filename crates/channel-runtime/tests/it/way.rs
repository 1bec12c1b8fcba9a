//! In which order an event meets room, store, answer to the platform, policy and handler.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use channel_core::{
    AccountRef, Channel as _, Chat, ChatKind, Event, EventKind, Intake, Message, Platform, Policy,
    Proof, Refused, ReplyTo, Sender, Target, Verdict, async_trait,
};
use channel_delivery::{
    Fence, MemoryStore, NewEvent, Recorded, Store, StoreError, StoreErrorKind, StoreLayer,
};
use channel_runtime::{Bot, Running};
use channel_testkit::MemoryChannel;
use tokio::sync::Semaphore;

/// What has happened to an event, in order.
#[derive(Debug, Clone, Default)]
struct Steps(Arc<Mutex<Vec<&'static str>>>);

impl Steps {
    fn note(&self, step: &'static str) {
        self.0.lock().unwrap().push(step);
    }

    fn taken(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }

    fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    async fn until(&self, step: &str) {
        let taken = async {
            while !self.taken().contains(&step) {
                tokio::task::yield_now().await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(20), taken).await;
        assert!(in_time.is_ok(), "no {step} after {:?}", self.taken());
    }
}

/// A store whose disk may be sick.
#[derive(Debug)]
struct Disk {
    inner: MemoryStore,
    steps: Steps,
    is_well: bool,
}

#[async_trait]
impl StoreLayer for Disk {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }

    async fn record(
        &self,
        fence: Fence,
        events: Vec<NewEvent>,
        now: SystemTime,
    ) -> Result<Vec<Recorded>, StoreError> {
        // What only takes the place is no part of the table.
        let is_filler = |event: &NewEvent| event.event.id.as_str() == "filler";
        if events.iter().all(is_filler) {
            return self.inner.record(fence, events, now).await;
        }
        if !self.is_well {
            let full = "the disk is full";
            return Err(StoreError::new(StoreErrorKind::Unavailable, full));
        }
        let recorded = self.inner.record(fence, events, now).await;
        self.steps.note("record");
        recorded
    }
}

/// Lets friends pass, and takes what they whisper for a secret.
#[derive(Debug)]
struct Friends(Steps);

#[async_trait]
impl Policy for Friends {
    async fn judge(&self, event: &Event) -> Verdict {
        self.0.note("judge");
        let name = event.sender().map(|sender| sender.account.sender.as_str());
        match name {
            Some("stranger") => Verdict::Refuse("stranger"),
            _ => Verdict::Allow("friend"),
        }
    }

    fn is_secret(&self, event: &Event) -> bool {
        event.id.as_str() == "secret"
    }
}

struct Site {
    channel: MemoryChannel,
    running: Running,
    intake: Arc<dyn Intake>,
    steps: Steps,
    gate: Arc<Semaphore>,
}

impl Site {
    /// A bot with one place for webhooks, which is free or not, over a disk or over nothing but memory.
    async fn open(has_room: bool, disk: Option<bool>) -> Self {
        let (channel, steps) = (MemoryChannel::new(), Steps::default());
        let gate = Arc::new(Semaphore::new(0));
        let (noted, waited) = (steps.clone(), Arc::clone(&gate));
        let bot = Bot::new(Friends(steps.clone()))
            .channel(channel.clone())
            // One of them is the connection's, which waits for events.
            .capacity(2)
            // Longer than any of this takes: what is acknowledged has been settled.
            .answer_within(Duration::from_secs(600))
            .served_elsewhere()
            .on_message(move |_| {
                let (noted, gate) = (noted.clone(), Arc::clone(&waited));
                async move {
                    noted.note("handle");
                    gate.acquire().await?.forget();
                    noted.note("handled");
                    Ok(())
                }
            });
        let bot = match disk {
            None => bot,
            Some(is_well) => bot.store(Disk {
                inner: MemoryStore::new(),
                steps: steps.clone(),
                is_well,
            }),
        };
        let running = bot.start().await.unwrap();
        let intake = running.intake(&channel.info().id).unwrap();
        let site = Self {
            channel,
            running,
            intake,
            steps,
            gate,
        };
        if !has_room {
            let event = site.event("filler", "filler");
            let intake = Arc::clone(&site.intake);
            tokio::spawn(async move { intake.take(vec![event]).await });
            site.steps.until("handle").await;
            site.steps.clear();
        }
        site
    }

    fn event(&self, sender: &str, id: &str) -> Event {
        let channel = self.channel.info().id.clone();
        let chat = Chat::new(format!("chat-{sender}").as_str().into(), ChatKind::Direct);
        let to = ReplyTo::new(channel.clone(), Target::chat(chat.id.clone())).quoting(id.into());
        let account = AccountRef::new(Platform::new("memory"), sender.into());
        let mut message = Message::new(id.into(), chat, Sender::new(account, Proof::Verified), to);
        message.text = "hi".into();
        Event::new(id.into(), channel, EventKind::Message(Box::new(message)))
    }

    /// Gives an event to the bot; what the platform hears, and what has been done by then.
    async fn take(&self, sender: &str, id: &str) -> (&'static str, Vec<&'static str>) {
        let answer = match self.intake.take(vec![self.event(sender, id)]).await {
            Ok(()) => "acknowledged",
            Err(Refused::Full) => "full",
            Err(Refused::Failed(_)) => "failed",
            Err(_) => "stopping",
        };
        (answer, self.steps.taken())
    }
}

/// Room first, then the disk, then the answer to the platform, then the verdict, then the
/// handler: what is missing first decides, and nothing behind it happens.
#[tokio::test]
async fn with_a_store_room_comes_first_and_the_handler_last() {
    // room, a well disk, sender; what the platform hears; what happens in the end
    let table: [(bool, bool, &str, &str, &[&str]); 8] = [
        (false, false, "stranger", "full", &[]),
        (false, false, "friend", "full", &[]),
        (false, true, "stranger", "full", &[]),
        (false, true, "friend", "full", &[]),
        (true, false, "stranger", "failed", &[]),
        (true, false, "friend", "failed", &[]),
        (true, true, "stranger", "acknowledged", &["record", "judge"]),
        (
            true,
            true,
            "friend",
            "acknowledged",
            &["record", "judge", "handle"],
        ),
    ];
    for (has_room, is_well, sender, answer, steps) in table {
        let site = Site::open(has_room, Some(is_well)).await;
        let row = format!("room {has_room}, disk {is_well}, {sender}");
        let (heard, by_then) = site.take(sender, "1").await;
        assert_eq!(heard, answer, "{row}");
        assert_eq!(
            by_then.first(),
            steps.first(),
            "{row}: on record before that"
        );
        assert!(
            !by_then.contains(&"handled"),
            "{row}: before the handler is done"
        );
        if let Some(last) = steps.last() {
            site.steps.until(last).await;
        }
        assert_eq!(site.steps.taken(), steps, "{row}");
        site.gate.add_permits(2);
        site.running.stop().await;
    }
}

/// What is safe only when it has been handled is acknowledged only then: everything without a
/// store, and secrets, which no store may hold.
#[tokio::test]
async fn what_is_not_written_down_is_acknowledged_when_it_has_been_handled() {
    const ALL: &[&str] = &["judge", "handle", "handled"];
    // room, a disk, sender and id; what the platform hears, and what has happened by then
    type Row = (
        (bool, Option<bool>),
        (&'static str, &'static str),
        &'static str,
        &'static [&'static str],
    );
    let table: [Row; 7] = [
        ((false, None), ("stranger", "1"), "full", &[]),
        ((false, None), ("friend", "1"), "full", &[]),
        ((true, None), ("stranger", "1"), "acknowledged", &["judge"]),
        ((true, None), ("friend", "1"), "acknowledged", ALL),
        ((false, Some(true)), ("friend", "secret"), "full", &[]),
        (
            (true, Some(false)),
            ("friend", "secret"),
            "acknowledged",
            ALL,
        ),
        (
            (true, Some(true)),
            ("friend", "secret"),
            "acknowledged",
            ALL,
        ),
    ];
    for ((has_room, disk), (sender, id), answer, steps) in table {
        let site = Site::open(has_room, disk).await;
        if has_room {
            site.gate.add_permits(1);
        }
        let heard = site.take(sender, id).await;
        let row = format!("room {has_room}, disk {disk:?}, {sender}, {id}");
        assert_eq!(heard, (answer, steps.to_vec()), "{row}");
        site.gate.add_permits(2);
        site.running.stop().await;
    }
}
