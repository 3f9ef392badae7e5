//! The file IDENTITY: whose folder this is, and up to which batch its log is known to be synced.

use std::io;

use bytes::{Buf, BufMut};
use crc32c::crc32c;
use skiff_core::{
    NodeId,
    mutants::{Mutant, planted},
};
use skiff_storage::{Identity, InstanceId, Standing, StoreError};

use crate::{
    disk::{self, Disk, DiskFile, is_full},
    place::LogId,
    segment::FORMAT,
};

pub(crate) const NAME: &str = "IDENTITY";
const MAGIC: &[u8; 8] = b"SKIFFIDE";
const CHECKED_FROM: usize = 12;
/// Nobody's names are longer.
const LENGTH_MAX: u64 = 1 << 20;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Whose folder it is. A boot counter of zero says that the folder was never completely made.
    pub identity: Identity,
    /// The log in it.
    pub log: LogId,
    /// Batches up to this number were synced when the file was written.
    pub synced: u64,
}

impl Kept {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_slice(MAGIC);
        out.put_u32_le(0);
        out.put_u32_le(FORMAT);
        out.put_u128_le(self.log.0);
        out.put_u64_le(self.synced);
        out.put_u64_le(self.identity.boot);
        out.put_u128_le(self.identity.node.0);
        out.put_u8(match self.identity.standing {
            Standing::Fresh => 0,
            Standing::Member => 1,
            Standing::Removed => 2,
        });
        out.put_u8(u8::from(self.identity.instance.is_some()));
        out.put_u128_le(self.identity.instance.map_or(0, |instance| instance.0));
        for text in [&self.identity.cluster, &self.identity.name] {
            out.put_u32_le(u32::try_from(text.len()).unwrap_or(u32::MAX));
            out.put_slice(text.as_bytes());
        }
        let checksum = crc32c(&out[CHECKED_FROM..]);
        out[8..CHECKED_FROM].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let damaged = || Unreadable::Damaged("it is not a whole identity");
        let mut from = bytes;
        let magic = bytes.get(..MAGIC.len()).ok_or_else(damaged)?;
        from.advance(MAGIC.len());
        let checksum = from.try_get_u32_le().map_err(|_| damaged())?;
        let format = from.try_get_u32_le().map_err(|_| damaged())?;
        if magic != MAGIC {
            return Err(Unreadable::Damaged("it does not begin like an identity"));
        }
        if format > FORMAT {
            return Err(Unreadable::Newer(format));
        }
        if checksum != crc32c(&bytes[CHECKED_FROM..]) {
            return Err(Unreadable::Damaged("its checksum is wrong"));
        }
        Self::fields(from).ok_or_else(damaged)
    }

    fn fields(mut from: &[u8]) -> Option<Self> {
        let log = LogId(from.try_get_u128_le().ok()?);
        let synced = from.try_get_u64_le().ok()?;
        let boot = from.try_get_u64_le().ok()?;
        let node = NodeId(from.try_get_u128_le().ok()?);
        let standing = match from.try_get_u8().ok()? {
            0 => Standing::Fresh,
            1 => Standing::Member,
            2 => Standing::Removed,
            _ => return None,
        };
        let has_instance = from.try_get_u8().ok()? != 0;
        let instance = InstanceId(from.try_get_u128_le().ok()?);
        let (cluster, name) = (take_text(&mut from)?, take_text(&mut from)?);
        let instance = has_instance.then_some(instance);
        let identity = Identity { standing, cluster, instance, name, node, boot };
        from.is_empty().then_some(Self { identity, log, synced })
    }
}

enum Unreadable {
    Damaged(&'static str),
    Newer(u32),
}

fn take_text(from: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(from.try_get_u32_le().ok()?).ok()?;
    let (text, rest) = from.split_at_checked(length)?;
    *from = rest;
    std::str::from_utf8(text).ok().map(String::from)
}

/// The identity in the folder; `None` if there is no such file.
pub(crate) fn read<D: Disk>(disk: &D) -> Result<Option<Kept>, StoreError> {
    let path = disk.path(NAME);
    let bytes = match content(disk) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("read", path, error)),
    };
    Kept::decode(&bytes).map(Some).map_err(|unreadable| match unreadable {
        Unreadable::Newer(found) => StoreError::NewerFormat { path, found, known: FORMAT },
        Unreadable::Damaged(reason) => {
            StoreError::Corrupt { path, offset: 0, index: None, reason: reason.to_owned() }
        }
    })
}

fn content<D: Disk>(disk: &D) -> io::Result<Vec<u8>> {
    let file = disk.open(NAME)?;
    let length = file.size()?.min(LENGTH_MAX);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    let read = disk::read_at(&file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Replaces the identity, durably.
pub(crate) fn write<D: Disk>(disk: &D, kept: &Kept) -> Result<(), StoreError> {
    replace(disk, NAME, &[&kept.encode()])
}

/// What is appended to the name of a file that is not complete yet.
pub(crate) const UNFINISHED: &str = ".tmp";

/// Replaces a file as a whole: after a crash there is the old one or the new one.
///
/// [`StoreError::Full`] leaves the old one; after any other error nobody knows which it is.
pub(crate) fn replace<D: Disk>(disk: &D, name: &str, content: &[&[u8]]) -> Result<(), StoreError> {
    let in_place = planted(Mutant::ReplacedInPlace);
    let unfinished = if in_place { name.to_owned() } else { format!("{name}{UNFINISHED}") };
    let written = || {
        let file = disk.create(&unfinished)?;
        let mut at = 0;
        for part in content {
            file.write_at(part, at)?;
            at += part.len() as u64;
        }
        file.sync()
    };
    written().map_err(|error| {
        let _ = disk.remove(&unfinished);
        if is_full(&error) {
            StoreError::Full { path: disk.path(name) }
        } else {
            StoreError::io("write", disk.path(&unfinished), error)
        }
    })?;
    let sync_dir = || if planted(Mutant::ReplacedNotSynced) { Ok(()) } else { disk.sync_dir() };
    let moved = disk.rename(&unfinished, name).and_then(|()| sync_dir());
    moved.map_err(|error| StoreError::io("replace", disk.path(name), error))
}
