//! How many appends and crashes a second a log on a simulated disk makes.
//!
//! `cargo run --release -p skiff-wal --example simulated`

use std::time::{Duration, Instant};

use bytes::Bytes;
use skiff_core::{Entry, HardState, Index, LogTime, NodeId, Payload, Term, Write};
use skiff_storage::{OnLostData, Opening, StoreError};
use skiff_wal::{
    Log, LogId, Opened, Options,
    disk::sim::{Fate, SimDisk},
};

const APPENDS: u64 = 200_000;
const CRASHES: u32 = 200;

fn open(disk: &SimDisk, segment_size: u64) -> Result<Opened<SimDisk>, StoreError> {
    let opening = Opening {
        cluster: "example".to_owned(),
        name: Some("a".to_owned()),
        fresh_name: String::new(),
        fresh_node: NodeId(1),
        on_lost_data: OnLostData::Mend,
        rejoin: false,
    };
    Log::open(disk.clone(), &opening, Options { segment_size, fresh_log: LogId(1) })
}

fn write(index: u64) -> Write {
    let payload = Payload::Command(Bytes::from_static(b"thirty bytes are in this entry"));
    let entry = Entry { term: Term(1), index: Index(index), time: LogTime(index), payload };
    let hard_state = HardState { term: Term(1), vote: None };
    Write { hard_state, entries: vec![entry], ..Write::default() }
}

fn append(opened: &mut Opened<SimDisk>, index: u64) -> Result<(), StoreError> {
    opened.log.append(&[write(index)]).error.map_or(Ok(()), Err)
}

/// Appends without a crash, and then crashes, each after ten appends, not counting the openings.
fn measure(segment_size: u64) -> Result<(Duration, Duration), StoreError> {
    let disk = SimDisk::new();
    let mut opened = open(&disk, segment_size)?;
    let start = Instant::now();
    for index in 1..=APPENDS {
        append(&mut opened, index)?;
    }
    let appending = start.elapsed();
    drop(opened);

    let disk = SimDisk::new();
    let (mut index, mut crashing) = (0, Duration::ZERO);
    for _ in 0..CRASHES {
        let mut opened = open(&disk, segment_size)?;
        let start = Instant::now();
        for _ in 0..10 {
            index += 1;
            append(&mut opened, index)?;
        }
        drop(opened);
        disk.crash(|_| Fate::Drop);
        crashing += start.elapsed();
    }
    Ok((appending, crashing))
}

fn main() -> Result<(), StoreError> {
    for segment_size in [4 << 10, 16 << 10, 64 << 10, 1 << 20] {
        let (appending, crashing) = measure(segment_size)?;
        println!(
            "segments of {:4} KiB: {:.2} µs an append, {:.1} µs for ten appends and a crash",
            segment_size >> 10,
            appending.as_secs_f64() * 1e6 / APPENDS as f64,
            crashing.as_secs_f64() * 1e6 / f64::from(CRASHES),
        );
    }
    Ok(())
}
