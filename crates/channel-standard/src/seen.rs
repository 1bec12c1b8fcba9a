//! Which frames have been seen before, client by client.

use std::collections::{BTreeSet, HashMap, VecDeque};

use channel_core::{EventId, SenderId};

/// Ids that are remembered of one client.
const OF_CLIENT: usize = 10_000;

/// Ids that are remembered of all clients together.
const IN_ALL: usize = 100_000;

/// What is known of the last ids of each client.
///
/// A client that sends much pushes out its own ids. Only when all clients together have too
/// many is an id taken from another, and then from the one that has most.
#[derive(Debug)]
pub(crate) struct Seen<T> {
    of_client: usize,
    in_all: usize,
    ids: HashMap<EventId, (u64, T)>,
    clients: HashMap<SenderId, VecDeque<(u64, EventId)>>,
    /// How many each client has, to find the one that has most.
    sizes: BTreeSet<(usize, SenderId)>,
    total: usize,
    next: u64,
}

impl<T> Seen<T> {
    pub(crate) fn new() -> Self {
        Self::bounded(OF_CLIENT, IN_ALL)
    }

    fn bounded(of_client: usize, in_all: usize) -> Self {
        Self {
            of_client,
            in_all,
            ids: HashMap::new(),
            clients: HashMap::new(),
            sizes: BTreeSet::new(),
            total: 0,
            next: 0,
        }
    }

    pub(crate) fn contains(&self, id: &EventId) -> bool {
        self.ids.contains_key(id)
    }

    pub(crate) fn get_mut(&mut self, id: &EventId) -> Option<&mut T> {
        self.ids.get_mut(id).map(|(_, value)| value)
    }

    /// Remembers an id, and forgets another where there are too many.
    pub(crate) fn insert(&mut self, id: EventId, value: T) {
        let client = client_of(&id);
        let own = self.clients.get(&client).map_or(0, VecDeque::len);
        if own >= self.of_client {
            self.forget_oldest(&client);
        } else if self.total >= self.in_all
            && let Some((_, most)) = self.sizes.last().cloned()
        {
            self.forget_oldest(&most);
        }
        let number = self.next;
        self.next += 1;
        self.ids.insert(id.clone(), (number, value));
        self.resize(&client, |order| order.push_back((number, id)));
    }

    /// Forgets an id. Its place in the order of its client is given up in its turn.
    pub(crate) fn remove(&mut self, id: &EventId) {
        self.ids.remove(id);
    }

    fn forget_oldest(&mut self, client: &SenderId) {
        let Some((number, id)) = self.resize(client, VecDeque::pop_front).flatten() else {
            return;
        };
        // The same id may have been removed and sent again since.
        if self.ids.get(&id).is_some_and(|(other, _)| *other == number) {
            self.ids.remove(&id);
        }
    }

    /// Changes the order of a client and keeps count.
    fn resize<R>(
        &mut self,
        client: &SenderId,
        change: impl FnOnce(&mut VecDeque<(u64, EventId)>) -> R,
    ) -> Option<R> {
        let order = self.clients.entry(client.clone()).or_default();
        let before = order.len();
        let outcome = change(order);
        let after = order.len();
        self.sizes.remove(&(before, client.clone()));
        if after == 0 {
            self.clients.remove(client);
        } else {
            self.sizes.insert((after, client.clone()));
        }
        self.total = (self.total + after).saturating_sub(before);
        Some(outcome)
    }
}

/// The client that an id begins with; ids of clients hold no slash.
fn client_of(id: &EventId) -> SenderId {
    let client = id.as_str().split('/').next().unwrap_or_default();
    SenderId::new(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(client: &str, number: usize) -> EventId {
        EventId::from(format!("{client}/default/m-{number}"))
    }

    #[test]
    fn one_client_cannot_push_out_the_ids_of_another() {
        let mut seen = Seen::bounded(10, 30);
        for number in 0..5 {
            seen.insert(id("quiet", number), ());
        }
        for number in 0..1000 {
            seen.insert(id("loud", number), ());
        }
        assert!((0..5).all(|number| seen.contains(&id("quiet", number))));
        assert!((990..1000).all(|number| seen.contains(&id("loud", number))));
        assert!(!seen.contains(&id("loud", 989)));
    }

    #[test]
    fn many_clients_are_bounded_together_and_those_with_most_give_up_first() {
        let mut seen = Seen::bounded(10, 30);
        seen.insert(id("quiet", 0), ());
        for number in 0..10 {
            for client in ["a", "b", "c", "d", "e"] {
                seen.insert(id(client, number), ());
            }
        }
        assert!(seen.contains(&id("quiet", 0)));
        assert_eq!((seen.total, seen.ids.len()), (30, 30));
        assert!(
            ["a", "b", "c", "d", "e"]
                .iter()
                .all(|it| seen.contains(&id(it, 9)))
        );
        // Nothing is left of clients whose ids are all forgotten.
        for number in 0..1000 {
            seen.insert(id(&format!("once-{number}"), 0), ());
        }
        assert_eq!((seen.total, seen.ids.len()), (30, 30));
        assert!(seen.clients.len() <= 30 && seen.sizes.len() == seen.clients.len());
    }

    #[test]
    fn an_id_that_was_removed_and_came_again_counts_from_then() {
        let mut seen = Seen::bounded(3, 30);
        seen.insert(id("a", 0), ());
        seen.remove(&id("a", 0));
        seen.insert(id("a", 1), ());
        seen.insert(id("a", 0), ());
        seen.insert(id("a", 2), ());
        assert!(
            seen.contains(&id("a", 0)),
            "the old place went, not the new"
        );
    }
}
