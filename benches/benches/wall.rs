//! Wall time of the hot paths and their floors, for reading. Instruction counts are what
//! is judged: see `instructions.rs`.

use std::hint::black_box;
use std::time::Duration;

use benches::canned::Canned;
use benches::{bot, standard, telegram, text};
use bytes::Bytes;
use channel_core::{ChannelId, SenderId};
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    decode(&mut criterion);
    reply(&mut criterion);
    echo(&mut criterion);
    words(&mut criterion);
    frames(&mut criterion);
    criterion.final_summary();
}

/// A group in which everything is done `elements` times.
fn group<'a>(
    criterion: &'a mut Criterion,
    name: &str,
    elements: usize,
) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(elements as u64));
    group
}

fn decode(criterion: &mut Criterion) {
    let batches = [
        ("telegram_decode/private", telegram::private_batch()),
        ("telegram_decode/group", telegram::group_batch()),
    ];
    for (name, body) in batches {
        let mut group = group(criterion, name, telegram::BATCH);
        group.bench_function("floor", |bencher| {
            bencher.iter(|| telegram::floor::decode(black_box(&body)));
        });
        group.bench_function("path", |bencher| {
            bencher.iter_batched(
                || telegram::stream(body.clone()),
                |stream| telegram::receive(stream, |event| drop(black_box(event))),
                BatchSize::LargeInput,
            );
        });
        group.finish();
    }
}

fn reply(criterion: &mut Criterion) {
    let messages = telegram::messages(telegram::private_batch());
    let canned = Canned::new(Vec::new(), Bytes::from_static(telegram::SENT));
    let channel = telegram::channel(&canned).expect("the settings are right");
    let mut group = group(criterion, "telegram_reply", messages.len());
    group.bench_function("floor", |bencher| {
        bencher.iter(|| telegram::reply_floor(black_box(&messages)));
    });
    group.bench_function("path", |bencher| {
        bencher.iter(|| telegram::reply(&channel, black_box(&messages)));
    });
    group.finish();
}

fn echo(criterion: &mut Criterion) {
    const BATCHES: usize = 10;
    let body = telegram::private_batch();
    let mut group = group(criterion, "bot_echo", BATCHES * telegram::BATCH);
    group.bench_function("floor", |bencher| {
        bencher.iter(|| {
            let echo = |_| bot::echo_floor(black_box(&body));
            (0..BATCHES).map(echo).sum::<usize>()
        });
    });
    group.bench_function("path", |bencher| {
        bencher.iter_batched(
            || bot::world(&body, BATCHES),
            bot::echo,
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn words(criterion: &mut Criterion) {
    let source = text::markdown();
    let mut group = criterion.benchmark_group("markdown");
    group.throughput(Throughput::Bytes(source.len() as u64));
    group.bench_function("floor", |bencher| {
        bencher.iter(|| text::lay_out_floor(black_box(&source)));
    });
    group.bench_function("path", |bencher| {
        bencher.iter(|| text::lay_out(black_box(&source)));
    });
    group.finish();
    for (name, words) in [
        ("split/english", text::english()),
        ("split/mixed", text::mixed()),
    ] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(words.len() as u64));
        group.bench_function("floor", |bencher| {
            bencher.iter(|| text::split_floor(black_box(&words)));
        });
        group.bench_function("path", |bencher| {
            bencher.iter(|| text::split(black_box(&words)));
        });
        group.finish();
    }
}

fn frames(criterion: &mut Criterion) {
    let channel = ChannelId::new("standard");
    let client = SenderId::new("web-7f3a");
    let frames = [
        ("standard_frame/message", standard::MESSAGE),
        ("standard_frame/with_file", standard::WITH_FILE),
    ];
    for (name, frame) in frames {
        let frame = Bytes::from_static(frame);
        let mut group = group(criterion, name, 1);
        group.bench_function("floor", |bencher| {
            bencher.iter(|| standard::floor(black_box(&frame)).is_some());
        });
        group.bench_function("path", |bencher| {
            bencher.iter(|| standard::decode(black_box(&frame), &channel, &client));
        });
        group.finish();
    }
}
