//! Reads a file piece by piece, with one buffer.

use std::io;

use crate::disk::DiskFile;

/// How much is read at once, if the file is so long.
const PIECE: usize = 256 << 10;

#[derive(Debug, Default)]
pub(crate) struct Window {
    segment: u64,
    bytes: Vec<u8>,
    start: u64,
}

impl Window {
    /// The file that is read from now on is that of this segment.
    pub(crate) fn look_at(&mut self, segment: u64) {
        if self.segment != segment {
            self.segment = segment;
            self.bytes.clear();
        }
    }

    /// The `len` bytes at `at`; fewer where the file ends, which is at `size`. No more than the file
    /// holds is ever asked for, whatever `len` says.
    pub(crate) fn get<F: DiskFile>(
        &mut self,
        file: &F,
        size: u64,
        at: u64,
        len: usize,
    ) -> io::Result<&[u8]> {
        let left = usize::try_from(size.saturating_sub(at)).unwrap_or(usize::MAX);
        let len = len.min(left);
        if at < self.start || at + len as u64 > self.start + self.bytes.len() as u64 {
            self.load(file, at, len.max(PIECE).min(left))?;
        }
        let from = usize::try_from(at - self.start).unwrap_or(usize::MAX).min(self.bytes.len());
        Ok(&self.bytes[from..(from + len).min(self.bytes.len())])
    }

    fn load<F: DiskFile>(&mut self, file: &F, at: u64, len: usize) -> io::Result<()> {
        self.start = at;
        self.bytes.clear();
        self.bytes.resize(len, 0);
        // A read that fails once is tried once more: some failures pass.
        let read = file.read_at(&mut self.bytes, at).or_else(|_| file.read_at(&mut self.bytes, at));
        match read {
            Ok(read) => self.bytes.truncate(read),
            Err(_) => self.bytes.clear(),
        }
        read.map(drop)
    }
}
