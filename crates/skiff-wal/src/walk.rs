//! Goes through the batches of a log in the order they were written, and looks for what lies behind
//! the place where that ends. Changes nothing.

use std::{collections::BTreeMap, io};

use crate::{
    batch::{BatchHeader, HEADER, MAGIC},
    disk::Disk,
    files::Found,
    place::{LogId, Place, SECTOR},
    record::Record,
    segment::{BadHeader, FIRST_BATCH},
    window::Window,
};

/// What ties a batch to the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) number: u64,
    pub(crate) chain: u32,
}

impl Link {
    pub(crate) const fn after(header: &BatchHeader) -> Self {
        Self { number: header.number, chain: header.chain_out }
    }
}

/// A batch of which everything is well.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) header: BatchHeader,
    /// With the byte of the payload at which each begins.
    pub(crate) records: Vec<(u32, Record<'a>)>,
}

/// The first place where no good batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) place: Place,
    pub(crate) reason: Reason,
    /// The header that stands there, if that is well.
    pub(crate) header: Option<BatchHeader>,
}

impl End {
    /// The byte of the segment at which something is wrong.
    pub(crate) const fn offset(&self) -> u64 {
        match self.reason {
            Reason::Damaged { offset, .. } => offset,
            Reason::Header(_) | Reason::NoSegment => 0,
            Reason::NoBatch(_) | Reason::Unlinked => self.place.offset,
        }
    }
}

/// Why there is no good batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The segment is not there.
    NoSegment,
    /// The segment's own header is damaged.
    Header(&'static str),
    /// No header of a batch stands here.
    NoBatch(&'static str),
    /// A batch stands here that was written when another stood before it.
    Unlinked,
    /// The batch is damaged, at this byte of its segment.
    Damaged { offset: u64, reason: &'static str },
}

impl Reason {
    pub(crate) const fn text(&self) -> &'static str {
        match self {
            Self::NoSegment => "the segment is missing",
            Self::Unlinked => "the batch before this one is missing",
            Self::Header(reason) | Self::NoBatch(reason) | Self::Damaged { reason, .. } => reason,
        }
    }
}

#[derive(Debug)]
pub(crate) enum Step<'a> {
    Batch(Batch<'a>),
    End(End),
}

pub(crate) struct Walk<'a, D: Disk> {
    segments: &'a BTreeMap<u64, Found>,
    log: LogId,
    place: Place,
    /// `None`: whatever stands at `place` is taken.
    link: Option<Link>,
    /// The segment that is gone through although its own header is damaged.
    forgiven: Option<u64>,
    window: Window<D>,
}

impl<'a, D: Disk> Walk<'a, D> {
    /// Begins with the batch at `place`, whatever was before it.
    pub(crate) fn from(
        disk: &D,
        segments: &'a BTreeMap<u64, Found>,
        log: LogId,
        place: Place,
    ) -> Self {
        let window = Window::new(disk.clone());
        Self { segments, log, place, link: None, forgiven: None, window }
    }

    /// Goes on behind damage, with the batch at `place`, whatever was before it.
    pub(crate) fn resume(&mut self, place: Place) {
        (self.place, self.link, self.forgiven) = (place, None, Some(place.segment));
        self.window.clear();
    }

    /// What the disk did not give, if it was so since this was last asked.
    pub(crate) const fn failure(&mut self) -> Option<io::Error> {
        self.window.failure()
    }

    /// Reads from the disk what it has in memory when it goes on.
    pub(crate) fn read_anew(&mut self) {
        self.window.clear();
    }

    /// The next batch, or where they end; in the latter case it stays there.
    pub(crate) fn step(&mut self) -> io::Result<Step<'_>> {
        let place = self.place;
        let end = |reason, header| Ok(Step::End(End { place, reason, header }));
        let Some(found) = self.segments.get(&place.segment) else {
            return end(Reason::NoSegment, None);
        };
        if let Some(reason) = bad_segment(found, self.log, place.segment)
            && self.forgiven != Some(place.segment)
        {
            return end(Reason::Header(reason), None);
        }
        let size = found.end();
        let bytes = self.window.get(place, size, HEADER)?;
        let header = match BatchHeader::decode(bytes, self.log, place) {
            Ok(header) => header,
            Err(reason) => return end(Reason::NoBatch(reason), None),
        };
        match self.link {
            Some(link) if header.number <= link.number => {
                return end(Reason::NoBatch("an older batch stands here"), None);
            }
            Some(link) if (header.previous, header.chain_in) != (link.number, link.chain) => {
                return end(Reason::Unlinked, Some(header));
            }
            _ => {}
        }
        let length = header.length as usize;
        let bytes = self.window.get(place, size, HEADER + length)?;
        let payload = bytes.get(HEADER..).unwrap_or_default();
        if payload.len() < length {
            let reason = Reason::Damaged { offset: size, reason: "a batch is cut short" };
            return end(reason, Some(header));
        }
        match header.records(payload) {
            Ok(records) => {
                let next = records.iter().find_map(|(_, record)| match record {
                    Record::NextSegment(segment) => Some(*segment),
                    _ => None,
                });
                self.place = match next {
                    Some(segment) => Place { segment, offset: FIRST_BATCH },
                    None => header.end(),
                };
                self.link = Some(Link::after(&header));
                Ok(Step::Batch(Batch { header, records }))
            }
            Err(flaw) => {
                let offset = place.offset + HEADER as u64 + u64::from(flaw.at);
                end(Reason::Damaged { offset, reason: flaw.reason }, Some(header))
            }
        }
    }
}

fn bad_segment(found: &Found, log: LogId, number: u64) -> Option<&'static str> {
    match found.header {
        Ok(header) if header.log != log => Some("the segment is of another log"),
        Ok(header) if header.number != number => Some("the segment was another one before"),
        Ok(_) => None,
        Err(BadHeader::Damaged(reason)) => Some(reason),
        Err(BadHeader::Newer(_)) => Some("a newer version wrote the segment"),
    }
}

/// What lies at and behind the end of a walk.
#[derive(Debug, Default)]
pub(crate) struct Behind {
    /// The first header of a batch behind the end that is newer than those before it.
    pub(crate) later: Option<BatchHeader>,
    /// The highest number of any batch there.
    pub(crate) highest: u64,
    /// Where in the same segment the last byte that is not zero stands, rounded up.
    pub(crate) bytes_to: Option<u64>,
    /// What the disk did not give.
    pub(crate) failure: Option<io::Error>,
}

/// Looks for headers of batches numbered above `above`, from the end of a walk to the end of its
/// segment and in all later segments.
pub(crate) fn look_behind<D: Disk>(
    disk: &D,
    segments: &BTreeMap<u64, Found>,
    log: LogId,
    end: &End,
    above: u64,
) -> io::Result<Behind> {
    let (place, mut behind) = (end.place, Behind::default());
    // What stands at the end itself may be the torn batch; unless nothing that could be torn is there.
    let counts_here = match end.reason {
        Reason::NoSegment | Reason::Header(_) | Reason::Unlinked => true,
        Reason::NoBatch(_) | Reason::Damaged { .. } => false,
    };
    for (number, found) in segments.range(place.segment..) {
        let is_same = *number == place.segment;
        let from = if is_same { place.offset } else { FIRST_BATCH };
        let from = Place { segment: *number, offset: from };
        let failure = headers(disk, found, log, from, |at, header, is_zero| {
            if is_same && !is_zero {
                behind.bytes_to = Some(at.offset + SECTOR);
            }
            if let Some(header) = header {
                behind.highest = behind.highest.max(header.number);
                if (at != place || counts_here) && header.number > above && behind.later.is_none() {
                    behind.later = Some(header);
                }
            }
        })?;
        behind.failure = behind.failure.take().or(failure);
    }
    Ok(behind)
}

/// Shows each sector of a segment, with the header that begins there and whether it is all zeros.
/// Returns what the disk did not give.
pub(crate) fn headers<D: Disk>(
    disk: &D,
    found: &Found,
    log: LogId,
    from: Place,
    mut show: impl FnMut(Place, Option<BatchHeader>, bool),
) -> io::Result<Option<io::Error>> {
    const ZEROS: [u8; 512] = [0; 512];
    let mut window = Window::new(disk.clone());
    // Also behind the designed end: bytes there are not expected, and all the more telling.
    let size = found.size;
    let mut place = from;
    while place.offset < size {
        let bytes = window.get(place, size, ZEROS.len())?;
        let is_batch = bytes.starts_with(MAGIC);
        let header = if is_batch { BatchHeader::decode(bytes, log, place).ok() } else { None };
        show(place, header, bytes == &ZEROS[..bytes.len()]);
        place.offset += SECTOR;
    }
    Ok(window.failure())
}
