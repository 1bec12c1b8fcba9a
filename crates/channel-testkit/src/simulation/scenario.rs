//! What happens in one simulation, decided by its seed alone.

use std::time::Duration;

use channel_core::{Guarantees, Redelivery, Repeat};

use super::world::World;

/// How the platform delivers events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiving {
    /// Over a connection; what is not acknowledged comes again.
    Acknowledged,
    /// Over a connection that goes on where the adapter says, which the store remembers.
    Cursor,
    /// By webhook; a request that is not answered with success comes again.
    Webhook,
}

/// What the bot does with one event.
#[derive(Debug, Clone, Default)]
pub(super) struct Behaviour {
    /// The number of parts of each reply.
    pub(super) replies: Vec<usize>,
    /// Streams a reply with this many previews, after the others.
    pub(super) previews: usize,
    /// How long the handler takes before and between its replies.
    pub(super) thinks: Duration,
    /// How many attempts fail after they have replied.
    pub(super) fails: u32,
    /// Whether every attempt panics.
    pub(super) poison: bool,
    /// Whether the policy says no.
    pub(super) refused: bool,
}

/// One event of the platform's users.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) at: Duration,
    pub(super) chat: usize,
    pub(super) behaviour: Behaviour,
}

/// A message that the application sends on its own account.
#[derive(Debug, Clone)]
pub(super) struct Unasked {
    pub(super) at: Duration,
    pub(super) chat: usize,
    pub(super) parts: usize,
    /// Whether nobody is to see it.
    pub(super) hidden: bool,
}

/// How often what goes wrong, in thousandths.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rates {
    /// A call of the store fails and writes nothing.
    pub(super) store_error: u64,
    /// A call of the store writes, and its answer is lost.
    pub(super) store_lost: u64,
    /// The process dies before a write, or after it.
    pub(super) store_crash: u64,
    /// A request of the bot fails before it has an effect.
    pub(super) send_error: u64,
    /// The platform says: too many.
    pub(super) rate_limited: u64,
    /// The effect is there and the answer is lost.
    pub(super) lost_answer: u64,
    /// The process dies before the request has arrived, or after it.
    pub(super) send_crash: u64,
    /// An event comes twice.
    pub(super) duplicate: u64,
    /// An event overtakes those of other conversations.
    pub(super) reorder: u64,
    /// An acknowledgement is lost.
    pub(super) lost_ack: u64,
    /// The connection breaks.
    pub(super) disconnect: u64,
}

/// The whole of it.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) repeat: Repeat,
    pub(super) receiving: Receiving,
    pub(super) at_least_once: bool,
    pub(super) said: Vec<Said>,
    pub(super) unasked: Vec<Unasked>,
    pub(super) rates: Rates,
    /// The longest that a call of the store, and of the platform, takes.
    pub(super) store_delay: Duration,
    pub(super) platform_delay: Duration,
    /// How many processes may die.
    pub(super) crashes: u64,
    /// A second process starts at this moment and works beside the first.
    pub(super) second: Option<Duration>,
    /// The first process stands still from here, for so long.
    pub(super) pause: Option<(Duration, Duration)>,
    /// The store answers nothing from here, for so long.
    pub(super) outage: Option<(Duration, Duration)>,
    /// The first chat refuses the bot from here, for so long.
    pub(super) blocked: Option<(Duration, Duration)>,
    /// The bot is told to stop here, and started again.
    pub(super) restart: Option<Duration>,
    /// The wall clock jumps here, by so many seconds.
    pub(super) jump: Option<(Duration, i64)>,
    /// Whether somebody has the dead events tried again in the end.
    pub(super) revives: bool,
    /// When faults end.
    pub(super) calm_at: Duration,
}

fn seconds(world: &World, from: u64, to: u64) -> Duration {
    Duration::from_millis(from * 1000 + world.below((to - from) * 1000))
}

fn behaviour(world: &World) -> Behaviour {
    let mut behaviour = Behaviour::default();
    let replies = [0, 1, 1, 1, 1, 1, 2, 3];
    let parts = [1, 1, 1, 2, 2, 3, 5];
    let pick = |from: &[usize]| {
        let index = usize::try_from(world.below(from.len() as u64)).unwrap_or(0);
        from.get(index).copied().unwrap_or(1)
    };
    for _ in 0..pick(&replies) {
        behaviour.replies.push(pick(&parts));
    }
    if world.chance(200) {
        behaviour.thinks = world.span(Duration::from_secs(20));
    }
    if world.chance(120) {
        behaviour.previews = pick(&[1, 3, 10, 30]);
    }
    match world.below(100) {
        0..8 => behaviour.fails = 1 + u32::from(world.chance(300)),
        8..12 => behaviour.poison = true,
        12..17 => behaviour.refused = true,
        _ => {}
    }
    behaviour
}

impl Scenario {
    pub(super) fn draw(world: &World) -> Self {
        let repeat = match world.below(3) {
            0 => Repeat::Keyed(Duration::from_secs(86_400)),
            1 => Repeat::ReadBack,
            _ => Repeat::Doubles,
        };
        let receiving = match world.below(5) {
            0 | 1 => Receiving::Acknowledged,
            2 | 3 => Receiving::Webhook,
            _ => Receiving::Cursor,
        };
        let chats = 1 + usize::try_from(world.below(4)).unwrap_or(0);
        let span = seconds(world, 2, 60);
        let mut said: Vec<_> = (0..4 + world.below(14))
            .map(|_| Said {
                at: world.span(span),
                chat: usize::try_from(world.below(chats as u64)).unwrap_or(0),
                behaviour: behaviour(world),
            })
            .collect();
        said.sort_by_key(|said| said.at);
        let few = if world.chance(300) {
            1 + world.below(5)
        } else {
            0
        };
        let mut unasked: Vec<_> = (0..few)
            .map(|_| Unasked {
                at: world.span(span),
                chat: usize::try_from(world.below(chats as u64)).unwrap_or(0),
                parts: 1 + usize::try_from(world.below(3)).unwrap_or(0),
                hidden: world.chance(400),
            })
            .collect();
        unasked.sort_by_key(|unasked| unasked.at);
        let often = |most: u64| {
            if world.chance(450) {
                world.below(most)
            } else {
                0
            }
        };
        let rates = Rates {
            store_error: often(120),
            store_lost: often(60),
            store_crash: often(50),
            send_error: often(250),
            rate_limited: often(200),
            lost_answer: often(250),
            send_crash: often(80),
            duplicate: often(300),
            reorder: often(300),
            lost_ack: often(200),
            disconnect: often(60),
        };
        let window = |permille: u64, longest: u64| {
            world
                .chance(permille)
                .then(|| (world.span(span), seconds(world, 1, longest)))
        };
        let second = world.chance(250).then(|| world.span(span));
        let pause = window(200, 120);
        let jump = world.chance(100).then(|| {
            let by = i64::try_from(1 + world.below(900)).unwrap_or(1);
            (world.span(span), if world.chance(500) { by } else { -by })
        });
        // Whose lease is over is a matter of the wall clock: with two at work a jump makes
        // both believe that they are alone.
        let alone = second.is_none() && pause.is_none() && unasked.is_empty();
        let jump = jump.filter(|_| alone);
        // Never nothing: a loop that waits for nothing has to end in the patience of somebody.
        let millis = |most: u64| Duration::from_millis(1 + world.below(most));
        Self {
            repeat,
            receiving,
            at_least_once: world.chance(500),
            said,
            unasked,
            rates,
            store_delay: millis(50),
            platform_delay: millis(800),
            crashes: world.below(6),
            second,
            pause,
            outage: window(150, 60),
            blocked: window(120, 90),
            restart: world.chance(150).then(|| world.span(span)),
            jump,
            revives: world.chance(250),
            calm_at: span + seconds(world, 1, 60),
        }
    }

    /// What the simulated platform lets the channel promise.
    pub(super) fn guarantees(&self) -> Guarantees {
        Guarantees::new(Redelivery::UntilAcknowledged, self.repeat)
    }
}
