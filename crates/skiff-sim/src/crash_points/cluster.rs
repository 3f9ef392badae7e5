//! Scripted runs of a whole cluster: plans in which nothing is left to chance that matters.

use bytes::{BufMut, Bytes, BytesMut};

use super::{PowerCut, played::Played};
use crate::{
    failure::Failure,
    plan::{
        Ailment, Cut, Fault, Forming, Knobs, MS, Mode, Plan, PlannedCall, Point, Successor, Who,
    },
    reached::Reached,
    registers::{Cells, Registers},
    run::run_watched,
    workload::Workload,
    world::{Tracer, Watch},
};

/// By then the nodes are a cluster that somebody leads.
pub(super) const FORMED: u64 = 900 * MS;
/// Commands are so long that several sectors are written for each.
const COMMAND: usize = 900;
/// What is not said by a plan is drawn: one of so many seeds must do.
const SEED_MAX: u64 = 50;
/// Who says that a script does not do what it should.
const SCRIPT: &str = "script";

/// A script for a cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    plan: Plan,
    /// From then on the power may fail.
    since: u64,
    /// What must come about if nothing else goes wrong.
    expects: &'static [Expected],
}

/// Something that must come about so many times at least.
pub(super) type Expected = (&'static str, fn(&Reached) -> u64, u64);

/// The library's registers, with commands that are longer than a sector.
struct Long;

impl Workload for Long {
    type Machine = Cells;

    fn machine(&self) -> Cells {
        Registers.machine()
    }

    fn command(&self, seed: u64) -> Bytes {
        let mut bytes = BytesMut::from(Registers.command(seed).as_ref());
        // No two sectors of any two commands are alike.
        let mut number = seed;
        while bytes.len() < COMMAND {
            number = crate::random::mix(number);
            bytes.put_u64_le(number);
        }
        bytes.freeze()
    }

    fn read(&self, seed: u64, machine: &Cells) -> Bytes {
        Registers.read(seed, machine)
    }
}

impl Cluster {
    /// Runs it, with a power cut or none.
    pub(crate) fn play(&self, cut: Option<&PowerCut>, tracer: Option<Tracer<'_>>) -> Played {
        let watch = Watch::new(self.plan.nodes, self.since, cut.cloned());
        let (report, watch) = run_watched(&self.plan, &Long, Some(watch), tracer);
        let watch = watch.unwrap_or_default();
        let failure = report.failure.or_else(|| {
            match cut {
                None => self.missing(&report.reached),
                Some(_) if watch.struck.is_none() => Some("the place was not reached".to_owned()),
                Some(_) => None,
            }
            .map(|text| Failure {
                judge: SCRIPT.to_owned(),
                text,
                at: report.simulated,
            })
        });
        Played { failure, counted: watch.counted, struck: watch.struck }
    }

    /// Takes the first seed with which it comes to what it is for.
    pub(crate) fn settled(mut self) -> Self {
        let fits = |script: &Self| {
            let failure = script.play(None, None).failure;
            failure.is_none_or(|failure| failure.judge != SCRIPT)
        };
        while self.plan.seed < SEED_MAX && !fits(&self) {
            self.plan.seed += 1;
        }
        self
    }

    fn missing(&self, reached: &Reached) -> Option<String> {
        let (what, ..) = self.expects.iter().find(|(_, count, least)| count(reached) < *least)?;
        Some(format!("it does not come to what it is for: {what}"))
    }

    pub(super) fn new(nodes: usize, since: u64, until: u64, expects: &'static [Expected]) -> Self {
        let knobs = Knobs {
            segment_bytes: 8 << 10,
            latency_min: 500_000,
            latency_max: 500_000,
            disk_min: 300_000,
            disk_max: 300_000,
            machine_max: 0,
            ..Knobs::plain(nodes)
        };
        let (mode, faults, calls) = (Mode::Crash, Vec::new(), Vec::new());
        let (seed, ailment, canary) = (1, Ailment::None, false);
        let sessions = Vec::new();
        let plan = Plan {
            seed,
            mode,
            nodes,
            nanos: until,
            knobs,
            faults,
            calls,
            sessions,
            ailment,
            canary,
        };
        Self { plan, since, expects }
    }

    /// So many commands are asked for, and a read with each third.
    pub(super) fn calls(mut self, from: u64, every: u64, count: u64) -> Self {
        for number in 0..count {
            let (at, patience) = (from + number * every, 1_000 * MS);
            let seed = from + number;
            self.plan.calls.push(PlannedCall { at, seed, read: false, patience });
            if number % 3 == 2 {
                self.plan.calls.push(PlannedCall { at: at + MS, seed, read: true, patience });
            }
        }
        self
    }

    pub(super) fn fault(mut self, at: u64, fault: Fault) -> Self {
        self.plan.faults.push((at, fault));
        self
    }

    /// With other settings.
    pub(super) fn with(mut self, change: impl FnOnce(&mut Knobs)) -> Self {
        change(&mut self.plan.knobs);
        self
    }

    /// Leadership is handed over under load, and the one that has it then is told to stop.
    pub(crate) fn transfer() -> Self {
        let expects: &[Expected] = &[
            ("transfers", |reached| reached.transfers_done, 2),
            ("a leader that stops", |reached| reached.leaders_left, 1),
            ("commands", |reached| reached.commands_answered, 3),
        ];
        let to = Successor::Node(Who::Follower(0));
        Self::new(3, FORMED, 1_500 * MS, expects)
            .calls(FORMED, 20 * MS, 12)
            .fault(FORMED + 50 * MS, Fault::Transfer { ask: Who::Leader, to })
            .fault(FORMED + 150 * MS, Fault::Leave { who: Who::Leader, down: 100 * MS })
    }

    /// Three nodes find each other, agree on the first state, and elect.
    pub(crate) fn form() -> Self {
        let expects: &[Expected] = &[
            ("a cluster", |reached| reached.clusters_formed, 1),
            ("a leader", |reached| reached.leaders_elected, 1),
        ];
        Self::new(3, 0, FORMED, expects)
    }

    /// Likewise, but they hear of each other one by one.
    pub(crate) fn join() -> Self {
        let expects: &[Expected] = &[
            ("a cluster", |reached| reached.formed_by_joins, 1),
            ("a leader", |reached| reached.leaders_elected, 1),
        ];
        let mut script = Self::new(3, 0, 5_000 * MS, expects);
        script.plan.knobs.forming = Forming::Joins;
        script
    }

    /// A node is a cluster by itself.
    pub(crate) fn alone() -> Self {
        let expects: &[Expected] = &[("answers", |reached| reached.commands_answered, 4)];
        Self::new(1, 0, FORMED + 20 * MS, expects).calls(FORMED, 2 * MS, 4)
    }

    /// The leader is cut off; the others elect, and it comes back.
    pub(crate) fn elect() -> Self {
        let expects: &[Expected] = &[("a second leader", |reached| reached.leaders_elected, 2)];
        let cut = Cut::Isolate(Who::Leader);
        Self::new(3, FORMED, FORMED + 600 * MS, expects)
            .fault(FORMED + 10 * MS, Fault::Cut { cut, reset: true, nanos: 500 * MS })
    }

    /// Commands and reads, until the log goes on in another segment.
    pub(crate) fn replicate() -> Self {
        let expects: &[Expected] = &[("answers", |reached| reached.commands_answered, 12)];
        Self::new(3, FORMED, FORMED + 60 * MS, expects).calls(FORMED + 10 * MS, 3 * MS, 12)
    }

    /// The leader's disk is so slow that the others have entries before it has them itself.
    pub(crate) fn slow() -> Self {
        let expects: &[Expected] = &[("answers", |reached| reached.commands_answered, 8)];
        let (who, each, nanos) = (Who::Leader, 5 * MS, 100 * MS);
        Self::new(3, FORMED, FORMED + 100 * MS, expects)
            .fault(FORMED + 5 * MS, Fault::SlowDisk { who, each, nanos })
            .calls(FORMED + 10 * MS, 4 * MS, 8)
    }

    /// A leader that is cut off takes commands that nobody else gets; others are committed in their
    /// places, and it cuts its own off.
    pub(crate) fn conflict() -> Self {
        let expects: &[Expected] = &[
            ("a truncation", |reached| reached.truncations, 1),
            ("a second leader", |reached| reached.leaders_elected, 2),
            ("answers", |reached| reached.commands_answered, 4),
        ];
        let cut = Cut::Isolate(Who::Leader);
        Self::new(3, FORMED, FORMED + 700 * MS, expects)
            .calls(FORMED + 5 * MS, 4 * MS, 2)
            .fault(FORMED + 20 * MS, Fault::Cut { cut, reset: true, nanos: 500 * MS })
            .calls(FORMED + 21 * MS, MS, 4)
            .calls(FORMED + 450 * MS, 10 * MS, 6)
    }

    /// A follower and the leader lose power in the middle of a write, then all do at once.
    pub(crate) fn restart() -> Self {
        let expects: &[Expected] = &[
            ("recoveries", |reached| reached.recoveries, 5),
            ("power cuts within a write", |reached| reached.crashes_in_write, 2),
            ("answers", |reached| reached.commands_answered, 4),
        ];
        let in_write =
            |who| Fault::CrashAt { who, point: Point::InWrite(1), after: 0, down: 20 * MS };
        let crash = |node| Fault::Crash { who: Who::Node(node), power: true, down: 10 * MS };
        Self::new(3, FORMED, FORMED + 900 * MS, expects)
            .fault(FORMED + 5 * MS, in_write(Who::Follower(0)))
            .calls(FORMED + 6 * MS, 4 * MS, 4)
            .fault(FORMED + 60 * MS, in_write(Who::Leader))
            .calls(FORMED + 61 * MS, 4 * MS, 4)
            .fault(FORMED + 450 * MS, crash(0))
            .fault(FORMED + 451 * MS, crash(1))
            .fault(FORMED + 452 * MS, crash(2))
            .calls(FORMED + 850 * MS, 4 * MS, 4)
    }

    /// A node loses power in the middle of a write, and again and again while it recovers.
    pub(crate) fn recover() -> Self {
        let expects: &[Expected] = &[
            ("power cuts during recovery", |reached| reached.crashes_in_recovery, 6),
            ("torn ends", |reached| reached.torn_tails, 1),
            ("answers", |reached| reached.commands_answered, 4),
        ];
        let who = Who::Node(0);
        let in_write = Fault::CrashAt { who, point: Point::InWrite(1), after: 0, down: 10 * MS };
        let mut script = Self::new(3, FORMED, FORMED + 400 * MS, expects)
            .fault(FORMED + 5 * MS, in_write)
            .calls(FORMED + 6 * MS, 4 * MS, 4);
        for number in 0..6 {
            let point = Point::InRecovery(number * 2 + 1);
            let fault = Fault::CrashAt { who, point, after: 0, down: 10 * MS };
            script = script.fault(FORMED + (30 + 30 * number) * MS, fault);
        }
        script.calls(FORMED + 300 * MS, 4 * MS, 4)
    }
}
