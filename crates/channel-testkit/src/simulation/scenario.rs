//! What happens in one simulation, decided by its seed alone.

use std::time::Duration;

use channel_core::{Guarantees, Pacing, Rate, Redelivery, Repeat, Rule, Scope};
use channel_runtime::Overlap;

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

/// From when on, and for how long.
pub(super) type Window = (Duration, Duration);

/// Whether a moment is in one of these.
pub(super) fn is_in(windows: &[Window], now: Duration) -> bool {
    let mut windows = windows.iter();
    windows.any(|(from, span)| (*from..*from + *span).contains(&now))
}

/// The whole of it.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) repeat: Repeat,
    pub(super) receiving: Receiving,
    pub(super) at_least_once: bool,
    /// What becomes of messages that come while another one of their chat is handled.
    pub(super) overlap: Overlap,
    /// How many events the bot has room for, where that is little.
    pub(super) capacity: Option<usize>,
    /// The pause and the burst that the platform wants in each chat, and of all chats.
    pub(super) paced: Option<[(Duration, u32); 2]>,
    /// How many of a thousand rate limits are the whole bot's.
    pub(super) limits_all: u64,
    /// Whether an answer that grows can be gone on with after a crash.
    pub(super) resumes: bool,
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
    pub(super) pauses: Vec<Window>,
    /// The store answers nothing from here, for so long.
    pub(super) outages: Vec<Window>,
    /// The first chat refuses the bot from here, for so long.
    pub(super) blocks: Vec<Window>,
    /// The bot is told to stop here, and started again.
    pub(super) restarts: Vec<Duration>,
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

/// What happens in one stretch of time: most of it at its beginning.
struct Stretch<'a> {
    world: &'a World,
    from: Duration,
    span: Duration,
    chats: usize,
}

impl Stretch<'_> {
    fn moment(&self) -> Duration {
        self.from + self.world.span(self.span)
    }

    fn chat(&self) -> usize {
        usize::try_from(self.world.below(self.chats as u64)).unwrap_or(0)
    }

    fn said(&self) -> Said {
        Said {
            at: self.moment(),
            chat: self.chat(),
            behaviour: behaviour(self.world),
        }
    }

    fn unasked(&self) -> Unasked {
        Unasked {
            at: self.moment(),
            chat: self.chat(),
            parts: 1 + usize::try_from(self.world.below(3)).unwrap_or(0),
            hidden: self.world.chance(400),
        }
    }

    fn window(&self, permille: u64, longest: u64) -> Option<Window> {
        let drawn = self.world.chance(permille);
        drawn.then(|| (self.moment(), seconds(self.world, 1, longest)))
    }
}

fn paced(world: &World) -> Option<[(Duration, u32); 2]> {
    let bucket = |least: u64, most: u64, burst: u64| {
        let pause = Duration::from_millis(least + world.below(most - least));
        (pause, 2 + u32::try_from(world.below(burst)).unwrap_or(0))
    };
    let paced = [bucket(300, 2000, 3), bucket(100, 700, 4)];
    world.chance(400).then_some(paced)
}

fn overlap(world: &World) -> Overlap {
    match world.aside(100) {
        0..55 => Overlap::Queue,
        55..70 => Overlap::Latest,
        70..85 => Overlap::debounce(),
        _ => Overlap::Concurrent,
    }
}

fn capacity(world: &World) -> Option<usize> {
    let places = 2 + usize::try_from(world.aside(7)).unwrap_or(0);
    (world.aside(100) < 50).then_some(places)
}

impl Scenario {
    /// Draws one that lasts for a minute or two, or that has such minutes in each of so many
    /// hours.
    pub(super) fn draw(world: &World, hours: u64) -> Self {
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
        // Never nothing: a loop that waits for nothing has to end in the patience of somebody.
        let millis = |most: u64| Duration::from_millis(1 + world.below(most));
        let stretches = hours.max(1);
        let mut scenario = Self {
            repeat,
            receiving,
            at_least_once: world.chance(500),
            overlap: overlap(world),
            capacity: capacity(world),
            paced: paced(world),
            limits_all: often(600),
            resumes: world.chance(700),
            said: Vec::new(),
            unasked: Vec::new(),
            rates,
            store_delay: millis(50),
            platform_delay: millis(800),
            crashes: world.below(6) * stretches,
            second: world.chance(250).then(|| world.span(span)),
            pauses: Vec::new(),
            outages: Vec::new(),
            blocks: Vec::new(),
            restarts: Vec::new(),
            jump: None,
            revives: world.chance(250),
            calm_at: Duration::from_secs(3600 * hours) + span + seconds(world, 1, 60),
        };
        for hour in 0..stretches {
            let from = Duration::from_secs(3600 * hour);
            let span = if hour == 0 {
                span
            } else {
                seconds(world, 2, 60)
            };
            scenario.add(&Stretch {
                world,
                from,
                span,
                chats,
            });
        }
        scenario.said.sort_by_key(|said| said.at);
        scenario.unasked.sort_by_key(|unasked| unasked.at);
        let jump = world.chance(100).then(|| {
            let by = i64::try_from(1 + world.below(900)).unwrap_or(1);
            (world.span(span), if world.chance(500) { by } else { -by })
        });
        // Whose lease is over is a matter of the wall clock: with two at work a jump makes
        // both believe that they are alone.
        let alone =
            scenario.second.is_none() && scenario.pauses.is_empty() && scenario.unasked.is_empty();
        scenario.jump = jump.filter(|_| alone);
        scenario
    }

    fn add(&mut self, stretch: &Stretch<'_>) {
        let world = stretch.world;
        let many = 4 + world.below(14);
        self.said.extend((0..many).map(|_| stretch.said()));
        let few = if world.chance(300) {
            1 + world.below(5)
        } else {
            0
        };
        self.unasked.extend((0..few).map(|_| stretch.unasked()));
        self.pauses.extend(stretch.window(200, 120));
        self.outages.extend(stretch.window(150, 60));
        self.blocks.extend(stretch.window(120, 90));
        let restart = world.chance(150).then(|| stretch.moment());
        self.restarts.extend(restart);
    }

    /// How fast the platform lets the channel send.
    pub(super) fn pacing(&self) -> Pacing {
        let Some([chat, all]) = self.paced else {
            return Pacing::off();
        };
        let rule = |scope, (pause, burst)| Rule::new(scope, Rate::new(1, pause), burst);
        Pacing::off()
            .rule(rule(Scope::Chat, chat))
            .rule(rule(Scope::Channel, all))
    }

    /// Whether the bot handles the messages of a chat one after the other.
    pub(super) fn is_in_order(&self) -> bool {
        self.overlap != Overlap::Concurrent
    }

    /// Whether a message may count as handled with no attempt at it: another one was handled
    /// in its place, or with it.
    pub(super) const fn skips(&self) -> bool {
        matches!(self.overlap, Overlap::Latest | Overlap::Debounce { .. })
    }

    /// What the simulated platform lets the channel promise.
    pub(super) fn guarantees(&self) -> Guarantees {
        Guarantees::new(Redelivery::UntilAcknowledged, self.repeat)
    }
}
