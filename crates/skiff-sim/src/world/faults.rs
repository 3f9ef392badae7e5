//! Lets go wrong what is planned to.

use skiff_wal::disk::{Disk, sim::SimDisk};

use super::{Step, World, queue::Event};
use crate::{
    plan::{Cut, Damage, Fault, Lie, Mode, Point, Who},
    workload::Workload,
};

impl<W: Workload> World<'_, '_, W> {
    /// Whom this strikes now.
    pub(super) fn find(&self, who: Who) -> usize {
        let count = self.nodes.len();
        match who {
            Who::Node(node) => node % count,
            Who::Leader => self.leader().unwrap_or(0),
            Who::Follower(places) => {
                (self.leader().unwrap_or(0) + 1 + places % count.max(2).saturating_sub(1)) % count
            }
        }
    }

    /// Who leads in the highest term.
    pub(super) fn leader(&self) -> Option<usize> {
        let term = |node: usize| {
            let raft = self.nodes[node].process.as_ref()?.replica.raft()?;
            raft.is_leader().then(|| raft.term())
        };
        (0..self.nodes.len()).filter(|node| term(*node).is_some()).max_by_key(|node| term(*node))
    }

    pub(super) fn fault(&mut self, number: usize) -> Step {
        if self.calm {
            return Ok(());
        }
        let (_, fault) = self.plan.faults[number];
        let now = self.now;
        let until = |nanos: u64| now.saturating_add(nanos);
        match fault {
            Fault::Crash { who, power, down } => {
                let node = self.find(who);
                self.end_process(node, power, down);
            }
            Fault::CrashAt { who, point, after, down } => {
                let node = self.find(who);
                self.nodes[node].armed.push((point, after, down));
                // For a recovery to fail there must be one.
                if matches!(point, Point::InRecovery(_)) {
                    self.nodes[node].armed.retain_mut(|(point, after, _)| {
                        *after = if matches!(point, Point::InRecovery(_)) { 0 } else { *after };
                        true
                    });
                    self.end_process(node, true, down);
                }
            }
            Fault::Pause { who, nanos } => {
                let (node, at) = (self.find(who), until(nanos));
                if self.nodes[node].process.is_some() && self.nodes[node].paused.is_none() {
                    self.reached.pauses += 1;
                    self.nodes[node].paused = Some(Vec::new());
                    self.trace(node, |_| "stands still".to_owned());
                    self.queue.push(at, node, 0, Event::Resume);
                }
            }
            Fault::Leap { who, nanos } => {
                let node = self.find(who);
                self.reached.leaps += 1;
                self.nodes[node].clock.leap(nanos);
                self.trace(node, |_| format!("its clock leaps {nanos} ns ahead"));
                if self.nodes[node].paused.is_none() {
                    self.wake(node);
                    return self.drain(node);
                }
            }
            Fault::Cut { nanos, .. } => {
                let at = until(nanos);
                self.cut(number);
                self.queue.push(at, 0, 0, Event::Mend(number));
            }
            Fault::Clog { from, to, nanos } => {
                let until = until(nanos);
                let count = self.nodes.len();
                self.network.way(from % count, to % count).clogged_until = until;
            }
            Fault::LateAnswers { who, nanos } => {
                let (node, late, at) = (self.find(who), until(nanos), until(3 * nanos));
                let others = (0..self.nodes.len()).filter(|other| *other != node);
                let ways: Vec<_> = others.map(|other| (node, other)).collect();
                for (_, other) in &ways {
                    self.network.way(*other, node).clogged_until = late;
                    self.network.cut(node, *other);
                }
                self.reached.late_answers += 1;
                self.trace(node, |_| "what it is sent is late, what it sends is lost".to_owned());
                self.cuts.push((number, ways));
                self.queue.push(at, 0, 0, Event::Mend(number));
            }
            Fault::SlowDisk { who, each, nanos } => {
                let (node, until) = (self.find(who), until(nanos));
                self.nodes[node].slow = (each, until);
            }
            Fault::SlowDisks { each, nanos } => {
                let until = until(nanos);
                self.nodes.iter_mut().for_each(|node| node.slow = (each, until));
            }
            Fault::Remove { asked, who, stays } => {
                let (asked, node) = (self.find(asked), self.find(who));
                if stays < u64::MAX {
                    self.queue.push(until(stays), node, 0, Event::Comeback);
                }
                return self.ask_to_remove(asked, node);
            }
            Fault::Replace { asked, who, by, stays } => {
                let (asked, node, by) = (self.find(asked), self.find(who), self.find(by));
                if stays < u64::MAX {
                    self.queue.push(until(stays), node, 0, Event::Comeback);
                }
                return self.ask_to_replace(asked, node, by);
            }
            Fault::Move { who, down } => {
                let node = self.find(who);
                self.move_away(node, down);
            }
            Fault::FullDisk { who, nanos } => {
                let (node, at) = (self.find(who), until(nanos));
                self.nodes[node].may_stop = true;
                self.nodes[node].disk.limit(Some(0));
                self.queue.push(at, node, 0, Event::Mend(number));
            }
            Fault::FailSync { who, nth } => {
                let node = self.find(who);
                self.nodes[node].may_stop = true;
                self.nodes[node].disk.fail_sync(nth);
            }
            Fault::FailWrite { who, nth } => {
                let node = self.find(who);
                self.nodes[node].may_stop = true;
                self.nodes[node].disk.fail_write(nth);
            }
            Fault::FailReads { who, count } => {
                let node = self.find(who);
                self.nodes[node].may_stop = true;
                self.nodes[node].disk.fail_reads(count);
            }
            Fault::Damage { who, damage, place, down } => {
                let node = self.find(who);
                // Two at once can hide each other: a segment that is gone, and its announcement.
                let runs = self.nodes[node].process.is_some();
                let hurt = !runs && self.nodes[node].is_damaged;
                let rots = runs && place >> 40 & 1 == 1 && damage.is_of_bytes();
                if rots {
                    self.damage(node, damage, place);
                } else if damage == Damage::Wipe && self.plan.mode == Mode::Crash {
                    self.lose_folder(node, place, until(down));
                } else if !hurt {
                    self.end_process(node, true, u64::MAX);
                    self.damage(node, damage, place);
                    let at = until(down);
                    self.queue.push(at, node, 0, Event::Start);
                }
            }
            Fault::Transfer { ask, to } => {
                let node = self.find(ask);
                return self.ask_for_transfer(node, to).map(drop);
            }
            Fault::Snapshot { who } => {
                let node = self.find(who);
                return self.ask_for_snapshot(node);
            }
            Fault::BackUp { who, piece } => {
                let node = self.find(who);
                return self.begin_copy(node, piece);
            }
            Fault::Leave { who, down } => {
                let node = self.find(who);
                return self.tell_to_leave(node, down);
            }
            Fault::Lie { who, lie, place } => {
                let node = self.find(who);
                self.lie(node, lie, place);
            }
        }
        Ok(())
    }

    /// The ways that a cut closes.
    fn ways(&self, cut: Cut) -> Vec<(usize, usize)> {
        let count = self.nodes.len();
        let side = |sides: u64, node: usize| sides >> node & 1;
        let all = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
        let all = all.filter(|(from, to)| from != to);
        match cut {
            Cut::Isolate(who) => {
                let node = self.find(who);
                all.filter(|(from, to)| *from == node || *to == node).collect()
            }
            Cut::Outbound(who) => {
                let node = self.find(who);
                all.filter(|(from, _)| *from == node).collect()
            }
            Cut::Inbound(who) => {
                let node = self.find(who);
                all.filter(|(_, to)| *to == node).collect()
            }
            Cut::Split(sides) => {
                all.filter(|(from, to)| side(sides, *from) != side(sides, *to)).collect()
            }
            Cut::Bridge { node, sides } => all
                .filter(|(from, to)| *from != node && *to != node)
                .filter(|(from, to)| side(sides, *from) != side(sides, *to))
                .collect(),
            Cut::Ring => all
                .filter(|(from, to)| (from + 1) % count != *to && (to + 1) % count != *from)
                .collect(),
            Cut::Way { from, to } => vec![(from % count, to % count)],
            Cut::Pair { one, other } => {
                let (one, other) = (one % count, other % count);
                vec![(one, other), (other, one)]
            }
        }
    }

    fn cut(&mut self, number: usize) {
        let (_, Fault::Cut { cut, reset, .. }) = self.plan.faults[number] else { return };
        let ways = self.ways(cut);
        self.reached.cuts += 1;
        self.trace(0, |_| format!("cut: {ways:?}"));
        for (from, to) in &ways {
            self.network.cut(*from, *to);
            if reset {
                for end in self.network.break_between(*from, *to) {
                    let run = self.nodes[end.node].run;
                    self.queue.push(self.now, end.node, run, Event::Down { link: end.link });
                }
            }
        }
        self.cuts.push((number, ways));
    }

    /// A fault of the plan ends.
    pub(super) fn mend(&mut self, number: usize, node: usize) {
        match self.plan.faults[number].1 {
            Fault::FullDisk { .. } => self.nodes[node].disk.limit(None),
            _ => {
                let Some(at) = self.cuts.iter().position(|(one, _)| *one == number) else { return };
                let (_, ways) = self.cuts.remove(at);
                ways.into_iter().for_each(|(from, to)| self.network.mend(from, to));
            }
        }
    }

    /// Damages what is on a disk.
    pub(super) fn damage(&mut self, node: usize, damage: Damage, place: u64) {
        self.trace(node, |_| format!("its disk is damaged: {damage:?}"));
        let state = &mut self.nodes[node];
        match damage {
            Damage::Wipe => {
                state.disk = SimDisk::new();
                state.store.wipe();
                state.wiped += 1;
                self.judges.wiped(node);
                self.watch_wiped(node);
                // With nothing left of the first cluster there may be a second.
                self.judges.lenient |= self.nodes.iter().all(|node| node.wiped > 0);
            }
            Damage::RollBack => {
                let older = state.image.take().unwrap_or_else(|| state.disk.fork());
                state.image = Some(state.disk.fork());
                state.disk = older;
                state.is_damaged = true;
                self.judges.lenient = true;
            }
            Damage::FlipBit | Damage::ZeroSector | Damage::LoseFile => {
                if !self.damage_file(node, damage, place) {
                    return;
                }
            }
        }
        self.reached.damages += 1;
    }

    /// From now on a disk does not do what it says. What only honest disks can promise is not judged
    /// any more.
    fn lie(&mut self, node: usize, lie: Lie, place: u64) {
        let mut files = self.nodes[node].disk.list().unwrap_or_default();
        files.sort();
        let count = files.len().max(1) as u64;
        let file = usize::try_from(place % count).ok().and_then(|n| files.get(n).cloned());
        let Some(file) = file else { return };
        self.trace(node, |_| format!("its disk begins to lie: {lie:?}, {file}"));
        self.judges.lenient = true;
        self.reached.lies += 1;
        self.nodes[node].is_damaged = true;
        match lie {
            Lie::Syncs(count) => self.nodes[node].disk.lie_syncs(count),
            Lie::Astray(nth) => {
                let disk = &self.nodes[node].disk;
                let size = disk.content(&file).map_or(1, |content| content.len() as u64).max(1);
                disk.misdirect_write(nth, &file, place / count % size / 512 * 512);
            }
            Lie::Stale(down) => {
                self.end_process(node, false, down);
                let state = &mut self.nodes[node];
                let older = state.image.take().unwrap_or_else(|| state.disk.fork());
                state.image = Some(state.disk.fork());
                state.disk.stale_reads(&file, 0..u64::MAX, &older.image(), 0..u64::MAX);
            }
        }
    }

    /// Damages a file; not if that could not be told from a torn end: that a batch which nothing
    /// followed was synced, nobody can know.
    fn damage_file(&mut self, node: usize, damage: Damage, place: u64) -> bool {
        let disk = &self.nodes[node].disk;
        let mut files = disk.list().unwrap_or_default();
        files.sort();
        let Some(name) =
            usize::try_from(place).ok().and_then(|n| files.get(n % files.len().max(1)).cloned())
        else {
            return false;
        };
        self.trace(node, |_| format!("what is damaged is {name}, place {place}"));
        let damaged = self.nodes[node].disk.fork();
        damaged.kill();
        if damage == Damage::LoseFile {
            damaged.take_away(&name);
        } else {
            let mut content = damaged.content(&name).unwrap_or_default();
            if content.is_empty() {
                return false;
            }
            let at = usize::try_from(place / 7 % content.len() as u64).unwrap_or(0);
            if damage == Damage::FlipBit {
                content[at] ^= 1 << (place % 8);
            } else {
                let from = at / 512 * 512;
                let to = content.len().min(from + 512);
                content[from..to].fill(0);
            }
            damaged.put(&name, content);
        }
        if self.looks_torn(node, &damaged) || !self.stays_recoverable(node, &damaged) {
            return false;
        }
        if self.nodes[node].process.is_some() {
            // It runs on, and finds out when it reads it.
            let content = damaged.content(&name).unwrap_or_default();
            self.nodes[node].disk.put(&name, content);
        } else {
            self.nodes[node].disk = damaged;
        }
        self.nodes[node].is_damaged = true;
        let left = self.nodes[node].disk.list().unwrap_or_default();
        if left.iter().all(|name| name == "LOCK") {
            // Nothing tells it from a new one any more.
            self.damage(node, Damage::Wipe, place);
        }
        true
    }

    /// Whether a damaged folder looks as if only its last write had been torn.
    fn looks_torn(&self, node: usize, damaged: &SimDisk) -> bool {
        let sound = self.nodes[node].disk.fork();
        sound.kill();
        let damaged = damaged.fork();
        let (Ok(sound), Ok(damaged)) = (self.open(node, &sound), self.open(node, &damaged)) else {
            return false;
        };
        let (sound, damaged) = (sound.recovered, damaged.recovered);
        let differs = sound.last != damaged.last || sound.hard_state != damaged.hard_state;
        differs && damaged.last.index >= self.judges.ledgers[node].before_last
    }
}
