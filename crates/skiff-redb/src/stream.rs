//! The pairs of a database on their way into a snapshot.

use std::io::{self, Write};

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};
use skiff_kv::content;

use crate::tables::PAIRS;

/// Writes all pairs that a transaction sees, one by one.
pub(crate) fn write(from: &ReadTransaction, to: &mut dyn Write) -> io::Result<()> {
    let pairs = from.open_table(PAIRS).map_err(io::Error::other)?;
    let count = pairs.len().map_err(io::Error::other)?;
    let count = usize::try_from(count).map_err(io::Error::other)?;
    content::write(to, count, |tell| {
        for pair in pairs.iter().map_err(io::Error::other)? {
            let (key, value) = pair.map_err(io::Error::other)?;
            tell(key.value(), value.value())?;
        }
        Ok(())
    })
}
