//! Scripted runs of the log alone: segments so small that each few writes begin another, and logs that
//! begin anew, so that the files of old segments become new ones.

mod model;
#[cfg(any(test, feature = "mutants"))]
pub(crate) mod scenes;

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

use skiff_replica::{
    core::{HardState, NodeId, Write},
    storage::{OnLostData, Opening, StoreError},
};
use skiff_wal::{
    Log, LogId, Opened, Options,
    disk::sim::{Fate, SimDisk},
    inspect::Inspection,
};

use self::model::Model;
use super::{PowerCut, Spot, played::Played};
use crate::{
    failure::Failure,
    run::words_of,
    world::{Counted, Struck, Tracer},
};

/// One thing that is done with the log. What exactly follows from what it holds.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// So many entries of this size.
    Append(u64, usize),
    /// So many writes that waited together.
    Together(u64),
    /// A term and a vote.
    Vote,
    /// So many entries are cut off, and so many come.
    Overwrite(u64, u64),
    /// The log begins anew, so far behind its end, with so many entries.
    BeginAnew(u64, u64),
    /// It is closed and opened again.
    Close,
    /// It is dropped and opened again.
    Drop,
}

const ACTS: &[Act] = &[
    Act::Append(1, 40),
    Act::Append(2, 700),
    Act::Vote,
    Act::Append(3, 300),
    Act::Overwrite(2, 3),
    Act::Drop,
    Act::Append(1, 1_500),
    Act::Append(2, 700),
    Act::BeginAnew(2, 1),
    Act::Append(2, 700),
    Act::Together(3),
    Act::Append(4, 1_000),
    Act::Append(4, 1_000),
    Act::BeginAnew(0, 0),
    Act::Append(4, 1_000),
    Act::Append(4, 1_000),
    Act::Close,
    Act::Append(1, 1_200),
    Act::Overwrite(1, 2),
    Act::BeginAnew(1, 2),
    Act::Append(1, 1_500),
    Act::Append(3, 600),
    Act::Append(3, 900),
    Act::Drop,
    Act::Overwrite(3, 1),
    Act::Append(2, 900),
];

/// A script for a log.
#[derive(Debug)]
pub(crate) struct Alone {
    segment_size: u64,
    /// So many segments must be made of old ones if nothing goes wrong.
    recycled: usize,
}

impl Alone {
    /// A segment holds one batch, or two.
    pub(crate) const TINY: Self = Self { segment_size: 2 << 10, recycled: 4 };
    /// A segment holds a few.
    pub(crate) const SMALL: Self = Self { segment_size: 8 << 10, recycled: 2 };

    /// Runs it, with a power cut or none.
    pub(crate) fn play(&self, cut: Option<&PowerCut>, tracer: Option<Tracer<'_>>) -> Played {
        let mut run = Run {
            segment_size: self.segment_size,
            cut,
            tracer,
            disk: SimDisk::new(),
            opened: None,
            durable: Model::default(),
            possible: vec![Model::default()],
            boot: 0,
            recycled: BTreeSet::new(),
            counted: Counted::default(),
            struck: None,
        };
        // A panic is a failure like any other; the run is only looked at afterwards.
        let ended = catch_unwind(AssertUnwindSafe(|| run.go()));
        let mut ended = ended.unwrap_or_else(|panic| Err(words_of(panic.as_ref())));
        if ended.is_ok() && cut.is_none() && run.recycled.len() < self.recycled {
            ended = Err(format!("only {} segments were made of old ones", run.recycled.len()));
        }
        let named = |text| Failure { judge: "log".to_owned(), text, at: 0 };
        Played { failure: ended.err().map(named), counted: vec![run.counted], struck: run.struck }
    }
}

struct Run<'a, 't> {
    segment_size: u64,
    cut: Option<&'a PowerCut>,
    tracer: Option<Tracer<'t>>,
    disk: SimDisk,
    opened: Option<Opened<SimDisk>>,
    /// What was told durable.
    durable: Model,
    /// All that may be there, from that to all that was asked for.
    possible: Vec<Model>,
    /// The highest boot counter that was told.
    boot: u64,
    /// The numbers of segments that were others before.
    recycled: BTreeSet<u64>,
    counted: Counted,
    struck: Option<Struck>,
}

impl Run<'_, '_> {
    fn go(&mut self) -> Result<(), String> {
        self.perform(None)?;
        for act in ACTS {
            self.perform(Some(*act))?;
        }
        self.perform(Some(Act::Close))?;
        if self.cut.is_some() && self.struck.is_none() {
            return Err("the place was not reached".to_owned());
        }
        Ok(())
    }

    /// Does one thing, and opens the log anew if the power fails meanwhile.
    fn perform(&mut self, act: Option<Act>) -> Result<(), String> {
        self.tell(|| act.map_or_else(|| "Open".to_owned(), |act| format!("{act:?}")));
        if let Some(Spot::AfterOperation { operation, .. }) = self.spot() {
            self.disk.halt_after(operation.saturating_sub(self.operations()));
        }
        let done = match act {
            Some(act) => self.act(act),
            None => self.open(),
        };
        self.counted.jobs.end += 1;
        self.counted.operations.end = self.operations();
        let is_due = match self.spot() {
            Some(Spot::AfterOperation { operation, .. }) => operation == self.operations(),
            Some(Spot::AfterJob { job, .. }) => job == self.counted.jobs.end,
            None => false,
        };
        if is_due {
            return self.strike();
        }
        done?;
        if self.cut.is_none() {
            self.note_recycled();
        }
        Ok(())
    }

    fn spot(&self) -> Option<Spot> {
        self.cut.filter(|_| self.struck.is_none()).map(|cut| cut.spot)
    }

    fn operations(&self) -> u64 {
        self.disk.counts().changes
    }

    fn act(&mut self, act: Act) -> Result<(), String> {
        let on = &self.durable;
        match act {
            Act::Append(count, size) => self.write(&[on.append(count, size)]),
            Act::Together(count) => {
                let mut on = on.clone();
                let write = |_| {
                    let write = on.append(2, 200);
                    on = on.after(&write);
                    write
                };
                self.write(&(0..count).map(write).collect::<Vec<_>>())
            }
            Act::Vote => {
                let (term, vote) = (on.hard_state.term.next(), Some(NodeId(9)));
                self.write(&[Write { hard_state: HardState { term, vote }, ..Write::default() }])
            }
            Act::Overwrite(cut, count) => self.write(&[on.overwrite(cut, count, 300)]),
            Act::BeginAnew(ahead, count) => self.write(&[on.begin_after(ahead, count, 500)]),
            Act::Close => {
                if let Some(opened) = self.opened.take() {
                    drop(opened.snapshots);
                    opened.log.close();
                }
                self.open()
            }
            Act::Drop => {
                self.opened = None;
                self.open()
            }
        }
    }

    fn write(&mut self, writes: &[Write]) -> Result<(), String> {
        let Some(opened) = &mut self.opened else { return Err("it is not open".to_owned()) };
        for write in writes {
            let on = self.possible.last().cloned().unwrap_or_default();
            self.possible.extend(on.during(write));
        }
        let appended = opened.log.append(writes);
        for write in &writes[..appended.durable] {
            self.durable = self.durable.after(write);
        }
        // What was told durable stays.
        let told = self.possible.iter().rposition(|one| *one == self.durable).unwrap_or(0);
        self.possible.drain(..told);
        appended.error.map_or(Ok(()), |error| Err(error.to_string()))
    }

    /// Opens the log, which was not left to a power cut.
    fn open(&mut self) -> Result<(), String> {
        let opened = open(&self.disk, self.segment_size).map_err(|error| error.to_string())?;
        let found = Model::of(&opened).map_err(|error| error.to_string())?;
        if found != self.durable {
            return Err(format!("it held {:?} and holds {found:?}", self.durable));
        }
        self.opened(opened)
    }

    fn opened(&mut self, opened: Opened<SimDisk>) -> Result<(), String> {
        let boot = opened.identity.boot;
        if boot <= self.boot {
            return Err(format!("the boot counter went from {} to {boot}", self.boot));
        }
        self.boot = boot;
        self.opened = Some(opened);
        Ok(())
    }

    /// The power fails. What is found then must be possible, and stay.
    fn strike(&mut self) -> Result<(), String> {
        let Some(cut) = self.cut else { return Ok(()) };
        self.struck = Some(Struck { disk: self.disk.fork(), operations: 0 });
        cut.choice.cut(&self.disk);
        self.opened = None;
        self.tell(|| format!("the power fails and leaves {} of what was not synced", cut.choice));
        let words = |error: StoreError| format!("after the power cut: {error}");
        let opened = open(&self.disk, self.segment_size).map_err(words)?;
        let found = Model::of(&opened).map_err(words)?;
        if !self.possible.contains(&found) {
            return Err(format!("{found:?} is there, possible are {:?}", self.possible));
        }
        // Whoever is told of damage looks for another disk.
        if let Some(remark) = opened.recovered.remarks.iter().find(|it| it.contains("is damaged")) {
            return Err(format!("a power cut is taken for damage: {remark}"));
        }
        let again = self.disk.fork();
        again.crash(|_| Fate::Drop);
        let shown = open(&again, self.segment_size).and_then(|opened| Model::of(&opened));
        let shown = shown.map_err(words)?;
        if shown != found {
            return Err(format!("{found:?} was there, and then {shown:?}"));
        }
        self.durable = found.clone();
        self.possible = vec![found];
        self.opened(opened)
    }

    /// Takes note of segments that were others before.
    fn note_recycled(&mut self) {
        let Ok(inspection) = Inspection::of(self.disk.clone()) else { return };
        let headers = inspection.segments().into_iter().filter_map(|segment| segment.header.ok());
        let recycled = headers.filter(|header| header.recycled).map(|header| header.number);
        self.recycled.extend(recycled);
    }

    fn tell(&mut self, words: impl FnOnce() -> String) {
        if let Some(tracer) = &mut self.tracer {
            tracer(&words());
        }
    }
}

fn open(disk: &SimDisk, segment_size: u64) -> Result<Opened<SimDisk>, StoreError> {
    open_with(disk, segment_size, OnLostData::Refuse)
}

fn open_with(
    disk: &SimDisk,
    segment_size: u64,
    on_lost_data: OnLostData,
) -> Result<Opened<SimDisk>, StoreError> {
    let opening = Opening {
        cluster: "sim".to_owned(),
        name: Some("n0".to_owned()),
        fresh_name: String::new(),
        fresh_node: NodeId(7),
        on_lost_data,
        rejoin: false,
    };
    Log::open(disk.clone(), &opening, Options { segment_size, fresh_log: LogId(0xabc) })
}
