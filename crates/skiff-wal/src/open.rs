//! Opening a log: a new one is made, an old one is looked at, made sure of, and marked.

use std::{io, sync::Arc};

use skiff_core::{
    Entry, HardState, Index, Position,
    mutants::{Mutant, planted},
};
use skiff_storage::{Identity, LogReader, OnLostData, Opening, Recovered, StoreError};

use crate::{
    aside,
    batch::{BatchHeader, HEADER},
    begins::Begins,
    directory::{self, Directory},
    disk::{self, Disk, DiskFile},
    files::Files,
    group::Group,
    identity::{self, Kept},
    log::{Log, Options},
    mend,
    place::Place,
    reader::{Shared, Visible},
    recovery::{self, Recovery},
    segment::{self, FIRST_BATCH, Order, Segment},
    snapshot::Snapshots,
    supply::{OnDemand, Supply},
    tail::{Extents, Tail},
    walk::Link,
};

/// A log that was opened, with what it held.
#[derive(Debug)]
pub struct Opened<D: Disk> {
    /// Whose it is.
    pub identity: Identity,
    /// What it held.
    pub recovered: Recovered,
    /// The log.
    pub log: Log<D>,
    /// The snapshots beside it.
    pub snapshots: Snapshots<D>,
}

impl<D: Disk> Log<D> {
    /// Opens the log in the folder, or makes a new one if the folder never held any.
    ///
    /// # Errors
    ///
    /// If the folder is in use, somebody else's, of a newer format, or if anything is damaged or
    /// missing that was synced once; then nothing was changed.
    pub fn open(disk: D, opening: &Opening, options: Options) -> Result<Opened<D>, StoreError> {
        let supply = Box::new(OnDemand::new(disk.clone()));
        Self::open_with(disk, opening, options, supply)
    }

    pub(crate) fn open_with(
        disk: D,
        opening: &Opening,
        options: Options,
        supply: Box<dyn Supply<D>>,
    ) -> Result<Opened<D>, StoreError> {
        let lock = directory::lock(&disk)?;
        let new = New { disk: disk.clone(), lock, options, supply };
        let mut kept = identity::read(&disk)?;
        let mut opening = opening.clone();
        let mut set_aside = None;
        if aside::is_wanted(&opening, kept.as_ref()) {
            // It is the same node to its user, and nobody to the others.
            if let Some(removed) = kept.take() {
                opening.fresh_name = opening.reopen(&removed.identity)?.name;
            }
            set_aside = Some(aside::set_aside(&disk)?);
        }
        let opening = &opening;
        let files = Files::find(&disk)?;
        files.check_format(&disk)?;
        let mut opened = match kept {
            Some(kept) if kept.identity.boot > 0 => reopen(new, opening, kept, &files),
            None if planted(Mutant::LostIsNew) => create(new, opening, &files),
            None if !files.segments.is_empty() || !files.snapshots.is_empty() => {
                let reason = "IDENTITY is missing beside a log or a snapshot".to_owned();
                Err(StoreError::Lost { path: disk.path(""), reason })
            }
            _ => create(new, opening, &files),
        }?;
        if let Some(prefix) = set_aside {
            let remark = format!("what was here is set aside, in files named {prefix}...");
            opened.recovered.remarks.push(remark);
        }
        for name in &files.strangers {
            let remark = format!("{name} is not a file of Skiff's and is ignored");
            opened.recovered.remarks.push(remark);
        }
        Ok(opened)
    }
}

/// What a log is opened with.
struct New<D: Disk> {
    disk: D,
    lock: D::Lock,
    options: Options,
    supply: Box<dyn Supply<D>>,
}

/// Makes a new log. Until it is complete, IDENTITY says so: what is there is nobody's.
fn create<D: Disk>(new: New<D>, opening: &Opening, files: &Files) -> Result<Opened<D>, StoreError> {
    let (disk, log) = (new.disk.clone(), new.options.fresh_log);
    let identity = Identity { boot: 0, ..opening.fresh() };
    identity::write(&disk, &Kept { identity, log, synced: 0 })?;
    for found in files.segments.values() {
        let removed = disk.remove(&found.name);
        removed.map_err(|error| StoreError::io("remove", disk.path(&found.name), error))?;
    }
    let next_segment = files.segments.keys().next_back().map_or(1, |number| number + 1);
    let order = Order { log, number: next_segment, size: new.options.segment_size(), reuse: None };
    let current = segment::make(&disk, &order)?;
    let recovery = Recovery {
        recovered: Recovered::default(),
        tail: Tail::default(),
        extents: Extents::default(),
        last: BatchHeader { first_segment: current.number, ..BatchHeader::default() },
        end: Place { segment: current.number, offset: FIRST_BATCH },
        highest: 0,
        segments: [(current.number, current.size)].into(),
        begins: Begins::default(),
        left_over: Vec::new(),
        needs_time: false,
        pieces: None,
        next_segment: next_segment + 1,
        next_mend: segment::MEND,
    };
    let kept = Kept { identity: opening.fresh(), log, synced: 0 };
    let identity = kept.identity.clone();
    let (mut log, recovered) = start(new, kept, recovery)?;
    log.mark_opening()?;
    log.identify(&identity)?;
    let snapshots = Snapshots::new(Arc::clone(log.directory()));
    Ok(Opened { identity, recovered, log, snapshots })
}

/// Opens a log that was there. First all is looked at, then the end is made sure, then a new batch
/// is written.
fn reopen<D: Disk>(
    new: New<D>,
    opening: &Opening,
    kept: Kept,
    files: &Files,
) -> Result<Opened<D>, StoreError> {
    let disk = new.disk.clone();
    let mut identity = opening.reopen(&kept.identity)?;
    if planted(Mutant::BootNotCounted) {
        identity.boot = kept.identity.boot;
    }
    let recovery = recovery::recover(&disk, &kept, files)?;
    if opening.on_lost_data == OnLostData::Refuse {
        recovery.check_whole()?;
    }
    recovery::check_snapshot(&disk, &kept, &recovery, files)?;
    make_sure(&disk, &recovery, files)?;
    let kept = Kept { identity: identity.clone(), log: kept.log, synced: recovery.last.number };
    identity::write(&disk, &kept)?;
    let (end, pieces) = (recovery.end, recovery.pieces);
    let (mut log, recovered) = start(new, kept, recovery)?;
    log.mark_opening()?;
    if let Some(to) = pieces.filter(|_| log.current.number == end.segment) {
        wipe(&log, to)?;
    }
    let snapshots = Snapshots::new(Arc::clone(log.directory()));
    Ok(Opened { identity, recovered, log, snapshots })
}

/// Writes the last batch once more, byte for byte, and syncs it: if its sync failed in the process
/// before, it is perhaps seen although it is not on the medium.
fn make_sure<D: Disk>(disk: &D, recovery: &Recovery, files: &Files) -> Result<(), StoreError> {
    for name in &files.unfinished {
        drop(disk.remove(name));
    }
    let last = &recovery.last;
    let again = || {
        let file = disk.open(&segment::name(last.place.segment))?;
        let bytes = batch_again(&file, last)?;
        if !planted(Mutant::LastBatchNotMadeSure) {
            file.write_at(&bytes, last.place.offset)?;
        }
        file.sync()?;
        disk.sync_dir()
    };
    let name = segment::name(last.place.segment);
    again().map_err(|error| StoreError::io("write again the end of", disk.path(&name), error))
}

/// The bytes of a batch that is good. What would be written over it must be as good.
fn batch_again(file: &impl DiskFile, header: &BatchHeader) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(header.span()).unwrap_or(usize::MAX)];
    for _ in 0..2 {
        disk::read_at(file, &mut bytes, header.place.offset)?;
        let end = HEADER + header.length as usize;
        let is_good = BatchHeader::decode(&bytes, header.log, header.place) == Ok(*header)
            && bytes.get(HEADER..end).is_some_and(|payload| header.records(payload).is_ok());
        if is_good {
            return Ok(bytes);
        }
    }
    Err(io::Error::other("it is not read as it was a moment ago"))
}

/// Wipes the pieces of a batch that was dropped: they could never be taken for anything, but they
/// would be remarked upon again.
fn wipe<D: Disk>(log: &Log<D>, to: u64) -> Result<(), StoreError> {
    let disk = log.directory.disk();
    let wiped = segment::fill(&log.current.file, log.offset, to);
    let name = segment::name(log.current.number);
    wiped.map_err(|error| StoreError::io("wipe the end of", disk.path(&name), error))
}

fn start<D: Disk>(
    new: New<D>,
    kept: Kept,
    recovery: Recovery,
) -> Result<(Log<D>, Recovered), StoreError> {
    let New { disk, lock, options, supply } = new;
    let Recovery { mut recovered, tail, extents, last, end, begins, .. } = recovery;
    let name = segment::name(end.segment);
    let Some(size) = recovery.segments.get(&end.segment).copied() else {
        return Err(StoreError::Lost { path: disk.path(""), reason: format!("{name} is missing") });
    };
    let opened = disk.open(&name);
    let file = opened.map_err(|error| StoreError::io("open", disk.path(&name), error))?;
    let current = Segment { number: end.segment, size, file };
    let segments = recovery.segments;
    let (span, step) = (tail.span(), options.segment_size());
    let left = size.saturating_sub(end.offset);
    let visible = Visible { span, extents, segments, cuts: 0, left, step };
    let shared = Arc::new(Shared::new(visible));
    let next_mend = recovery.next_mend;
    let mut log = Log {
        supply,
        next_mend,
        has_holes: !recovered.holes.is_empty(),
        missing_to: missing_to(&recovered),
        log: kept.log,
        boot: kept.identity.boot,
        directory: Arc::new(Directory::new(disk, lock, kept)),
        options,
        shared,
        hard_state: recovered.hard_state,
        current,
        offset: end.offset,
        link: Link::after(&last),
        highest: recovery.highest,
        first_segment: last.first_segment,
        begins,
        is_ordered: false,
        next_segment: recovery.next_segment,
        spare: Vec::new(),
        group: Group::new(),
        tail,
    };
    log.supply.remove(recovery.left_over);
    if recovery.needs_time {
        log.find_time(&mut recovered)?;
    }
    Ok((log, recovered))
}

/// The last entry that is missing.
fn missing_to(recovered: &Recovered) -> Index {
    recovered.holes.last().map(|hole| hole.last.index).unwrap_or_default()
}

impl<D: Disk> Log<D> {
    /// Fills the end of a hole: `entries` follow `prev`, and the last of them is what the hole ends
    /// with. Durable on return. What the log holds then, [`reload`](Self::reload) tells.
    ///
    /// # Errors
    ///
    /// If the entries have gaps; or as the disk has it.
    pub fn mend(&mut self, prev: Position, entries: &[Entry]) -> Result<(), StoreError> {
        self.directory.check()?;
        let follows = |(before, entry): (u64, &Entry)| Some(entry.index.0) == before.checked_add(1);
        let is_within = prev.index >= self.tail.base.index;
        if entries.is_empty() || !is_within || !(prev.index.0..).zip(entries).all(follows) {
            return Err(StoreError::Misuse("the entries do not follow each other".to_owned()));
        }
        let number = self.next_mend;
        self.next_mend += 1;
        mend::write(self.directory.disk(), self.log, number, prev, entries)
    }

    /// Ends the log with this entry: what stood at its index and behind it is dropped. Durable on
    /// return. What the log holds then, [`reload`](Self::reload) tells.
    ///
    /// # Errors
    ///
    /// If the log ends before it; or as the disk has it.
    pub fn end_with(&mut self, entry: &Entry) -> Result<(), StoreError> {
        // In a later term than the node's own it has not voted.
        let HardState { term, .. } = self.hard_state;
        let hard_state = if entry.term > term {
            HardState { term: entry.term, vote: None }
        } else {
            self.hard_state
        };
        self.append_whole(hard_state, entry)
    }

    /// What the log holds, read from the disk once more. Nothing else may have been appended since it was
    /// opened.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn reload(&mut self) -> Result<Recovered, StoreError> {
        self.directory.check()?;
        let disk = self.directory.disk();
        let files = Files::find(disk)?;
        let recovery = recovery::recover(disk, &self.directory.kept(), &files)?;
        let Recovery { mut recovered, tail, extents, segments, needs_time, begins, .. } = recovery;
        let mut visible = self.shared.write();
        (visible.span, visible.extents) = (tail.span(), extents);
        visible.segments = segments;
        visible.cuts += 1;
        drop(visible);
        (self.tail, self.begins) = (tail, begins);
        self.has_holes = !recovered.holes.is_empty();
        self.missing_to = missing_to(&recovered);
        if needs_time {
            self.find_time(&mut recovered)?;
        }
        Ok(recovered)
    }

    fn find_time(&self, recovered: &mut Recovered) -> Result<(), StoreError> {
        let index = self.tail.last.index;
        recovery::set_time(recovered, &self.reader().read(index, index.next(), 0)?);
        Ok(())
    }
}
