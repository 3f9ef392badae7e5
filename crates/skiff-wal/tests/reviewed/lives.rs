//! The whole life of a folder: writes, identities, snapshots, failures of every kind, processes that
//! end in every way, openings that do not get to their end. Whatever happens, what was acknowledged
//! or shown is there, nothing is there that nobody asked for, and a power cut alone never keeps a
//! node from starting.

use std::collections::BTreeMap;
use std::env;

use skiff_core::{Entry, HardState, Index, NodeId, Position, Term, Write};
use skiff_storage::{
    Identity, InstanceId, LogReader, SnapshotMeta, SnapshotStore, Standing, StoreError,
};
use skiff_wal::{
    Opened,
    disk::sim::{Fate, PAGE, SECTOR, SimDisk, Unsynced},
};

use crate::common::*;

/// How many lives are lived; for every day a few.
pub(super) fn lives() -> u64 {
    env::var("SKIFF_LIVES").ok().and_then(|lives| lives.parse().ok()).unwrap_or(100)
}

#[test]
fn whatever_happens_the_log_keeps_its_word() {
    let first: u64 =
        env::var("SKIFF_FIRST_LIFE").ok().and_then(|life| life.parse().ok()).unwrap_or(0);
    let mut seen = Seen::default();
    for seed in first..first + lives() {
        let mut life = Life::new(seed);
        let steps = life.below(30) + 5;
        for _ in 0..steps {
            life.step();
        }
        life.end();
        seen.add(&life.seen);
    }
    println!("{seen:?}");
    // What never happens proves nothing.
    let Seen { crashes, failed, full, openings, torn, snapshots, anew } = seen;
    for (count, what) in [
        (crashes, "crashes"),
        (failed, "failures"),
        (full, "full disks"),
        (openings, "openings that failed"),
        (torn, "torn writes"),
        (snapshots, "snapshots"),
        (anew, "logs begun anew"),
    ] {
        assert!(count > 0, "there were no {what}");
    }
}

/// How often what happened.
#[derive(Clone, Debug, Default)]
struct Seen {
    crashes: u64,
    failed: u64,
    full: u64,
    openings: u64,
    torn: u64,
    snapshots: u64,
    anew: u64,
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.crashes += other.crashes;
        self.failed += other.failed;
        self.full += other.full;
        self.openings += other.openings;
        self.torn += other.torn;
        self.snapshots += other.snapshots;
        self.anew += other.anew;
    }
}

pub(super) type Snapshot = (Position, Vec<u8>);

pub(super) struct Life {
    pub(super) seed: u64,
    random: u64,
    pub(super) disk: SimDisk,
    pub(super) size: u64,
    opened: Option<Opened<SimDisk>>,
    /// What the running process has been told.
    pub(super) now: Model,
    /// What may be found by the next one.
    possible: Vec<Model>,
    pub(super) identity: Identity,
    identities: Vec<Identity>,
    /// The highest boot counter that was shown.
    boot: u64,
    pub(super) snapshot: Option<Snapshot>,
    snapshots: Vec<Option<Snapshot>>,
    /// A sync of the folder has failed while the newest snapshot was not durable. It is seen, but it
    /// may never be on the medium.
    is_unsure: bool,
    count: u64,
    trace: Vec<String>,
    seen: Seen,
    /// How large each entry is.
    sizes: BTreeMap<(u64, u64), usize>,
}

/// What goes wrong in an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    Halt,
    Sync,
    Write,
    Full,
}

impl Drop for Life {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("life {} with segments of {}:", self.seed, self.size);
            self.trace.iter().for_each(|line| println!("  {line}"));
        }
    }
}

impl Life {
    pub(super) fn new(seed: u64) -> Self {
        let mut life = Self {
            seed,
            random: seed.wrapping_mul(0x1_0000_0001_0001) ^ 0x5eed,
            disk: SimDisk::new(),
            size: 0,
            opened: None,
            now: Model::default(),
            possible: vec![Model::default()],
            identity: Identity { boot: 0, ..opening().fresh() },
            identities: Vec::new(),
            boot: 0,
            snapshot: None,
            snapshots: vec![None],
            is_unsure: false,
            count: 0,
            trace: Vec::new(),
            seen: Seen::default(),
            sizes: BTreeMap::new(),
        };
        life.size = life.pick(&[2_048, 2_560, 4_096, 8_192, 40_000]);
        life.identities = vec![life.identity.clone()];
        life.open();
        life
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        random(&mut self.random) % bound.max(1)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    pub(super) fn note(&mut self, line: impl Into<String>) {
        self.trace.push(line.into());
    }

    pub(super) fn step(&mut self) {
        match self.below(20) {
            0..9 => self.append(),
            9..11 => self.identify(),
            11..13 => drop(self.save()),
            13 => self.begin_anew(),
            14 => self.close(),
            15..18 => self.end_process(),
            _ => self.look(),
        }
        if self.opened.is_none() {
            self.open();
        }
    }

    /// Ends the process well: all that is there is known to be synced.
    pub(super) fn settle(&mut self) {
        let opened = self.opened.take().unwrap();
        opened.log.close();
        drop(opened.snapshots);
        self.disk.kill();
    }

    fn end(&mut self) {
        self.opened = None;
        self.crash();
        self.open();
    }

    /// Plans that something goes wrong in what comes next.
    fn trouble(&mut self, one_in: u64, far: u64) -> Trouble {
        if !self.chance(one_in) {
            return Trouble::None;
        }
        let nth = self.below(far);
        let trouble = self.pick(&[
            Trouble::Halt,
            Trouble::Halt,
            Trouble::Sync,
            Trouble::Write,
            Trouble::Full,
        ]);
        match trouble {
            Trouble::None => {}
            Trouble::Halt => self.disk.halt_after(nth),
            Trouble::Sync => self.disk.fail_sync(nth + 1),
            Trouble::Write => self.disk.fail_write(nth + 1),
            Trouble::Full => {
                let used: u64 = self.used();
                let room = self.pick(&[0, 1, 100, 511, 512, 700, 2_047, 2_048, 3_000, 5_000]);
                self.disk.limit(Some(used + room));
            }
        }
        self.note(format!("trouble: {trouble:?} at {nth}"));
        trouble
    }

    fn used(&self) -> u64 {
        use skiff_wal::disk::Disk;
        let names = self.disk.list().unwrap();
        names.iter().map(|name| self.disk.content(name).unwrap().len() as u64).sum()
    }

    fn no_trouble(&self) {
        self.disk.halt_after(u64::MAX);
        self.disk.fail_sync(u64::MAX);
        self.disk.fail_write(u64::MAX);
        self.disk.limit(None);
    }

    /// What an error of this action means for the process. True if it can go on.
    fn survives(&mut self, trouble: Trouble, error: &StoreError) -> bool {
        self.note(format!("failed: {error}"));
        assert_ne!(trouble, Trouble::None, "nothing was wrong, and still: {error}");
        if error.is_recoverable() {
            assert_eq!(trouble, Trouble::Full, "{error}");
            self.seen.full += 1;
            return true;
        }
        let expected = matches!(error, StoreError::Io { .. } | StoreError::Poisoned { .. });
        assert!(expected, "{error}");
        self.seen.failed += 1;
        if trouble != Trouble::Halt {
            self.no_trouble();
            let opened = self.opened.as_mut().unwrap();
            let again = try_put(&mut opened.log, vote(1_000_000, 1)).unwrap_err();
            assert!(matches!(again, StoreError::Poisoned { .. }), "{again}");
            let again = opened.log.identify(&self.identity).unwrap_err();
            assert!(matches!(again, StoreError::Poisoned { .. }), "{again}");
        }
        self.opened = None;
        self.power();
        false
    }

    fn write(&mut self, on: &Model) -> Write {
        let term = Term(on.hard_state.term.0 + self.below(2));
        // What a snapshot covers is committed and never cut.
        let covered = self.snapshots.iter().flatten().map(|(position, _)| position.index.0).max();
        let (last, base) = (on.last().index.0, on.base.index.0.max(covered.unwrap_or(0)));
        let cut = if self.chance(4) { self.below(6) } else { 0 };
        let from = last.saturating_sub(cut).max(base) + 1;
        let first = if cut > 0 { from } else { last + 1 };
        let large = self.chance(3);
        let (count, most) = if large { (self.below(7) + 1, 3_000) } else { (self.below(4), 200) };
        let term = if count > 0 { Term(term.0.max(1)) } else { term };
        let entries = (first..first + count).map(|index| {
            let size = usize::try_from(self.below(most)).unwrap();
            self.the_entry(term.0, index, size)
        });
        let entries: Vec<Entry> = entries.collect();
        let vote = self.chance(3).then(|| NodeId(u128::from(self.below(5))));
        Write {
            hard_state: HardState { term, vote },
            truncate_from: (cut > 0).then_some(Index(from)),
            entries,
            ..Write::default()
        }
    }

    /// The entry of this term and index: there is one, however often it is cut and comes again.
    fn the_entry(&mut self, term: u64, index: u64, size: usize) -> Entry {
        entry(term, index, *self.sizes.entry((term, index)).or_insert(size))
    }

    fn append(&mut self) {
        let mut writes = Vec::new();
        let mut on = self.now.clone();
        for _ in 0..=self.below(3) {
            let write = self.write(&on);
            on = on.after(&write);
            writes.push(write);
        }
        self.put(&writes);
    }

    fn put(&mut self, writes: &[Write]) {
        let trouble = self.trouble(2, 8);
        self.note(format!("append {}", told(writes)));
        let appended = self.opened.as_mut().unwrap().log.append(writes);
        let mut possible = vec![self.now.clone()];
        for write in &writes[..appended.durable] {
            self.now = self.now.after(write);
            possible = vec![self.now.clone()];
        }
        if appended.durable == 0 {
            // Nothing new was acknowledged: also what was half there before is as it was.
            possible.clone_from(&self.possible);
            possible.retain(|model| *model != self.now);
            possible.push(self.now.clone());
        }
        for write in &writes[appended.durable..] {
            let on = possible.last().unwrap().clone();
            possible.extend(on.during(write));
        }
        self.possible = possible;
        match appended.error {
            None => {
                assert_eq!(appended.durable, writes.len());
                self.possible = vec![self.now.clone()];
                self.no_trouble();
                if self.chance(4) {
                    self.check_image();
                }
            }
            Some(error) => {
                if self.survives(trouble, &error) {
                    self.no_trouble();
                    self.look();
                }
            }
        }
    }

    fn identify(&mut self) {
        let trouble = self.trouble(3, 6);
        self.count += 1;
        let instance = Some(InstanceId(u128::from(self.count)));
        let new = Identity { standing: Standing::Member, instance, ..self.identity.clone() };
        self.note(format!("identify {instance:?}"));
        self.identities.push(new.clone());
        match self.opened.as_ref().unwrap().log.identify(&new) {
            Ok(()) => {
                self.identity = new.clone();
                self.identities = vec![new];
                self.no_trouble();
                if self.chance(4) {
                    self.check_image();
                }
            }
            Err(error) => {
                if self.survives(trouble, &error) {
                    // It is as it was before.
                    self.identities.pop();
                    self.no_trouble();
                }
            }
        }
    }

    /// Keeps a snapshot of where the log ends. Whether it worked.
    fn save(&mut self) -> bool {
        let trouble = self.trouble(3, 6);
        let position = self.now.last();
        // What a machine holds at one place is always the same.
        let mut content = (position.term.0 << 32 | position.index.0).to_le_bytes().to_vec();
        content.resize(8 + [0, 10, 600, 5_000][usize::try_from(position.index.0 % 4).unwrap()], 7);
        self.note(format!("save a snapshot at {position:?}"));
        let meta = SnapshotMeta { position, ..SnapshotMeta::default() };
        let new = Some((position, content.clone()));
        let saved = self.opened.as_mut().unwrap().snapshots.save(&meta, &content);
        match saved {
            Ok(()) => {
                self.seen.snapshots += 1;
                // One of a later place stays the newest.
                if self.snapshot.as_ref().is_none_or(|(old, _)| key(*old) <= key(position)) {
                    self.snapshot = new;
                    self.is_unsure = false;
                }
                if !self.is_unsure {
                    self.snapshots = vec![self.snapshot.clone()];
                }
                self.no_trouble();
                if self.chance(4) {
                    self.check_image();
                }
                true
            }
            Err(error) => {
                let before = self.snapshots.clone();
                self.snapshots.push(new);
                if self.survives(trouble, &error) {
                    self.snapshots = before;
                    self.no_trouble();
                }
                false
            }
        }
    }

    /// The log begins after a snapshot, as when one is installed or a cluster is founded.
    fn begin_anew(&mut self) {
        if !self.save() {
            return;
        }
        let base = self.now.last();
        let begin_after = Some(base);
        let hard_state = self.now.hard_state;
        let term = hard_state.term.0.max(base.term.0).max(1);
        let hard_state = HardState { term: Term(term), ..hard_state };
        let first = base.index.0 + 1;
        let count = self.below(4);
        let size = usize::try_from(self.pick(&[30, 400, 1_500])).unwrap();
        let entries = (first..first + count).map(|index| self.the_entry(term, index, size));
        let entries = entries.collect();
        let anew = Write { hard_state, begin_after, entries, ..Write::default() };
        let mut writes = vec![anew];
        if self.chance(2) {
            writes.insert(0, self.write(&self.now.clone()));
        }
        if self.chance(2) {
            let on = writes.iter().fold(self.now.clone(), |model, write| model.after(write));
            writes.push(self.write(&on));
        }
        self.seen.anew += 1;
        self.put(&writes);
    }

    fn close(&mut self) {
        let opened = self.opened.take().unwrap();
        let trouble = self.trouble(4, 4);
        self.note("close");
        opened.log.close();
        drop(opened.snapshots);
        if trouble == Trouble::None {
            // There is nothing that could be half there.
            self.possible = vec![self.now.clone()];
        }
        self.power();
    }

    fn end_process(&mut self) {
        self.opened = None;
        self.power();
    }

    /// The process has ended. Perhaps the power goes as well.
    fn power(&mut self) {
        if self.chance(2) {
            self.note("the process ends");
            self.disk.kill();
        } else {
            self.crash();
        }
    }

    fn crash(&mut self) {
        let fates = self.fates();
        self.note("the power is cut");
        self.seen.crashes += 1;
        cut_power(&self.disk, fates);
    }

    fn fates(&mut self) -> Vec<(usize, Fate)> {
        let operations = self.disk.unsynced();
        let way = self.below(7);
        let mut fates = Vec::new();
        for (place, operation) in operations.iter().enumerate() {
            let fate = match way {
                0 => Fate::Drop,
                1 => Fate::Keep,
                2 if self.chance(2) => Fate::Keep,
                2 => Fate::Drop,
                3 => {
                    let whole = usize::try_from(self.below(operation.sectors() as u64)).unwrap();
                    operation.tear(SECTOR, |piece| piece < whole)
                }
                4 => operation.tear(PAGE, |_| self.chance(2)),
                _ => operation.tear(SECTOR, |_| self.chance(2)),
            };
            self.seen.torn += u64::from(is_torn(&fate));
            fates.push((place, fate));
        }
        if self.chance(3) {
            for place in (1..fates.len()).rev() {
                let other = usize::try_from(self.below(place as u64 + 1)).unwrap();
                fates.swap(place, other);
            }
        }
        fates
    }

    /// Whatever has not been synced, what was acknowledged is there.
    fn check_image(&mut self) {
        let fates = self.fates();
        let image = self.disk.fork();
        cut_power(&image, fates);
        let opened = match try_open(&image, self.size) {
            Ok(opened) => opened,
            Err(error) => panic!("an image cannot be opened: {error}"),
        };
        self.compare(&opened);
    }

    fn look(&mut self) {
        let opened = self.opened.as_ref().unwrap();
        let (base, last) = (self.now.base.index, self.now.last().index);
        if base < last {
            let read = opened.log.reader().read(base.next(), last.next(), usize::MAX).unwrap();
            assert!(read == self.now.entries, "what is read is not what was written");
        }
        let snapshot = opened.snapshots.newest().unwrap();
        let snapshot = snapshot.map(|(meta, content)| (meta.position, content.to_vec()));
        assert_eq!(snapshot, self.snapshot);
    }

    /// Opens the folder, perhaps after some openings that fail.
    fn open(&mut self) {
        for _ in 0..4 {
            let trouble = self.trouble(2, 14);
            match try_open(&self.disk, self.size) {
                Ok(opened) => {
                    self.no_trouble();
                    return self.take(opened);
                }
                Err(error) => {
                    self.note(format!("not opened: {error}"));
                    self.seen.openings += 1;
                    let expected = match trouble {
                        Trouble::None => false,
                        Trouble::Full => matches!(error, StoreError::Full { .. }),
                        Trouble::Halt | Trouble::Sync | Trouble::Write => {
                            matches!(error, StoreError::Io { .. } | StoreError::Poisoned { .. })
                        }
                    };
                    assert!(expected, "{trouble:?}, and then: {error}");
                    self.is_unsure |= trouble == Trouble::Sync && self.snapshots.len() > 1;
                    self.power();
                }
            }
        }
        match try_open(&self.disk, self.size) {
            Ok(opened) => self.take(opened),
            Err(error) => panic!("cannot be opened: {error}"),
        }
    }

    fn take(&mut self, opened: Opened<SimDisk>) {
        (self.now, self.identity, self.snapshot) = self.compare(&opened);
        self.note(format!("opened as {:?}, boot {}", self.now, self.identity.boot));
        self.possible = vec![self.now.clone()];
        self.identities = vec![self.identity.clone()];
        if !self.is_unsure {
            self.snapshots = vec![self.snapshot.clone()];
        }
        self.boot = self.identity.boot;
        self.opened = Some(opened);
        if self.chance(4) {
            // What was shown once is there for good.
            self.check_image();
        }
    }

    #[track_caller]
    fn compare(&self, opened: &Opened<SimDisk>) -> (Model, Identity, Option<Snapshot>) {
        let found = Model::of(opened);
        assert!(self.possible.contains(&found), "found {found:?} of {:?}", self.possible);
        let identity = opened.identity.clone();
        let is_same = |one: &Identity| {
            Identity { boot: 0, ..one.clone() } == Identity { boot: 0, ..identity.clone() }
        };
        assert!(self.identities.iter().any(is_same), "{identity:?} of {:?}", self.identities);
        assert!(identity.boot > self.boot, "boot {} after {}", identity.boot, self.boot);
        let snapshot = opened.snapshots.newest().unwrap();
        let snapshot = snapshot.map(|(meta, content)| (meta.position, content.to_vec()));
        assert!(self.snapshots.contains(&snapshot), "{snapshot:?} of {:?}", self.snapshots);
        (found, identity, snapshot)
    }
}

fn key(position: Position) -> (Index, Term) {
    (position.index, position.term)
}

fn is_torn(fate: &Fate) -> bool {
    matches!(fate, Fate::Tear(kept) if kept.contains(&true) && kept.contains(&false))
}

fn told(writes: &[Write]) -> String {
    let one = |write: &Write| {
        let begin =
            write.begin_after.map_or(String::new(), |base| format!("anew after {base:?}, "));
        let cut = write.truncate_from.map_or(String::new(), |from| format!("cut from {from}, "));
        let sizes: Vec<usize> = write.entries.iter().map(Entry::size).collect();
        format!("({begin}{cut}{:?}, {sizes:?})", write.hard_state)
    };
    writes.iter().map(one).collect()
}

/// Cuts the power: what was not synced lands in this order and with these fates.
fn cut_power(disk: &SimDisk, fates: Vec<(usize, Fate)>) {
    let order: Vec<usize> = fates.iter().map(|(place, _)| *place).collect();
    let mut fates = fates.into_iter();
    let fate = |_: &Unsynced| fates.next().map_or(Fate::Drop, |(_, fate)| fate);
    disk.crash_in_order(|_| order, fate);
}
