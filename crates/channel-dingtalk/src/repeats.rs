//! Presses that come again.
//!
//! DingTalk pushes again what was not answered, under another name, and nothing in a press tells it
//! from the next one: it says who, on which card and which button, and neither when nor the how
//! manyth. What has to come again is what was not answered, so a press that is the same to the letter
//! as one whose answer is still out, or may have been lost with its connection, is that one.
//!
//! The name of its frame is all that another process has to go by: a press that comes again after a
//! restart under another name is a second event. A name made of what the press says would make the
//! next press on the same button one with the last.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use channel_http::reconnect::SocketId;
use sha2::{Digest as _, Sha256};

/// How long DingTalk takes at most to push again, and something for the way.
const COMES_WITHIN: Duration = Duration::from_secs(75);
/// How soon after an answer a connection may be lost for the answer to be lost with it.
const ON_THE_WAY: Duration = Duration::from_secs(5);
/// How many presses are remembered; the oldest is forgotten.
const MAX_KNOWN: usize = 1024;
/// No moment.
const NEVER: u64 = u64::MAX;

/// Says that a press was answered.
#[derive(Debug, Clone)]
pub(crate) struct Answered(Arc<AtomicU64>);

impl Answered {
    /// An answer goes out at this moment of the monotonic clock.
    pub(crate) fn at(&self, now: Duration) {
        let now = u64::try_from(now.as_millis()).unwrap_or(NEVER - 1);
        self.0.store(now, Ordering::Release);
    }

    /// Another frame waits for its answer.
    fn again(&self) {
        self.0.store(NEVER, Ordering::Release);
    }

    fn when(&self) -> Option<Duration> {
        let at = self.0.load(Ordering::Acquire);
        (at != NEVER).then(|| Duration::from_millis(at))
    }
}

/// What came lately.
#[derive(Debug, Default)]
pub(crate) struct Repeats(VecDeque<Known>);

#[derive(Debug)]
struct Known {
    digest: [u8; 32],
    name: String,
    /// When it came last, and by which stream and socket.
    came: Duration,
    by: (u64, SocketId),
    /// When that socket was lost.
    lost: Option<Duration>,
    answered: Answered,
}

impl Known {
    /// Whether nobody can be sure that DingTalk has the answer.
    fn may_come_again(&self) -> bool {
        let Some(answered) = self.answered.when() else {
            return true;
        };
        self.lost.is_some_and(|lost| lost <= answered + ON_THE_WAY)
    }
}

impl Repeats {
    /// The name of a press that comes in a frame of this name: that of the press which it repeats,
    /// or its own.
    pub(crate) fn name(
        &mut self,
        frame: &str,
        payload: &[u8],
        by: (u64, SocketId),
        now: Duration,
    ) -> (String, Answered) {
        while self.0.len() >= MAX_KNOWN
            || self
                .0
                .front()
                .is_some_and(|known| now.saturating_sub(known.came) > COMES_WITHIN)
        {
            self.0.pop_front();
        }
        let digest: [u8; 32] = Sha256::digest(payload).into();
        let known = self.0.iter().rposition(|known| known.digest == digest);
        let known = known.and_then(|at| self.0.remove(at));
        let mut known = known.filter(Known::may_come_again).unwrap_or(Known {
            digest,
            name: frame.to_owned(),
            came: now,
            by,
            lost: None,
            answered: Answered(Arc::new(AtomicU64::new(NEVER))),
        });
        (known.came, known.by, known.lost) = (now, by, None);
        known.answered.again();
        let name = (known.name.clone(), known.answered.clone());
        self.0.push_back(known);
        name
    }

    /// A socket is gone, and with it what was on the way.
    pub(crate) fn lost(&mut self, by: (u64, SocketId), now: Duration) {
        for known in self.0.iter_mut().filter(|known| known.by == by) {
            known.lost.get_or_insert(now);
        }
    }
}
