//! The machine by itself: twins that must not differ, and one that lives on from a snapshot.

use bytes::Bytes;
use skiff_replica::{
    Applier, Apply, Encoded, Index, LogTime, Mark, Position, Sessions, Snapshots, Term, Token,
    core::{Entry, Membership, NodeId, Payload},
    storage::InstanceId,
};

use super::finding::{Cause, Finding};
use crate::{random::mix, workload::Workload, world::is_same_content};

/// So many commands are tried.
const COMMANDS: u64 = 300;
/// Snapshots are taken and restored this often.
const EVERY: u64 = 25;

/// Looks at the machine of a workload without any cluster.
pub(super) fn examine<W: Workload>(workload: &W) -> Result<(), Finding> {
    let [mut one, mut twin, mut heir] = [(); 3].map(|()| Subject::new(workload.machine()));
    let mut restored = 0;
    for number in 1..=COMMANDS {
        let command = workload.command(mix(number));
        let first = one.apply(number, &command)?;
        let second = twin.apply(number, &command)?;
        if first != second {
            let cause = Cause::of(&first, &second);
            let (first, second) = (words(&first), words(&second));
            return Err(Finding::NotDeterministic { number, first, second, cause });
        }
        let third = heir.apply(number, &command)?;
        if crate::world::is_reordered(&first, &third) {
            let cause = Cause::Order;
            let (first, second) = (words(&first), words(&third));
            return Err(Finding::NotDeterministic { number, first, second, cause });
        }
        if first != third {
            let (first, second) = (words(&first), words(&third));
            return Err(Finding::SnapshotForgets { restored, number, first, second });
        }
        if number % EVERY == 0 {
            let (first, second) = (one.capture(number)?, twin.capture(number)?);
            if !is_same_content(&first, &second) {
                return Err(Finding::StatesDiffer { number, cause: Cause::of(&first, &second) });
            }
            heir = Subject::new(workload.machine());
            heir.restore(number, &first)?;
            restored = number;
        }
    }
    Ok(())
}

/// An answer, short enough to be told.
fn words(answer: &Bytes) -> String {
    let shown = &answer[..answer.len().min(40)];
    format!("{:?}", Bytes::copy_from_slice(shown))
}

struct Subject<M>(Applier<M>);

impl<M: Snapshots> Subject<M> {
    fn new(machine: M) -> Self {
        Self(Applier::new(machine))
    }

    /// Applies one command; the answer, encoded.
    fn apply(&mut self, number: u64, command: &Bytes) -> Result<Bytes, Finding> {
        let (index, fails) = (Index(number), |reason| Finding::Fails { number, reason });
        let entry = Entry {
            term: Term(1),
            index,
            time: LogTime(number),
            payload: Payload::Command(command.clone()),
        };
        let apply = Apply { entries: vec![entry], tokens: vec![(index, Token(number))] };
        let mut answers = Vec::new();
        self.0.apply(&apply, &mut answers).map_err(|error| fails(error.reason))?;
        let answer = answers.pop().map(|(_, answer)| answer.encode());
        let answer = answer.transpose().map_err(|error| fails(error.reason))?;
        Ok(answer.unwrap_or_default())
    }

    fn capture(&self, number: u64) -> Result<Bytes, Finding> {
        self.0.capture().map_err(|error| Finding::Fails { number, reason: error.reason })
    }

    fn restore(&mut self, number: u64, content: &Bytes) -> Result<(), Finding> {
        let position = Position::new(1, number);
        let mark =
            Mark::new(InstanceId::default(), NodeId::default(), position, Membership::default());
        // Before the machine's part stand the sessions, of which there are none.
        let content = [&Sessions::default().head()[..], content].concat();
        let restored = self.0.restore(&content, mark);
        restored.map_err(|error| Finding::Fails { number, reason: error.reason })
    }
}
