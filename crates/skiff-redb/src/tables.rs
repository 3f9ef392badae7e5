//! The tables of the database, and what commands do with them.

use std::ops::Bound;

use bytes::Bytes;
use redb::{ReadableTable, ReadableTableMetadata, Table, TableDefinition, WriteTransaction};
use skiff::MachineError;
use skiff_kv::{Answer, Command, MAX_PAGE, Response, checksum};

use crate::Told;

pub(crate) const PAIRS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("pairs");
/// The sum of the checksums of all pairs: the digest, known without reading them.
pub(crate) const SUM: TableDefinition<'_, &str, u64> = TableDefinition::new("sum");
/// Skiff's own notes: the mark of the last checkpoint, and what is kept of each batch since.
pub(crate) const MARK: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("mark");
pub(crate) const STORED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("stored");

/// A page ends once its pairs have so many bytes.
const PAGE_BYTES: usize = 4 << 20;

/// The pairs, and their sum, in a transaction.
pub(crate) struct Pairs<'t> {
    pairs: Table<'t, &'static str, &'static [u8]>,
    sums: Table<'t, &'static str, u64>,
    sum: u64,
}

impl<'t> Pairs<'t> {
    pub(crate) fn open(transaction: &'t WriteTransaction) -> Told<Self> {
        let (pairs, sums) = (transaction.open_table(PAIRS)?, transaction.open_table(SUM)?);
        let sum = sum(&sums)?;
        Ok(Self { pairs, sums, sum })
    }

    /// There are no pairs so far.
    pub(crate) fn open_anew(transaction: &'t WriteTransaction) -> Told<Self> {
        Ok(Self { sum: 0, ..Self::open(transaction)? })
    }

    pub(crate) fn keep_sum(&mut self) -> Told<()> {
        self.sums.insert("sum", self.sum)?;
        Ok(())
    }

    pub(crate) fn apply(&mut self, command: Command) -> Result<Response, MachineError> {
        if let Err(refusal) = command.within_limits() {
            return Ok(refusal.into());
        }
        let told = match command {
            Command::Put { key, value } => self.set(&key, Some(&value)),
            Command::Delete { key } => self.set(&key, None),
            Command::CompareAndSet { key, expected, value } => {
                self.compare_and_set(&key, expected, value.as_ref())
            }
            command => return Err(MachineError::new(format!("{command:?} is not known here"))),
        };
        told.map_err(MachineError::new)
    }

    fn compare_and_set(
        &mut self,
        key: &str,
        expected: Option<Bytes>,
        value: Option<&Bytes>,
    ) -> Told<Response> {
        let found = get(&self.pairs, key)?;
        if found != expected {
            return Ok(Response::Differs { found });
        }
        self.set(key, value)
    }

    fn set(&mut self, key: &str, value: Option<&Bytes>) -> Told<Response> {
        let previous = match value {
            Some(value) => self.put(key, value)?,
            None => {
                let previous = self.pairs.remove(key)?;
                previous.map(|value| Bytes::copy_from_slice(value.value()))
            }
        };
        if let (None, Some(previous)) = (value, &previous) {
            self.sum = self.sum.wrapping_sub(checksum(key, previous));
        }
        Ok(Response::Done { previous })
    }

    /// Puts a pair there; what the key held before.
    pub(crate) fn put(&mut self, key: &str, value: &[u8]) -> Told<Option<Bytes>> {
        let previous = self.pairs.insert(key, value)?;
        let previous = previous.map(|value| Bytes::copy_from_slice(value.value()));
        let before = previous.as_ref().map_or(0, |previous| checksum(key, previous));
        self.sum = self.sum.wrapping_sub(before).wrapping_add(checksum(key, value));
        Ok(previous)
    }
}

/// What a key holds.
pub(crate) fn get(
    pairs: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Told<Option<Bytes>> {
    Ok(pairs.get(key)?.map(|value| Bytes::copy_from_slice(value.value())))
}

pub(crate) fn len(pairs: &impl ReadableTableMetadata) -> Told<u64> {
    Ok(pairs.len()?)
}

pub(crate) fn sum(sums: &impl ReadableTable<&'static str, u64>) -> Told<u64> {
    Ok(sums.get("sum")?.map_or(0, |sum| sum.value()))
}

pub(crate) fn mark(marks: &impl ReadableTable<&'static str, &'static [u8]>) -> Told<Option<Bytes>> {
    Ok(marks.get("mark")?.map(|mark| Bytes::copy_from_slice(mark.value())))
}

pub(crate) fn stored(batches: &impl ReadableTable<u64, &'static [u8]>) -> Told<Vec<Bytes>> {
    let rows = batches.iter()?;
    rows.map(|row| Ok(Bytes::copy_from_slice(row?.1.value()))).collect()
}

/// The pairs whose key begins with `prefix` and comes after `after`, as many as a page holds.
pub(crate) fn page(
    pairs: &impl ReadableTable<&'static str, &'static [u8]>,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Told<Answer> {
    let first = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    let (mut found, mut bytes) = (Vec::new(), 0);
    for pair in pairs.range::<&str>((first, Bound::Unbounded))? {
        let (key, value) = pair?;
        let (key, value) = (key.value(), value.value());
        if !key.starts_with(prefix) {
            break;
        }
        if found.len() == limit.min(MAX_PAGE) || bytes >= PAGE_BYTES {
            return Ok(Answer::Page { pairs: found, more: true });
        }
        bytes += key.len() + value.len();
        found.push((key.to_owned(), Bytes::copy_from_slice(value)));
    }
    Ok(Answer::Page { pairs: found, more: false })
}
