//! Cuts the power after every single operation of a scripted run, with every combination of what
//! had and what had not reached the medium, also while the log is opened again after that.

mod common;

use common::*;
use skiff_core::Write;
use skiff_storage::{Identity, Standing, StoreError};
use skiff_wal::disk::sim::{Fate, SimDisk};

/// One thing that a node does with its store.
#[derive(Clone, Debug)]
enum Step {
    Write(Write),
    /// Several writes that waited together.
    Group(Vec<Write>),
    /// Ends well and starts again.
    Restart,
    /// Ends without a word and starts again, the kernel's memory intact.
    Kill,
    BecomeMember,
}

/// How far a run came before the power went.
struct Run {
    /// What was acknowledged.
    durable: Model,
    /// All that may be there, from what was acknowledged to all that was asked for.
    possible: Vec<Model>,
    /// The highest boot counter that was told to anybody.
    boot: u64,
    standing: Standing,
    is_complete: bool,
}

fn run(disk: &SimDisk, segment_size: u64, steps: &[Step]) -> Run {
    let durable = Model::default();
    let mut run = Run {
        possible: vec![durable.clone()],
        durable,
        boot: 0,
        standing: Standing::Fresh,
        is_complete: false,
    };
    run.is_complete = run.go(disk, segment_size, steps).is_ok();
    run
}

impl Run {
    fn go(&mut self, disk: &SimDisk, size: u64, steps: &[Step]) -> Result<(), StoreError> {
        let mut opened = try_open(disk, size)?;
        self.boot = opened.identity.boot;
        for step in steps {
            match step {
                Step::Write(write) => self.write(&mut opened.log, std::slice::from_ref(write))?,
                Step::Group(writes) => self.write(&mut opened.log, writes)?,
                Step::BecomeMember => {
                    let identity = opened.identity.clone();
                    opened.log.identify(&Identity { standing: Standing::Member, ..identity })?;
                    self.standing = Standing::Member;
                }
                Step::Restart | Step::Kill => {
                    if matches!(step, Step::Restart) {
                        opened.log.close();
                        drop(opened.snapshots);
                    } else {
                        drop(opened);
                    }
                    opened = try_open(disk, size)?;
                    assert_eq!(Model::of(&opened), self.durable);
                    self.boot = opened.identity.boot;
                }
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        log: &mut skiff_wal::Log<SimDisk>,
        writes: &[Write],
    ) -> Result<(), StoreError> {
        for write in writes {
            let from = self.possible.last().cloned().unwrap_or_default();
            self.possible.extend(from.during(write));
        }
        let appended = log.append(writes);
        for write in &writes[..appended.durable] {
            self.durable = self.durable.after(write);
        }
        let durable = &self.durable;
        let from = self.possible.iter().position(|state| state == durable);
        self.possible.drain(..from.unwrap_or(0));
        if appended.durable == writes.len() {
            self.possible = vec![self.durable.clone()];
        }
        appended.error.map_or(Ok(()), Err)
    }
}

/// Ways in which the unsynced operations may have reached the medium: all, if they are few.
fn fates(disk: &SimDisk, many: usize) -> Vec<Vec<Vec<bool>>> {
    let sectors: Vec<usize> = disk.unsynced().iter().map(|one| one.sectors()).collect();
    let total: usize = sectors.iter().sum();
    let split = |bit: &dyn Fn(usize) -> bool| {
        let mut at = 0;
        let mut operation = |count: &usize| {
            let kept = (at..at + count).map(bit).collect();
            at += count;
            kept
        };
        sectors.iter().map(&mut operation).collect::<Vec<Vec<bool>>>()
    };
    if 1 << total.min(20) <= many {
        return (0..1_usize << total).map(|mask| split(&|at| mask >> at & 1 == 1)).collect();
    }
    let mut all = vec![split(&|_| false), split(&|_| true)];
    for one in 0..total {
        all.push(split(&|at| at == one));
        all.push(split(&|at| at != one));
        all.push(split(&|at| at < one));
    }
    let mut state = total as u64;
    while all.len() < many {
        let bits: Vec<bool> = (0..total).map(|_| random(&mut state) & 1 == 1).collect();
        all.push(split(&|at| bits[at]));
    }
    all.truncate(many);
    all
}

fn crashed(disk: &SimDisk, fates: &[Vec<bool>]) -> SimDisk {
    let disk = disk.fork();
    let mut fates = fates.iter().cloned();
    disk.crash(|_| Fate::Tear(fates.next().unwrap_or_default()));
    disk
}

/// What is found must be possible, must stay, and the log must go on from there.
fn check(disk: &SimDisk, size: u64, run: &Run, told: &str) {
    let opened = match try_open(disk, size) {
        Ok(opened) => opened,
        Err(error) => panic!("{told}: cannot open: {error}"),
    };
    let found = Model::of(&opened);
    assert!(run.possible.contains(&found), "{told}: found {found:?} of {:?}", run.possible);
    assert!(opened.identity.boot > run.boot, "{told}: the boot counter went back");
    if run.standing == Standing::Member {
        assert_eq!(opened.identity.standing, Standing::Member, "{told}");
    }
    let mut opened = opened;
    // What was shown once is there for good.
    let again = disk.fork();
    again.crash(|_| Fate::Drop);
    assert_eq!(Model::of(&open(&again, size)), found, "{told}: shown and then gone");
    // And new entries are not taken for old ones, nor old ones for new.
    let next = found.last().index.0 + 1;
    let term = found.last().term.0 + 10;
    let write = append(term, next, next + 1);
    put(&mut opened.log, write.clone());
    disk.crash(|_| Fate::Drop);
    assert_eq!(Model::of(&open(disk, size)), found.after(&write), "{told}: not as acknowledged");
}

/// Cuts the power during every step of the run, and during every step of the opening after that.
fn cut_everywhere(size: u64, steps: &[Step], many: usize) {
    let whole = SimDisk::new();
    assert!(run(&whole, size, steps).is_complete);
    let changes = whole.counts().changes;
    for halt in 0..=changes {
        let disk = SimDisk::new();
        disk.halt_after(halt);
        let run = run(&disk, size, steps);
        assert_eq!(run.is_complete, halt == changes);
        for (at, fates) in fates(&disk, many).iter().enumerate() {
            let told = format!("halt {halt}, fates {at}");
            let disk = crashed(&disk, fates);
            if at % 8 == 0 {
                cut_opening(&disk, size, &run, &told);
            }
            check(&disk, size, &run, &told);
        }
    }
}

fn cut_opening(disk: &SimDisk, size: u64, run: &Run, told: &str) {
    let probe = disk.fork();
    let before = probe.counts().changes;
    drop(open(&probe, size));
    for halt in 0..probe.counts().changes - before {
        let disk = disk.fork();
        disk.halt_after(halt);
        assert!(try_open(&disk, size).is_err(), "{told}: halted at {halt}");
        for fates in fates(&disk, 4) {
            check(&crashed(&disk, &fates), size, run, &format!("{told}, opening {halt}"));
        }
    }
}

fn entries(term: u64, from: u64, to: u64) -> Step {
    Step::Write(append(term, from, to))
}

#[test]
fn appends_and_rolls() {
    let mut steps: Vec<Step> = (1..5).map(|index| entries(1, index, index + 1)).collect();
    steps.push(Step::Write(vote(2, 9)));
    steps.push(entries(2, 5, 8));
    cut_everywhere(TINY, &steps, 32);
}

#[test]
fn large_writes_are_split_and_kept_in_order() {
    let large = Write { entries: vec![entry(3, 5, 4_000)], ..append(3, 5, 5) };
    let steps = [entries(1, 1, 2), entries(2, 2, 5), Step::Write(large), entries(3, 6, 7)];
    cut_everywhere(TINY, &steps, 16);
}

#[test]
fn truncations_and_restarts() {
    let steps = [
        entries(1, 1, 4),
        Step::Write(cut(2, append(2, 2, 4))),
        Step::Kill,
        Step::Write(cut(3, append(3, 3, 3))),
        Step::Restart,
        entries(4, 3, 4),
    ];
    cut_everywhere(TINY, &steps, 16);
    cut_everywhere(8 << 10, &steps, 16);
}

#[test]
fn logs_that_begin_anew() {
    let steps = [
        Step::Write(begin_after(1, 1, append(1, 2, 2))),
        entries(1, 2, 4),
        // Longer than a sector, so that its head can be there without its end.
        Step::Write(begin_after(
            2,
            10,
            Write { entries: vec![entry(3, 11, 500)], ..append(3, 11, 11) },
        )),
        Step::Write(begin_after(3, 5, append(3, 6, 6))),
        Step::Restart,
        entries(3, 6, 8),
    ];
    cut_everywhere(TINY, &steps, 16);
    cut_everywhere(8 << 10, &steps, 16);
}

#[test]
fn groups_are_kept_in_order() {
    let steps = [
        Step::Group(vec![append(1, 1, 2), vote(1, 5), append(2, 2, 4)]),
        Step::Group(vec![append(2, 4, 6), cut(3, append(3, 3, 4)), append(3, 4, 5)]),
        Step::Group(vec![append(3, 5, 6), begin_after(4, 9, append(4, 10, 11)), append(4, 11, 12)]),
    ];
    cut_everywhere(TINY, &steps, 16);
    cut_everywhere(8 << 10, &steps, 16);
}

#[test]
fn identities_are_replaced_whole() {
    let steps = [entries(1, 1, 2), Step::BecomeMember, entries(1, 2, 3), Step::Restart];
    cut_everywhere(TINY, &steps, 32);
}
