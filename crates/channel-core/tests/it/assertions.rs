//! Checked by the compiler: this file has nothing to run.

use channel_core::*;

/// Every core trait can be used behind a pointer.
const fn dyn_compatible<T: ?Sized>() {}

const _: () = {
    dyn_compatible::<dyn Channel>();
    dyn_compatible::<dyn Webhook>();
    dyn_compatible::<dyn Events>();
    dyn_compatible::<dyn SocketServer>();
    dyn_compatible::<dyn Edit>();
    dyn_compatible::<dyn Delete>();
    dyn_compatible::<dyn React>();
    dyn_compatible::<dyn Typing>();
    dyn_compatible::<dyn Media>();
    dyn_compatible::<dyn Stream>();
    dyn_compatible::<dyn ReplyStream>();
    dyn_compatible::<dyn Actions>();
    dyn_compatible::<dyn Commands>();
    dyn_compatible::<dyn InboundMessage>();
    dyn_compatible::<dyn Binding>();
    dyn_compatible::<dyn Policy>();
    dyn_compatible::<dyn Intake>();
    dyn_compatible::<dyn Acknowledge>();
    dyn_compatible::<dyn HttpClient>();
    dyn_compatible::<dyn SocketConnector>();
    dyn_compatible::<dyn Clock>();
    dyn_compatible::<dyn Random>();
};

const fn send_and_sync<T: Send + Sync>() {}
const fn send<T: Send>() {}

const _: () = {
    send_and_sync::<Box<dyn Channel>>();
    send_and_sync::<Box<dyn InboundMessage>>();
    send_and_sync::<Box<dyn Binding>>();
    send_and_sync::<Box<dyn Policy>>();
    send_and_sync::<Event>();
    send_and_sync::<Received>();
    send_and_sync::<Message>();
    send_and_sync::<OutboundMessage>();
    send_and_sync::<Receipt>();
    send_and_sync::<Authorized<Message>>();
    send_and_sync::<Error>();
    send_and_sync::<Rejection>();
    send_and_sync::<Transport>();
    send_and_sync::<Secret>();
    send_and_sync::<Raw>();
    send_and_sync::<HttpRequest>();
    send_and_sync::<HttpError>();
    send::<BoxSocket>();
    send::<Accepted>();
    send::<Upgrade>();
    send::<Box<dyn ReplyStream>>();
};
