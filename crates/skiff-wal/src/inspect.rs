//! Looks at a folder without opening it: nothing is locked, nothing is changed, and it works on a
//! folder that is damaged or in use.

mod glass;
mod loose;
mod survey;

use std::{io, path::PathBuf};

use skiff_storage::{Identity, Recovered, SnapshotMeta, StoreError};

use self::glass::Glass;
pub use self::survey::{Part, Survey, Torn};
use crate::{
    batch::{BatchHeader, HEADER},
    disk::{Disk, files::FileDisk},
    files::{Files, Found},
    identity::{self, Kept},
    place::{LogId, Place},
    record::Record,
    recovery::{self, Recovery},
    segment::{self, BadHeader, FIRST_BATCH, SegmentHeader},
    snapshot,
    walk::{self, End, Step, Walk},
};

/// A folder that is looked at.
#[derive(Debug)]
pub struct Inspection<D: Disk = FileDisk> {
    disk: Glass<D>,
    identity: Result<Option<Kept>, StoreError>,
    files: Files,
    /// A file that cannot be opened, for which the log cannot be opened.
    shut: Option<StoreError>,
}

/// What opening the log would find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examined {
    /// What it holds, with the holes that other members could fill.
    pub recovered: Recovered,
    /// How many pieces that other members gave are in use.
    pub mended: usize,
    /// How many are not needed any more, or damaged; the next start removes them.
    pub left_over: usize,
}

/// What stands in the log, in the order in which it was written.
#[derive(Debug)]
pub enum Finding<'a> {
    /// A batch of which everything is well.
    Batch {
        /// Its file.
        path: PathBuf,
        /// Its header.
        header: &'a BatchHeader,
        /// Its records, each with the byte of the file at which it begins.
        records: &'a [(u64, Record<'a>)],
    },
    /// Something that was synced is damaged; good batches follow behind it.
    Damage {
        /// The file.
        path: PathBuf,
        /// The byte of it.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The log ends here.
    End {
        /// The file.
        path: PathBuf,
        /// The byte of it.
        offset: u64,
        /// If a batch begins here that is not whole: what is wrong with it. It was being written
        /// when the log was looked at or when the power went.
        torn: Option<&'static str>,
    },
}

/// A segment that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    /// Its file.
    pub path: PathBuf,
    /// How long the file is.
    pub size: u64,
    /// Its header, or what is wrong with it.
    pub header: Result<SegmentHeader, String>,
}

/// Looks at the folder at `dir`.
///
/// # Errors
///
/// If the files in it cannot be listed. That they are damaged is no error here.
pub fn inspect(dir: impl Into<PathBuf>) -> Result<Inspection, StoreError> {
    Inspection::of(FileDisk::new(dir))
}

impl<D: Disk> Inspection<D> {
    /// Looks at the folder on this disk.
    ///
    /// # Errors
    ///
    /// If the files in it cannot be listed. That they are damaged is no error here.
    pub fn of(disk: D) -> Result<Self, StoreError> {
        let disk = Glass::before(disk);
        let (files, shut) = match Files::find(&disk) {
            Ok(files) => (files, None),
            Err(error) => (Files::find(&disk.lenient())?, Some(error)),
        };
        let identity = identity::read(&disk);
        Ok(Self { disk, identity, files, shut })
    }

    /// Whose folder it is; `None` if it is nobody's yet.
    ///
    /// # Errors
    ///
    /// If the file that says so is damaged or of a newer format.
    pub fn identity(&self) -> Result<Option<&Identity>, StoreError> {
        match &self.identity {
            Ok(kept) => Ok(kept.as_ref().map(|kept| &kept.identity)),
            Err(error) => Err(error.clone()),
        }
    }

    /// The files of the log, the oldest first.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentFile> {
        let segment = |found: &Found| SegmentFile {
            path: self.disk.path(&found.name),
            size: found.size,
            header: found.header.map_err(|bad| match bad {
                BadHeader::Damaged(reason) => reason.to_owned(),
                BadHeader::Newer(format) => format!("its format {format} is newer"),
            }),
        };
        self.files.segments.values().map(segment).collect()
    }

    /// The snapshots, the oldest first, each verified as a whole.
    #[must_use]
    pub fn snapshots(&self) -> Vec<(PathBuf, Result<SnapshotMeta, StoreError>)> {
        let mut names = self.files.snapshots.clone();
        names.sort_unstable();
        let look = |name: snapshot::Name| {
            (name, snapshot::examine(&self.disk, name).map(|info| info.meta))
        };
        let looked = names.into_iter().map(look);
        // A node that runs removes old ones.
        let is_gone = |name: snapshot::Name| match self.disk.list() {
            Ok(names) => !names.contains(&name.file()),
            Err(_) => false,
        };
        looked
            .filter(|(name, meta)| meta.is_ok() || !is_gone(*name))
            .map(|(name, meta)| (self.disk.path(&name.file()), meta))
            .collect()
    }

    /// The files of the snapshots, the oldest first. Nothing in them is looked at.
    #[must_use]
    pub fn snapshot_files(&self) -> Vec<PathBuf> {
        let mut names = self.files.snapshots.clone();
        names.sort_unstable();
        names.into_iter().map(|name| self.disk.path(&name.file())).collect()
    }

    /// Files that are not Skiff's.
    #[must_use]
    pub fn strangers(&self) -> &[String] {
        &self.files.strangers
    }

    /// What opening the log would find, if nothing that was synced is damaged.
    ///
    /// # Errors
    ///
    /// As [`Log::open`](crate::Log::open) with [`OnLostData::Refuse`](skiff_storage::OnLostData).
    pub fn verify(&self) -> Result<Recovered, StoreError> {
        let recovery = self.recover(true)?;
        Ok(recovery.map(|recovery| recovery.recovered).unwrap_or_default())
    }

    /// What opening the log would find, with the holes that other members could fill.
    ///
    /// # Errors
    ///
    /// As [`Log::open`](crate::Log::open) with [`OnLostData::Mend`](skiff_storage::OnLostData).
    pub fn examine(&self) -> Result<Recovered, StoreError> {
        self.check().map(|examined| examined.recovered)
    }

    /// Likewise, with what was mended.
    ///
    /// # Errors
    ///
    /// As [`examine`](Self::examine).
    pub fn check(&self) -> Result<Examined, StoreError> {
        let Some(recovery) = self.recover(false)? else { return Ok(Examined::default()) };
        let is_mend = |number: &&u64| self.files.mends.contains_key(number);
        let mended = recovery.segments.keys().filter(is_mend).count();
        let left_over = self.files.mends.len() - mended;
        Ok(Examined { recovered: recovery.recovered, mended, left_over })
    }

    /// All that can be read of the log, be it fit to be opened or not.
    #[must_use]
    pub fn survey(&self) -> Survey<D> {
        let disk = self.disk.lenient();
        let start = self.start().unwrap_or_default();
        let failure = self.replay().err().filter(|_| start.is_some());
        Survey::make(&disk, &self.files, start, failure.as_ref())
    }

    /// `None` if there is nothing yet.
    fn recover(&self, strictly: bool) -> Result<Option<Recovery>, StoreError> {
        let Some((kept, recovery)) = self.replay()? else { return Ok(None) };
        if strictly {
            recovery.check_whole()?;
        }
        recovery::check_snapshot(&self.disk, kept, &recovery, &self.files)?;
        Ok(Some(recovery))
    }

    fn replay(&self) -> Result<Option<(&Kept, Recovery)>, StoreError> {
        if let Some(error) = &self.shut {
            return Err(error.clone());
        }
        self.files.check_format(&self.disk)?;
        let kept = match &self.identity {
            Err(error) => return Err(error.clone()),
            Ok(Some(kept)) => kept,
            Ok(None) if self.files.segments.is_empty() && self.files.snapshots.is_empty() => {
                return Ok(None);
            }
            Ok(None) => {
                let reason = "IDENTITY is missing beside a log or a snapshot".to_owned();
                return Err(StoreError::Lost { path: self.disk.path(""), reason });
            }
        };
        if kept.identity.boot == 0 {
            return Ok(None);
        }
        let recovery = recovery::recover(&self.disk, kept, &self.files)?;
        Ok(Some((kept, recovery)))
    }

    /// Shows everything in the log, also what lies behind damage.
    ///
    /// # Errors
    ///
    /// If a file cannot be read.
    pub fn walk(&self, mut show: impl FnMut(Finding<'_>)) -> Result<(), StoreError> {
        let Some((log, place)) = self.start()? else { return Ok(()) };
        let disk = self.disk.lenient();
        let mut walk = Walk::from(&disk, &self.files.segments, log, place);
        let mut newest = 0;
        loop {
            let end = match walk.step().map_err(|error| self.unreadable(error))? {
                Step::Batch(batch) => {
                    newest = batch.header.number;
                    self.show_batch(&batch, &mut show);
                    continue;
                }
                Step::End(end) => end,
            };
            let behind = walk::look_behind(&disk, &self.files.segments, log, &end, newest)
                .map_err(|error| self.unreadable(error))?;
            let Some(later) = behind.later else {
                show(self.end(&end));
                return Ok(());
            };
            show(Finding::Damage {
                path: self.path(end.place),
                offset: end.offset(),
                reason: end.reason.text(),
            });
            walk.resume(later.place);
        }
    }

    /// The newest term and vote that stand anywhere in the log, be it damaged or not: every batch
    /// carries them.
    ///
    /// # Errors
    ///
    /// If a file cannot be read.
    pub fn newest_batch(&self) -> Result<Option<BatchHeader>, StoreError> {
        let mut newest: Option<BatchHeader> = None;
        self.walk(|finding| {
            if let Finding::Batch { header, .. } = finding {
                newest = Some(*header);
            }
        })?;
        Ok(newest)
    }

    /// The log and where it begins.
    fn start(&self) -> Result<Option<(LogId, Place)>, StoreError> {
        let logs = || {
            let headers = self.files.segments.values().filter_map(|found| found.header.ok());
            headers.map(|header| header.log)
        };
        let kept = self.identity.as_ref().ok().and_then(Option::as_ref).map(|kept| kept.log);
        // If IDENTITY is that of another folder, the log is looked at all the same.
        let kept = kept.filter(|kept| logs().next().is_none() || logs().any(|log| log == *kept));
        let log = kept.or_else(|| logs().next());
        let (Some(log), Some(oldest)) = (log, self.files.segments.keys().next()) else {
            return Ok(None);
        };
        let first = match recovery::first_segment(&self.disk.lenient(), log, &self.files) {
            Ok(first) => first,
            Err(error @ StoreError::Io { .. }) => return Err(error),
            Err(_) => *oldest,
        };
        Ok(Some((log, Place { segment: first, offset: FIRST_BATCH })))
    }

    fn show_batch(&self, batch: &walk::Batch<'_>, show: &mut impl FnMut(Finding<'_>)) {
        let start = batch.header.place.offset + HEADER as u64;
        let records: Vec<_> =
            batch.records.iter().map(|(at, record)| (start + u64::from(*at), *record)).collect();
        let path = self.path(batch.header.place);
        show(Finding::Batch { path, header: &batch.header, records: &records });
    }

    fn end(&self, end: &End) -> Finding<'static> {
        let torn = end.header.map(|_| end.reason.text());
        Finding::End { path: self.path(end.place), offset: end.offset(), torn }
    }

    fn path(&self, place: Place) -> PathBuf {
        self.disk.path(&segment::name(place.segment))
    }

    fn unreadable(&self, error: io::Error) -> StoreError {
        StoreError::io("read", self.disk.path(""), error)
    }
}
