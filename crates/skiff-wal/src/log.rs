//! The log itself: opened, appended to, closed. Nothing in here waits for anything but the disk.

use std::{fmt, mem, sync::Arc};

use skiff_core::{
    Entry, HardState, Index, Payload, Position, Write,
    mutants::{Mutant, planted},
};
use skiff_storage::{Identity, Span, StoreError};

use crate::{
    batch::{BatchHeader, Draft},
    begins::Begins,
    directory::Directory,
    disk::{Disk, DiskFile, is_full},
    group::Group,
    place::{LogId, Place},
    reader::{Reader, Shared},
    record::{self, RawEntry, Record},
    segment::{self, FIRST_BATCH, Order, RESERVE, SIZE_MIN, Segment},
    supply::Supply,
    tail::{Change, Tail},
    walk::Link,
};

/// How a log is kept.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long a segment is made. A batch that does not fit gets a longer one.
    pub segment_size: u64,
    /// Names the log if it is new: random bits that nobody else uses and that clients cannot guess.
    pub fresh_log: LogId,
}

impl Options {
    /// The size of segments if nobody asks for another.
    pub const SEGMENT_SIZE: u64 = 16 << 20;

    pub(crate) fn segment_size(&self) -> u64 {
        self.segment_size.max(SIZE_MIN)
    }

    /// How many bytes of records a batch holds at most, unless it is a single one.
    fn batch_size(&self) -> usize {
        usize::try_from(self.segment_size() / 4).unwrap_or(usize::MAX).min(1 << 20)
    }
}

/// How far [`Log::append`] came.
#[derive(Debug)]
pub struct Appended {
    /// So many of the writes, from the first on, are durable.
    pub durable: usize,
    /// Why the next one is not, nor any after it.
    pub error: Option<StoreError>,
}

/// A log on a disk.
pub struct Log<D: Disk> {
    pub(crate) directory: Arc<Directory<D>>,
    pub(crate) options: Options,
    pub(crate) log: LogId,
    pub(crate) boot: u64,
    pub(crate) shared: Arc<Shared>,
    pub(crate) tail: Tail,
    pub(crate) hard_state: HardState,
    pub(crate) current: Segment<D::File>,
    /// Where the next batch goes.
    pub(crate) offset: u64,
    pub(crate) link: Link,
    /// The highest number that any batch has or had.
    pub(crate) highest: u64,
    pub(crate) first_segment: u64,
    pub(crate) begins: Begins,
    pub(crate) supply: Box<dyn Supply<D>>,
    /// Whether a segment is on order.
    pub(crate) is_ordered: bool,
    pub(crate) next_segment: u64,
    pub(crate) next_mend: u64,
    /// Until they are mended nothing is appended: nobody knows what it would follow.
    pub(crate) has_holes: bool,
    /// The last entry that is missing.
    pub(crate) missing_to: Index,
    /// Files that can become segments again.
    pub(crate) spare: Vec<String>,
    pub(crate) group: Group,
}

impl<D: Disk> Log<D> {
    /// Makes writes durable, in order, with as few syncs as possible: one, unless the writes are
    /// large.
    pub fn append(&mut self, writes: &[Write]) -> Appended {
        self.group.start(self.hard_state);
        // A log that begins anew needs nothing of what it held.
        let begins_anew = writes.first().is_some_and(|write| write.begin_after.is_some());
        // One in which nothing is missing any more is whole: so much was given up that all of it is.
        let covers = |base: Position| base.index >= self.missing_to && writes.len() == 1;
        let covers = writes.first().and_then(|write| write.compact_to).is_some_and(covers);
        let check = if self.has_holes && !begins_anew && !covers {
            Err(StoreError::Misuse("the log has holes, which are to be mended first".to_owned()))
        } else {
            self.directory.check()
        };
        let result = check.and_then(|()| self.append_all(writes));
        let error = result.err().map(|error| self.judge(error));
        Appended { durable: self.group.durable, error }
    }

    /// Ends the log with this entry, by one batch however large: where there are holes, nobody knows
    /// what the log would end with in between.
    pub(crate) fn append_whole(
        &mut self,
        hard_state: HardState,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        self.directory.check()?;
        let (truncate_from, entries) = (Some(entry.index), vec![entry.clone()]);
        let write = Write { hard_state, truncate_from, entries, ..Write::default() };
        check(self.tail.span(), &write)?;
        self.group.start(hard_state);
        self.group.push(&Record::TruncateFrom(entry.index));
        self.group.push(&Record::Entry(RawEntry {
            position: entry.position(),
            time: entry.time,
            kind: entry.payload.kind(),
            payload: &entry.payload.body(),
        }));
        self.group.complete = 1;
        self.flush().map_err(|error| self.judge(error))
    }

    /// Whether the log can go on after this.
    fn judge(&self, error: StoreError) -> StoreError {
        if matches!(error, StoreError::Misuse(_)) {
            return error;
        }
        if self.group.is_split && !planted(Mutant::HalfAWriteIsNone) {
            let reason = format!("half of a write is there, and then: {error}");
            self.directory.poison(&reason);
            return StoreError::Poisoned { reason };
        }
        self.directory.failed(error)
    }

    /// A handle to read entries back, which works at the same time as writes.
    #[must_use]
    pub fn reader(&self) -> Reader<D> {
        Reader::new(self.directory.disk().clone(), self.log, Arc::clone(&self.shared))
    }

    /// Replaces the identity, durably.
    ///
    /// # Errors
    ///
    /// As the disk has it.
    pub fn identify(&self, identity: &Identity) -> Result<(), StoreError> {
        self.directory.identify(identity)
    }

    /// Ends the log with a mark that says that all of it was synced. A log that is dropped without
    /// loses nothing; but damage to its last batch could not be told from a torn write.
    pub fn close(mut self) {
        if self.directory.check().is_err() {
            return;
        }
        self.group.start(self.hard_state);
        self.group.draft.push(&Record::Closed);
        // Nothing will be written into another segment.
        self.is_ordered = true;
        let has_room = self.offset + self.group.draft.span() + RESERVE <= self.current.size;
        // If it fails, the log is as good as one that was dropped.
        drop(if has_room { self.flush() } else { self.directory.mark_synced() });
    }

    pub(crate) fn directory(&self) -> &Arc<Directory<D>> {
        &self.directory
    }

    pub(crate) const fn tail(&self) -> &Tail {
        &self.tail
    }

    fn append_all(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        let mut span = self.tail.span();
        for write in writes {
            match check(span, write) {
                Ok(after) => span = after,
                Err(misuse) => {
                    // What comes before it is not to blame for it.
                    self.flush_any()?;
                    return Err(misuse);
                }
            }
            self.draft(write)?;
        }
        self.flush_any()
    }

    /// Adds a write to the batch. If that gets too large, it is made durable and another is begun.
    fn draft(&mut self, write: &Write) -> Result<(), StoreError> {
        if let Some(base) = write.begin_after {
            self.flush_any()?;
            self.group.begins_anew = self.tail.last != self.tail.base || self.has_holes;
            self.has_holes = false;
            self.group.push(&Record::BeginAfter(base));
        }
        if let Some(base) = write.compact_to {
            self.group.push(&Record::CompactTo(base));
        }
        // What is cut and the first entry in its place are in one batch: behind damage nobody could tell
        // with what a log ends that was only cut.
        let mut follows_cut = false;
        if let Some(from) = write.truncate_from {
            let first = write
                .entries
                .first()
                .map_or(0, |entry| record::entry_len(entry.payload.body().len()));
            let length = self.group.draft.len() + record::HEAD + 8 + first;
            if length > self.options.batch_size() && write.begin_after.is_none() {
                self.flush_any()?;
            }
            self.group.push(&Record::TruncateFrom(from));
            follows_cut = true;
        }
        let mut has_begun = write.begin_after.is_some() || write.truncate_from.is_some();
        let mut is_split = false;
        for entry in &write.entries {
            let payload = entry.payload.body();
            let length = self.group.draft.len() + record::entry_len(payload.len());
            let may_split = !mem::take(&mut follows_cut) && !self.group.draft.is_empty();
            if length > self.options.batch_size() && may_split {
                self.flush()?;
                is_split |= has_begun;
                self.group.is_split = is_split;
            }
            self.group.push(&Record::Entry(RawEntry {
                position: entry.position(),
                time: entry.time,
                kind: entry.payload.kind(),
                payload: &payload,
            }));
            has_begun = true;
        }
        self.group.hard_state = write.hard_state;
        self.group.complete += 1;
        Ok(())
    }

    fn flush_any(&mut self) -> Result<(), StoreError> {
        if self.group.draft.is_empty() && self.group.complete == 0 {
            return Ok(());
        }
        self.flush()
    }

    /// Makes the batch durable.
    fn flush(&mut self) -> Result<(), StoreError> {
        let span = self.group.draft.span();
        let fits = self.offset + span + RESERVE <= self.current.size;
        if self.group.begins_anew || !fits {
            self.roll(span)?;
        }
        let first = if self.group.begins_anew { self.current.number } else { self.first_needed() };
        let header = self.header(self.group.hard_state, first);
        let (bytes, header) = self.group.draft.seal(header);
        let written = put(&self.directory, &self.current, bytes, self.offset);
        self.highest = header.number;
        written?;
        self.follow(&header);
        self.group.flushed();
        if !self.is_ordered && self.offset > self.current.size / 2 {
            self.order(self.options.segment_size());
        }
        Ok(())
    }

    /// The first segment that is of use once this batch is durable.
    fn first_needed(&self) -> u64 {
        let first = self.group.compacted().and_then(|base| self.begins.first(base));
        self.first_segment.max(first.unwrap_or_default())
    }

    /// Goes on in the next segment, which is announced in this one first: so that it is missed if it
    /// is lost.
    fn roll(&mut self, span: u64) -> Result<(), StoreError> {
        let next = self.next_segment_for(span)?;
        let mut draft = Draft::new();
        if !planted(Mutant::NextSegmentUnannounced) {
            draft.push(&Record::NextSegment(next.number));
        }
        let header = self.header(self.hard_state, self.first_segment);
        let (bytes, header) = draft.seal(header);
        let written = put(&self.directory, &self.current, bytes, self.offset);
        self.highest = header.number;
        if let Err(error) = written {
            self.spare.push(segment::name(next.number));
            return Err(error);
        }
        self.link = Link::after(&header);
        self.directory.has_synced(header.number);
        let mut visible = self.shared.write();
        visible.segments.insert(next.number, next.size);
        visible.left = next.size;
        drop(visible);
        self.current = next;
        self.offset = FIRST_BATCH;
        Ok(())
    }

    /// A segment that has room for a batch of `span` bytes.
    fn next_segment_for(&mut self, span: u64) -> Result<Segment<D::File>, StoreError> {
        let needed = FIRST_BATCH + span + RESERVE;
        if self.is_ordered {
            match self.take() {
                Ok(next) if next.size >= needed => return Ok(next),
                Ok(next) => self.spare.push(segment::name(next.number)),
                // That was when it was ordered. There may be room by now.
                Err(StoreError::Full { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.order(needed.max(self.options.segment_size()));
        self.take()
    }

    /// Takes the segment that was ordered.
    fn take(&mut self) -> Result<Segment<D::File>, StoreError> {
        self.is_ordered = false;
        let taken = self.supply.take();
        if let Err(StoreError::Full { .. }) = &taken {
            // Nothing was made. Whoever tries again and again uses up no numbers.
            self.next_segment -= 1;
        }
        taken
    }

    fn header(&self, hard_state: HardState, first_segment: u64) -> BatchHeader {
        BatchHeader {
            log: self.log,
            place: Place { segment: self.current.number, offset: self.offset },
            number: self.highest + 1,
            previous: self.link.number,
            boot: self.boot,
            first_segment,
            hard_state,
            base: self.tail.base,
            synced: self.tail.last,
            chain_in: self.link.chain,
            ..BatchHeader::default()
        }
    }

    /// A batch is durable: takes over what it changes.
    fn follow(&mut self, header: &BatchHeader) {
        self.link = Link::after(header);
        self.offset = header.end().offset;
        self.hard_state = header.hard_state;
        self.directory.has_synced(header.number);
        self.begins.batch(header);
        let mut visible = self.shared.write();
        for change in self.group.changes.drain(..) {
            self.begins.make(change);
            self.tail.make(change);
            visible.extents.make(header.place, change);
            if !matches!(change, Change::Append(..)) {
                visible.cuts += 1;
            }
        }
        visible.span = self.tail.span();
        visible.left = self.current.size.saturating_sub(self.offset);
        if header.first_segment > self.first_segment {
            self.first_segment = header.first_segment;
            let kept = visible.segments.split_off(&self.first_segment);
            let given_up = mem::replace(&mut visible.segments, kept);
            self.spare.extend(given_up.into_keys().map(segment::name));
            drop(visible);
            self.remove_spare();
        }
    }

    /// Orders the next segment, so that it is there when this one is full.
    fn order(&mut self, size: u64) {
        self.is_ordered = true;
        let order = self.next_order(size);
        self.supply.order(order);
        self.remove_spare();
    }

    /// Keeps no more files for later than will be needed soon.
    fn remove_spare(&mut self) {
        let too_many = self.spare.split_off(self.spare.len().min(SPARE_MAX));
        if !too_many.is_empty() {
            self.supply.remove(too_many);
        }
    }

    fn next_order(&mut self, size: u64) -> Order {
        let number = self.next_segment;
        self.next_segment += 1;
        // A file of the usual size is of no use for a longer one.
        let reuse = if size > self.options.segment_size() { None } else { self.spare.pop() };
        Order { log: self.log, number, size, reuse }
    }

    /// The first batch of an opening: it ends whatever was torn, and is above all numbers seen.
    pub(crate) fn mark_opening(&mut self) -> Result<(), StoreError> {
        self.group.start(self.hard_state);
        let highest = self.highest;
        self.group.draft.push(&Record::Opened { highest });
        self.flush()
    }
}

/// How many files are kept to become segments again.
const SPARE_MAX: usize = 2;

impl<D: Disk> fmt::Debug for Log<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = Place { segment: self.current.number, offset: self.offset };
        let mut out = f.debug_struct("Log");
        out.field("directory", &self.directory).field("place", &place).field("tail", &self.tail);
        out.finish_non_exhaustive()
    }
}

/// Writes a batch and syncs it.
fn put<D: Disk>(
    directory: &Directory<D>,
    segment: &Segment<D::File>,
    bytes: &[u8],
    offset: u64,
) -> Result<(), StoreError> {
    let disk = directory.disk();
    let name = segment::name(segment.number);
    if let Err(error) = segment.file.write_at(bytes, offset) {
        // A batch of which the end is missing is never valid, and the next one, of another number,
        // goes to the same place: it is as if nothing had been written.
        if is_full(&error) {
            return Err(StoreError::Full { path: disk.path("") });
        }
        return Err(directory.failed(StoreError::io("write", disk.path(&name), error)));
    }
    if planted(Mutant::BatchNotSynced) {
        return Ok(());
    }
    let again =
        |error| if planted(Mutant::SyncIsRetried) { segment.file.sync() } else { Err(error) };
    let synced = segment.file.sync().or_else(again);
    synced.map_err(|error| directory.failed(StoreError::io("sync", disk.path(&name), error)))
}

/// The span after `write`, if it is one that can be written.
pub(crate) fn check(span: Span, write: &Write) -> Result<Span, StoreError> {
    match write.entries.iter().find_map(|entry| unwritable(entry).map(|why| (entry, why))) {
        Some((entry, why)) => Err(StoreError::Misuse(format!("entry {} {why}", entry.index))),
        None => span.after(write),
    }
}

/// Why an entry could not be read back.
fn unwritable(entry: &Entry) -> Option<&'static str> {
    /// Far below what the lengths of the format can say.
    const PAYLOAD_MAX: usize = 1 << 30;
    if entry.size() > PAYLOAD_MAX {
        return Some("is too large");
    }
    let Payload::Unknown { kind, body } = &entry.payload else { return None };
    let read = Payload::from_parts(*kind, body.clone());
    (read.as_ref() != Ok(&entry.payload)).then_some("is of a kind that is known")
}
