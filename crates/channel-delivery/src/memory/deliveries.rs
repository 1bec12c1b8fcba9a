//! Deliveries in memory.

use std::time::SystemTime;

use super::state::{DeliveryRow, State, beyond};
use crate::outbound::{
    Ahead, DeadDelivery, DeliveryId, NewDelivery, Part, Planned, StoredDelivery,
};
use crate::rules::{self, NOBODY, fenced, no_delivery};
use crate::store::{StoreError, StoreErrorKind};
use crate::worker::Fence;

impl State {
    pub(crate) fn plan(
        &mut self,
        fence: Fence,
        delivery: NewDelivery,
        now: SystemTime,
    ) -> Result<Planned, StoreError> {
        self.check_alive(fence)?;
        let key = (delivery.channel.clone(), delivery.key.clone());
        if let Some(id) = self.keys.get(&key).copied() {
            return self.plan_again(fence, id, delivery, now);
        }
        if self.open_deliveries.len() >= self.limits.unfinished {
            return Err(StoreError::new(
                StoreErrorKind::Unavailable,
                "the store in memory is full of unfinished deliveries",
            ));
        }
        self.last_delivery += 1;
        let id = DeliveryId::new(self.last_delivery);
        let row = DeliveryRow {
            owner: fence,
            parts: vec![Part::prepared(); delivery.parts],
            delivery,
            planned_at: now,
            touched_at: now,
            dropped: false,
        };
        self.keys.insert(key, id);
        self.answers
            .extend(row.delivery.answers.map(|seq| (seq, id)));
        let stored = row.stored(id);
        self.deliveries.insert(id, row);
        self.file_delivery(id);
        let is_behind = self.is_behind_others(fence, id);
        Ok(Planned::new(stored, true).behind_others(is_behind))
    }

    /// Whether something unfinished of its conversation is older and another worker's.
    fn is_behind_others(&self, fence: Fence, id: DeliveryId) -> bool {
        let mut ahead = self.open_ahead(id);
        ahead.any(|ahead| self.owner(ahead) != Some(fence))
    }

    fn owner(&self, id: DeliveryId) -> Option<Fence> {
        self.deliveries.get(&id).map(|row| row.owner)
    }

    /// What is unfinished in the conversation of a delivery and older, oldest first.
    fn open_ahead(&self, id: DeliveryId) -> impl Iterator<Item = DeliveryId> {
        let row = self.deliveries.get(&id).filter(|row| !row.dropped);
        let lane = row.map(|row| row.delivery.conversation());
        let open = lane.map(|lane| {
            let first = (lane.clone(), DeliveryId::new(i64::MIN));
            self.open_in.range(first..(lane, id))
        });
        open.into_iter().flatten().map(|(_, id)| *id)
    }

    pub(crate) fn ahead(
        &mut self,
        fence: Fence,
        delivery: DeliveryId,
        limit: usize,
        now: SystemTime,
    ) -> Result<Ahead, StoreError> {
        self.end_leases(fence, now)?;
        let may_take = |id: &DeliveryId| {
            let owner = self.owner(*id);
            owner.is_some_and(|owner| !self.is_taken(owner, fence))
        };
        let open = self.open_ahead(delivery);
        let mine: Vec<_> = open.take_while(may_take).take(limit).collect();
        let more = self.open_ahead(delivery).nth(mine.len()).is_some();
        Ok(Ahead::new(self.take_deliveries(fence, mine), more))
    }

    fn take_deliveries(&mut self, fence: Fence, ids: Vec<DeliveryId>) -> Vec<StoredDelivery> {
        let take = |id| {
            let row = self.deliveries.get_mut(&id)?;
            row.owner = fence;
            Some(row.stored(id))
        };
        ids.into_iter().filter_map(take).collect()
    }

    /// The plan that is there, taken over if nobody alive owns it.
    fn plan_again(
        &mut self,
        fence: Fence,
        id: DeliveryId,
        asked: NewDelivery,
        now: SystemTime,
    ) -> Result<Planned, StoreError> {
        self.end_leases(fence, now)?;
        let row = self.deliveries.get(&id).ok_or_else(|| no_delivery(id))?;
        let taken = self.is_taken(row.owner, fence);
        let row = self
            .deliveries
            .get_mut(&id)
            .ok_or_else(|| no_delivery(id))?;
        if !taken {
            row.owner = fence;
        }
        let mut stored = row.stored(id);
        if row.dropped {
            stored.delivery.message = asked.message;
        }
        let is_behind = self.is_behind_others(fence, id);
        Ok(Planned::new(stored, false).behind_others(is_behind))
    }

    pub(crate) fn update(
        &mut self,
        fence: Fence,
        id: DeliveryId,
        changes: &[(usize, Part)],
        now: SystemTime,
    ) -> Result<(), StoreError> {
        self.check_alive(fence)?;
        let row = self.deliveries.get_mut(&id).filter(|row| !row.dropped);
        let row = row.ok_or_else(|| no_delivery(id))?;
        if row.owner != fence {
            return Err(fenced());
        }
        row.parts = rules::update_parts(&row.parts, changes, id)?;
        row.touched_at = now;
        self.file_delivery(id);
        Ok(())
    }

    pub(crate) fn claim_deliveries(
        &mut self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        self.end_leases(fence, now)?;
        let is_taken = |owner| self.is_taken(owner, fence);
        let free = |id: &&DeliveryId| {
            let owner = self.owner(**id);
            owner.is_some_and(|owner| owner != fence && !is_taken(owner))
        };
        let is_alone = self.is_alone();
        let is_next = |id: &&DeliveryId| {
            let mut ahead = self.open_ahead(**id);
            is_alone || !ahead.any(|ahead| self.owner(ahead).is_some_and(is_taken))
        };
        let free = self.open_deliveries.iter().filter(free).filter(is_next);
        let free = free.take(limit).copied().collect();
        Ok(self.take_deliveries(fence, free))
    }

    pub(crate) fn owned_deliveries(
        &self,
        fence: Fence,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        self.check_alive(fence)?;
        let owned = |id: &DeliveryId| {
            let row = self.deliveries.get(id)?;
            (row.owner == fence).then(|| row.stored(*id))
        };
        let open = self.open_deliveries.range(beyond(after));
        Ok(open.filter_map(owned).take(limit).collect())
    }

    pub(crate) fn dead_deliveries(
        &self,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Vec<DeadDelivery> {
        let stuck = |id: &DeliveryId| {
            let row = self.deliveries.get(id).filter(|row| row.is_stuck())?;
            Some(DeadDelivery::new(row.stored(*id)))
        };
        let all = self.final_deliveries.range(beyond(after));
        all.filter_map(stuck).take(limit).collect()
    }

    pub(crate) fn retry_delivery(&mut self, id: DeliveryId, now: SystemTime) -> bool {
        let Some(row) = self.deliveries.get_mut(&id).filter(|row| row.is_stuck()) else {
            return false;
        };
        row.parts = rules::revive_parts(&row.parts);
        row.owner = NOBODY;
        row.touched_at = now;
        let chat = row.delivery.message.to.target().chat.clone();
        let channel = row.delivery.channel.clone();
        self.set_target(&channel, &chat, None);
        self.file_delivery(id);
        true
    }

    pub(crate) fn drop_delivery(&mut self, id: DeliveryId, now: SystemTime) -> bool {
        let Some(row) = self.deliveries.get_mut(&id).filter(|row| row.is_stuck()) else {
            return false;
        };
        row.dropped = true;
        row.delivery.message = rules::emptied(&row.delivery.message);
        row.touched_at = now;
        true
    }

    /// Keeps the two lists right, and the finished one short.
    fn file_delivery(&mut self, id: DeliveryId) {
        let Some(row) = self.deliveries.get(&id) else {
            return;
        };
        if rules::moves(&row.parts) {
            self.final_deliveries.remove(&id);
            if self.open_deliveries.insert(id) {
                self.open_in.insert((row.delivery.conversation(), id));
            }
            return;
        }
        if self.open_deliveries.remove(&id) {
            self.open_in.remove(&(row.delivery.conversation(), id));
        }
        self.final_deliveries.insert(id);
        while self.final_deliveries.len() > self.limits.history {
            match self.final_deliveries.first().copied() {
                Some(oldest) => self.forget_delivery(oldest),
                None => return,
            }
        }
    }

    pub(crate) fn forget_delivery(&mut self, id: DeliveryId) {
        self.final_deliveries.remove(&id);
        let Some(row) = self.deliveries.remove(&id) else {
            return;
        };
        if let Some(seq) = row.delivery.answers {
            self.answers.remove(&(seq, id));
        }
        self.keys.remove(&(row.delivery.channel, row.delivery.key));
    }
}
