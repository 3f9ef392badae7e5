//! Reading while the log is written.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use common::*;
use skiff_core::Index;
use skiff_storage::{LogReader, StoreError};
use skiff_wal::disk::sim::SimDisk;

/// The log begins anew again and again, and its segments are used again at once. A reader sees the
/// old entries or the new ones, or that they are gone; never a mixture, never "damage".
#[test]
fn a_reader_never_sees_a_segment_that_is_used_again() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, TINY);
    let reader = opened.log.reader();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut seen = 0;
            while !is_over.load(Ordering::Acquire) {
                match reader.read(Index(2), Index(20), usize::MAX) {
                    Ok(entries) => {
                        let term = entries[0].term;
                        for (index, entry) in (2..).zip(&entries) {
                            assert_eq!(*entry, common::entry(term.0, index, 30));
                        }
                        seen += 1;
                    }
                    Err(StoreError::Missing { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            seen
        });
        for term in 1..400 {
            put(&mut opened.log, begin_after(1, 1, append(term, 2, 2)));
            for index in (2..14).step_by(3) {
                put(&mut opened.log, append(term, index, index + 3));
            }
            put(&mut opened.log, cut(9, append(term, 9, 12)));
        }
        is_over.store(true, Ordering::Release);
        assert!(reading.join().unwrap() > 0);
    });
}

/// Entries of all ages can be read, one at a time and all at once, from batches of all sizes.
#[test]
fn every_entry_is_found_from_anywhere() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, 256 << 10);
    let mut model = Model::default();
    let mut next = 1_u64;
    for (term, size) in (1..).zip([1, 40, 1, 1, 300, 7, 1, 90, 1, 1, 2, 500, 1]) {
        let from = next.saturating_sub(size / 7).max(1);
        let write = cut(from, append(term, from, from + size + 1));
        model = model.after(&write);
        put(&mut opened.log, write);
        next = from + size + 1;
    }
    let reader = opened.log.reader();
    for (at, entry) in model.entries.iter().enumerate() {
        let one = reader.read(entry.index, entry.index.next(), 0).unwrap();
        assert_eq!(one, std::slice::from_ref(entry));
        if at % 50 == 0 {
            let all = reader.read(entry.index, Index(u64::MAX), usize::MAX).unwrap();
            assert_eq!(all, model.entries[at..]);
        }
    }
}
