//! What the drills of all adapters have in common.

use std::sync::Arc;

use channel_core::{Connection, Crowd, EventKind, Received, Result, Transport};
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use futures_util::future::join_all;

use super::{Fault, QuickClock, Rig, Scale, Verdict, Weather, drill};

/// One test for each fault of the drill: a function is called with the fault and is to panic if a
/// promise was broken.
///
/// ```
/// use channel_testkit::drill::Fault;
///
/// fn survives(fault: Fault) {
///     assert!(Fault::ALL.contains(&fault));
/// }
///
/// channel_testkit::every_fault!(survives);
/// ```
#[macro_export]
macro_rules! every_fault {
    ($survives:path) => {
        $crate::every_fault! { $survives:
            a_half_open_connection_is_replaced HalfOpen,
            a_platform_that_says_nothing_is_noticed Silence,
            a_draining_server_is_left Drain,
            an_hour_of_sleep_is_survived Sleep,
            ten_minutes_without_names_are_outlived NoNames,
            ten_minutes_of_refused_handshakes_are_outlived Refused,
            ten_minutes_of_refused_tickets_are_outlived NoTicket,
            an_hour_of_flapping_is_outlived Flapping,
        }
    };
    ($survives:path: $($name:ident $fault:ident,)*) => {
        $(
            #[test]
            fn $name() {
                $survives($crate::drill::Fault::$fault);
            }
        )*
    };
}

/// What a drill on real sockets exposes a channel to. Its time runs faster, so that minutes of a
/// fault are seconds, and its sockets are a crowd of their own.
#[derive(Debug)]
#[non_exhaustive]
pub struct Hurry {
    /// The clock of the channel.
    pub clock: QuickClock,
    /// The network of the channel.
    pub weather: Weather,
    /// What the channel is made with.
    pub transport: Transport,
}

impl Hurry {
    /// Over real sockets, `pace` times as fast as their clock. `ticket` is the end of the path of
    /// the call by which the platform is asked where to connect.
    #[must_use]
    pub fn new(mut transport: Transport, pace: u32, ticket: &'static str) -> Self {
        let clock = QuickClock::new(Arc::clone(&transport.clock), pace);
        transport.clock = Arc::new(clock.clone());
        transport.crowd = Crowd::new();
        let weather = Weather::new();
        Self {
            transport: weather.over(transport, ticket),
            clock,
            weather,
        }
    }
}

/// Lets each of the faults befall a channel of its own, all of them beside each other; what each
/// drill has shown, and whom.
///
/// # Panics
///
/// If a promise was broken.
pub async fn outlive<R: Rig, F: Future<Output = R> + Send>(
    rig: impl Fn() -> F + Send + Sync,
    faults: &[Fault],
    scale: Scale,
) -> Vec<(R, Verdict)> {
    let runs = faults.iter().map(async |fault| {
        let rig = rig().await;
        let verdict = drill(&rig, *fault, scale).await;
        verdict.check();
        (rig, verdict)
    });
    join_all(runs).await
}

/// A channel that is dropped without being closed leaves no connection behind, which its platform
/// would go on to deliver to: neither a live one nor one that is being opened.
///
/// `ready` makes a channel whose connection is up, and `cut` breaks it. The crowd is that of the
/// channel's transport. A stream that is dropped leaves `kept` connections to its channel, for
/// answers that are due.
///
/// # Panics
///
/// If a connection is left, or was not kept.
pub async fn leaves_nothing<C: Send, F>(
    crowd: &Crowd,
    kept: usize,
    ready: impl Fn() -> F + Send + Sync,
    cut: impl FnOnce() + Send,
) where
    F: Future<Output = (C, BoxStream<'static, Result<Received>>)> + Send,
{
    let (channel, stream) = ready().await;
    drop(stream);
    assert_eq!(crowd.members(), kept, "answers may be due");
    drop(channel);
    assert_eq!(crowd.members(), 0, "a connection is left");
    let (channel, mut stream) = ready().await;
    cut();
    loop {
        let received = stream.next().await;
        let received = received.and_then(Result::ok);
        let event = received.as_ref().and_then(Received::event);
        assert!(event.is_some(), "the stream has ended instead");
        let kind = event.map(|event| &event.kind);
        if matches!(kind, Some(EventKind::Connection(Connection::Lost { .. }))) {
            break;
        }
    }
    drop((stream, channel));
    assert_eq!(crowd.members(), 0, "a connection is being opened");
}
