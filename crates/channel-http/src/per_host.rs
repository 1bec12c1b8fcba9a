//! How many connections one host gets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::dial::Origin;

/// Hosts without connections are forgotten when more than this are known.
const FEW: usize = 64;

/// Counts the connections of each host and lets no more than a bound be open.
///
/// Only opening a connection comes past here; requests on kept connections do not.
#[derive(Debug, Clone)]
pub(crate) struct PerHost(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    hosts: Mutex<Hosts>,
}

#[derive(Debug, Default)]
struct Hosts {
    /// Alive as long as a connection, or a wait for one, is.
    places: HashMap<Origin, Weak<Semaphore>>,
    /// How many may be known before those without connections are forgotten.
    room: usize,
}

impl PerHost {
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Inner {
            limit: limit.clamp(1, Semaphore::MAX_PERMITS),
            hosts: Mutex::default(),
        }))
    }

    /// Waits until the host may have one more connection, which holds the place.
    pub(crate) async fn place(&self, origin: &Origin) -> Option<Place> {
        let places = self.places(origin);
        let permit = Arc::clone(&places).acquire_owned().await.ok()?;
        Some(Place {
            _permit: permit,
            _places: places,
        })
    }

    fn places(&self, origin: &Origin) -> Arc<Semaphore> {
        let mut hosts = self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = hosts.places.get(origin).and_then(Weak::upgrade) {
            return places;
        }
        if hosts.places.len() >= hosts.room.max(FEW) {
            hosts.places.retain(|_, places| places.strong_count() > 0);
            hosts.room = hosts.places.len() * 2;
        }
        let places = Arc::new(Semaphore::new(self.0.limit));
        hosts.places.insert(origin.clone(), Arc::downgrade(&places));
        places
    }
}

/// The place of one connection, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    _places: Arc<Semaphore>,
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn origin(host: &str) -> Origin {
        Origin {
            tls: false,
            host: host.to_owned(),
            port: 80,
        }
    }

    #[test]
    fn hosts_do_not_take_places_from_each_other() {
        let per_host = PerHost::new(1);
        let first = per_host.place(&origin("a")).now_or_never().unwrap();
        assert!(per_host.place(&origin("a")).now_or_never().is_none());
        assert!(per_host.place(&origin("b")).now_or_never().is_some());
        drop(first);
        assert!(per_host.place(&origin("a")).now_or_never().is_some());
    }

    #[test]
    fn hosts_without_connections_are_forgotten() {
        let per_host = PerHost::new(1);
        let kept = per_host.place(&origin("kept")).now_or_never().unwrap();
        for number in 0..10_000 {
            let origin = origin(&number.to_string());
            drop(per_host.place(&origin).now_or_never().unwrap());
        }
        let known = per_host.0.hosts.lock().unwrap().places.len();
        assert!(known <= FEW, "{known} hosts are known");
        assert!(per_host.place(&origin("kept")).now_or_never().is_none());
        drop(kept);
    }
}
