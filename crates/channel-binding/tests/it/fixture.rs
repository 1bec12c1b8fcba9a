//! Stores, owners and what people write.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use channel_binding::{
    BindingStore, Bindings, BindingsBuilder, ConnectGate, ConnectPlatform, MemoryBindings, Notice,
    Notices, Sealer, SqlBindings,
};
use channel_core::{
    AccountRef, Addressed, BindingId, BindingScope, ChannelId, Chat, ChatKind, Message, OwnerId,
    Platform, Proof, ReplyTo, Secret, Sender, Target,
};
use channel_policy::{AuditRing, Identities as _, MemoryPolicies, PolicyStore, Settled};
use channel_testkit::{SeededRandom, VirtualClock};

/// Codes are sent as `/connect <code>`; bindings hold in their workspace.
pub(crate) const ACME: Platform = Platform::new("acme");
/// Codes ride on links; bindings hold everywhere.
pub(crate) const LINKED: Platform = Platform::new("linked");

pub(crate) const MILLI: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Which database a test runs on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Memory,
    Sqlite,
    Postgres,
}

/// Makes one test for each store. PostgreSQL's are ignored unless asked for, because they
/// need a server.
macro_rules! on_every_store {
    ($($(#[doc = $doc:literal])* async fn $name:ident($kit:ident) $body:block)*) => {$(
        $(#[doc = $doc])*
        async fn $name($kit: $crate::fixture::Kit) $body

        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn memory() {
                super::$name($crate::fixture::Kit::new($crate::fixture::Kind::Memory).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name($crate::fixture::Kit::new($crate::fixture::Kind::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs a server at CHANNEL_TEST_POSTGRES_URL"]
            async fn postgres() {
                super::$name($crate::fixture::Kit::new($crate::fixture::Kind::Postgres).await).await;
            }
        }
    )*};
}
pub(crate) use on_every_store;

/// A database of its own; gone with it.
pub(crate) struct Database {
    pub(crate) url: String,
    folder: Option<PathBuf>,
    /// The server, and the schema on it.
    schema: Option<(String, String)>,
}

impl Database {
    pub(crate) async fn new(kind: Kind) -> Self {
        let name = format!("t{}", channel_testkit::canary().to_lowercase());
        match kind {
            Kind::Postgres => {
                let server = std::env::var("CHANNEL_TEST_POSTGRES_URL").unwrap();
                sqlx::any::install_default_drivers();
                let pool = sqlx::AnyPool::connect(&server).await.unwrap();
                let create = sqlx::AssertSqlSafe(format!("CREATE SCHEMA {name}"));
                sqlx::query(create).execute(&pool).await.unwrap();
                pool.close().await;
                let join = if server.contains('?') { '&' } else { '?' };
                Self {
                    url: format!("{server}{join}options[search_path]={name}"),
                    folder: None,
                    schema: Some((server, name)),
                }
            }
            Kind::Memory | Kind::Sqlite => {
                let folder = std::env::temp_dir().join(name);
                std::fs::create_dir_all(&folder).unwrap();
                Self {
                    url: format!("sqlite:{}/bindings.db", folder.display()),
                    folder: Some(folder),
                    schema: None,
                }
            }
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.as_deref().unwrap()
    }

    /// Everything that is on the disk, file by file.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for file in std::fs::read_dir(self.folder()).unwrap() {
            let file = file.unwrap();
            let bytes = std::fs::read(file.path()).unwrap();
            let name = file.file_name().to_string_lossy().into_owned();
            all.push((name, String::from_utf8_lossy(&bytes).into_owned()));
        }
        all
    }

    /// Everything that is on the disk.
    pub(crate) fn bytes(&self) -> String {
        self.files().into_iter().map(|(_, bytes)| bytes).collect()
    }

    /// A backup of the schema, by the server's own program.
    pub(crate) fn dump(&self) -> String {
        let (server, schema) = self.schema.as_ref().unwrap();
        let dump = std::process::Command::new("pg_dump")
            .args(["--schema", schema, "--dbname", server])
            .output()
            .unwrap();
        assert!(dump.status.success(), "pg_dump failed");
        String::from_utf8_lossy(&dump.stdout).into_owned()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            drop(std::fs::remove_dir_all(folder));
        }
        if let Some((server, name)) = self.schema.take() {
            // Not in the runtime of the test, which may be on its way out.
            let dropping = std::thread::spawn(move || drop_schema(&server, &name));
            drop(dropping.join());
        }
    }
}

fn drop_schema(server: &str, name: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let pool = sqlx::AnyPool::connect(server).await.unwrap();
        let statement = sqlx::AssertSqlSafe(format!("DROP SCHEMA {name} CASCADE"));
        sqlx::query(statement).execute(&pool).await.unwrap();
        pool.close().await;
    });
}

/// Remembers what owners were told.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Vec<(String, &'static str)>>);

impl Told {
    pub(crate) fn take(&self) -> Vec<(String, &'static str)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[async_trait]
impl Notices for Told {
    async fn notify(&self, notice: &Notice) {
        let owner = notice.owner().as_str().to_owned();
        self.0.lock().unwrap().push((owner, notice.as_str()));
    }
}

/// Everything around one store.
pub(crate) struct Kit {
    pub(crate) clock: VirtualClock,
    pub(crate) bindings: Bindings,
    pub(crate) gate: ConnectGate,
    pub(crate) told: Arc<Told>,
    pub(crate) ring: Arc<AuditRing>,
    pub(crate) database: Database,
    /// Shares its keys with the bindings.
    pub(crate) sealer: Sealer,
    store: Option<AnyStore>,
    messages: Mutex<u64>,
}

/// A store that others may share.
pub(crate) enum AnyStore {
    Memory(MemoryBindings),
    Sql(SqlBindings),
}

impl Kit {
    pub(crate) async fn new(kind: Kind) -> Self {
        let database = Database::new(kind).await;
        let mut kit;
        match kind {
            Kind::Memory => {
                let store = MemoryBindings::new();
                kit = Self::on(store.clone(), database);
                kit.store = Some(AnyStore::Memory(store));
            }
            Kind::Sqlite | Kind::Postgres => {
                let store = SqlBindings::connect(&database.url).await.unwrap();
                kit = Self::on(store.clone(), database);
                kit.store = Some(AnyStore::Sql(store));
            }
        }
        kit
    }

    pub(crate) fn on(store: impl BindingStore + 'static, database: Database) -> Self {
        let clock = VirtualClock::new();
        let told = Arc::new(Told::default());
        let ring = Arc::new(AuditRing::default());
        let sealer = Sealer::new(&secret('k')).unwrap();
        let bindings = builder(store, &clock)
            .sealer(sealer.clone())
            .notices(told.clone())
            .audit(ring.clone())
            .build()
            .unwrap();
        Self {
            gate: ConnectGate::new(bindings.clone()),
            clock,
            bindings,
            told,
            ring,
            database,
            sealer,
            store: None,
            messages: Mutex::new(0),
        }
    }

    /// Another process on the same store.
    pub(crate) fn same_store(&self) -> BindingsBuilder {
        match self.store.as_ref().unwrap() {
            AnyStore::Memory(store) => builder(store.clone(), &self.clock),
            AnyStore::Sql(store) => builder(store.clone(), &self.clock),
        }
    }

    /// Another process that has opened the same database by itself.
    pub(crate) async fn elsewhere(&self) -> Bindings {
        let builder = match self.store.as_ref().unwrap() {
            AnyStore::Memory(store) => builder(store.clone(), &self.clock),
            AnyStore::Sql(_) => {
                let store = SqlBindings::connect(&self.database.url).await.unwrap();
                builder(store, &self.clock)
            }
        };
        builder.build().unwrap()
    }

    /// Until somebody takes back what an account is bound by.
    pub(crate) async fn until_closed(&self, sender: &str) {
        let account = account(sender);
        let closed = async {
            loop {
                let begun = match self.store.as_ref().unwrap() {
                    AnyStore::Memory(store) => store.begin_message(&account).await,
                    AnyStore::Sql(store) => store.begin_message(&account).await,
                };
                if begun.unwrap().is_none() {
                    return;
                }
                tokio::time::sleep(MILLI).await;
            }
        };
        self.in_time(closed).await;
    }

    /// Real work goes on, and time passes, until it is done.
    pub(crate) async fn in_time<T>(&self, work: impl Future<Output = T>) -> T {
        self.in_steps(MILLI, work).await
    }

    /// The same, with more time to each millisecond.
    pub(crate) async fn in_steps<T>(&self, step: Duration, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            let pause = tokio::time::sleep(MILLI);
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = pause => self.clock.advance(step),
            }
        }
    }

    /// The same store, for what the policies remember.
    pub(crate) fn policies(&self) -> Arc<dyn PolicyStore> {
        match self.store.as_ref().unwrap() {
            AnyStore::Memory(_) => Arc::new(MemoryPolicies::new()),
            AnyStore::Sql(store) => Arc::new(store.clone()),
        }
    }

    /// A credential as the store keeps it.
    pub(crate) async fn raw_credential(&self, id: &BindingId) -> String {
        let kept = match self.store.as_ref().unwrap() {
            AnyStore::Memory(store) => store.credential(id).await,
            AnyStore::Sql(store) => store.credential(id).await,
        };
        kept.unwrap().unwrap().sealed
    }

    pub(crate) async fn mint(&self, owner: &str) -> String {
        let offer = self.bindings.mint(&OwnerId::new(owner), "acme").await;
        offer.unwrap().code.expose().to_owned()
    }

    /// A direct message that nobody has seen yet.
    pub(crate) fn direct(&self, sender: &str, text: &str) -> Message {
        let mut count = self.messages.lock().unwrap();
        *count += 1;
        let mut message = message(ACME, sender, text);
        message.id = format!("m{count}").into();
        message.sent_at = Some(channel_core::Clock::now(&self.clock));
        message
    }

    pub(crate) async fn settle(&self, message: &Message) -> Settled {
        self.gate.connect(message).await.unwrap()
    }

    /// Somebody sends a code; the reason of the verdict.
    pub(crate) async fn send(&self, sender: &str, code: &str) -> &'static str {
        let message = self.direct(sender, &format!("/connect {code}"));
        self.settle(&message).await.reason.as_str()
    }

    /// Binds a sender to an owner, the way people do.
    pub(crate) async fn connect(&self, owner: &str, sender: &str) {
        let code = self.mint(owner).await;
        assert_eq!(self.send(sender, &code).await, "connected");
    }

    /// Whose account it is.
    pub(crate) async fn owner(&self, sender: &str) -> Option<String> {
        let found = self.bindings.resolve(&account(sender)).await.unwrap();
        found.map(|binding| binding.owner.as_str().to_owned())
    }
}

pub(crate) fn builder(store: impl BindingStore + 'static, clock: &VirtualClock) -> BindingsBuilder {
    // The same seed twice would make the same codes: each kit starts elsewhere.
    let seed = channel_testkit::canary()
        .bytes()
        .fold(0, |seed: u64, byte| {
            seed.wrapping_mul(131).wrapping_add(u64::from(byte))
        });
    let random = Arc::new(SeededRandom::new(seed));
    Bindings::builder("Kit", store, Arc::new(clock.clone()), random)
        .platform(ConnectPlatform::by_code(ACME, "Acme"))
        .platform(
            ConnectPlatform::by_link(LINKED, "Linked", |code| {
                Some(format!("https://linked.example/kit?start={code}"))
            })
            .scope(BindingScope::Personal),
        )
        .sealer(Sealer::new(&secret('k')).unwrap())
}

pub(crate) fn secret(fill: char) -> Secret {
    Secret::new(fill.to_string().repeat(32))
}

pub(crate) fn account(sender: &str) -> AccountRef {
    AccountRef::new(ACME, sender.into())
}

pub(crate) fn message(platform: Platform, sender: &str, text: &str) -> Message {
    let chat = Chat::new(sender.into(), ChatKind::Direct);
    let to = ReplyTo::new(ChannelId::new("acme"), Target::chat(chat.id.clone()));
    let sender = Sender::new(AccountRef::new(platform, sender.into()), Proof::Verified);
    let mut message = Message::new("m0".into(), chat, sender, to);
    text.clone_into(&mut message.text);
    message.addressed = Addressed::Direct;
    message
}
