//! Judges whether what clients saw could have been the work of one object that does one thing at a
//! time: whether their history is *linearizable*.
//!
//! Give [`check`] a [`Model`] of the object and everything that was asked of it ([`Observed`]). For
//! registers there is [`Register`].
//!
//! # What is decided
//!
//! A history is linearizable if its operations can be put in one order such that
//!
//! - each operation that was answered is in it, and its answer is what the model gives at its place;
//! - each operation whose outcome is unknown is in it once, or left out: nobody knows;
//! - an operation that was answered before another was asked for comes before it.
//!
//! At the same instant nothing comes before anything: an answer at 7 and a question at 7 may be put
//! in either order, since the clock cannot tell them apart. An operation known to have had no effect
//! does not belong in a history: leave it out. Keys have nothing to do with each other, and a history
//! is linearizable exactly if the part of each key is, so each is judged alone.
//!
//! # How
//!
//! The search is that of Wing and Gong (1993). An operation can be next if no other that is still to
//! be placed was answered before it was asked for. Try one that can be next and whose answer fits the
//! state; go on from there; if that leads nowhere take it back and try another. Lowe (2017) added the
//! memo: with the same operations placed and the same state, what follows is the same, so each pair
//! is examined once. Deciding is NP-complete (Gibbons and Korach, 1997), so there are histories that
//! this cannot finish; it counts the pairs and says [`Verdict::TooHard`] when there are too many,
//! which is not a pass.
//!
//! What makes it quick in practice is not trying what cannot help. Call an order *frugal* if no order
//! that fits uses fewer operations of unknown outcome, nor the same number of earlier ones. If any
//! order fits, a frugal one does, and it is enough not to lose those:
//!
//! 1. **What nobody will notice goes where it disturbs nobody.** If nothing still to be placed could
//!    tell whether an answered operation stands before it, and everything that can be next does the
//!    same after it as without it, no alternative is tried: taken out of any order that fits and put
//!    at its front, it leaves an order that fits. That is every read, and many a write.
//! 2. **An unknown operation is used only for what directly follows it.** If what follows would do
//!    the same without it, or if nothing follows, it could be left out, and the order is not frugal.
//!    So an unknown write is tried only if something that can be next sees its value, and not at all
//!    if nobody ever saw it, be it by an answer that would otherwise not fit. An unknown operation
//!    that changes nothing is not used at all.
//! 3. **Of equal unknown operations the earliest asked for goes first.** They can be swapped.
//! 4. **Of neighbours of unknown outcome the earlier asked for goes first,** if both ways lead to the
//!    same state.
//! 5. **A state that an answer still to be placed needs must be in reach.** If it is not the state
//!    now, nothing left leaves it, and what could become of other states does not get there, then
//!    that answer never fits: turn back. This ends the search soon if a value was overwritten before
//!    its read.
//! 6. **Fewer used is as good.** A pair is not examined if another was that differs only in having
//!    used fewer of the unknown operations: more remain to it.
//!
//! Rules 1, 2 and 5 ask the model what operations need and leave ([`Model::needs`],
//! [`Model::leaves`], [`Model::leads`]). With a model that promises nothing they do little, and the
//! verdicts are the same.
//!
//! These rules and the memo go together. Say a frugal order passes through a pair that is not
//! examined, or not this way on, since the search came to that pair by another path. That path and
//! the rest of the frugal order are an order that fits too, with the same unknown operations used. If
//! rule 2 cut it short, one of them could be left out; if rule 6 did, fewer are used: either way the
//! order was not frugal. Rule 4 takes away some ways to a pair, never all: of the unknown operations
//! that could be the last on the way to it, the one asked for last is never in the wrong place there.
//!
//! Most histories need no long chains of unknown operations, so orders without them are searched
//! first, with a part of the states. Only a search in which none was left out for its length says
//! that there is no order.
//!
//! When no order fits, the history is cut at each answer to find the first that cannot be explained:
//! what was answered later is then unknown, what was asked for later has not been asked for. This
//! gives a [`Violation`] with an order of everything until then.
//!
//! # References
//!
//! - J. Wing, C. Gong: *Testing and verifying concurrent objects*. Journal of Parallel and
//!   Distributed Computing 17, 1993.
//! - G. Lowe: *Testing for linearizability*. Concurrency and Computation: Practice and Experience
//!   29(4), 2017.
//! - P. Gibbons, E. Korach: *Testing shared memories*. SIAM Journal on Computing 26(4), 1997.

mod bits;
mod board;
mod explain;
mod memo;
mod model;
mod puzzle;
mod register;
mod search;
mod verdict;
mod window;
mod witness;

use std::collections::BTreeMap;

pub use model::{Leads, Leaves, Model, Needs, Observed};
pub use register::{Act, Register, Told};
pub use verdict::{Verdict, Violation};
pub use witness::is_witness;

use puzzle::{Item, Puzzle};
use search::Outcome;

/// How many pairs of operations placed and state [`check`] examines for a key before it gives up.
pub const STATES_MAX: u64 = 250_000;

/// Judges a history, in any order.
///
/// # Panics
///
/// If an operation was answered before it was asked for.
pub fn check<M: Model>(model: &M, history: &[Observed<M::Op, M::Ret>]) -> Verdict<M::Key> {
    check_within(model, history, STATES_MAX)
}

/// Judges a history, and gives up on a key after this many states.
///
/// A violation of one key is told even if another is too hard.
///
/// # Panics
///
/// If an operation was answered before it was asked for.
pub fn check_within<M: Model>(
    model: &M,
    history: &[Observed<M::Op, M::Ret>],
    states_max: u64,
) -> Verdict<M::Key> {
    let mut too_hard = None;
    for (key, items) in by_key(model, history) {
        let puzzle = Puzzle::new(model, &key, items.clone());
        match search::run(&puzzle, states_max) {
            Outcome::Fits(_) => {}
            Outcome::Never => {
                return Verdict::Violation(explain::violation(model, key, items, states_max));
            }
            Outcome::TooHard => {
                too_hard.get_or_insert(Verdict::TooHard { key, states: states_max });
            }
        }
    }
    too_hard.unwrap_or(Verdict::Linearizable)
}

/// The operations of each key.
fn by_key<'h, M: Model>(
    model: &M,
    history: &'h [Observed<M::Op, M::Ret>],
) -> BTreeMap<M::Key, Vec<Item<'h, M>>> {
    let mut keys = BTreeMap::<_, Vec<_>>::new();
    for (number, observed) in history.iter().enumerate() {
        let item = Item::new(number, observed);
        keys.entry(model.key(&observed.op)).or_default().push(item);
    }
    keys
}
