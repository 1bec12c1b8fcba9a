//! The timer of request heads: one for each connection, which is moved when it rings.
//!
//! hyper wants a new timer for every head, and drops nearly all of them long before their
//! time. Entering and leaving the wheel of timers would cost each request more than reading
//! its head does.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

type Alarm = Pin<Box<tokio::time::Sleep>>;

/// The timer of one connection, on which one head is waited for at a time.
#[derive(Debug, Default)]
pub(crate) struct HeadTimer(Arc<Mutex<Option<Alarm>>>);

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(HeadSleep {
            alarm: Arc::clone(&self.0),
            deadline: deadline.into(),
        })
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into()
    }
}

/// The wait for one head.
#[derive(Debug)]
struct HeadSleep {
    alarm: Arc<Mutex<Option<Alarm>>>,
    deadline: tokio::time::Instant,
}

impl Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        let mut alarm = self.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        let alarm = alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if alarm.deadline() > deadline {
            alarm.as_mut().reset(deadline);
        }
        loop {
            ready!(alarm.as_mut().poll(cx));
            if alarm.deadline() >= deadline {
                return Poll::Ready(());
            }
            // It rang for a head that came in time.
            alarm.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_wait_ends_at_its_own_deadline() {
        let timer = HeadTimer::default();
        let start = tokio::time::Instant::now();
        let seconds = Duration::from_secs;
        // Waits that are given up, as those for heads that came in time.
        for _ in 0..3 {
            let wait = timer.sleep(seconds(10));
            assert!(tokio::time::timeout(seconds(4), wait).await.is_err());
        }
        timer.sleep(seconds(10)).await;
        assert_eq!(start.elapsed().as_secs(), 22);
        timer.sleep(seconds(1)).await;
        timer.sleep(seconds(0)).await;
        assert_eq!(start.elapsed().as_secs(), 23);
        let long = timer.sleep(seconds(20));
        assert!(tokio::time::timeout(seconds(1), long).await.is_err());
        timer.sleep(seconds(2)).await;
        assert_eq!(start.elapsed().as_secs(), 26);
    }
}
