//! The log as a [`LogStore`]: one thread writes, and takes all that waits at once.

use std::{
    fmt, mem,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use skiff_core::{Entry, Position, Write};
use skiff_storage::{
    Done, Identity, LogReader, LogStore, Opening, Persistence, Recovered, Span, Store, StoreError,
    Written,
};

use crate::{
    directory::Directory,
    disk::{Disk, files::FileDisk},
    log::{self, Log, Options},
    place::LogId,
    reader::Reader,
    supply::Ahead,
};

/// Keeps a node's data in a folder.
#[derive(Clone, Debug)]
pub struct DiskPersistence<D: Disk = FileDisk> {
    disk: D,
    segment_size: u64,
}

impl DiskPersistence {
    /// Keeps the data in the folder `dir`, which is created if it is not there. Nodes do not share
    /// folders.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self::on(FileDisk::new(dir))
    }
}

impl<D: Disk> DiskPersistence<D> {
    /// Keeps the data on a disk of whatever kind.
    pub const fn on(disk: D) -> Self {
        Self { disk, segment_size: Options::SEGMENT_SIZE }
    }

    /// Keeps the log in files of this size, made ahead. A log of its own format can be opened with
    /// any size.
    #[must_use]
    pub const fn segment_size(mut self, bytes: u64) -> Self {
        self.segment_size = bytes;
        self
    }
}

impl<D: Disk> Persistence for DiskPersistence<D> {
    fn open(&self, opening: &Opening) -> Result<Store, StoreError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)
            .map_err(|error| StoreError::Other(format!("no random numbers: {error}")))?;
        let fresh_log = LogId(u128::from_le_bytes(random));
        let options = Options { segment_size: self.segment_size, fresh_log };
        let supply = Box::new(Ahead::new(self.disk.clone())?);
        let opened = Log::open_with(self.disk.clone(), opening, options, supply)?;
        let log = DiskLog::new(opened.log, opened.recovered);
        Ok(Store {
            identity: opened.identity,
            log: Box::new(log),
            snapshots: Arc::new(opened.snapshots),
        })
    }
}

/// The open log. Dropping it finishes what was accepted and marks the end.
struct DiskLog<D: Disk> {
    queue: Arc<Queue<D>>,
    reader: Reader<D>,
    recovered: Option<Recovered>,
    /// There until the first write, for whoever mends it.
    log: Option<Box<Log<D>>>,
    writer: Option<JoinHandle<()>>,
}

/// The writes that wait for the writer.
struct Queue<D: Disk> {
    directory: Arc<Directory<D>>,
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

struct Waiting {
    writes: Vec<Write>,
    done: Vec<Done>,
    /// What the log will hold once all accepted writes are durable.
    span: Span,
    is_closing: bool,
    /// The writer sleeps, or is about to.
    is_idle: bool,
}

impl<D: Disk> DiskLog<D> {
    fn new(log: Log<D>, recovered: Recovered) -> Self {
        let waiting = Waiting {
            writes: Vec::new(),
            done: Vec::new(),
            span: log.tail().span(),
            is_closing: false,
            is_idle: false,
        };
        let directory = Arc::clone(log.directory());
        let reader = log.reader();
        let queue =
            Arc::new(Queue { directory, waiting: Mutex::new(waiting), wake: Condvar::new() });
        let (recovered, log) = (Some(recovered), Some(Box::new(log)));
        Self { queue, reader, recovered, log, writer: None }
    }

    /// The log, if nothing was written yet.
    fn still(&mut self, what: &str) -> Result<&mut Log<D>, StoreError> {
        let written = || StoreError::Misuse(format!("a log that is written cannot be {what}"));
        self.log.as_deref_mut().ok_or_else(written)
    }

    /// Hands the log to a thread of its own, unless that was done.
    fn start(&mut self) -> Result<(), StoreError> {
        let Some(log) = self.log.take() else { return Ok(()) };
        let path = self.queue.directory.disk().path("");
        let writer = Writer { log: Some(*log), queue: Arc::clone(&self.queue) };
        let thread = thread::Builder::new().name("skiff-log".to_owned());
        let thread = thread.spawn(move || writer.run());
        let thread = thread.map_err(|error| StoreError::io("start a thread for", path, error))?;
        self.writer = Some(thread);
        Ok(())
    }
}

impl<D: Disk> LogStore for DiskLog<D> {
    fn load(&mut self) -> Result<Recovered, StoreError> {
        if let Some(recovered) = self.recovered.take() {
            return Ok(recovered);
        }
        let recovered = self.still("loaded")?.reload()?;
        self.queue.lock().span = Span { base: recovered.base.index, last: recovered.last.index };
        Ok(recovered)
    }

    fn mend(&mut self, prev: Position, entries: &[Entry]) -> Result<(), StoreError> {
        self.still("mended")?.mend(prev, entries)
    }

    fn end_with(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.still("mended")?.end_with(entry)
    }

    fn write(&mut self, write: Write, done: Done) -> Result<Written, StoreError> {
        self.queue.directory.check()?;
        self.start()?;
        let mut waiting = self.queue.lock();
        waiting.span = log::check(waiting.span, &write)?;
        waiting.writes.push(write);
        waiting.done.push(done);
        if mem::take(&mut waiting.is_idle) {
            drop(waiting);
            self.queue.wake.notify_one();
        }
        Ok(Written::Later)
    }

    fn reader(&self) -> Arc<dyn LogReader> {
        Arc::new(self.reader.clone())
    }

    fn identify(&mut self, identity: &Identity) -> Result<(), StoreError> {
        self.queue.directory.identify(identity)
    }
}

impl<D: Disk> Drop for DiskLog<D> {
    fn drop(&mut self) {
        if let Some(log) = self.log.take() {
            log.close();
        }
        self.queue.lock().is_closing = true;
        self.queue.wake.notify_one();
        let Some(writer) = self.writer.take() else { return };
        // A callback of the writer's may be what drops this; then it ends by itself.
        if writer.thread().id() != thread::current().id() {
            // Had it panicked, those who waited would have been told.
            let _ = writer.join();
        }
    }
}

impl<D: Disk> Queue<D> {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that waits; blocks until there is something. `None` once the store is closed.
    fn take(&self) -> Option<(Vec<Write>, Vec<Done>)> {
        let mut waiting = self.lock();
        while waiting.writes.is_empty() {
            if waiting.is_closing {
                return None;
            }
            waiting.is_idle = true;
            waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.is_idle = false;
        Some((mem::take(&mut waiting.writes), mem::take(&mut waiting.done)))
    }

    /// Takes back all that waits, since it was to follow something that is not there. The log is as
    /// `span` says.
    fn revoke(&self, span: Span) -> Vec<Done> {
        let mut waiting = self.lock();
        waiting.writes.clear();
        waiting.span = span;
        mem::take(&mut waiting.done)
    }
}

impl<D: Disk> fmt::Debug for Queue<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// The thread that writes.
struct Writer<D: Disk> {
    /// There until the end.
    log: Option<Log<D>>,
    queue: Arc<Queue<D>>,
}

impl<D: Disk> Writer<D> {
    fn run(mut self) {
        while let Some((writes, done)) = self.queue.take() {
            let Some(log) = &mut self.log else { return };
            let appended = log.append(&writes);
            drop(writes);
            let mut done = done.into_iter();
            let revoked = appended.error.as_ref().map(|_| self.queue.revoke(log.tail().span()));
            done.by_ref().take(appended.durable).for_each(|done| done.call(Ok(())));
            if let Some(error) = appended.error {
                let rest = done.chain(revoked.unwrap_or_default());
                rest.for_each(|done| done.call(Err(error.clone())));
            }
        }
        if let Some(log) = self.log.take() {
            log.close();
        }
    }
}

impl<D: Disk> Drop for Writer<D> {
    fn drop(&mut self) {
        if thread::panicking() {
            // One of those who were told has panicked. The others must not wait for ever.
            let reason = "the thread that writes the log has died".to_owned();
            self.queue.directory.poison(&reason);
            for done in self.queue.revoke(Span::default()) {
                done.call(Err(StoreError::Poisoned { reason: reason.clone() }));
            }
        }
    }
}
