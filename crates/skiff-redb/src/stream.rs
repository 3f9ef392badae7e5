//! A state on its way: how many pairs there are, then each, with its lengths.

use std::io::{self, Read, Write};

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};
use skiff::MachineError;

use crate::tables::PAIRS;

/// Writes all pairs that a transaction sees, one by one.
pub(crate) fn write(from: &ReadTransaction, to: &mut dyn Write) -> io::Result<()> {
    let pairs = from.open_table(PAIRS).map_err(io::Error::other)?;
    let count = pairs.len().map_err(io::Error::other)?;
    to.write_all(&count.to_le_bytes())?;
    for pair in pairs.iter().map_err(io::Error::other)? {
        let (key, value) = pair.map_err(io::Error::other)?;
        for bytes in [key.value().as_bytes(), value.value()] {
            let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
            to.write_all(&length.to_le_bytes())?;
            to.write_all(bytes)?;
        }
    }
    Ok(())
}

/// Reads pairs and hands them over, one by one.
pub(crate) fn read(
    from: &mut dyn Read,
    mut each: impl FnMut(&str, &[u8]) -> Result<(), MachineError>,
) -> Result<(), MachineError> {
    let mut count = [0; 8];
    from.read_exact(&mut count)?;
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for _ in 0..u64::from_le_bytes(count) {
        read_bytes(from, &mut key)?;
        read_bytes(from, &mut value)?;
        each(std::str::from_utf8(&key).map_err(MachineError::new)?, &value)?;
    }
    match from.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(MachineError::new("something is left over behind the last pair")),
    }
}

/// Reads so many bytes as they say. No length is believed before the bytes are there.
fn read_bytes(from: &mut dyn Read, to: &mut Vec<u8>) -> Result<(), MachineError> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u64::from(u32::from_le_bytes(length));
    to.clear();
    match from.take(length).read_to_end(to)? as u64 {
        read if read == length => Ok(()),
        read => Err(MachineError::new(format!("a pair ends after {read} of {length} bytes"))),
    }
}
