//! What those who are told may do: whatever they like.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
};

use common::*;
use skiff_storage::{Done, Persistence, StoreError};
use skiff_wal::{DiskPersistence, disk::sim::SimDisk};

#[test]
fn a_store_can_be_dropped_by_the_one_it_tells() {
    let persistence = DiskPersistence::on(SimDisk::new()).segment_size(4_096);
    let held = Arc::new(Mutex::new(None));
    let store = persistence.open(&opening()).unwrap();
    let (tell, told) = mpsc::channel();
    let mut guard = held.lock().unwrap();
    let dropping = Arc::clone(&held);
    let done = Done::new(move |result| {
        drop(dropping.lock().unwrap().take());
        tell.send(result.is_ok()).unwrap();
    });
    guard.insert(store).log.write(append(1, 1, 2), done).unwrap();
    drop(guard);
    assert!(told.recv().unwrap());
    // The writer ends by itself now, and gives the folder back.
    let mut store = loop {
        match persistence.open(&opening()) {
            Ok(store) => break store,
            Err(StoreError::Locked { .. }) => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(store.log.load().unwrap().last.index.0, 1);
}

#[test]
fn a_panic_of_the_one_who_is_told_stops_the_store_loudly() {
    let persistence = DiskPersistence::on(SimDisk::new()).segment_size(4_096);
    let mut store = persistence.open(&opening()).unwrap();
    let done = Done::new(|_| panic!("on purpose"));
    store.log.write(append(1, 1, 2), done).unwrap();
    let (tell, told) = mpsc::channel();
    for index in 2.. {
        let tell = tell.clone();
        let done = Done::new(move |result| tell.send(result.is_err()).unwrap());
        match store.log.write(append(1, index, index + 1), done) {
            Ok(_) => thread::yield_now(),
            Err(StoreError::Poisoned { .. }) => break,
            Err(error) => panic!("{error}"),
        }
    }
    drop((store, tell));
    // Whoever was waiting was told that it failed, or was not told at all; nobody waits for ever.
    assert!(told.iter().all(|failed| failed));
    let mut store = persistence.open(&opening()).unwrap();
    assert!(store.log.load().unwrap().last.index.0 >= 1);
}
