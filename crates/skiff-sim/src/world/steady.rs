//! When faults have ended and a leader is found, it must stay: nothing is left that could be a reason
//! for another election. And while it does, whoever asks is answered, and nobody makes a stir.

use skiff_replica::{Term, core::Raft};

use super::{Step, World, healing::TIMEOUT, queue::Event};
use crate::{
    plan::{Ailment, MS, Mode, PlannedCall, SECOND},
    workload::Workload,
};

/// For so many election timeouts a leader must keep its office.
const TIMEOUTS: u64 = 10;
/// How often a command is asked for meanwhile.
const CALLS_EVERY: u64 = 50 * MS;
/// With slow disks, several entries must go in one write.
const ROOMY: usize = 2_000;
/// So many messages a node may send in each of them, on average: signs of life, and what the calls need.
/// It is about three times what was ever seen.
const SENDS_MAX: u64 = 200;
/// So often its clock may wake it. It is about five times what was ever seen.
const WAKES_MAX: u64 = 50;
/// A disk that stands still does so for this long.
const STUCK: u64 = 3600 * SECOND;

/// The leader that was found, and until when it must stay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steady {
    leader: usize,
    /// The highest term of all when it was found.
    term: Term,
    until: u64,
    next_call: u64,
}

impl<W: Workload> World<'_, '_, W> {
    /// What the plan wants to stay wrong, if the cluster can be asked to bear it: that depends on its
    /// settings, and on whether there are others. And whom it strikes.
    pub(super) fn ailment(&self) -> (Ailment, Option<usize>) {
        let knobs = &self.plan.knobs;
        let (fair, who) = match self.plan.ailment {
            Ailment::None => (false, None),
            Ailment::Deaf(who) => (knobs.check_quorum && knobs.refuse_while_led, Some(who)),
            Ailment::Away(who) => (knobs.pre_vote && knobs.refuse_while_led, Some(who)),
            Ailment::Stuck(who) => (true, Some(who)),
            // Entry by entry, it would take as long as it takes.
            Ailment::SlowDisks(_) => (knobs.write_bytes.min(knobs.append_bytes) >= ROOMY, None),
        };
        let formed = (0..self.nodes.len()).all(|node| self.is_member(node));
        let is_sound = self.plan.mode == Mode::Crash && self.watch.is_none();
        if fair && formed && is_sound && self.nodes.len() > 2 {
            (self.plan.ailment, who.map(|who| self.find(who)))
        } else {
            (Ailment::None, None)
        }
    }

    pub(super) fn fall_ill(&mut self, ailment: Ailment, node: Option<usize>) {
        self.trace(node.unwrap_or(0), |_| format!("what stays: {ailment:?}"));
        let all = 0..self.nodes.len();
        match (ailment, node) {
            (Ailment::Deaf(_), Some(node)) => {
                self.reached.deaf += 1;
                all.filter(|from| *from != node).for_each(|from| self.network.cut(from, node));
            }
            (Ailment::Away(_), Some(node)) => {
                self.reached.away += 1;
                for other in all.filter(|other| *other != node) {
                    self.network.cut(other, node);
                    self.network.cut(node, other);
                }
            }
            (Ailment::Stuck(_), Some(node)) => {
                self.reached.stuck += 1;
                self.nodes[node].slow = (STUCK, u64::MAX);
            }
            (Ailment::SlowDisks(each), _) => {
                self.reached.slow_clusters += 1;
                self.nodes.iter_mut().for_each(|node| node.slow = (each, u64::MAX));
            }
            _ => {}
        }
    }

    /// A leader has been found, and commands and reads are answered.
    pub(super) fn settle(&mut self, leader: usize) {
        if let Ailment::Away(_) = self.healing.ailment {
            self.network.mend_all();
        }
        let term = self.highest_term();
        let until = self.now + TIMEOUTS * TIMEOUT;
        self.healing.steady = Some(Steady { leader, term, until, next_call: self.now });
    }

    fn highest_term(&self) -> Term {
        let nodes = self.nodes.iter().filter_map(|node| node.process.as_ref()?.replica.raft());
        nodes.map(Raft::term).max().unwrap_or_default()
    }

    /// Asks the leader for a command, and somebody for a read, and, where commands are passed on, for a
    /// command too.
    fn ask_all(&mut self, leader: usize) -> Step {
        let place = self.random.client.usize(0..self.healing.left.len());
        let anybody = self.healing.left[place];
        let passes_on = if self.plan.knobs.forward { anybody } else { leader };
        for (number, node, read) in [(0, leader, false), (1, anybody, true), (2, passes_on, false)]
        {
            let seed = crate::random::mix(self.plan.seed ^ self.now ^ (number << 60));
            let call = PlannedCall { at: self.now, seed, read, patience: SECOND };
            let attempt = self.ask(node, call, None, 0)?;
            self.healing.asked.extend(attempt);
        }
        Ok(())
    }

    /// Where nothing changed, everybody who asked must have been answered: not just refused in time.
    fn is_served(&self) -> Step {
        if matches!(self.healing.ailment, Ailment::SlowDisks(_)) {
            return Ok(()); // Those who ask have no patience for as long as that takes.
        }
        let asked = self.healing.asked.iter().map(|number| &self.attempts[*number]);
        let mut due = asked.filter(|attempt| attempt.was_due(self.now));
        match due.find(|attempt| !attempt.is_served()) {
            Some(attempt) => {
                let text =
                    format!("nothing is wrong, and {attempt:?} got no answer: {}", self.describe());
                Err(self.failure("liveness", text))
            }
            None => Ok(()),
        }
    }

    /// Whether no more was said, and nobody more often awake, than there was reason for.
    fn is_quiet(&self) -> Step {
        let times = self.nodes.len() as u64 * TIMEOUTS;
        let (sends, wakes) = (self.healing.sends, self.healing.wakes);
        if sends > SENDS_MAX * times || wakes > WAKES_MAX * times {
            let text =
                format!("nothing is wrong, and {sends} messages and {wakes} wakings came of it");
            return Err(self.failure("no_storm", text));
        }
        Ok(())
    }

    /// Looks whether the leader still is one.
    pub(super) fn is_steady(&mut self, mut steady: Steady) -> Step {
        if let Some(handing) = self.healing.handing {
            return self.hand_over(handing);
        }
        let (leader, term) = (self.leader(), self.highest_term());
        let fine = match self.healing.ailment {
            Ailment::Away(_) => term.0 <= steady.term.0 + 1,
            _ => leader == Some(steady.leader),
        };
        if !fine {
            let (was, before) = (steady.leader, steady.term);
            let text = format!(
                "n{was} led, the highest term was {before}, and nothing changed since: {}",
                self.describe()
            );
            return Err(self.failure("liveness", text));
        }
        if self.now >= steady.until {
            let changed = leader != Some(steady.leader) || term != steady.term;
            if !changed {
                self.is_served()?;
            }
            self.is_quiet()?;
            self.resolve_doubts()?;
            return self.begin_to_hand_over(steady.leader);
        }
        if self.now >= steady.next_call
            && let Some(leader) = leader
        {
            steady.next_call = self.now + CALLS_EVERY;
            self.ask_all(leader)?;
        }
        self.healing.steady = Some(steady);
        self.queue.push(self.now + super::healing::EVERY, 0, 0, Event::Probe);
        Ok(())
    }
}
