//! Instruction counts of the hot paths and their floors.
//!
//! Needs valgrind and `gungraun-runner`; the `ratios` binary runs it and judges.

#![expect(missing_docs, reason = "the macros make modules without a word")]

use std::hint::black_box;

use benches::bot::World;
use benches::canned::Canned;
use benches::discord::{self, Kind, Wire};
use benches::{bot, dingtalk, feishu, hooks, line, slack, standard, telegram, text, wecom};
use bytes::Bytes;
use channel_core::{Channel, ChannelId, Message, Received, Result, SenderId};
use channel_discord::Discord;
use channel_telegram::Telegram;
use futures_core::stream::BoxStream;
use gungraun::{library_benchmark, library_benchmark_group, main};
use hmac::Hmac;
use http::Request;
use sha2::Sha256;
use tokio_tungstenite::WebSocketStream;

type Stream = BoxStream<'static, Result<Received>>;

#[library_benchmark]
#[bench::private(telegram::stream(telegram::private_batch()))]
#[bench::group(telegram::stream(telegram::group_batch()))]
fn telegram_decode(stream: Stream) -> usize {
    telegram::receive(stream, |event| drop(black_box(event)))
}

#[library_benchmark]
#[bench::private(telegram::private_batch())]
#[bench::group(telegram::group_batch())]
fn telegram_decode_floor(body: Bytes) -> usize {
    telegram::floor::decode(&body).map_or(0, |updates| telegram::floor::count(black_box(&updates)))
}

fn to_answer() -> (Telegram, Vec<Message>) {
    let canned = Canned::new(Vec::new(), Bytes::from_static(telegram::SENT));
    let channel = telegram::channel(&canned).expect("the settings are right");
    (channel, telegram::messages(telegram::private_batch()))
}

#[library_benchmark]
#[bench::batch(to_answer())]
fn telegram_reply((channel, messages): (Telegram, Vec<Message>)) -> usize {
    telegram::reply(&channel, &messages)
}

#[library_benchmark]
#[bench::batch(to_answer())]
fn telegram_reply_floor((_, messages): (Telegram, Vec<Message>)) -> usize {
    telegram::reply_floor(&messages)
}

#[library_benchmark]
#[bench::ten_batches(bot::world(&telegram::private_batch(), 10))]
fn bot_echo(world: World) -> u64 {
    bot::echo(world)
}

#[library_benchmark]
#[bench::ten_batches(telegram::private_batch())]
fn bot_echo_floor(body: Bytes) -> usize {
    (0..10).map(|_| bot::echo_floor(black_box(&body))).sum()
}

#[library_benchmark]
#[bench::answer(text::markdown())]
fn markdown(source: String) -> usize {
    text::lay_out(&source).text().len()
}

#[library_benchmark]
#[bench::answer(text::markdown())]
fn markdown_floor(source: String) -> usize {
    text::lay_out_floor(&source).len()
}

#[library_benchmark]
#[bench::english(text::english())]
#[bench::mixed(text::mixed())]
fn split(words: String) -> usize {
    text::split(&words)
}

#[library_benchmark]
#[bench::english(text::english())]
#[bench::mixed(text::mixed())]
fn split_floor(words: String) -> usize {
    text::split_floor(&words)
}

fn frame(bytes: &'static [u8]) -> (Bytes, ChannelId, SenderId) {
    let client = SenderId::new("web-7f3a");
    (
        Bytes::from_static(bytes),
        ChannelId::new("standard"),
        client,
    )
}

#[library_benchmark]
#[bench::message(frame(standard::MESSAGE))]
#[bench::with_file(frame(standard::WITH_FILE))]
fn standard_frame((bytes, channel, client): (Bytes, ChannelId, SenderId)) -> bool {
    (0..100).all(|_| standard::decode(black_box(&bytes), &channel, &client).is_some())
}

#[library_benchmark]
#[bench::message(frame(standard::MESSAGE))]
#[bench::with_file(frame(standard::WITH_FILE))]
fn standard_frame_floor((bytes, _, _): (Bytes, ChannelId, SenderId)) -> bool {
    (0..100).all(|_| black_box(standard::floor(black_box(&bytes))).is_some())
}

#[library_benchmark]
#[bench::direct(dingtalk::DIRECT)]
#[bench::group(dingtalk::GROUP)]
fn dingtalk_frame(frame: &[u8]) -> bool {
    (0..100).all(|_| black_box(dingtalk::decode(black_box(frame))).is_some())
}

#[library_benchmark]
#[bench::direct(dingtalk::DIRECT)]
#[bench::group(dingtalk::GROUP)]
fn dingtalk_frame_floor(frame: &[u8]) -> bool {
    (0..100).all(|_| black_box(dingtalk::floor(black_box(frame))).is_some())
}

type Requests = Vec<Request<Bytes>>;

/// A channel behind a webhook, and requests to it.
fn hooked<C: Channel + 'static>(
    channel: Result<C>,
    requests: Requests,
) -> (Box<dyn Channel>, Requests) {
    (Box::new(channel.expect("the settings are right")), requests)
}

fn receive((channel, requests): &(Box<dyn Channel>, Requests)) -> usize {
    let webhook = channel.as_webhook().expect("it has one");
    hooks::receive(webhook, requests)
}

#[library_benchmark]
#[bench::messages(hooked(slack::channel(), slack::requests()))]
fn slack_webhook(hooked: (Box<dyn Channel>, Requests)) -> usize {
    receive(&hooked)
}

#[library_benchmark]
#[bench::messages((hooks::keyed(), slack::requests()))]
fn slack_webhook_floor((keyed, requests): (Hmac<Sha256>, Requests)) -> usize {
    slack::floor::receive(&keyed, &requests)
}

#[library_benchmark]
#[bench::messages(hooked(line::channel(), line::requests()))]
fn line_webhook(hooked: (Box<dyn Channel>, Requests)) -> usize {
    receive(&hooked)
}

#[library_benchmark]
#[bench::messages((hooks::keyed(), line::requests()))]
fn line_webhook_floor((keyed, requests): (Hmac<Sha256>, Requests)) -> usize {
    line::floor::receive(&keyed, &requests)
}

#[library_benchmark]
#[bench::messages(hooked(wecom::channel(), wecom::requests()))]
fn wecom_callback(hooked: (Box<dyn Channel>, Requests)) -> usize {
    receive(&hooked)
}

#[library_benchmark]
#[bench::messages((wecom::floor::key(), wecom::requests()))]
fn wecom_callback_floor((key, requests): ([u8; 32], Requests)) -> usize {
    wecom::floor::receive(&key, &requests)
}

#[library_benchmark]
#[bench::messages(hooked(feishu::channel(), feishu::requests()))]
fn feishu_webhook(hooked: (Box<dyn Channel>, Requests)) -> usize {
    receive(&hooked)
}

#[library_benchmark]
#[bench::messages((feishu::floor::key(), feishu::requests()))]
fn feishu_webhook_floor((key, requests): ([u8; 32], Requests)) -> usize {
    feishu::floor::receive(&key, &requests)
}

#[library_benchmark]
#[bench::messages(feishu::frames())]
fn feishu_frame(frames: Vec<Bytes>) -> usize {
    feishu::decode(&frames)
}

#[library_benchmark]
#[bench::messages(feishu::frames())]
fn feishu_frame_floor(frames: Vec<Bytes>) -> usize {
    feishu::floor::decode(&frames)
}

#[library_benchmark]
#[bench::messages(discord::stream(Kind::Message))]
fn discord_dispatch((_discord, mut stream): (Discord, Stream)) -> usize {
    discord::receive(&mut stream, |event| drop(black_box(event)))
}

#[library_benchmark]
#[bench::messages(discord::floor::socket(Kind::Message))]
fn discord_dispatch_floor(mut socket: WebSocketStream<Wire>) -> usize {
    discord::floor::decode(&mut socket)
}

#[library_benchmark]
#[bench::presences(discord::stream(Kind::Presence))]
fn discord_unhandled((_discord, mut stream): (Discord, Stream)) -> usize {
    discord::receive(&mut stream, |event| drop(black_box(event)))
}

#[library_benchmark]
#[bench::presences(discord::floor::socket(Kind::Presence))]
fn discord_unhandled_floor(mut socket: WebSocketStream<Wire>) -> usize {
    discord::floor::skip(&mut socket)
}

library_benchmark_group!(
    name = paths,
    benchmarks = [
        telegram_decode,
        telegram_decode_floor,
        telegram_reply,
        telegram_reply_floor,
        bot_echo,
        bot_echo_floor,
        markdown,
        markdown_floor,
        split,
        split_floor,
        standard_frame,
        standard_frame_floor,
        dingtalk_frame,
        dingtalk_frame_floor,
        slack_webhook,
        slack_webhook_floor,
        line_webhook,
        line_webhook_floor,
        wecom_callback,
        wecom_callback_floor,
        feishu_webhook,
        feishu_webhook_floor,
        feishu_frame,
        feishu_frame_floor,
        discord_dispatch,
        discord_dispatch_floor,
        discord_unhandled,
        discord_unhandled_floor
    ]
);
main!(library_benchmark_groups = paths);
