//! The head of a snapshot's file: what it stands for, and the checksum of what follows.

use std::path::Path;

use bytes::{Buf, BufMut};
use crc32c::crc32c;
use skiff_core::{Index, LogTime, Membership, Position, Term};
use skiff_storage::{InstanceId, SnapshotInfo, SnapshotMeta, StoreError};

use crate::{
    disk::{self, DiskFile},
    segment::FORMAT,
};

const MAGIC: &[u8; 8] = b"SKIFFSNA";
/// Magic, checksum of the head, format, checksum of the content, its length, length of the rest of
/// the head.
pub(crate) const FIXED: usize = 32;
const CHECKED_FROM: usize = 12;

/// What a head tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) info: SnapshotInfo,
    /// The cluster's name, which stands only in backups.
    pub(crate) cluster: Option<String>,
    /// Where the content begins.
    pub(crate) length: u64,
}

/// What is wrong with a head, and at which byte.
#[derive(Clone, Debug)]
pub(crate) enum BadHead {
    Damaged(u64, &'static str),
    Failed(StoreError),
}

impl Head {
    /// Reads and verifies the head of this file, which ends at `end`.
    pub(crate) fn read(file: &impl DiskFile, end: u64, path: &Path) -> Result<Self, BadHead> {
        let failed = |error| BadHead::Failed(StoreError::io("read", path, error));
        let read = |at: usize, length: usize| {
            let mut bytes = vec![0; length.min(usize::try_from(end).unwrap_or(usize::MAX))];
            let read = disk::read_at(file, &mut bytes, at as u64).map_err(failed)?;
            bytes.truncate(read);
            Ok::<_, BadHead>(bytes)
        };
        let corrupt = |offset: usize, reason| Err(BadHead::Damaged(offset as u64, reason));
        let fixed = read(0, FIXED)?;
        let Some(mut parts) = fixed.get(MAGIC.len()..FIXED) else {
            return corrupt(fixed.len(), "it is cut short");
        };
        if !fixed.starts_with(MAGIC) {
            return corrupt(0, "it does not begin like a snapshot");
        }
        let (checksum, format) = (parts.get_u32_le(), parts.get_u32_le());
        let (content_checksum, size) = (parts.get_u32_le(), parts.get_u64_le());
        if format > FORMAT {
            let path = path.to_owned();
            let newer = StoreError::NewerFormat { path, found: format, known: FORMAT };
            return Err(BadHead::Failed(newer));
        }
        let rest = parts.get_u32_le() as usize;
        let head = [fixed, read(FIXED, rest)?].concat();
        if head.len() < FIXED + rest {
            return corrupt(head.len(), "it is cut short");
        }
        if crc32c(&head[CHECKED_FROM..]) != checksum {
            return corrupt(0, "the checksum of its head is wrong");
        }
        let Some((meta, cluster)) = parts_of(&head[FIXED..]) else {
            return corrupt(FIXED, "its head does not describe it");
        };
        let info = SnapshotInfo { meta, size, checksum: content_checksum };
        Ok(Self { info, cluster, length: head.len() as u64 })
    }
}

/// The bytes of a head.
pub(crate) fn encode(
    meta: &SnapshotMeta,
    cluster: Option<&str>,
    size: u64,
    checksum: u32,
) -> Vec<u8> {
    let mut out = vec![0; FIXED];
    out.put_u128_le(meta.instance.0);
    out.put_u64_le(meta.position.index.0);
    out.put_u64_le(meta.position.term.0);
    out.put_u32_le(meta.machine_version);
    for part in [meta.codec.as_bytes(), &meta.membership.encode()] {
        put_part(&mut out, part);
    }
    if meta.time > LogTime::ZERO || !meta.terms.is_empty() || cluster.is_some() {
        put_history(&mut out, meta);
    }
    if let Some(cluster) = cluster {
        put_part(&mut out, cluster.as_bytes());
    }
    let rest = u32::try_from(out.len() - FIXED).unwrap_or(u32::MAX);
    let mut fixed = &mut out[..FIXED];
    fixed.put_slice(MAGIC);
    fixed.put_u32_le(0);
    fixed.put_u32_le(FORMAT);
    fixed.put_u32_le(checksum);
    fixed.put_u64_le(size);
    fixed.put_u32_le(rest);
    let checksum = crc32c(&out[CHECKED_FROM..]);
    out[8..CHECKED_FROM].copy_from_slice(&checksum.to_le_bytes());
    out
}

/// The time of the last entry, and the terms of those before. A head without them is whole too.
fn put_history(out: &mut Vec<u8>, meta: &SnapshotMeta) {
    out.put_u64_le(meta.time.0);
    let mut terms = Vec::with_capacity(16 * meta.terms.len());
    for (index, term) in &meta.terms {
        terms.put_u64_le(index.0);
        terms.put_u64_le(term.0);
    }
    put_part(out, &terms);
}

fn put_part(out: &mut Vec<u8>, part: &[u8]) {
    out.put_u32_le(u32::try_from(part.len()).unwrap_or(u32::MAX));
    out.put_slice(part);
}

fn parts_of(mut from: &[u8]) -> Option<(SnapshotMeta, Option<String>)> {
    let instance = InstanceId(from.try_get_u128_le().ok()?);
    let index = Index(from.try_get_u64_le().ok()?);
    let term = Term(from.try_get_u64_le().ok()?);
    let machine_version = from.try_get_u32_le().ok()?;
    let codec = String::from_utf8(take(&mut from)?.to_vec()).ok()?;
    let membership = Membership::decode(take(&mut from)?).ok()?;
    let position = Position { term, index };
    let (time, terms) = if from.is_empty() { Default::default() } else { history(&mut from)? };
    let cluster = match from.is_empty() {
        true => None,
        false => Some(String::from_utf8(take(&mut from)?.to_vec()).ok()?),
    };
    let meta = SnapshotMeta { instance, position, time, membership, terms, machine_version, codec };
    from.is_empty().then_some((meta, cluster))
}

fn history(from: &mut &[u8]) -> Option<(LogTime, Vec<(Index, Term)>)> {
    let time = LogTime(from.try_get_u64_le().ok()?);
    let mut runs = take(from)?;
    let mut terms = Vec::with_capacity(runs.len() / 16);
    while !runs.is_empty() {
        terms.push((Index(runs.try_get_u64_le().ok()?), Term(runs.try_get_u64_le().ok()?)));
    }
    Some((time, terms))
}

fn take<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(from.try_get_u32_le().ok()?).ok()?;
    let (part, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(part)
}
