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
pub(crate) async fn judge_and_handle(
    core: &Core,
    channel: &Arc<dyn Channel>,
    event: Event,
) -> Handling {
    match authorize(core.policy.as_ref(), event).await {
        Ok(event) => handle(core, channel, event).await,
        Err(denied) => {
            let reason = denied.reason;
            tracing::debug!(channel = %denied.event.channel, reason, "refused");
            tell_why(channel.as_ref(), denied).boxed().await;
            Handling::Refused(reason)
        }
    }
}

async fn tell_why(channel: &dyn Channel, denied: Denied) {
    let is_confidential = denied.is_confidential;
    let told = match (&denied.event.kind, denied.answer) {
        // Without an answer the button would look pressed for a while.
        (EventKind::Action(press), answer) => {
            return answer_press(channel, press, answer.as_deref()).await;
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

/// Runs the handler of an event.
async fn handle(core: &Core, channel: &Arc<dyn Channel>, event: Authorized<Event>) -> Handling {
    let guarded = event.bound().map(|bound| {
        let (channel, policy) = (Arc::clone(channel), Arc::clone(&core.policy));
        Arc::new(BoundChannel::new(channel, policy, bound.clone())) as Arc<dyn Channel>
    });
    let channel = guarded.as_ref().unwrap_or(channel);
    match begin(core, channel, event) {
        Begun::Ignored => Handling::Ignored,
        Begun::Handler(work) => work.await.into(),
        Begun::Typing(work) => work.await.into(),
        Begun::Action(work) => work.await,
    }
}

/// A handler that has been called.
enum Begun<'a> {
    Ignored,
    Handler(BoxFuture<'static, HandlerResult>),
    Typing(BoxFuture<'a, HandlerResult>),
    Action(BoxFuture<'a, Handling>),
}

/// Calls the handler of an event. Not async, so that the event is not kept, once for each
/// step that it goes through, in the future of every event under way.
fn begin<'a>(core: &'a Core, channel: &'a Arc<dyn Channel>, event: Authorized<Event>) -> Begun<'a> {
    let handlers = &core.handlers;
    let shared = || Arc::clone(channel);
    match event.into_parts() {
        Some(AuthorizedEvent::Message(message)) => match &handlers.message {
            Some(handler) => {
                let to = core.typing.then(|| message.return_address.clone());
                let work = handler(Incoming::new(message, shared(), None));
                match to {
                    Some(to) => {
                        Begun::Typing(while_typing(core, channel.as_ref(), to.into(), work).boxed())
                    }
                    None => Begun::Handler(work),
                }
            }
            None => Begun::Ignored,
        },
        Some(AuthorizedEvent::Edited(message)) => match &handlers.edited {
            Some(handler) => Begun::Handler(handler(Incoming::new(message, shared(), None))),
            None => Begun::Ignored,
        },
        Some(AuthorizedEvent::Action(action)) => {
            Begun::Action(act(channel, handlers.action.as_ref(), action).boxed())
        }
        Some(other) => match &handlers.other {
            Some(handler) => Begun::Handler(handler(shared(), other)),
            None => Begun::Ignored,
        },
        None => Begun::Ignored,
    }
}

/// Runs the handler of a press, then takes the platform's waiting sign away, whatever has
/// become of the handler.
async fn act(
    channel: &Arc<dyn Channel>,
    handler: Option<&Handler<Action>>,
    action: Authorized<Action>,
) -> Handling {
    let Some(handler) = handler else {
        answer_press(channel.as_ref(), &action, None).await;
        return Handling::Ignored;
    };
    let answered = Arc::new(AtomicBool::new(false));
    let press = (*action).clone();
    let incoming = Incoming::new(action, Arc::clone(channel), Some(Arc::clone(&answered)));
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
    channel: &dyn Channel,
    to: Destination,
    work: BoxFuture<'static, HandlerResult>,
) -> HandlerResult {
    let Some(typing) = channel.as_typing() else {
        return work.await;
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
        result = work => result,
        () = sign => Ok(()),
    }
}
