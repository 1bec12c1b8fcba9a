//! From an event to the application's handler.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use channel_core::{
    Action, Authorized, AuthorizedEvent, Channel, Denied, Destination, Event, EventKind, authorize,
};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, pending};

use crate::bound::BoundChannel;
use crate::driver::Core;
use crate::handler::{BoxError, Handler, HandlerResult};
use crate::incoming::Incoming;

/// How long typing may be shown for one message.
const LONGEST_TYPING: Duration = Duration::from_secs(300);

/// How handling an event ended.
pub(crate) enum Handling {
    Handled,
    /// The policy said no, for this reason.
    Refused(&'static str),
    /// There is no handler for it.
    Ignored,
    Failed(BoxError),
}

impl From<HandlerResult> for Handling {
    fn from(result: HandlerResult) -> Self {
        match result {
            Ok(()) => Self::Handled,
            Err(error) => Self::Failed(error),
        }
    }
}

/// Asks the policy, then runs the handler. What the handler sends goes out through
/// `channel`.
///
/// There is one of these futures for each event under way.
#[expect(
    clippy::manual_async_fn,
    reason = "the arguments of an async function are kept twice"
)]
pub(crate) fn judge_and_handle<'a>(
    core: &'a Core,
    channel: &'a Arc<dyn Channel>,
    event: Event,
) -> impl Future<Output = Handling> + Send + 'a {
    async move {
        let judged = authorize(core.policy.as_ref(), event).await;
        match begin(core, channel, judged) {
            Begun::Ignored => Handling::Ignored,
            Begun::Handler(work) => work.await.into(),
            Begun::Other(work) => work.await,
        }
    }
}

/// Tells the sender what the policy has to say, if anything.
async fn tell_why(channel: &dyn Channel, denied: Denied) -> Handling {
    tracing::debug!(channel = %denied.event.channel, reason = denied.reason, "refused");
    tell(channel, &denied).await;
    Handling::Refused(denied.reason)
}

async fn tell(channel: &dyn Channel, denied: &Denied) {
    let is_confidential = denied.is_confidential;
    let told = match (&denied.event.kind, denied.answer.as_deref()) {
        // Without an answer the button would look pressed for a while.
        (EventKind::Action(press), answer) => {
            return answer_press(channel, press, answer).await;
        }
        (EventKind::Message(message), Some(answer)) => {
            let mut answer = message.reply(answer);
            answer.confidential = is_confidential;
            channel.send(&answer).await
        }
        _ => return,
    };
    if let Err(error) = told {
        tracing::debug!(%error, "the refusal could not be told");
    }
}

/// Takes the platform's waiting sign off a button.
async fn answer_press(channel: &dyn Channel, press: &Action, notice: Option<&str>) {
    if let Some(actions) = channel.as_actions()
        && let Err(error) = actions.answer_action(press, notice).await
    {
        tracing::debug!(%error, "the press could not be answered");
    }
}

/// The channel through which the handler of an event sends: one that asks, for each message,
/// whether the binding still holds, where there is one.
fn guarded(core: &Core, channel: &Arc<dyn Channel>, event: &Authorized<Event>) -> Arc<dyn Channel> {
    let channel = Arc::clone(channel);
    match event.bound() {
        Some(bound) => {
            let policy = Arc::clone(&core.policy);
            Arc::new(BoundChannel::new(channel, policy, bound.clone()))
        }
        None => channel,
    }
}

/// What is done about an event.
enum Begun<'a> {
    Ignored,
    /// The handler has been called, and there is nothing else to do.
    Handler(BoxFuture<'static, HandlerResult>),
    Other(BoxFuture<'a, Handling>),
}

/// Calls the handler of an event. Not async, so that the event is not kept, once for each
/// step that it goes through, in the future of every event under way.
fn begin<'a>(
    core: &'a Core,
    channel: &'a Arc<dyn Channel>,
    judged: Result<Authorized<Event>, Denied>,
) -> Begun<'a> {
    let event = match judged {
        Ok(event) => event,
        Err(denied) => return Begun::Other(tell_why(channel.as_ref(), denied).boxed()),
    };
    let handlers = &core.handlers;
    let channel = guarded(core, channel, &event);
    match event.into_parts() {
        Some(AuthorizedEvent::Message(message)) => match &handlers.message {
            Some(handler) if core.typing => {
                let to = message.return_address.clone();
                let work = handler(Incoming::new(message, Arc::clone(&channel), None));
                Begun::Other(while_typing(core, channel, to.into(), work).boxed())
            }
            Some(handler) => Begun::Handler(handler(Incoming::new(message, channel, None))),
            None => Begun::Ignored,
        },
        Some(AuthorizedEvent::Edited(message)) => match &handlers.edited {
            Some(handler) => Begun::Handler(handler(Incoming::new(message, channel, None))),
            None => Begun::Ignored,
        },
        Some(AuthorizedEvent::Action(action)) => {
            Begun::Other(act(channel, handlers.action.as_ref(), action).boxed())
        }
        Some(other) => match &handlers.other {
            Some(handler) => Begun::Handler(handler(channel, other)),
            None => Begun::Ignored,
        },
        None => Begun::Ignored,
    }
}

/// Runs the handler of a press, then takes the platform's waiting sign away, whatever has
/// become of the handler.
async fn act(
    channel: Arc<dyn Channel>,
    handler: Option<&Handler<Action>>,
    action: Authorized<Action>,
) -> Handling {
    let Some(handler) = handler else {
        answer_press(channel.as_ref(), &action, None).await;
        return Handling::Ignored;
    };
    let answered = Arc::new(AtomicBool::new(false));
    let press = (*action).clone();
    let incoming = Incoming::new(action, Arc::clone(&channel), Some(Arc::clone(&answered)));
    let work = AssertUnwindSafe(async { handler(incoming).await }).catch_unwind();
    let outcome = work.await;
    if !answered.load(Ordering::Relaxed) {
        answer_press(channel.as_ref(), &press, None).await;
    }
    match outcome {
        Ok(result) => result.into(),
        Err(panic) => resume_unwind(panic),
    }
}

/// Shows that an answer is being written for as long as the handler runs.
async fn while_typing(
    core: &Core,
    channel: Arc<dyn Channel>,
    to: Destination,
    work: BoxFuture<'static, HandlerResult>,
) -> Handling {
    let Some(typing) = channel.as_typing() else {
        return work.await.into();
    };
    let sign = async {
        let began = core.clock.elapsed();
        while core.clock.elapsed().saturating_sub(began) < LONGEST_TYPING {
            if let Err(error) = typing.start_typing(&to).await {
                tracing::debug!(%error, "typing could not be shown");
                break;
            }
            // Renewed a little before it ends.
            core.clock.sleep(typing.lasts().mul_f64(0.8)).await;
        }
        pending::<()>().await;
    };
    tokio::select! {
        biased;
        result = work => result.into(),
        () = sign => Handling::Handled,
    }
}
