//! The whole cluster at one moment, and where it can go from there.

use std::sync::Arc;

use super::{
    bounds::{Bounds, UNLIMITED},
    ledger::Ledger,
    letter::Letter,
    member::{Broken, Member, Members, Outcome, Setup},
    memo::Memo,
    print::{ALL, WAYS, Way, mix},
    spent::{Counted, Spent},
    step::{Cause, Event, Node, Pace, Step},
};

#[derive(Clone, Debug)]
pub(super) struct State {
    members: Members,
    /// What is on its way, link by link, the oldest first.
    letters: Vec<Arc<Letter>>,
    ledger: Arc<Ledger>,
    spent: Spent,
}

impl State {
    /// Where everything begins.
    pub(super) fn first(setup: &Setup) -> Result<Self, Broken> {
        let member = |me| Member::new(setup, me).map(Arc::new);
        let members = [member(0)?, member(1)?, member(2)?];
        let (ledger, spent) = (Arc::default(), Spent::default());
        Ok(Self { members, letters: Vec::new(), ledger, spent })
    }

    /// All steps that may be possible, always in the same order.
    pub(super) fn steps(&self, bounds: &Bounds) -> Vec<Step> {
        // A write whose end is anybody's guess may end at once as well.
        let paces: &[Pace] = match bounds.max_slow_writes {
            UNLIMITED => &[Pace::Slow],
            0 => &[Pace::Prompt],
            _ => &[Pace::Prompt, Pace::Slow],
        };
        let mut steps = Vec::new();
        let mut add = |cause| {
            let all = paces.iter().map(|pace| Step { cause, pace: *pace });
            steps.extend(all.filter(|step| self.spent_by(*step, bounds).is_some()));
        };
        for place in 0..self.letters.len() {
            add(Cause::Letter { place, stays: false });
            add(Cause::Letter { place, stays: true });
        }
        for me in ALL {
            self.events(me, bounds, |event| add(Cause::At(me, event)));
        }
        steps
    }

    /// What may happen to a node by itself.
    fn events(&self, me: Node, bounds: &Bounds, mut may: impl FnMut(Event<'static>)) {
        let member = &self.members[usize::from(me)];
        may(Event::Crash { kept: false });
        if member.writing.is_some() {
            may(Event::Crash { kept: true });
            may(Event::Persisted);
        }
        if member.raft.is_leader() {
            may(Event::Heartbeat);
            may(Event::Silence);
            may(Event::Propose);
            may(Event::Read { floor: self.ledger.committed() });
        } else {
            if member.raft.term().0 < bounds.max_term {
                may(Event::ElectionTimeout);
            }
            if bounds.options.refuse_while_led && member.raft.leader().is_some() {
                may(Event::Doubt);
            }
        }
        ALL.into_iter()
            .filter(|other| *other != me)
            .for_each(|other| may(Event::Disconnect(other)));
    }

    /// What is spent after this step, if it is within the bounds.
    fn spent_by(&self, step: Step, bounds: &Bounds) -> Option<Spent> {
        let mut spent = self.spent;
        let paid = match step.cause {
            Cause::Letter { stays: false, .. } => true,
            Cause::Letter { .. } => spent.spend(Counted::Duplicates, bounds.max_duplicates),
            Cause::At(_, event) => match event {
                Event::Letter(_) | Event::Doubt | Event::Persisted => true,
                Event::ElectionTimeout | Event::Silence => {
                    spent.spend(Counted::Timeouts, bounds.max_timeouts)
                }
                Event::Heartbeat => spent.spend(Counted::Heartbeats, bounds.max_heartbeats),
                Event::Read { .. } => spent.spend(Counted::Reads, bounds.max_reads),
                Event::Propose => spent.spend(Counted::Commands, bounds.max_commands),
                Event::Crash { .. } => spent.spend(Counted::Crashes, bounds.max_crashes),
                Event::Disconnect(_) => spent.spend(Counted::Disconnects, bounds.max_disconnects),
            },
        };
        let slow = step.pace == Pace::Slow;
        let paid = paid && (!slow || spent.spend(Counted::SlowWrites, bounds.max_slow_writes));
        paid.then_some(spent)
    }

    /// Takes a step. `None` if it cannot be taken, or changes nothing.
    pub(super) fn take(
        &self,
        step: Step,
        setup: &Setup,
        memo: &mut Memo,
    ) -> Result<Option<Self>, Broken> {
        let Some(spent) = self.spent_by(step, &setup.bounds) else { return Ok(None) };
        let (me, event, gone) = match step.cause {
            Cause::Letter { place, stays } => {
                let letter = &self.letters[place];
                (letter.to, Event::Letter(letter), (!stays).then_some(place))
            }
            Cause::At(me, event) => (me, event, None),
        };
        let member = &self.members[usize::from(me)];
        let (member, sent) = match memo.take(setup, me, member, &event, step.pace) {
            Outcome::Nothing => return Ok(None),
            Outcome::Broken(broken) => return Err(broken),
            Outcome::Moved(member, sent) => (member, sent),
        };
        let mut next = Self { spent, ..self.clone() };
        next.members[usize::from(me)] = member;
        if let Some(place) = gone {
            next.letters.remove(place);
        }
        next.send(&sent, setup.bounds.max_messages);
        if let Some(ledger) = next.ledger.judge(&next.members, me)? {
            next.ledger = Arc::new(ledger);
        }
        Ok(Some(next))
    }

    /// Puts letters on their way. One that is there already is not put there twice.
    fn send(&mut self, sent: &[Arc<Letter>], max_messages: usize) {
        for letter in sent {
            let begin = self.letters.partition_point(|one| one.link() < letter.link());
            let end = self.letters.partition_point(|one| one.link() <= letter.link());
            if !self.letters[begin..end].contains(letter) {
                self.letters.insert(end, Arc::clone(letter));
                if end - begin >= max_messages {
                    self.letters.remove(begin);
                }
            }
        }
    }

    /// The number of this state, the same however the nodes are named.
    pub(super) fn print(&self) -> u64 {
        let named = WAYS.into_iter().flat_map(|way| ALL.map(|first| self.seen(way, first)));
        mix(self.spent.print()) ^ named.min().unwrap_or_default()
    }

    /// The number of this state if the nodes are named this way round, `first` first.
    fn seen(&self, way: Way, first: Node) -> u64 {
        let mut print = self.ledger.print(way, first);
        for me in ALL {
            let place = u64::from(way.place(first, me));
            let member = self.members[usize::from(me)].prints[way as usize];
            print = print.wrapping_add(mix(member ^ mix(place)));
        }
        let (mut link, mut age) = (None, 0);
        for letter in &self.letters {
            age = if link == Some(letter.link()) { age + 1 } else { 0 };
            link = Some(letter.link());
            let (from, to) = (way.place(first, letter.from), way.place(first, letter.to));
            let where_to = mix(u64::from_le_bytes([from, to, age, 1, 0, 0, 0, 0]));
            print = print.wrapping_add(mix(letter.print ^ where_to));
        }
        mix(print)
    }

    pub(super) fn letter(&self, place: usize) -> &Letter {
        &self.letters[place]
    }
}
