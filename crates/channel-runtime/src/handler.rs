//! Handlers: the application's own functions.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use channel_core::{Action, AuthorizedEvent, Channel, Message};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::incoming::Incoming;

/// Any error of an application; `?` turns every error type into it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What a handler returns.
pub type HandlerResult = Result<(), BoxError>;

/// A handler behind a pointer.
pub(crate) type Handler<T> =
    Arc<dyn Fn(Incoming<T>) -> BoxFuture<'static, HandlerResult> + Send + Sync>;

/// A handler of everything else.
pub(crate) type OtherHandler = Arc<
    dyn Fn(Arc<dyn Channel>, AuthorizedEvent) -> BoxFuture<'static, HandlerResult> + Send + Sync,
>;

/// Every handler of a bot.
#[derive(Clone, Default)]
pub(crate) struct Handlers {
    pub(crate) message: Option<Handler<Message>>,
    pub(crate) edited: Option<Handler<Message>>,
    pub(crate) action: Option<Handler<Action>>,
    pub(crate) other: Option<OtherHandler>,
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers")
            .field("message", &self.message.is_some())
            .field("edited", &self.edited.is_some())
            .field("action", &self.action.is_some())
            .field("other", &self.other.is_some())
            .finish()
    }
}

/// Boxes a handler; a panic before its first await counts as a panic of the handler.
pub(crate) fn boxed<T, F, Fut>(handler: F) -> Handler<T>
where
    T: Send + 'static,
    F: Fn(Incoming<T>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = HandlerResult> + Send + 'static,
{
    Arc::new(move |incoming| handler(incoming).boxed())
}
