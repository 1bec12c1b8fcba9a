//! The one task that writes: it takes whatever waits in the queue and commits it together.

use std::sync::{Arc, Mutex, PoisonError};

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Executor as _, Row as _, SqliteConnection};
use tokio::sync::mpsc;

use super::ask::{Answer, Ask, Request};
use super::error::{Failure, unavailable};
use super::files::{CHECKPOINT_PAGES, Files, Watch};
use super::hot::{Hot, Numbers};
use super::tally::Tally;
use super::wal::Log;
use super::{load, rare, save, schema};
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
    open: Option<Open>,
    watch: Watch,
    log: Log,
    last: Numbers,
    readers: Readers,
}

/// The connections of the writer.
#[derive(Debug)]
struct Open {
    connection: SqliteConnection,
    anchor: SqliteConnection,
    /// How many frames the log may hold before it is copied back.
    checkpoint_at: usize,
}

impl Open {
    async fn new(files: &Files, connection: SqliteConnection) -> Result<Self, Failure> {
        match files.anchor().await {
            Ok(anchor) => Ok(Self {
                connection,
                anchor,
                checkpoint_at: CHECKPOINT_PAGES,
            }),
            Err(failure) => {
                // Waited for: nobody may have the store open while its log is put right.
                let _ = sqlx::Connection::close(connection).await;
                Err(failure)
            }
        }
    }

    /// Closes; who is the last to do so copies the log back, and removes it.
    async fn close(self) {
        let _ = sqlx::Connection::close(self.anchor).await;
        let _ = sqlx::Connection::close(self.connection).await;
    }

    /// Closes without copying the log back.
    async fn abandon(self) {
        // In this order: who is not the last to close, or may not write, leaves the log alone.
        let _ = sqlx::Connection::close(self.connection).await;
        let _ = sqlx::Connection::close(self.anchor).await;
    }
}

/// How many frames the log holds.
async fn frames(connection: &mut SqliteConnection, pragma: &'static str) -> Result<usize, Failure> {
    let row = sqlx::query(pragma).fetch_one(connection).await?;
    in_log(&row)
}

/// The second column of what `PRAGMA wal_checkpoint` says.
pub(crate) fn in_log(row: &SqliteRow) -> Result<usize, Failure> {
    let frames: i64 = row.try_get(1)?;
    Ok(usize::try_from(frames).unwrap_or(0))
}

impl Writer {
    pub(crate) async fn new(files: Files, readers: Readers) -> Result<Self, Failure> {
        let mut connection = files.writer().await?;
        schema::migrate(&mut connection).await?;
        let mut log = Log::beside(&files.path);
        log.follow(frames(&mut connection, "PRAGMA wal_checkpoint(NOOP)").await?)?;
        Ok(Self {
            watch: Watch::on(&files.path),
            log,
            open: Some(Open::new(&files, connection).await?),
            last: Numbers::default(),
            files,
            readers,
        })
    }

    /// Works until all senders are gone.
    pub(crate) async fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        let mut requests: Vec<Request> = Vec::new();
        let mut closing = Vec::new();
        while closing.is_empty() && queue.recv_many(&mut requests, MAX_BATCH).await > 0 {
            let is_close = |request: &mut Request| matches!(request.ask, Ask::Close);
            closing.extend(requests.extract_if(.., is_close));
            self.serve(requests.drain(..)).await;
            self.copy_back().await;
        }
        self.close().await;
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
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.reopen().await?,
        };
        let result = self.transact_on(&mut open.connection, asks).await;
        let failure = match result {
            Ok(answers) => {
                self.open = Some(open);
                return Ok(answers);
            }
            Err(failure) => failure,
        };
        // Who reads what is not there reads nonsense: nothing is wrong with the store itself.
        match self.start_over(open).await {
            true => Err(unavailable("its log was damaged").into()),
            false => Err(failure),
        }
    }

    async fn reopen(&mut self) -> Result<Open, Failure> {
        self.mend().await?;
        let failure = match self.open_anew().await {
            Ok(open) => {
                if self.readers().is_closed() {
                    self.renew_readers().await;
                }
                return Ok(open);
            }
            Err(failure) => failure,
        };
        // A store without the end of its log is nonsense to who reads it.
        let _ = self.log.look_at_all();
        if !self.log.can_mend() {
            return Err(failure);
        }
        self.mend().await?;
        Err(unavailable("its log was damaged").into())
    }

    /// Puts the log right, if it has to be. The writer is closed.
    async fn mend(&mut self) -> Result<(), Failure> {
        if self.log.can_mend() {
            // Who opens a store while its log is cut short tells everybody after him, as long
            // as he has it open, that this is all of it. So nobody reads before it is right.
            self.readers().close().await;
        }
        Ok(self.log.mend()?)
    }

    /// Who reads from now on meets the files as they are.
    async fn renew_readers(&self) {
        let fresh = self.files.readers();
        let old = {
            let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *readers, fresh)
        };
        old.close().await;
    }

    async fn open_anew(&mut self) -> Result<Open, Failure> {
        let connection = self.files.writer().await?;
        let mut open = Open::new(&self.files, connection).await?;
        match self.begin(&mut open.connection).await {
            Ok(()) => Ok(open),
            Err(failure) => {
                open.abandon().await;
                Err(failure)
            }
        }
    }

    /// Begins to work with a connection that was opened anew.
    async fn begin(&mut self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        // Who opens a log that has lost its end again meanwhile takes what is left for all of
        // it, and begins to write there.
        let frames = frames(connection, "PRAGMA wal_checkpoint(NOOP)").await?;
        if frames < self.log.count() {
            self.log.is_cut_short();
            return Err(unavailable("its log was damaged").into());
        }
        schema::migrate(connection).await?;
        // What was forgotten is learnt again.
        self.follow(connection).await
    }

    async fn transact_on(
        &mut self,
        connection: &mut SqliteConnection,
        asks: &[Ask],
    ) -> Result<Answers, Failure> {
        self.watch.look()?;
        if self.log.look().is_err() {
            self.follow(connection).await?;
        }
        let applied = apply(connection, asks, self.last).await?;
        self.watch.look()?;
        if self.log.follow(applied.frames).is_err() {
            self.follow(connection).await?;
        }
        self.last = applied.last;
        Ok(applied.answers)
    }

    /// Looks at the log as SQLite sees it now: another process may have copied it back, and
    /// begun it anew.
    async fn follow(&mut self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        let frames = frames(connection, "PRAGMA wal_checkpoint(NOOP)").await?;
        Ok(self.log.follow(frames)?)
    }

    /// Lets go of everything that is open, so that the next batch meets the files as they are.
    /// Whether the log was damaged, and is put right now or before the next batch.
    async fn start_over(&mut self, mut open: Open) -> bool {
        self.watch.forget();
        // Whatever has failed, the log may be the cause. There may be nothing to roll back.
        let _ = open.connection.execute("ROLLBACK").await;
        let _ = self.follow(&mut open.connection).await;
        let _ = self.log.look_at_all();
        if !self.log.can_mend() {
            self.renew_readers().await;
            // The log may have been taken away: what SQLite still has open is copied back, as
            // far as that goes. Nothing depends on it, unless it is cut short at this moment.
            let rescue = frames(&mut open.connection, "PRAGMA wal_checkpoint(TRUNCATE)");
            if rescue.await.is_err() {
                let _ = self.log.look_at_all();
            }
        }
        if self.log.can_mend() {
            open.abandon().await;
            // If this fails now, it is done before the next batch.
            if let Err(failure) = self.mend().await {
                let error = StoreError::from(failure);
                tracing::error!(%error, "the log of the store is damaged");
            }
            return true;
        }
        self.log.forget();
        open.close().await;
        false
    }

    /// Copies the log back when it has grown, after everybody has an answer. What is copied
    /// was looked at before; if the log is not the same afterwards, it is put right, and copied
    /// back once more when the store is opened again.
    async fn copy_back(&mut self) {
        let frames_now = self.log.count();
        let Some(mut open) = self.open.take_if(|open| frames_now >= open.checkpoint_at) else {
            return;
        };
        match self.copy(&mut open).await {
            Ok(()) => {
                // If somebody reads on and it cannot begin anew, not for each batch.
                open.checkpoint_at = match frames_now < CHECKPOINT_PAGES * 2 {
                    true => CHECKPOINT_PAGES,
                    false => frames_now + CHECKPOINT_PAGES / 4,
                };
                self.open = Some(open);
            }
            Err(failure) => {
                let error = StoreError::from(failure);
                tracing::warn!(%error, "the log was not copied back");
                self.start_over(open).await;
            }
        }
    }

    /// Copies the log back, and looks at it before and afterwards.
    async fn copy(&mut self, open: &mut Open) -> Result<(), Failure> {
        self.log.look_at_all()?;
        frames(&mut open.connection, "PRAGMA wal_checkpoint(PASSIVE)").await?;
        Ok(self.log.look_at_all()?)
    }

    async fn close(&mut self) {
        self.readers().close().await;
        let Some(mut open) = self.open.take() else {
            return;
        };
        match self.copy(&mut open).await {
            Ok(()) => open.close().await,
            Err(_) => {
                self.start_over(open).await;
                self.readers().close().await;
            }
        }
    }
}

/// What a transaction came to.
struct Applied {
    answers: Answers,
    /// How many frames the log holds.
    frames: usize,
    last: Numbers,
}

/// Applies the requests in order and commits: those of every message together, the others
/// one by one.
async fn apply(
    connection: &mut SqliteConnection,
    asks: &[Ask],
    last: Numbers,
) -> Result<Applied, Failure> {
    let mut context = None;
    let mut answers = Vec::with_capacity(asks.len());
    let mut committed = None;
    for group in asks.chunk_by(|first, second| Hot::takes(first) && Hot::takes(second)) {
        if group.first().is_some_and(Hot::takes) {
            let mut hot = load::hot(connection, &mut context, group).await?;
            let context = context.get_or_insert_default();
            context.raise(last);
            answers.extend(group.iter().map(|ask| hot.apply(context, ask)));
            if answers.len() == asks.len() {
                committed = Some(save::last(connection, hot).await?);
            } else {
                save::hot(connection, hot).await?;
            }
            continue;
        }
        if context.is_none() {
            context = Some(load::begin(connection).await?);
        }
        let context = context.get_or_insert_default();
        context.raise(last);
        for ask in group {
            let mut tally = Tally::default();
            answers.push(rare::run(connection, context, ask, &mut tally).await?);
            save::tally(connection, &mut tally).await?;
        }
    }
    let frames = match committed {
        Some(frames) => frames,
        None => {
            connection.execute("COMMIT").await?;
            frames(connection, "PRAGMA wal_checkpoint(NOOP)").await?
        }
    };
    Ok(Applied {
        answers,
        frames,
        last: context.map_or(last, |context| context.numbers),
    })
}

fn refuse(asks: &[Ask], mut failure: Failure) -> Answers {
    asks.iter().map(|_| Err(failure.next_error())).collect()
}

/// The answer to a request that the writer will never see.
pub(crate) fn closed() -> StoreError {
    unavailable("the writer has stopped")
}
