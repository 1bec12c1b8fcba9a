//! The one task that writes: it takes whatever waits in the queue and commits it together.

use std::sync::{Arc, Mutex, PoisonError};

use sqlx::sqlite::SqlitePool;
use sqlx::{Executor as _, SqliteConnection};
use tokio::sync::mpsc;

use super::ask::{Answer, Ask, Request};
use super::error::{Failure, unavailable};
use super::files::{Files, Watch, rescue};
use super::hot::Hot;
use super::tally::Tally;
use super::{load, rare, save};
use crate::store::StoreError;

/// The most requests of one transaction.
const MAX_BATCH: usize = 256;

/// Connections for reading; replaced when the files have to be opened anew.
pub(crate) type Readers = Arc<Mutex<SqlitePool>>;

type Answers = Vec<Result<Answer, StoreError>>;

#[derive(Debug)]
pub(crate) struct Writer {
    files: Files,
    /// `None` after a failure: opened again for the next batch.
    connection: Option<SqliteConnection>,
    watch: Watch,
    readers: Readers,
}

impl Writer {
    pub(crate) fn new(files: Files, connection: SqliteConnection, readers: Readers) -> Self {
        Self {
            watch: Watch::on(&files.path),
            files,
            connection: Some(connection),
            readers,
        }
    }

    /// Works until all senders are gone.
    pub(crate) async fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        let mut requests: Vec<Request> = Vec::new();
        let mut closing = Vec::new();
        while closing.is_empty() && queue.recv_many(&mut requests, MAX_BATCH).await > 0 {
            let is_close = |request: &mut Request| matches!(request.ask, Ask::Close);
            closing.extend(requests.extract_if(.., is_close));
            self.serve(requests.drain(..)).await;
        }
        self.readers().close().await;
        if let Some(connection) = self.connection.take() {
            // The log is copied back on the way out; if not now, then at the next start.
            let _ = sqlx::Connection::close(connection).await;
        }
        for request in closing {
            let _ = request.reply.send(Ok(Answer::Done));
        }
    }

    fn readers(&self) -> SqlitePool {
        let readers = self.readers.lock();
        readers.unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn serve(&mut self, requests: impl Iterator<Item = Request> + Send) {
        let (asks, replies): (Vec<_>, Vec<_>) =
            requests.map(|request| (request.ask, request.reply)).unzip();
        let answers = self.answer(&asks).await;
        for (reply, answer) in replies.into_iter().zip(answers) {
            // Who does not wait any more does not want to know.
            let _ = reply.send(answer);
        }
    }

    async fn answer(&mut self, asks: &[Ask]) -> Answers {
        match self.transact(asks).await {
            Ok(answers) => answers,
            Err(failure) if failure.is_outage() || asks.len() < 2 => refuse(asks, failure),
            // One of them cannot be written: the others do not suffer for it.
            Err(_) => {
                let mut answers = Vec::with_capacity(asks.len());
                for ask in asks.chunks(1) {
                    let answer = self.transact(ask).await;
                    answers.extend(answer.unwrap_or_else(|failure| refuse(ask, failure)));
                }
                answers
            }
        }
    }

    /// Answers these requests in one transaction, which is committed when this returns.
    async fn transact(&mut self, asks: &[Ask]) -> Result<Answers, Failure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.files.writer().await?,
        };
        let result = self.transact_on(&mut connection, asks).await;
        if result.is_ok() {
            self.connection = Some(connection);
        } else {
            self.start_over(connection).await;
        }
        result
    }

    async fn transact_on(
        &mut self,
        connection: &mut SqliteConnection,
        asks: &[Ask],
    ) -> Result<Answers, Failure> {
        self.watch.look()?;
        let answers = apply(connection, asks).await?;
        self.watch.look()?;
        Ok(answers)
    }

    /// Lets go of everything that is open, so that the next batch meets the files as they are.
    async fn start_over(&mut self, connection: SqliteConnection) {
        self.watch.forget();
        let fresh = self.files.readers();
        let old = {
            let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *readers, fresh)
        };
        old.close().await;
        rescue(connection).await;
    }
}

/// Applies the requests in order and commits: those of every message together, the others
/// one by one.
async fn apply(connection: &mut SqliteConnection, asks: &[Ask]) -> Result<Answers, Failure> {
    let mut context = None;
    let mut answers = Vec::with_capacity(asks.len());
    let mut is_committed = false;
    for group in asks.chunk_by(|first, second| Hot::takes(first) && Hot::takes(second)) {
        if group.first().is_some_and(Hot::takes) {
            let mut hot = load::hot(connection, &mut context, group).await?;
            let context = context.get_or_insert_default();
            answers.extend(group.iter().map(|ask| hot.apply(context, ask)));
            is_committed = answers.len() == asks.len();
            save::hot(connection, hot, is_committed).await?;
            continue;
        }
        if context.is_none() {
            context = Some(load::begin(connection).await?);
        }
        let context = context.get_or_insert_default();
        for ask in group {
            let mut tally = Tally::default();
            answers.push(rare::run(connection, context, ask, &mut tally).await?);
            save::tally(connection, &mut tally).await?;
        }
    }
    if !is_committed {
        connection.execute("COMMIT").await?;
    }
    Ok(answers)
}

fn refuse(asks: &[Ask], mut failure: Failure) -> Answers {
    asks.iter().map(|_| Err(failure.next_error())).collect()
}

/// The answer to a request that the writer will never see.
pub(crate) fn closed() -> StoreError {
    unavailable("the writer has stopped")
}
