//! The least that any durable log must do: overwrite bytes that are allocated already, and sync.
//!
//! It writes the payloads alone: no header, no checksum, no index.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::mpsc::{self, Receiver, Sender},
    thread,
};

use anyhow::Result;
use bytes::Bytes;

use super::Contestant;
use crate::load::Load;

struct Floor {
    file: File,
    at: u64,
    batch: Vec<u8>,
}

impl Floor {
    fn new(dir: &Path, load: &Load) -> io::Result<Self> {
        const PIECE: usize = 1 << 20;
        let file = File::create(dir.join("floor"))?;
        let zeros = vec![0; PIECE];
        for piece in 0..load.payload_total().div_ceil(PIECE as u64) {
            file.write_all_at(&zeros, piece * PIECE as u64)?;
        }
        file.sync_all()?;
        Ok(Self { file, at: 0, batch: Vec::new() })
    }

    fn write(&mut self, payloads: &[Bytes]) -> io::Result<()> {
        self.batch.clear();
        payloads.iter().for_each(|payload| self.batch.extend_from_slice(payload));
        self.file.write_all_at(&self.batch, self.at)?;
        self.file.sync_data()?;
        self.at += self.batch.len() as u64;
        Ok(())
    }
}

pub(super) fn open(dir: &Path, load: &Load) -> Result<Box<dyn Contestant>> {
    Ok(Box::new(Floor::new(dir, load)?))
}

impl Contestant for Floor {
    fn append(&mut self, _: u64, payloads: &[Bytes]) -> Result<()> {
        Ok(self.write(payloads)?)
    }
}

/// The same, on a thread of its own: what it costs to wake that and to be woken.
struct Apart {
    batches: Sender<Vec<Bytes>>,
    written: Receiver<io::Result<()>>,
}

pub(super) fn open_apart(dir: &Path, load: &Load) -> Result<Box<dyn Contestant>> {
    let mut floor = Floor::new(dir, load)?;
    let (batches, to_write) = mpsc::channel::<Vec<Bytes>>();
    let (tell, written) = mpsc::channel();
    thread::spawn(move || {
        for batch in to_write {
            // Nobody listens any more once the turn is over.
            let _ = tell.send(floor.write(&batch));
        }
    });
    Ok(Box::new(Apart { batches, written }))
}

impl Contestant for Apart {
    fn append(&mut self, _: u64, payloads: &[Bytes]) -> Result<()> {
        self.batches.send(payloads.to_vec())?;
        Ok(self.written.recv()??)
    }
}
