//! The store with its threads: what it accepted is answered, in order, whatever becomes of it; and the
//! folder is given back only when nobody works in it any more.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use skiff_core::Write;
use skiff_storage::{Done, Persistence, Store, StoreError};
use skiff_wal::{
    DiskPersistence,
    disk::{
        Disk, DiskFile, LockError,
        sim::{Fate, SimDisk, SimFile, SimLock},
    },
};

use crate::common::*;

type Answers = mpsc::Receiver<(usize, Result<(), StoreError>)>;

/// Gives all these writes to the store, without waiting for any. Which were accepted is answered.
fn give(store: &mut Store, writes: &[Write]) -> (usize, Answers) {
    let (tell, answers) = mpsc::channel();
    let mut accepted = 0;
    for (place, write) in writes.iter().enumerate() {
        let tell = tell.clone();
        let done = Done::new(move |result| drop(tell.send((place, result))));
        match store.log.write(write.clone(), done) {
            Ok(_) => accepted += 1,
            Err(StoreError::Poisoned { .. } | StoreError::Misuse(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    (accepted, answers)
}

fn some_writes(seed: u64) -> Vec<Write> {
    let mut state = seed;
    let (mut last, mut writes) = (0, Vec::new());
    for _ in 0..random(&mut state) % 40 + 1 {
        let from = last + 1 - (random(&mut state) % 3).min(last);
        let count = random(&mut state) % 5;
        let write = append(1, from, from + count);
        writes.push(if from <= last { cut(from, write) } else { write });
        last = from + count - 1;
    }
    writes
}

#[test]
fn a_store_that_is_dropped_has_answered_all_it_accepted() {
    for seed in 0..40 {
        let disk = SimDisk::new();
        let persistence = DiskPersistence::on(disk.clone()).segment_size(4_096);
        let mut store = persistence.open(&opening()).unwrap();
        let writes = some_writes(seed);
        let (accepted, answers) = give(&mut store, &writes);
        assert_eq!(accepted, writes.len());
        drop(store);
        let answers: Vec<_> = answers.try_iter().collect();
        let places: Vec<usize> = answers.iter().map(|(place, _)| *place).collect();
        assert_eq!(places, (0..writes.len()).collect::<Vec<_>>(), "each once, in order");
        assert!(answers.iter().all(|(_, result)| result.is_ok()));
        disk.crash(|_| Fate::Drop);
        let model = writes.iter().fold(Model::default(), |model, write| model.after(write));
        assert_eq!(Model::of(&open(&disk, 4_096)), model);
    }
}

#[test]
fn what_a_failed_store_has_answered_well_is_there() {
    for seed in 0..60 {
        let disk = SimDisk::new();
        let persistence = DiskPersistence::on(disk.clone()).segment_size(4_096);
        let mut store = persistence.open(&opening()).unwrap();
        let writes = some_writes(seed);
        match seed % 3 {
            0 => disk.fail_sync(seed / 3 % 7 + 1),
            1 => disk.fail_write(seed / 3 % 7 + 1),
            _ => disk.halt_after(seed / 3),
        }
        let (accepted, answers) = give(&mut store, &writes);
        drop(store);
        let answers: Vec<_> = answers.try_iter().collect();
        assert_eq!(answers.len(), accepted, "each that was accepted is answered");
        let well = answers.iter().take_while(|(_, result)| result.is_ok()).count();
        assert!(
            answers[well..].iter().all(|(_, result)| result.is_err()),
            "none after a failed one"
        );
        disk.crash(|_| Fate::Drop);
        let mut states = vec![Model::default()];
        for write in &writes[..well] {
            states = vec![states.pop().unwrap().after(write)];
        }
        for write in &writes[well..] {
            states.extend(states.last().unwrap().clone().during(write));
        }
        let found = Model::of(&open(&disk, 4_096));
        assert!(states.contains(&found), "{seed}: found {found:?}, {well} answered");
    }
}

/// A disk on which the making of a segment does not get on until a write has failed.
#[derive(Clone, Debug)]
struct Slow {
    disk: SimDisk,
    work: Arc<Work>,
}

#[derive(Debug, Default)]
struct Work {
    has_failed: Mutex<bool>,
    failure: Condvar,
    is_making: AtomicBool,
    has_made: AtomicBool,
    left_working: AtomicBool,
}

#[derive(Debug)]
struct SlowFile(SimFile, Arc<Work>);

struct SlowLock(Arc<Work>, #[allow(dead_code, reason = "held")] SimLock);

impl Drop for SlowLock {
    fn drop(&mut self) {
        if self.0.is_making.load(Ordering::SeqCst) {
            self.0.left_working.store(true, Ordering::SeqCst);
        }
    }
}

impl Disk for Slow {
    type File = SlowFile;
    type Lock = SlowLock;

    fn lock(&self) -> Result<SlowLock, LockError> {
        Ok(SlowLock(Arc::clone(&self.work), self.disk.lock()?))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn open(&self, name: &str) -> io::Result<SlowFile> {
        Ok(SlowFile(self.disk.open(name)?, Arc::clone(&self.work)))
    }

    fn create(&self, name: &str) -> io::Result<SlowFile> {
        if name.starts_with("log-") {
            self.work.is_making.store(true, Ordering::SeqCst);
            let mut has_failed = self.work.has_failed.lock().unwrap();
            while !*has_failed {
                has_failed = self.work.failure.wait(has_failed).unwrap();
            }
            drop(has_failed);
            // Time enough for the other thread to give the folder back, if it does not wait.
            (0..1_000).for_each(|_| thread::yield_now());
            self.work.is_making.store(false, Ordering::SeqCst);
            self.work.has_made.store(true, Ordering::SeqCst);
        }
        Ok(SlowFile(self.disk.create(name)?, Arc::clone(&self.work)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.disk.path(name)
    }
}

impl DiskFile for SlowFile {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.0.read_at(into, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let written = self.0.write_at(bytes, at);
        if written.is_err() {
            *self.1.has_failed.lock().unwrap() = true;
            self.1.failure.notify_all();
        }
        written
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

/// The opening fails while the next segment is being made elsewhere. If the folder was given back at
/// once, that segment could get into the way of whoever opens it next.
#[test]
fn a_folder_is_not_given_back_while_somebody_works_in_it() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, 4_096);
    (1..4).for_each(|index| put(&mut opened.log, append(1, index, index + 1)));
    // A torn write, whose pieces the next opening wipes after it has ordered a segment.
    disk.halt_after(1);
    let large = Write { entries: vec![entry(1, 4, 700)], ..append(1, 4, 4) };
    assert!(try_put(&mut opened.log, large).is_err());
    drop(opened);
    disk.crash(|write| write.tear(512, |piece| piece > 0));
    // The end of the log again, the identity, the mark of the opening; the fourth is the wiping.
    disk.fail_write(4);
    let work = Arc::<Work>::default();
    let slow = Slow { disk, work: Arc::clone(&work) };
    let error = DiskPersistence::on(slow).segment_size(4_096).open(&opening()).unwrap_err();
    assert!(error.to_string().contains("wipe"), "{error}");
    assert!(work.has_made.load(Ordering::SeqCst), "a segment was ordered");
    assert!(!work.left_working.load(Ordering::SeqCst));
}
