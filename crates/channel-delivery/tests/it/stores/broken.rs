//! One deliberate bug for each check, so that no check is empty.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::{ChannelId, ChatId, EventKind, IdempotencyKey, Receipt, async_trait};
use channel_delivery::conformance::{Subject, check_names, run_some};
use channel_delivery::{
    Ahead, Attempt, Counts, DeadEvent, DeliveryId, EventState, Fence, JournalEntry, MemoryStore,
    NewDelivery, NewEvent, Outcome, Part, Planned, Recorded, Seq, Store, StoreError,
    StoreErrorKind, StoreLayer, StoredDelivery, StoredEvent, Swept, WorkerId,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_check_of_the_suite_finds_its_bug() {
    for name in check_names() {
        let report = run_some(&Bug(name), |check| check == name).await;
        assert_eq!(report.failed(), [name], "{report}");
    }
}

/// The bug that the check of this name is to find.
#[derive(Debug, Clone, Copy)]
struct Bug(&'static str);

#[async_trait]
impl Subject for Bug {
    async fn fresh(&self) -> Arc<dyn Store> {
        Arc::new(Broken {
            inner: MemoryStore::new(),
            bug: self.0,
            fences: Mutex::default(),
            cursor: Mutex::default(),
            claimed: Mutex::default(),
            number: Mutex::default(),
        })
    }

    async fn reopened(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        match self.0 {
            "keeps_records_over_a_restart" => Some(self.fresh().await),
            _ => Some(store),
        }
    }
}

#[derive(Debug)]
struct Broken {
    inner: MemoryStore,
    bug: &'static str,
    fences: Mutex<Vec<Fence>>,
    cursor: Mutex<Option<String>>,
    claimed: Mutex<Vec<StoredEvent>>,
    number: Mutex<u32>,
}

impl Broken {
    fn is(&self, bug: &str) -> bool {
        self.bug == bug
    }

    fn number(&self) -> u32 {
        let mut number = self.number.lock().unwrap();
        *number += 1;
        *number
    }

    fn first_fence(&self) -> Fence {
        *self.fences.lock().unwrap().first().unwrap()
    }

    fn last_fence(&self) -> Fence {
        *self.fences.lock().unwrap().last().unwrap()
    }

    fn spoil(&self, events: &mut [NewEvent]) {
        for (place, new) in events.iter_mut().enumerate() {
            let id = new.event.id.clone();
            match self.bug {
                "records_an_event_once" => {
                    new.event.id = format!("{id} {}", self.number()).into();
                }
                "of_two_with_one_id_in_a_call_the_second_is_known" => {
                    new.event.id = format!("{id} {place}").into();
                }
                "an_id_belongs_to_its_channel" => new.event.channel = "acme".into(),
                "moves_the_cursor_in_the_same_write" => {
                    *self.cursor.lock().unwrap() = new.cursor.clone();
                }
                "leaves_the_conversation_of_another_worker_alone" => {
                    if let EventKind::Message(message) = &mut new.event.kind {
                        message.chat.id = id.as_str().into();
                    }
                }
                _ => {}
            }
        }
    }

    fn twist(&self, answer: Recorded) -> Recorded {
        match (self.bug, answer) {
            ("says_in_which_state_a_known_event_is", Recorded::Known(_)) => {
                Recorded::Known(EventState::Received)
            }
            ("one_of_64_recorders_at_once_is_first", Recorded::Known(_)) => Recorded::Fresh {
                seq: Seq::new(1),
                mine: true,
            },
            (
                "gives_a_new_event_to_its_recorder_only_in_a_free_conversation",
                Recorded::Fresh { seq, .. },
            ) => Recorded::Fresh { seq, mine: true },
            (_, answer) => answer,
        }
    }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

/// Swallows an error of this kind.
fn swallow<T>(
    result: Result<T, StoreError>,
    kind: StoreErrorKind,
    value: T,
) -> Result<T, StoreError> {
    match result {
        Err(error) if error.kind() == kind => Ok(value),
        result => result,
    }
}

#[async_trait]
impl StoreLayer for Broken {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }

    async fn enroll(
        &self,
        worker: &WorkerId,
        lease: Duration,
        now: SystemTime,
    ) -> Result<Fence, StoreError> {
        if self.is("each_enrolment_gets_a_greater_fence") && self.number() > 1 {
            return Ok(self.first_fence());
        }
        let fence = self.inner.enroll(worker, lease, now).await?;
        self.fences.lock().unwrap().push(fence);
        Ok(fence)
    }

    async fn renew(
        &self,
        fence: Fence,
        lease: Duration,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        match self.bug {
            "a_renewed_lease_keeps_what_it_owns" => Ok(()),
            "a_lease_nobody_took_over_can_be_renewed" if now > at(30) => {
                Err(StoreError::new(StoreErrorKind::Fenced, "too late"))
            }
            _ => self.inner.renew(fence, lease, now).await,
        }
    }

    async fn leave(&self, fence: Fence, now: SystemTime) -> Result<(), StoreError> {
        match self.bug {
            "leaving_frees_at_once_what_is_unfinished" => Ok(()),
            _ => self.inner.leave(fence, now).await,
        }
    }

    async fn record(
        &self,
        fence: Fence,
        mut events: Vec<NewEvent>,
        now: SystemTime,
    ) -> Result<Vec<Recorded>, StoreError> {
        self.spoil(&mut events);
        let fence = match self.bug {
            "a_late_writer_changes_nothing" => self.last_fence(),
            _ => fence,
        };
        let answers = self.inner.record(fence, events, now).await?;
        Ok(answers
            .into_iter()
            .map(|answer| self.twist(answer))
            .collect())
    }

    async fn cursor(&self, channel: &ChannelId) -> Result<Option<String>, StoreError> {
        match self.bug {
            "moves_the_cursor_in_the_same_write" => Ok(self.cursor.lock().unwrap().clone()),
            _ => self.inner.cursor(channel).await,
        }
    }

    async fn claim(
        &self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let now = match self.bug {
            "a_crash_frees_what_the_dead_worker_owned" => at(0),
            _ => now,
        };
        let mut claimed = self.inner.claim(fence, limit, now).await?;
        match self.bug {
            "claims_the_oldest_first_up_to_the_limit" => claimed.reverse(),
            "claims_what_waits_with_its_moment" => {
                for event in &mut claimed {
                    event.not_before = UNIX_EPOCH;
                }
            }
            "claims_an_event_once" => {
                let mut before = self.claimed.lock().unwrap();
                before.extend(claimed);
                return Ok(before.clone());
            }
            _ => {}
        }
        Ok(claimed)
    }

    async fn owned(
        &self,
        fence: Fence,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        match self.bug {
            "says_again_which_unfinished_events_a_worker_owns" => Ok(Vec::new()),
            _ => self.inner.owned(fence, after, limit).await,
        }
    }

    async fn owned_deliveries(
        &self,
        fence: Fence,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        let after = match self.bug {
            "says_again_which_moving_deliveries_a_worker_owns" => None,
            _ => after,
        };
        self.inner.owned_deliveries(fence, after, limit).await
    }

    async fn preview(
        &self,
        channel: &ChannelId,
        key: &IdempotencyKey,
    ) -> Result<Option<Receipt>, StoreError> {
        let noted = self.inner.preview(channel, key).await?;
        match self.bug {
            "remembers_what_shows_an_answer" => Ok(noted.filter(|it| it.messages.is_empty())),
            _ => Ok(noted),
        }
    }

    async fn begin(
        &self,
        fence: Fence,
        event: Seq,
        now: SystemTime,
    ) -> Result<Attempt, StoreError> {
        let first = Attempt::new(1);
        match self.bug {
            "keeps_the_order_of_calls_that_are_made_together" => {
                tokio::task::yield_now().await;
                self.inner.begin(fence, event, now).await
            }
            "refuses_every_illegal_transition_of_an_event" => {
                let begun = self.inner.begin(fence, event, now).await;
                swallow(begun, StoreErrorKind::Illegal, first)
            }
            "only_the_owner_begins_and_finishes" => {
                self.inner.begin(self.first_fence(), event, now).await
            }
            "counts_attempts_when_they_begin" => {
                self.inner.begin(fence, event, now).await.map(|_| first)
            }
            _ => self.inner.begin(fence, event, now).await,
        }
    }

    async fn finish(
        &self,
        fence: Fence,
        event: Seq,
        outcome: Outcome,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        match self.bug {
            "finished_events_are_not_claimed" => Ok(()),
            _ => self.inner.finish(fence, event, outcome, now).await,
        }
    }

    async fn plan(
        &self,
        fence: Fence,
        mut delivery: NewDelivery,
        now: SystemTime,
    ) -> Result<Planned, StoreError> {
        if self.is("plans_a_key_once") {
            delivery.key = IdempotencyKey::new(self.number().to_string());
        }
        let planned = self.inner.plan(fence, delivery, now).await?;
        Ok(match self.bug {
            "says_whether_others_have_planned_before" => planned.behind_others(false),
            _ => planned,
        })
    }

    async fn update(
        &self,
        fence: Fence,
        delivery: DeliveryId,
        mut parts: Vec<(usize, Part)>,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        match self.bug {
            "refuses_every_illegal_transition_of_a_part" => {
                let updated = self.inner.update(fence, delivery, parts, now).await;
                return swallow(updated, StoreErrorKind::Illegal, ());
            }
            "updates_all_parts_or_none" => {
                for part in parts {
                    self.inner.update(fence, delivery, vec![part], now).await?;
                }
                return Ok(());
            }
            "only_the_owner_updates_a_delivery"
            | "planning_again_takes_over_from_the_dead_only" => {
                let updated = self.inner.update(fence, delivery, parts, now).await;
                return swallow(updated, StoreErrorKind::Fenced, ());
            }
            "keeps_receipts_reasons_and_moments" => {
                for (_, part) in &mut parts {
                    part.receipt = None;
                }
            }
            _ => {}
        }
        self.inner.update(fence, delivery, parts, now).await
    }

    async fn claim_deliveries(
        &self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        let now = match self.bug {
            "claims_nothing_that_stands_behind_the_living" => at(10_000),
            _ => now,
        };
        let mut claimed = self.inner.claim_deliveries(fence, limit, now).await?;
        if self.is("claims_deliveries_that_move_oldest_first") {
            claimed.reverse();
        }
        Ok(claimed)
    }

    async fn ahead(
        &self,
        fence: Fence,
        delivery: DeliveryId,
        limit: usize,
        now: SystemTime,
    ) -> Result<Ahead, StoreError> {
        let now = match self.bug {
            "takes_over_what_is_ahead_and_waits_for_the_living" => at(10_000),
            _ => now,
        };
        self.inner.ahead(fence, delivery, limit, now).await
    }

    async fn dead_target(
        &self,
        channel: &ChannelId,
        chat: &ChatId,
        now: SystemTime,
    ) -> Result<Option<(SystemTime, String)>, StoreError> {
        let now = match self.bug {
            "remembers_dead_targets_until_they_live_again" => at(0),
            _ => now,
        };
        self.inner.dead_target(channel, chat, now).await
    }

    async fn dead_events(
        &self,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<DeadEvent>, StoreError> {
        let after = after.filter(|_| !self.is("lists_dead_events_and_retries_them"));
        self.inner.dead_events(after, limit).await
    }

    async fn retry_event(&self, event: Seq, now: SystemTime) -> Result<bool, StoreError> {
        let retried = self.inner.retry_event(event, now).await?;
        Ok(retried || self.is("refuses_what_is_not_there"))
    }

    async fn drop_event(&self, event: Seq, now: SystemTime) -> Result<bool, StoreError> {
        match self.bug {
            "a_dropped_event_does_not_come_back" => self.inner.retry_event(event, now).await,
            _ => self.inner.drop_event(event, now).await,
        }
    }

    async fn retry_delivery(
        &self,
        delivery: DeliveryId,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        match self.bug {
            "lists_stuck_deliveries_and_retries_their_lost_parts" => Ok(true),
            "a_retried_delivery_is_tried_although_its_chat_did_not_want_us" => {
                let stuck = self.inner.dead_deliveries(None, 1).await?;
                let retried = self.inner.retry_delivery(delivery, now).await?;
                for dead in stuck {
                    let (plan, reason) = (dead.delivery.delivery, "blocked".to_owned());
                    let dead = Some((now + Duration::from_secs(3_600), reason));
                    let chat = &plan.message.to.target().chat;
                    self.inner.set_target(&plan.channel, chat, dead).await?;
                }
                Ok(retried)
            }
            _ => self.inner.retry_delivery(delivery, now).await,
        }
    }

    async fn drop_delivery(
        &self,
        delivery: DeliveryId,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        match self.bug {
            "a_dropped_delivery_is_not_sent_again" => {
                self.inner.retry_delivery(delivery, now).await
            }
            _ => self.inner.drop_delivery(delivery, now).await,
        }
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        match self.bug {
            "counts_every_state" => Ok(Counts::default()),
            _ => self.inner.counts().await,
        }
    }

    async fn journal(
        &self,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        let mut entries = self.inner.journal(after, limit).await?;
        if self.is("keeps_a_journal_of_events_and_answers") {
            for entry in &mut entries {
                entry.deliveries.clear();
            }
        }
        Ok(entries)
    }

    async fn sweep(&self, before: SystemTime, limit: usize) -> Result<Swept, StoreError> {
        let before = match self.bug {
            "sweeps_what_is_done_and_old" => at(10_000),
            _ => before,
        };
        self.inner.sweep(before, limit).await
    }
}
