//! All that can be read of a log, whatever is damaged or missing.
//!
//! Opening a log stops at the first thing it cannot account for. This goes on, says what is missing, and
//! says of each entry whether what is missing could have replaced it.

use std::{fmt, path::PathBuf, sync::Arc};

use skiff_core::{Entry, Index, Position, Term};
use skiff_storage::{Hole, LogReader, Recovered, StoreError};

use super::{glass::Glass, loose::Loose};
use crate::{
    batch::BatchHeader,
    disk::Disk,
    files::Files,
    mend::Mends,
    place::{LogId, Place},
    reader::{Reader, Shared, Visible},
    record::Record,
    replay::{Damage, Replay},
    segment,
    tail::Tail,
    walk::{self, Batch, End, Reason, Step, Walk},
};

/// How much is read at once.
const PIECE: usize = 1 << 20;

/// What can be read of a log.
pub struct Survey<D: Disk> {
    disk: Glass<D>,
    log: LogId,
    reader: Reader<Glass<D>>,
    recovered: Recovered,
    loose: Loose,
    /// What stands at the end of the log and is no whole batch.
    rest: Loose,
    torn: Option<Torn>,
    lost_end: Option<String>,
}

/// The last write, which is not whole, and which the next start drops: nobody was told that it was
/// durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The file.
    pub path: PathBuf,
    /// Where in it the batch begins.
    pub offset: u64,
    /// The number of the batch.
    pub batch: u64,
    /// How many records it was to have: entries for the most part.
    pub records: u32,
    /// What the log ended with before.
    pub after: Position,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// A part of what a log holds or held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// An entry.
    Entry {
        /// The entry.
        entry: Entry,
        /// Whether it is known to be in the log. If not, it was in it once, and what is damaged or
        /// missing may have replaced it.
        is_certain: bool,
    },
    /// Entries that cannot be read.
    Missing {
        /// The first of them.
        first: Index,
        /// The last of them; `None` if that is not known.
        last: Option<Index>,
        /// The term of the last one, if that is known.
        last_term: Option<Term>,
        /// Why.
        reason: String,
    },
}

impl<D: Disk> fmt::Debug for Survey<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Survey");
        out.field("recovered", &self.recovered).field("torn", &self.torn);
        out.field("lost_end", &self.lost_end).finish_non_exhaustive()
    }
}

impl<D: Disk> Survey<D> {
    /// Goes through the log from `start` on. `failure` is why it cannot be opened, if it cannot.
    pub(super) fn make(
        disk: &Glass<D>,
        files: &Files,
        start: Option<(LogId, Place)>,
        failure: Option<&StoreError>,
    ) -> Self {
        let log = start.map(|(log, _)| log).unwrap_or_default();
        let mends = Mends::load(disk, log, files).unwrap_or_default();
        let replay = Replay::new(&mends);
        let loose = Loose::default();
        let mut going = Going { disk, log, files, replay, loose, newest: 0 };
        let end = start.and_then(|(_, place)| going.go(place));
        let mut rest = Loose::default();
        end.iter().for_each(|end| rest.gather(disk, log, files, end));
        let torn = end.and_then(|end| going.torn(&end));
        let loose = going.loose;
        let Replay { recovered, extents, .. } = going.replay;
        let all = files.segments.iter().chain(&files.mends);
        let segments = all.map(|(number, found)| (*number, found.size)).collect();
        let span = Tail::of(&recovered).span();
        let shared =
            Arc::new(Shared::new(Visible { span, extents, segments, cuts: 0, left: 0, step: 0 }));
        Self {
            disk: disk.clone(),
            log,
            reader: Reader::new(disk.clone(), log, shared),
            recovered,
            loose,
            rest,
            torn: torn.filter(|_| failure.is_none()),
            lost_end: failure.map(ToString::to_string),
        }
    }

    /// The log begins after this.
    #[must_use]
    pub const fn base(&self) -> Position {
        self.recovered.base
    }

    /// The last entry that is known.
    #[must_use]
    pub const fn last(&self) -> Position {
        self.recovered.last
    }

    /// Where entries are missing, and those behind them are not.
    #[must_use]
    pub fn holes(&self) -> &[Hole] {
        &self.recovered.holes
    }

    /// The last write, if it was torn.
    #[must_use]
    pub const fn torn(&self) -> Option<&Torn> {
        self.torn.as_ref()
    }

    /// Shows all entries there are, each once and by index, and where there are none.
    pub fn parts(&self, mut show: impl FnMut(Part)) {
        let mut show = Merged { missing: None, show: &mut show };
        let mut next = self.recovered.base.index.next();
        for hole in &self.recovered.holes {
            self.stretch(next, hole.first, &mut show);
            let reason = hole.to_error().to_string();
            self.hole(&self.loose, hole.first, hole.last, &reason, &mut show);
            next = hole.last.index.next();
        }
        self.stretch(next, self.recovered.last.index.next(), &mut show);
        if let Some(reason) = &self.lost_end {
            let mut first = self.recovered.last.index.next();
            if let Some(last) = self.rest.last().filter(|last| last.index >= first) {
                self.hole(&self.rest, first, last, reason, &mut show);
                first = last.index.next();
            }
            show.flush();
            let reason = reason.clone();
            show.missing = Some(Part::Missing { first, last: None, last_term: None, reason });
        }
        show.flush();
    }

    /// From here on nothing is missing, so that nothing can have been replaced.
    fn is_certain(&self, index: Index) -> bool {
        let behind = |hole: &Hole| index >= hole.last.index;
        self.lost_end.is_none() && self.recovered.holes.last().is_none_or(behind)
    }

    /// Entries of which each should be there.
    fn stretch(&self, from: Index, to: Index, show: &mut Merged<'_>) {
        let mut next = from;
        while next < to {
            let mut read = self.reader.read(next, to, PIECE);
            if read.is_err() {
                // What cannot be read may lie behind this one.
                read = self.reader.read(next, next.next(), 0);
            }
            let reason = match read {
                Ok(entries) if !entries.is_empty() => {
                    for entry in entries {
                        next = entry.index.next();
                        let is_certain = self.is_certain(entry.index);
                        show.take(Part::Entry { entry, is_certain });
                    }
                    continue;
                }
                Ok(_) => "it is not where it was a moment ago".to_owned(),
                Err(error) => error.to_string(),
            };
            let last_term = self.recovered.term_at(next);
            show.take(Part::Missing { first: next, last: Some(next), last_term, reason });
            next = next.next();
        }
    }

    /// Entries that damage has taken: those that are well by themselves are shown.
    fn hole(
        &self,
        loose: &Loose,
        first: Index,
        last: Position,
        reason: &str,
        show: &mut Merged<'_>,
    ) {
        let missing = |first, last: Position, show: &mut Merged<'_>| {
            let (last_term, reason) = (Some(last.term), reason.to_owned());
            let last = Some(last.index);
            show.take(Part::Missing { first, last, last_term, reason });
        };
        let mut next = first;
        while let Some(entry) = loose.next(&self.disk, self.log, next, last) {
            if next < entry.index {
                missing(next, Position { index: entry.index.prev(), ..last }, show);
            }
            next = entry.index.next();
            // Of one index and term there is only one entry.
            let is_certain = entry.position() == last && self.is_certain(entry.index);
            let is_last = entry.index == last.index;
            show.take(Part::Entry { entry, is_certain });
            if is_last {
                return;
            }
        }
        missing(next, last, show);
    }
}

/// Shows parts; what is missing for one reason is one of them.
struct Merged<'a> {
    missing: Option<Part>,
    show: &'a mut dyn FnMut(Part),
}

impl Merged<'_> {
    fn take(&mut self, part: Part) {
        match (&mut self.missing, part) {
            (
                Some(Part::Missing { last, last_term, reason, .. }),
                Part::Missing { last: next, last_term: term, reason: why, .. },
            ) if *reason == why => (*last, *last_term) = (next, term),
            (_, part @ Part::Missing { .. }) => {
                self.flush();
                self.missing = Some(part);
            }
            (_, part) => {
                self.flush();
                (self.show)(part);
            }
        }
    }

    fn flush(&mut self) {
        if let Some(part) = self.missing.take() {
            (self.show)(part);
        }
    }
}

/// A log that is gone through.
struct Going<'a, D: Disk> {
    disk: &'a Glass<D>,
    log: LogId,
    files: &'a Files,
    replay: Replay<'a>,
    /// Entries in damaged batches.
    loose: Loose,
    /// The number of the newest good batch.
    newest: u64,
}

impl<D: Disk> Going<'_, D> {
    /// Takes all good batches; where they end.
    fn go(&mut self, place: Place) -> Option<End> {
        let mut walk = Walk::from(self.disk, &self.files.segments, self.log, place);
        let mut is_read_twice = false;
        loop {
            let end = match walk.step().ok()? {
                Step::Batch(batch) => {
                    self.take(&batch);
                    is_read_twice = false;
                    continue;
                }
                Step::End(_) if !is_read_twice => {
                    is_read_twice = true;
                    walk.read_anew();
                    continue;
                }
                Step::End(end) => end,
            };
            let segments = &self.files.segments;
            let behind = walk::look_behind(self.disk, segments, self.log, &end, self.newest);
            let Some(later) = behind.ok().and_then(|behind| behind.later) else {
                return Some(end);
            };
            self.loose.gather(self.disk, self.log, self.files, &end);
            self.replay.skip(self.damage(&end, &later), end.reason == Reason::Unlinked);
            walk.resume(later.place);
            is_read_twice = false;
        }
    }

    fn take(&mut self, batch: &Batch<'_>) {
        let header = batch.header;
        self.newest = self.newest.max(header.number);
        let is_untouched = self.replay.last.is_none() && self.replay.damages.is_empty();
        let begins = matches!(batch.records.first(), Some((_, Record::BeginAfter(_))));
        // In front of a segment that is not the first of its log, what is missing was given up.
        let is_first = header.first_segment >= header.place.segment;
        if is_untouched && header.previous != 0 && !begins && is_first {
            self.mishap(header.place, "what stood before it is missing");
        }
        if let Err(nonsense) = self.replay.take(batch) {
            self.mishap(nonsense.place, nonsense.reason);
        }
    }

    fn mishap(&mut self, place: Place, reason: &str) {
        let path = self.disk.path(&segment::name(place.segment));
        self.replay.skip(Damage { path, offset: place.offset, reason: reason.to_owned() }, false);
    }

    fn damage(&self, end: &End, later: &BatchHeader) -> Damage {
        let proof = segment::name(later.place.segment);
        Damage {
            path: self.disk.path(&segment::name(end.place.segment)),
            offset: end.offset(),
            reason: format!(
                "{}, but batch {} at byte {} of {proof} was written after it was synced",
                end.reason.text(),
                later.number,
                later.place.offset,
            ),
        }
    }

    /// The batch that is not whole at the end, if there is one.
    fn torn(&mut self, end: &End) -> Option<Torn> {
        let header = end.header.filter(|header| header.number > self.newest)?;
        // It tells what was there before it, be that damaged or not.
        let _contradicts = self.replay.end_before(&header);
        Some(Torn {
            path: self.disk.path(&segment::name(end.place.segment)),
            offset: end.place.offset,
            batch: header.number,
            records: header.records,
            after: header.synced,
            reason: end.reason.text(),
        })
    }
}
