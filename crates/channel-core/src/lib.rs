#![doc = include_str!("../README.md")]

mod account;
mod answer;
mod attachment;
mod backoff;
mod binding;
mod card;
mod channel;
mod clock;
mod content;
mod crowd;
mod error;
mod event;
mod formatted;
mod guarantee;
mod http_client;
mod id;
mod info;
mod limits;
mod message;
mod multipart;
mod outbound;
mod pacing;
mod policy;
mod raw;
mod reply_window;
mod secret;
mod server;
mod socket;
mod token_cache;
mod transport;
mod tree;

pub use account::{
    AccountRef, Chat, ChatKind, Conversation, MessageRef, Proof, Sender, SenderKind,
};
pub use answer::{Accepted, Answer, Decided, Decision, Held};
pub use attachment::{Attachment, AttachmentKind, Upload, UploadSource};
pub use backoff::Backoff;
pub use binding::{Binding, BindingScope, BindingState, Bound, Hold, NotBound};
pub use card::{Card, CardBlock, Choice, Tone};
pub use channel::{
    Actions, Cards, Channel, CommandInfo, Commands, Delete, Edit, Events, History, Media, Parts,
    React, ReplyStream, Route, Stream, Typing, Webhook,
};
pub use clock::{Clock, Elapsed, Random, random_unit, timeout, timeout_after_turn};
pub use content::{Alignment, Block, Body, Content, Inline, ListItem, Table};
pub use crowd::{Crowd, CrowdMember};
pub use error::{Error, ErrorKind, Rejection, Result};
pub use event::{
    Acknowledge, Action, Connection, Deleted, Event, EventKind, MemberState, Membership, Moved,
    Reaction, Received, Unknown,
};
pub use formatted::{Formatted, Style, StyleMark};
pub use guarantee::{Guarantees, Redelivery, Repeat};
pub use http_client::{HttpBody, HttpClient, HttpError, HttpErrorKind, HttpRequest};
pub use id::{
    ActionId, BindingId, ChannelId, ChatId, EventId, FileId, IdempotencyKey, MessageId, OwnerId,
    Platform, SenderId, ThreadId, WorkspaceId,
};
pub use info::{Case, ChannelInfo, Identity, Quota, Spelling};
pub use limits::{Limits, Rate, TextLimit, TextUnit};
pub use message::{Addressed, Command, InboundMessage, Message, NativeMessage, Quoted};
pub use multipart::Multipart;
pub use outbound::{
    Button, ButtonAction, Destination, OutboundMessage, Purpose, Receipt, ReplyTo, Target,
};
pub use pacing::{Bucket, Call, Chats, Pacing, Rule, Scope};
pub use policy::{
    AllowEveryone, Authorized, AuthorizedEvent, Denied, Grant, Policy, Verdict, authorize,
};
pub use raw::Raw;
pub use reply_window::{Closed, ReplyLedger, ReplyWay};
pub use secret::Secret;
pub use server::{Intake, Refused, SocketServer, Upgrade};
pub use socket::{
    BoxSocket, CloseFrame, Frame, HandshakeRefused, Socket, SocketConnector, SocketRequest,
};
pub use token_cache::TokenCache;
pub use transport::Transport;

/// The macro that every channel implementation carries, re-exported so that its version
/// always fits.
pub use async_trait::async_trait;

/// What nearly every program needs.
pub mod prelude {
    pub use crate::{
        AllowEveryone, Authorized, Body, Button, Card, Channel, Error, ErrorKind, Events as _,
        InboundMessage as _, Message, OutboundMessage, Receipt, Result, Target, Upload,
    };
}
