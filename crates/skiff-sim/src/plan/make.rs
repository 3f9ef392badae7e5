//! Makes a plan from a seed. Whole classes of faults are off half of the time, so that each is also
//! met alone, and what one hides another run shows.

use fastrand::Rng;

use super::{
    Ailment, ClockKnobs, Cut, Damage, Fault, Forming, Knobs, Lie, MS, MarkKnobs, Mode, Plan,
    PlannedCall, PlannedSession, Point, SECOND, SessionCall, SnapshotKnobs, Successor, Who,
};
use crate::random::stream;

/// What a plan made from a seed may be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How bad it may get.
    pub mode: Mode,
    /// How many nodes; `None` samples one to seven.
    pub nodes: Option<usize>,
    /// For how long there are faults and calls, in nanoseconds.
    pub nanos: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { mode: Mode::Crash, nodes: None, nanos: 10 * SECOND }
    }
}

impl Plan {
    /// The plan of this seed.
    #[must_use]
    pub fn of_seed(seed: u64, limits: Limits) -> Self {
        let random = &mut stream(seed, 10);
        let nodes = limits
            .nodes
            .unwrap_or_else(|| [1, 2, 3, 3, 3, 4, 5, 5, 5, 5, 6, 7][random.usize(..12)]);
        let mut knobs = knobs(&mut stream(seed, 11), nodes);
        knobs.reserve_bytes = pick(&mut stream(seed, 15), &[None, Some(0), Some(64 << 10)]);
        let few = &mut stream(seed, 17);
        knobs.sessions_max = pick(few, &[1, 2, 3, 1000]);
        knobs.sessions_bytes = pick(few, &[40, 100, 1 << 20, 1 << 20]);
        knobs.marks = marks(&mut stream(seed, 23));
        // A machine that keeps its data is met on damaged disks without them.
        let may = limits.mode == Mode::Crash || knobs.marks.is_none();
        knobs.snapshots = snapshots(&mut stream(seed, 18)).filter(|_| may);
        knobs.genesis_bytes = one_in(&mut stream(seed, 24), 3).then_some(0);
        if knobs.forming == Forming::Joins && one_in(&mut stream(seed, 26), 3) {
            knobs.forming = Forming::Pairs;
        }
        let calls = calls(&mut stream(seed, 12), limits.nanos);
        let mut faults =
            Faults { random: stream(seed, 13), nodes, limits, made: Vec::new() }.make();
        let operator = Faults { random: stream(seed, 19), nodes, limits, made: Vec::new() };
        faults.extend(operator.operate());
        if may {
            let operator = Faults { random: stream(seed, 25), nodes, limits, made: Vec::new() };
            faults.extend(operator.copy());
        }
        let mut churn = Faults { random: stream(seed, 22), nodes, limits, made: Vec::new() };
        knobs.learner = churn.churn();
        let mut ailment = Ailment::sample(&mut stream(seed, 14), nodes);
        if churn.made.is_empty() && knobs.marks.is_none() && churn.wipe() {
            // Its place is taken again only by those who are all well.
            ailment = Ailment::None;
        }
        faults.append(&mut churn.made);
        faults.sort_by_key(|(at, _)| *at);
        Self {
            seed,
            mode: limits.mode,
            nodes,
            nanos: limits.nanos,
            knobs,
            faults,
            calls,
            sessions: sessions(&mut stream(seed, 16), limits.nanos),
            ailment,
            canary: false,
        }
    }
}

/// A class of faults is off half of the time.
fn on(random: &mut Rng) -> bool {
    random.bool()
}

fn one_in(random: &mut Rng, count: u32) -> bool {
    random.u32(0..count) == 0
}

fn pick<T: Copy>(random: &mut Rng, from: &[T]) -> T {
    from[random.usize(0..from.len())]
}

fn knobs(random: &mut Rng, nodes: usize) -> Knobs {
    let mut knobs = Knobs::plain(nodes);
    if one_in(random, 4) {
        knobs.pre_vote = random.bool();
        knobs.check_quorum = random.bool();
        knobs.refuse_while_led = random.bool();
        knobs.noop = !one_in(random, 4);
    }
    knobs.forward = random.bool();
    knobs.forming = if one_in(random, 3) { Forming::Joins } else { Forming::Closed };
    if on(random) {
        limits(random, &mut knobs);
    }
    knobs.segment_bytes = pick(random, &[4 << 10, 8 << 10, 16 << 10, 64 << 10]);
    network(random, &mut knobs);
    knobs.disk_max = pick(random, &[200_000, 500_000, 2 * MS, 10 * MS]);
    knobs.machine_max = pick(random, &[10_000, 100_000, MS, 20 * MS]);
    if on(random) {
        for clock in &mut knobs.clocks {
            *clock = ClockKnobs {
                offset: random.u64(0..7200 * SECOND),
                drift: random.i64(-50_000..=50_000),
            };
        }
    }
    knobs
}

/// Small windows, batches, caches.
fn limits(random: &mut Rng, knobs: &mut Knobs) {
    knobs.window_messages = pick(random, &[1, 2, 4, 64]);
    knobs.window_bytes = pick(random, &[100, 1000, 10_000, 4 << 20]);
    knobs.append_bytes = pick(random, &[1, 200, 2000, 1 << 20]);
    knobs.write_bytes = pick(random, &[1, 200, 2000, 1 << 20]);
    knobs.apply_bytes = pick(random, &[1, 500, 5000, 4 << 20]);
    knobs.cache_bytes = pick(random, &[1, 1000, 32 << 20]);
    knobs.uncommitted_bytes = pick(random, &[500, 5000, 64 << 20]);
}

/// Snapshots of almost nothing, at almost any time.
fn snapshots(random: &mut Rng) -> Option<SnapshotKnobs> {
    if one_in(random, 3) {
        return None;
    }
    Some(SnapshotKnobs {
        entries: pick(random, &[1, 5, 20, 100]),
        bytes: pick(random, &[300, 3000, 1 << 30]),
        keep_entries: pick(random, &[0, 1, 10, 50]),
        keep_bytes: pick(random, &[0, 1000, 1 << 30]),
        piece_bytes: pick(random, &[15, 50, 1000]),
        window_bytes: pick(random, &[1, 60, 4000]),
        rate: pick(random, &[None, None, None, Some(5000)]),
    })
}

/// Machines that are durable by themselves, in a third of all runs.
fn marks(random: &mut Rng) -> Option<MarkKnobs> {
    one_in(random, 3).then(|| MarkKnobs {
        entries: pick(random, &[1, 7, 50, 1 << 30]),
        bytes: pick(random, &[1, 1000, 1 << 30]),
        idle: pick(random, &[MS, 100 * MS, 3600 * SECOND]),
    })
}

fn network(random: &mut Rng, knobs: &mut Knobs) {
    knobs.latency_max = pick(random, &[300_000, MS, 5 * MS, 30 * MS]);
    if on(random) {
        knobs.loss = pick(random, &[1000, 10_000, 50_000, 300_000]);
    }
    if on(random) {
        knobs.duplicate = pick(random, &[10_000, 100_000, 500_000]);
    }
    knobs.reorder = on(random);
    if on(random) {
        knobs.late = pick(random, &[1000, 20_000]);
        knobs.late_max = pick(random, &[100 * MS, 3 * SECOND]);
    }
}

fn calls(random: &mut Rng, nanos: u64) -> Vec<PlannedCall> {
    let gap = pick(random, &[5 * MS, 20 * MS, 50 * MS, 200 * MS]);
    let reads = random.u32(0..100);
    let mut calls = Vec::new();
    let mut at = random.u64(0..SECOND);
    while at < nanos {
        let patience = pick(random, &[100 * MS, 500 * MS, 2 * SECOND, 4 * SECOND]);
        let read = random.u32(0..100) < reads;
        calls.push(PlannedCall { at, seed: random.u64(..), read, patience });
        // Now and then many at once.
        at += if one_in(random, 10) { 0 } else { random.u64(0..=2 * gap) };
    }
    calls
}

/// Clients with sessions, in half of all runs.
fn sessions(random: &mut Rng, nanos: u64) -> Vec<PlannedSession> {
    let count = if on(random) { random.usize(1..5) } else { 0 };
    let timeouts = [300 * MS, 2 * SECOND, 3600 * SECOND];
    let session = |random: &mut Rng| PlannedSession {
        at: random.u64(0..nanos / 2),
        timeout: pick(random, &timeouts),
        calls: (0..random.u32(5..60)).map(|_| session_call(random)).collect(),
    };
    (0..count).map(|_| session(random)).collect()
}

fn session_call(random: &mut Rng) -> SessionCall {
    // Now and then it rests for longer than some sessions live.
    let gap = if one_in(random, 8) { random.u64(0..SECOND) } else { random.u64(0..50 * MS) };
    SessionCall {
        seed: random.u64(..),
        patience: pick(random, &[30 * MS, 100 * MS, 500 * MS, 2 * SECOND]),
        gap,
        twice: one_in(random, 3),
        gives_up: one_in(random, 6),
    }
}

struct Faults {
    random: Rng,
    nodes: usize,
    limits: Limits,
    made: Vec<(u64, Fault)>,
}

impl Faults {
    fn make(mut self) -> Vec<(u64, Fault)> {
        // Most clusters may form in peace; a quarter may not.
        let from = if one_in(&mut self.random, 4) { 0 } else { 2 * SECOND };
        let classes: [fn(&mut Self) -> Fault; 8] = [
            Self::crash,
            Self::crash_at,
            Self::cut,
            Self::clog,
            Self::stand_still,
            Self::slow_disk,
            Self::broken_disk,
            Self::late_answers,
        ];
        for class in classes {
            if !on(&mut self.random) {
                continue;
            }
            let gap = pick(&mut self.random, &[300 * MS, SECOND, 3 * SECOND]);
            let mut at = from + self.random.u64(0..gap);
            while at < self.limits.nanos {
                let fault = class(&mut self);
                self.made.push((at, fault));
                at += self.random.u64(gap / 4..=gap * 2);
            }
        }
        if self.limits.mode != Mode::Crash {
            self.damage(from);
        }
        self.made.sort_by_key(|(at, _)| *at);
        self.made
    }

    /// Members come and go. Who wants to be a learner from then on. Where disks are damaged, or one node is
    /// all there is, nobody does.
    fn churn(&mut self) -> Option<usize> {
        if self.nodes < 2 || self.limits.mode != Mode::Crash || !on(&mut self.random) {
            return None;
        }
        let gap = pick(&mut self.random, &[500 * MS, SECOND, 3 * SECOND]);
        let mut at = 2 * SECOND + self.random.u64(0..gap);
        while at < self.limits.nanos {
            let stays = if one_in(&mut self.random, 4) { u64::MAX } else { self.nanos() };
            let (asked, who) = (self.who(), self.who());
            let asked = if self.random.bool() { Who::Leader } else { asked };
            let fault = match self.random.u32(0..8) {
                0..4 => Fault::Remove { asked, who, stays },
                4..6 => Fault::Move { who, down: self.nanos() },
                _ => Fault::Replace { asked, who, by: self.who(), stays },
            };
            self.made.push((at, fault));
            if one_in(&mut self.random, 3) {
                self.amid_change(at);
            }
            at += self.random.u64(gap / 4..=gap * 2);
        }
        one_in(&mut self.random, 4).then(|| self.random.usize(0..self.nodes))
    }

    /// Aimed: something happens while the members are joint, or just before.
    fn amid_change(&mut self, at: u64) {
        let sides = self.random.u64(..) & ((1 << self.nodes) - 1);
        let (down, reset) = (self.nanos(), self.random.bool());
        let cut = |cut| Fault::Cut { cut, reset, nanos: down };
        let fault = match self.random.u32(0..4) {
            0 => Fault::Crash { who: Who::Leader, power: true, down },
            1 => cut(Cut::Isolate(Who::Leader)),
            2 => cut(Cut::Isolate(self.who())),
            _ => cut(Cut::Split(sides)),
        };
        let at = at + self.random.u64(0..40 * MS);
        self.made.push((at, fault));
    }

    /// One node loses its folder, and comes back with an empty one. Whether it does: not where fewer than
    /// three are left without it.
    fn wipe(&mut self) -> bool {
        let may =
            self.nodes > 2 && self.limits.mode == Mode::Crash && self.limits.nanos > 4 * SECOND;
        if !may || !one_in(&mut self.random, 4) {
            return false;
        }
        let who = Who::Node(self.random.usize(0..self.nodes));
        let at = self.random.u64(3 * SECOND..self.limits.nanos);
        let (damage, place, down) = (Damage::Wipe, 0, self.nanos());
        self.made.push((at, Fault::Damage { who, damage, place, down }));
        true
    }

    fn who(&mut self) -> Who {
        match self.random.u32(0..3) {
            0 => Who::Leader,
            1 => Who::Follower(self.random.usize(0..self.nodes)),
            _ => Who::Node(self.random.usize(0..self.nodes)),
        }
    }

    /// Some time: mostly around an election timeout, sometimes long.
    fn nanos(&mut self) -> u64 {
        let most = pick(&mut self.random, &[50 * MS, 300 * MS, SECOND, 4 * SECOND]);
        self.random.u64(MS..most)
    }

    fn crash(&mut self) -> Fault {
        let (who, down) = (self.who(), self.nanos());
        Fault::Crash { who, power: self.random.bool(), down }
    }

    fn crash_at(&mut self) -> Fault {
        let (who, down) = (self.who(), self.nanos());
        let operations = self.random.u64(0..4);
        let point = match self.random.u32(0..6) {
            0 => Point::BeforeWrite,
            1 => Point::InWrite(operations),
            2 => Point::AfterWrite,
            3 => Point::AfterSend,
            4 => Point::AfterJob,
            _ => Point::InRecovery(self.random.u64(0..12)),
        };
        Fault::CrashAt { who, point, after: self.random.u32(0..20), down }
    }

    fn cut(&mut self) -> Fault {
        let (who, nanos, nodes) = (self.who(), self.nanos(), self.nodes);
        let sides = self.random.u64(..) & ((1 << nodes) - 1);
        let [one, other] = [0, 0].map(|_| self.random.usize(0..nodes));
        let cut = match self.random.u32(0..9) {
            0 => Cut::Isolate(Who::Leader),
            1 => Cut::Isolate(who),
            2 => Cut::Outbound(who),
            3 => Cut::Inbound(who),
            4 => Cut::Split(sides),
            5 => Cut::Bridge { node: one, sides },
            6 => Cut::Ring,
            7 => Cut::Way { from: one, to: other },
            _ => Cut::Pair { one, other },
        };
        Fault::Cut { cut, reset: self.random.bool(), nanos }
    }

    fn clog(&mut self) -> Fault {
        let [from, to] = [0, 0].map(|_| self.random.usize(0..self.nodes));
        Fault::Clog { from, to, nanos: self.nanos() }
    }

    /// Aimed: in about the time in which the others find another leader.
    fn late_answers(&mut self) -> Fault {
        Fault::LateAnswers { who: Who::Leader, nanos: self.random.u64(100 * MS..500 * MS) }
    }

    fn stand_still(&mut self) -> Fault {
        let (who, nanos) = (self.who(), self.nanos());
        if one_in(&mut self.random, 4) {
            Fault::Leap { who, nanos: pick(&mut self.random, &[100 * MS, SECOND, 3600 * SECOND]) }
        } else {
            Fault::Pause { who, nanos }
        }
    }

    fn slow_disk(&mut self) -> Fault {
        let (who, nanos) = (self.who(), self.nanos());
        let each = pick(&mut self.random, &[20 * MS, 200 * MS, 360 * MS, 10 * SECOND]);
        if one_in(&mut self.random, 5) {
            Fault::SlowDisks { each: each.min(400 * MS), nanos }
        } else {
            // Aimed: a leader that does not notice its own disk.
            let who = if self.random.bool() { Who::Leader } else { who };
            Fault::SlowDisk { who, each, nanos }
        }
    }

    fn broken_disk(&mut self) -> Fault {
        let (who, nanos) = (self.who(), self.nanos());
        match self.random.u32(0..6) {
            0..=2 => Fault::FullDisk { who, nanos },
            3 => Fault::FailSync { who, nth: self.random.u64(1..8) },
            4 => Fault::FailWrite { who, nth: self.random.u64(1..8) },
            _ => Fault::FailReads { who, count: self.random.u64(1..9) },
        }
    }

    /// What an operator does: lets others lead, and stops nodes.
    fn operate(mut self) -> Vec<(u64, Fault)> {
        if on(&mut self.random) {
            let gap = pick(&mut self.random, &[100 * MS, 400 * MS, 2 * SECOND]);
            let mut at = self.random.u64(SECOND..3 * SECOND);
            while at < self.limits.nanos {
                let fault = match self.random.u32(0..6) {
                    0 => Fault::Leave { who: self.who(), down: self.nanos() },
                    _ => self.transfer(),
                };
                self.made.push((at, fault));
                at += self.random.u64(gap / 4..=gap * 2);
            }
        }
        self.made
    }

    /// Snapshots on request, and backups, at any time and of any node.
    fn copy(mut self) -> Vec<(u64, Fault)> {
        if on(&mut self.random) {
            let gap = pick(&mut self.random, &[100 * MS, 500 * MS, 2 * SECOND]);
            let mut at = self.random.u64(SECOND..3 * SECOND);
            while at < self.limits.nanos {
                let who = self.who();
                let piece = pick(&mut self.random, &[1 << 20, 400, 60]);
                let is_whole = one_in(&mut self.random, 3);
                let fault =
                    if is_whole { Fault::BackUp { who, piece } } else { Fault::Snapshot { who } };
                self.made.push((at, fault));
                at += self.random.u64(gap / 4..=gap * 2);
            }
        }
        self.made
    }

    fn transfer(&mut self) -> Fault {
        let ask = if one_in(&mut self.random, 5) { self.who() } else { Who::Leader };
        let to = match self.random.u32(0..8) {
            0 => Successor::Nobody,
            1..3 => Successor::Anybody,
            _ => Successor::Node(self.who()),
        };
        Fault::Transfer { ask, to }
    }

    /// Damage: of a minority, or of anything.
    fn damage(&mut self, from: u64) {
        let most = match self.limits.mode {
            Mode::Unlimited | Mode::Recoverable => self.nodes,
            Mode::Crash => 0,
        };
        let first = self.random.usize(0..self.nodes);
        let detected = [Damage::FlipBit, Damage::ZeroSector, Damage::LoseFile];
        let kinds: &[Damage] = match self.limits.mode {
            Mode::Unlimited if one_in(&mut self.random, 3) => return self.lies(from),
            Mode::Unlimited if self.random.bool() => &[Damage::RollBack, Damage::Wipe],
            _ => &detected,
        };
        for _ in 0..self.random.u32(1..5) {
            if most == 0 || self.limits.nanos <= from {
                return;
            }
            let node = (first + self.random.usize(0..most)) % self.nodes;
            let fault = Fault::Damage {
                who: Who::Node(node),
                damage: pick(&mut self.random, kinds),
                place: self.random.u64(..),
                down: self.nanos(),
            };
            let at = self.random.u64(from..self.limits.nanos);
            self.made.push((at, fault));
        }
    }

    /// Disks that lie.
    fn lies(&mut self, from: u64) {
        for _ in 0..self.random.u32(1..9) {
            let lie = match self.random.u32(0..3) {
                0 => Lie::Syncs(self.random.u64(1..20)),
                1 => Lie::Astray(self.random.u64(1..20)),
                _ => Lie::Stale(self.nanos()),
            };
            let (who, place) = (self.who(), self.random.u64(..));
            let at = self.random.u64(from.min(self.limits.nanos - 1)..self.limits.nanos);
            self.made.push((at, Fault::Lie { who, lie, place }));
        }
    }
}
