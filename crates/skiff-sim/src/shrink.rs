//! Makes a failing plan small: first without faults, then without calls, then with fewer nodes, less
//! time, plainer settings, for as long as the same judge sees the same.

use crate::{
    failure::Failure,
    plan::{Ailment, Knobs, Plan},
    run::run,
    workload::Workload,
};

/// What became of a plan.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest plan found that fails.
    pub plan: Plan,
    /// How it fails.
    pub failure: Failure,
    /// How many things happen in it.
    pub events: u64,
    /// How many plans were tried.
    pub tried: u64,
}

/// Shrinks a plan that fails; `None` if it does not. `go_on` is asked before each try, with the
/// smallest found so far, and ends the search by answering no.
pub fn shrink<W: Workload>(
    plan: &Plan,
    workload: &W,
    mut go_on: impl FnMut(&Shrunk) -> bool,
) -> Option<Shrunk> {
    let report = run(plan, workload);
    let (failure, events) = (report.failure?, report.events);
    let mut best = Shrunk { plan: plan.clone(), failure, events, tried: 1 };
    let mut attempt = |best: &mut Shrunk, plan: Plan| -> Option<bool> {
        if !go_on(best) {
            return None;
        }
        best.tried += 1;
        let report = run(&plan, workload);
        let same = report.failure.filter(|failure| failure.judge == best.failure.judge);
        let Some(failure) = same else { return Some(false) };
        (best.plan, best.failure, best.events) = (plan, failure, report.events);
        Some(true)
    };
    loop {
        let before = best.plan.clone();
        let done = pass(&mut best, &mut attempt);
        if done.is_none() || best.plan == before {
            return Some(best);
        }
    }
}

/// Tries everything once. `None` if there is no more time.
fn pass(
    best: &mut Shrunk,
    attempt: &mut impl FnMut(&mut Shrunk, Plan) -> Option<bool>,
) -> Option<()> {
    let at = best.failure.at;
    let mut plan = best.plan.clone();
    plan.faults.retain(|(from, _)| *from <= at);
    plan.calls.retain(|call| call.at <= at);
    attempt(best, plan)?;
    thin(best, attempt, |plan| plan.faults.len(), |plan, range| drop(plan.faults.drain(range)))?;
    thin(best, attempt, |plan| plan.calls.len(), |plan, range| drop(plan.calls.drain(range)))?;
    while best.plan.nodes > 1 {
        let mut plan = best.plan.clone();
        plan.nodes -= 1;
        if !attempt(best, plan)? {
            break;
        }
    }
    for nanos in [best.plan.nanos / 4, best.plan.nanos / 2, best.plan.nanos / 4 * 3] {
        let plan = Plan { nanos, ..best.plan.clone() };
        attempt(best, plan)?;
    }
    if best.plan.ailment != Ailment::None {
        let plan = Plan { ailment: Ailment::None, ..best.plan.clone() };
        attempt(best, plan)?;
    }
    for plainer in PLAINER {
        let mut plan = best.plan.clone();
        let plain = Knobs::plain(plan.nodes);
        plainer(&mut plan.knobs, &plain);
        if plan != best.plan {
            attempt(best, plan)?;
        }
    }
    Some(())
}

/// Leaves things out: halves first, then ever smaller pieces, down to single ones.
fn thin(
    best: &mut Shrunk,
    attempt: &mut impl FnMut(&mut Shrunk, Plan) -> Option<bool>,
    len: fn(&Plan) -> usize,
    leave_out: fn(&mut Plan, std::ops::Range<usize>),
) -> Option<()> {
    let mut size = len(&best.plan);
    while size > 0 {
        let mut from = 0;
        while from < len(&best.plan) {
            let mut plan = best.plan.clone();
            leave_out(&mut plan, from..(from + size).min(len(&best.plan)));
            if !attempt(best, plan)? {
                from += size;
            }
        }
        size /= 2;
    }
    Some(())
}

/// Makes one group of settings plain.
type Plainer = fn(&mut Knobs, &Knobs);

const PLAINER: [Plainer; 10] = [
    |knobs, plain| knobs.clocks.clone_from(&plain.clocks),
    |knobs, plain| (knobs.loss, knobs.duplicate) = (plain.loss, plain.duplicate),
    |knobs, plain| (knobs.late, knobs.late_max) = (plain.late, plain.late_max),
    |knobs, plain| knobs.reorder = plain.reorder,
    |knobs, plain| knobs.forming = plain.forming,
    |knobs, plain| knobs.forward = plain.forward,
    |knobs, plain| (knobs.pre_vote, knobs.check_quorum) = (plain.pre_vote, plain.check_quorum),
    |knobs, plain| (knobs.refuse_while_led, knobs.noop) = (plain.refuse_while_led, plain.noop),
    |knobs, plain| {
        knobs.window_messages = plain.window_messages;
        knobs.window_bytes = plain.window_bytes;
        knobs.append_bytes = plain.append_bytes;
        knobs.write_bytes = plain.write_bytes;
        knobs.apply_bytes = plain.apply_bytes;
        knobs.cache_bytes = plain.cache_bytes;
        knobs.uncommitted_bytes = plain.uncommitted_bytes;
    },
    |knobs, plain| {
        knobs.disk_max = plain.disk_max;
        knobs.machine_max = plain.machine_max;
        knobs.latency_max = plain.latency_max;
    },
];
