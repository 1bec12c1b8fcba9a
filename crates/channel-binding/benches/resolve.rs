//! What it costs to find out whose account it is, in SQLite with 1,000 and with 1,000,000
//! bindings, and to judge an event without I/O. Fails if a limit is passed.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench says what it measured, and stops where it cannot"
)]

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use channel_binding::{Bindings, ConnectGate, ConnectPlatform, MemoryBindings, SqlBindings};
use channel_core::{
    AccountRef, Addressed, ChannelId, Chat, ChatKind, Clock, Event, EventKind, Message, Platform,
    Policy as _, Proof, ReplyTo, Sender, Target,
};
use channel_policy::{AccessConfig, DirectPolicy, Gate, Pairing, RateLimits};

const ACME: Platform = Platform::new("acme");
/// The median of a look-up may cost this much.
const LOOK_UP: Duration = Duration::from_micros(200);
/// An admission without I/O may cost this much.
const ADMISSION: Duration = Duration::from_micros(1);

const FILL: &str = "INSERT INTO channel_bindings
    (id, owner_user_id, platform, status, external_account_id, proof, scopes, capabilities,
     metadata, created_at, updated_at, last_seen_at)
    WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < $1 - 1)
    SELECT 'b' || i, 'o' || (i / 3), 'acme', 'connected', 'a' || i, 'verified', '[]', '[]',
     'null', 0, 0, $2 FROM n";

#[tokio::main]
async fn main() {
    // `cargo test` runs benches too; there is nothing to test here.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let (small, hold) = look_up(1_000).await;
    let (large, _) = look_up(1_000_000).await;
    println!("a look-up that holds for one message: {hold:?} of 1,000 in SQLite");
    if let Ok(server) = std::env::var("CHANNEL_TEST_POSTGRES_URL") {
        let (look_up, hold) = on_server(&server).await;
        println!("in PostgreSQL: look-up {look_up:?}, held {hold:?}");
    }
    let admission = admission().await;
    let secrecy = secrecy();
    println!(
        "look-up p50: {small:?} of 1,000, {large:?} of 1,000,000; admission p50: {admission:?}; \
         of which whether it holds a code: {secrecy:?}"
    );
    assert!(large < LOOK_UP, "a look-up takes {large:?}");
    assert!(
        large < small * 2,
        "a look-up grows from {small:?} to {large:?}"
    );
    assert!(admission < ADMISSION, "an admission takes {admission:?}");
    assert!(secrecy < ADMISSION, "to look for codes takes {secrecy:?}");
}

async fn look_up(rows: i64) -> (Duration, Duration) {
    let folder = std::env::temp_dir().join(format!("bench-bindings-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("sqlite:{}/{rows}.db", folder.display());
    let took = measure(&url, rows).await;
    drop(std::fs::remove_dir_all(&folder));
    took
}

/// The same on a server, in a schema that is gone afterwards.
async fn on_server(server: &str) -> (Duration, Duration) {
    sqlx::any::install_default_drivers();
    let name = format!("bench_{}", std::process::id());
    let pool = sqlx::AnyPool::connect(server).await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE SCHEMA {name}"));
    sqlx::query(create).execute(&pool).await.unwrap();
    let join = if server.contains('?') { '&' } else { '?' };
    let url = format!("{server}{join}options[search_path]={name}");
    let took = measure(&url, 1_000).await;
    let gone = sqlx::AssertSqlSafe(format!("DROP SCHEMA {name} CASCADE"));
    sqlx::query(gone).execute(&pool).await.unwrap();
    took
}

/// What a look-up costs, and one that holds the binding for a message.
async fn measure(url: &str, rows: i64) -> (Duration, Duration) {
    let transport = channel_http::transport();
    let store = SqlBindings::connect(url).await.unwrap();
    let pool = sqlx::AnyPool::connect(url).await.unwrap();
    // Seen in a while to come: nothing is to be noted.
    let seen = transport.clock.now().duration_since(UNIX_EPOCH).unwrap();
    let seen = i64::try_from(seen.as_millis()).unwrap();
    sqlx::query(FILL)
        .bind(rows)
        .bind(seen)
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    let clock = Arc::clone(&transport.clock);
    let bindings = Bindings::builder("Bench", store, clock, transport.random)
        .platform(ConnectPlatform::by_code(ACME, "Acme"))
        .build()
        .unwrap();
    let (mut took, mut held) = (Vec::new(), Vec::new());
    for n in 0..5_000 {
        // Spread over all of them.
        let account = AccountRef::new(ACME, format!("a{}", n * 7_919 % rows).into());
        let began = transport.clock.elapsed();
        let found = bindings.resolve(&account).await.unwrap();
        took.push(transport.clock.elapsed() - began);
        let bound = found.unwrap().bound(&account);
        let began = transport.clock.elapsed();
        let hold = bindings.hold(&bound).await.unwrap();
        assert!(hold.is_some());
        drop(hold);
        held.push(transport.clock.elapsed() - began);
    }
    (median(took), median(held))
}

async fn admission() -> Duration {
    let clock: Arc<dyn Clock> = channel_http::transport().clock;
    let access = (0..1_000).fold(AccessConfig::new(), |access, n| {
        access.allow_from(format!("a{n}"))
    });
    let gate = Gate::builder(Arc::clone(&clock))
        .channel("acme", access)
        .rate_limits(RateLimits::new(600, 600))
        .build()
        .unwrap();
    let events: Vec<Event> = (0..1_000).map(event).collect();
    let mut took = Vec::new();
    for _ in 0..20 {
        let began = clock.elapsed();
        for event in &events {
            assert!(gate.judge(event).await.is_yes());
        }
        took.push((clock.elapsed() - began) / 1_000);
        assert!(took.len() <= 20);
    }
    median(took)
}

/// What decides before the store whether an event goes there.
fn secrecy() -> Duration {
    let transport = channel_http::transport();
    let (clock, random) = (transport.clock, transport.random);
    let bindings = Bindings::builder(
        "Bench",
        MemoryBindings::new(),
        clock.clone(),
        random.clone(),
    )
    .platform(ConnectPlatform::by_code(ACME, "Acme"))
    .build()
    .unwrap();
    let gate = Gate::builder(Arc::clone(&clock))
        .channel("acme", AccessConfig::new().direct(DirectPolicy::Pairing))
        .pairing(Arc::new(Pairing::new(clock.clone(), random)))
        .identities(Arc::new(ConnectGate::new(bindings)))
        .build()
        .unwrap();
    let mut events: Vec<Event> = (0..1_000).map(event).collect();
    for event in &mut events {
        if let EventKind::Message(message) = &mut event.kind {
            message.text =
                "the quick brown fox jumps over the lazy dog and away it goes, 100 of them".into();
        }
    }
    let mut took = Vec::new();
    for _ in 0..20 {
        let began = clock.elapsed();
        for event in &events {
            assert!(!gate.is_secret(event));
        }
        took.push((clock.elapsed() - began) / 1_000);
    }
    median(took)
}

/// Everybody writes in a chat of their own.
fn event(n: usize) -> Event {
    let chat = Chat::new(format!("c{n}").into(), ChatKind::Direct);
    let channel = ChannelId::new("acme");
    let to = ReplyTo::new(channel.clone(), Target::chat(chat.id.clone()));
    let account = AccountRef::new(ACME, format!("a{n}").into());
    let sender = Sender::new(account, Proof::Verified);
    let mut message = Message::new("m".into(), chat, sender, to);
    message.text = "hello there".into();
    message.addressed = Addressed::Direct;
    Event::new("e".into(), channel, EventKind::Message(Box::new(message)))
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    match all.get(all.len() / 2) {
        Some(median) => *median,
        None => panic!("nothing was measured"),
    }
}
