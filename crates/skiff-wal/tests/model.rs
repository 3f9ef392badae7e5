//! The log against a plain vector: whatever is done to it and whenever the power goes, it holds what
//! was acknowledged and nothing that was not asked for.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::env;

use common::*;
use proptest::{
    collection::vec,
    prelude::{ProptestConfig, Strategy, any, prop_oneof, proptest},
};
use skiff_core::{Entry, HardState, Index, NodeId, Position, Term, Write};
use skiff_storage::LogReader;
use skiff_wal::{
    Opened,
    disk::sim::{Fate, SimDisk},
};

/// A write, relative to where the log ends.
#[derive(Clone, Debug)]
struct Asked {
    /// Begin anew, so far behind the end.
    anew: Option<u64>,
    /// Cut so many entries off, as far as they are there.
    cut: u64,
    /// The sizes of the entries to append.
    sizes: Vec<usize>,
    /// Raise the term by this.
    term: u64,
    vote: Option<u128>,
}

#[derive(Clone, Debug)]
enum Op {
    Group(Vec<Asked>),
    /// A group during which everything stops after so many operations; then the power goes, and the
    /// seed decides what had reached the medium.
    Crash(Vec<Asked>, u64, u64),
    /// A group during which this sync fails; the process ends, and then perhaps the power.
    FailSync(Vec<Asked>, u64, bool),
    Close,
    Kill,
    Read(u64, u64, usize),
}

fn asked() -> impl Strategy<Value = Asked> {
    let sizes = prop_oneof![
        4 => vec(0..200_usize, 0..4),
        1 => vec(0..3_000_usize, 1..8),
    ];
    let anew = prop_oneof![9 => proptest::strategy::Just(None), 1 => (0..5_u64).prop_map(Some)];
    let cut = prop_oneof![3 => 0..1_u64, 1 => 0..6_u64];
    (anew, cut, sizes, 0..2_u64, any::<Option<u128>>())
        .prop_map(|(anew, cut, sizes, term, vote)| Asked { anew, cut, sizes, term, vote })
}

fn op() -> impl Strategy<Value = Op> {
    let group = || vec(asked(), 1..4);
    prop_oneof![
        8 => group().prop_map(Op::Group),
        3 => (group(), 0..12_u64, any::<u64>()).prop_map(|(group, at, seed)| Op::Crash(group, at, seed)),
        1 => (group(), 1..6_u64, any::<bool>()).prop_map(|(group, at, power)| Op::FailSync(group, at, power)),
        1 => proptest::strategy::Just(Op::Close),
        1 => proptest::strategy::Just(Op::Kill),
        3 => (any::<u64>(), 0..50_u64, 0..5_000_usize).prop_map(|(from, count, bytes)| Op::Read(from, count, bytes)),
    ]
}

impl Asked {
    fn write(&self, on: &Model) -> Write {
        let term = Term(on.hard_state.term.0 + self.term);
        let last = on.last();
        let begin_after =
            self.anew.map(|ahead| Position { term, index: Index(last.index.0 + ahead) });
        let base = begin_after.unwrap_or(on.base).index;
        let end = begin_after.map_or(last.index, |base| base.index);
        let from = Index(end.0.saturating_sub(self.cut).max(base.0) + 1);
        let truncate_from = (self.cut > 0).then_some(from);
        let first = if self.cut > 0 { from.0 } else { end.0 + 1 };
        let entries = (first..)
            .zip(&self.sizes)
            .map(|(index, size)| entry(term.0.max(1), index, *size))
            .collect::<Vec<Entry>>();
        let term = if entries.is_empty() { term } else { Term(term.0.max(1)) };
        let hard_state = HardState { term, vote: self.vote.map(NodeId) };
        Write { hard_state, begin_after, truncate_from, entries, ..Write::default() }
    }
}

/// The writes of a group, and all states from before the first to after the last.
fn group(asked: &[Asked], model: &Model) -> (Vec<Write>, Vec<Model>) {
    let (mut writes, mut states) = (Vec::new(), vec![model.clone()]);
    for asked in asked {
        let now = states.last().unwrap().clone();
        let write = asked.write(&now);
        states.extend(now.during(&write));
        writes.push(write);
    }
    (writes, states)
}

struct Run {
    disk: SimDisk,
    size: u64,
    model: Model,
    opened: Option<Opened<SimDisk>>,
    boot: u64,
}

impl Run {
    fn new(size: u64) -> Self {
        let disk = SimDisk::new();
        let opened = Some(open(&disk, size));
        Self { disk, size, model: Model::default(), opened, boot: 1 }
    }

    fn opened(&mut self) -> &mut Opened<SimDisk> {
        self.opened.as_mut().unwrap()
    }

    /// Opens again and takes what is there for the truth, if it is one of `possible`.
    fn reopen(&mut self, possible: &[Model]) {
        self.opened = None;
        let opened = open(&self.disk, self.size);
        let found = Model::of(&opened);
        assert!(possible.contains(&found), "found {found:?} of {possible:?}");
        assert!(opened.identity.boot > self.boot);
        self.boot = opened.identity.boot;
        self.model = found;
        self.opened = Some(opened);
    }

    fn reopen_unchanged(&mut self) {
        let model = self.model.clone();
        self.reopen(&[model]);
    }

    fn go(&mut self, op: &Op) {
        match op {
            Op::Group(asked) => {
                let (writes, states) = group(asked, &self.model);
                let appended = self.opened().log.append(&writes);
                assert!(appended.error.is_none(), "{:?}", appended.error);
                self.model = states.last().unwrap().clone();
            }
            Op::Crash(asked, at, seed) => {
                let (writes, _) = group(asked, &self.model);
                self.disk.halt_after(*at);
                let durable = self.opened().log.append(&writes).durable;
                let possible = self.from(&writes, durable);
                let mut state = *seed;
                self.disk.crash(|unsynced| {
                    let sectors = 0..unsynced.sectors();
                    Fate::Tear(sectors.map(|_| random(&mut state) & 1 == 1).collect())
                });
                self.reopen(&possible);
            }
            Op::FailSync(asked, at, power) => {
                let (writes, _) = group(asked, &self.model);
                self.disk.fail_sync(*at);
                let durable = self.opened().log.append(&writes).durable;
                let possible = self.from(&writes, durable);
                if *power {
                    self.disk.crash(|_| Fate::Drop);
                } else {
                    self.disk.kill();
                }
                self.reopen(&possible);
            }
            Op::Close => {
                close(self.opened.take().unwrap());
                self.reopen_unchanged();
            }
            Op::Kill => {
                self.disk.kill();
                self.reopen_unchanged();
            }
            Op::Read(from, count, bytes) => self.read(*from, *count, *bytes),
        }
    }

    /// All that may be there once `durable` of the writes are.
    fn from(&self, writes: &[Write], durable: usize) -> Vec<Model> {
        let mut now = self.model.clone();
        for write in &writes[..durable] {
            now = now.after(write);
        }
        let mut possible = vec![now];
        for write in &writes[durable..] {
            let now = possible.last().unwrap().clone();
            possible.extend(now.during(write));
        }
        possible
    }

    fn read(&mut self, from: u64, count: u64, bytes: usize) {
        let held = self.model.entries.len();
        if held == 0 {
            return;
        }
        let skip = usize::try_from(from % held as u64).unwrap();
        let first = self.model.entries[skip].index;
        let to = Index(first.0 + count);
        let read = self.opened().log.reader().read(first, to, bytes).unwrap();
        let mut left = bytes;
        let fits = |entry: &&Entry| {
            let fits = entry.size() <= left || entry.index == first;
            left = left.saturating_sub(entry.size());
            fits && (entry.index < to || entry.index == first)
        };
        let expected: Vec<Entry> =
            self.model.entries[skip..].iter().take_while(fits).cloned().collect();
        assert_eq!(read, expected);
    }
}

/// As many cases as PROPTEST_CASES says, or few enough for every day.
fn config() -> ProptestConfig {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    match env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => ProptestConfig { cases: 400, ..config },
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_log_behaves_like_a_vector(
        size in prop_oneof![1 => 0..4_096_u64, 1 => 4_096..40_000_u64],
        ops in vec(op(), 1..30),
    ) {
        let mut run = Run::new(size);
        for op in &ops {
            run.go(op);
        }
        run.disk.crash(|_| Fate::Drop);
        run.reopen_unchanged();
    }
}
