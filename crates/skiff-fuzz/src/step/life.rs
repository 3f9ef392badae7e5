//! A node with its disk and machine, and what must be true of everything it puts out.

use std::collections::{BTreeSet, VecDeque};

use skiff_core::{
    Append, AppendOutcome, Apply, Config, Entry, Fatal, Fault, HardState, Index, Input, Instant,
    LoadError, LoadId, LogTime, Membership, Message, NodeId, Options, Output, Payload, Position,
    Raft, Term, Token, Write,
};

use super::store::Store;
use crate::{said, source::Source, trace::trace};

const ME: NodeId = NodeId(1);
/// No input makes a node say more at once than its peers, its log and its callers account for.
const OUTPUTS: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Life {
    raft: Raft,
    config: Config,
    now: Instant,
    store: Store,
    /// The members at the log's base.
    founded: Membership,
    pending: Option<Write>,
    wanted: VecDeque<(LoadId, Index, Index, usize)>,
    /// What the machine was handed, and has not yet applied.
    applying: VecDeque<Entry>,
    handed: Index,
    applied: Index,
    /// What the machine remembers over a crash; `None` if it forgets all.
    is_durable: bool,
    last_token: u64,
    waiting: BTreeSet<Token>,
    cancelled: BTreeSet<Token>,
    stopped: Option<Fatal>,
}

impl Life {
    /// The first bytes choose settings, members and what the log holds.
    pub(crate) fn begin(source: &mut Source<'_>) -> Self {
        let config = config(source);
        let founded = founded(source);
        let store = log(source);
        let now = Instant(0);
        let applied = store.base.index;
        let recovered = store.recovered(founded.clone(), applied);
        let raft = Raft::new(now, config.clone(), recovered)
            .unwrap_or_else(|error| panic!("a sound log does not start: {error}"));
        let mut life = Self {
            raft,
            config,
            now,
            store,
            founded,
            pending: None,
            wanted: VecDeque::new(),
            applying: VecDeque::new(),
            handed: applied,
            applied,
            is_durable: source.flag(),
            last_token: 0,
            waiting: BTreeSet::new(),
            cancelled: BTreeSet::new(),
            stopped: None,
        };
        life.drain();
        life
    }

    pub(crate) const fn raft(&self) -> &Raft {
        &self.raft
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.stopped.is_some()
    }

    pub(crate) fn step(&mut self, input: Input) {
        trace(&input);
        self.raft.step(self.now, input);
        self.drain();
        assert_eq!(self.raft.check_invariants(), Ok(()));
    }

    /// Everything that is put out.
    fn drain(&mut self) {
        let limit = OUTPUTS + 4 * self.waiting.len() + 2 * self.store.entries.len();
        for count in 0.. {
            assert!(count < limit, "more than {limit} outputs at once");
            let Some(output) = self.raft.poll() else { return };
            assert!(self.stopped.is_none(), "stopped, and then: {output:?}");
            self.take(output);
        }
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Persist(write) => {
                assert!(self.pending.is_none(), "two writes at once");
                self.store.check(&write, self.handed);
                self.pending = Some(write);
            }
            Output::Load { load, from, to, bytes_max } => {
                assert!(from < to && bytes_max > 0, "nothing is loaded from {from} to {to}");
                assert!(from > self.store.base.index, "{from} is not in the log");
                self.wanted.push_back((load, from, to, bytes_max));
            }
            Output::Apply(apply) => self.hand(apply),
            Output::ReadReady { token, index } => {
                assert!(index <= self.raft.committed(), "a read of what is not committed");
                self.answer(token);
            }
            Output::Send { to, term, message } => self.send(to, term, &message),
            Output::Done { token } | Output::Rejected { token, .. } => self.answer(token),
            Output::Event(_) => {}
            Output::Stop(Fatal::Broken(sentence)) => panic!("broken: {sentence}"),
            Output::Stop(fatal) => self.stopped = Some(fatal),
        }
    }

    fn answer(&mut self, token: Token) {
        let waited = self.waiting.remove(&token) || self.cancelled.remove(&token);
        assert!(waited, "{token} has its answer, or never asked");
    }

    /// What is handed to the machine is durable, committed, complete and in order.
    fn hand(&mut self, Apply { entries, tokens }: Apply) {
        assert!(!entries.is_empty(), "nothing is applied");
        let first = self.handed.next();
        for entry in entries {
            assert_eq!(entry.index, self.handed.next(), "an entry is left out, or comes again");
            assert_eq!(self.store.get(entry.index), Some(&entry), "applied, but not durable");
            assert!(entry.index <= self.raft.committed(), "applied, but not committed");
            self.handed = entry.index;
            self.applying.push_back(entry);
        }
        let mut after = first.prev();
        for (index, token) in tokens {
            assert!(index > after && index <= self.handed, "an answer for {index} out of place");
            let entry = self.store.get(index).map(|entry| &entry.payload);
            assert!(matches!(entry, Some(Payload::Command(_))), "an answer to no command");
            after = index;
            self.answer(token);
        }
    }

    /// What is said is true of what is durable.
    fn send(&self, to: NodeId, term: Term, message: &Message) {
        let hard = self.store.hard;
        assert_ne!(to, ME, "to itself");
        assert!(term <= hard.term, "in term {term}, durable is {}", hard.term);
        let voted = |whom| hard == HardState { term, vote: Some(whom) };
        match message {
            Message::VoteReply { granted: true } => assert!(voted(to), "a vote not durable"),
            Message::Vote { .. } => assert!(voted(ME), "asks without its own vote"),
            Message::Append(append) => self.send_append(append, voted(ME)),
            Message::AppendReply(reply) => {
                if let AppendOutcome::Matched(index) = reply.outcome {
                    assert!(index <= self.store.last().index, "{index} is not durable");
                }
            }
            Message::ReadIndexReply { index: Some(index), .. } => {
                assert!(*index <= self.raft.committed(), "a read of what is not committed");
            }
            _ => {}
        }
    }

    fn send_append(&self, append: &Append, voted: bool) {
        assert!(voted, "leads without its own vote");
        assert!(append.commit <= self.raft.committed(), "tells a commit index it has not");
        let mut before = append.prev;
        for entry in &append.entries {
            assert_eq!(entry.index, before.index.next(), "entries with a gap");
            assert!(entry.term >= before.term, "a term goes back");
            assert_eq!(self.raft.term_at(entry.index), Some(entry.term), "not of its log");
            before = entry.position();
        }
    }

    /// The deadline has come. It is not due again and again.
    pub(crate) fn due(&mut self) {
        for _ in 0..8 {
            let Some(deadline) = self.raft.deadline() else { return };
            let early = deadline > self.now;
            self.now = self.now.max(deadline);
            self.step(Input::Timeout);
            if early {
                return;
            }
        }
        assert!(self.raft.deadline().is_none_or(|at| at > self.now), "due for ever");
    }

    pub(crate) fn pass(&mut self, nanos: u64) {
        self.now = self.now.after(nanos);
        self.step(Input::Timeout);
    }

    pub(crate) fn persist(&mut self) {
        let Some(write) = self.pending.take() else { return };
        let id = write.id;
        self.store.write(write);
        self.step(Input::Persisted { write: id });
    }

    pub(crate) fn refuse(&mut self) {
        let Some(write) = self.pending.take() else { return };
        self.step(Input::Fault(Fault::WriteRefused { write: write.id }));
    }

    /// The machine has applied the oldest of what it was handed.
    pub(crate) fn apply(&mut self) {
        let Some(entry) = self.applying.pop_front() else { return };
        assert!(entry.index > self.applied, "applied twice");
        self.applied = entry.index;
        self.step(Input::Applied { index: entry.index });
    }

    /// What was asked for, less of it, more of it, something else, or an error.
    pub(crate) fn load(&mut self, source: &mut Source<'_>) {
        let Some((load, from, to, bytes_max)) = self.wanted.pop_front() else { return };
        let mut entries = self.store.read(from, to, bytes_max);
        let result = match source.pick(8) {
            0 => Err(LoadError::Compacted),
            1 => Err(LoadError::Failed),
            2 => Ok(entries.into_iter().take(1).collect()),
            3 => Ok(self.store.read(from.prev(), to, bytes_max)),
            4 => Ok(self.store.read(from, to.next().next(), usize::MAX)),
            5 => {
                entries.iter_mut().for_each(|entry| entry.term = entry.term.next());
                Ok(entries)
            }
            _ if entries.is_empty() => Err(LoadError::Truncated),
            _ => Ok(entries),
        };
        self.step(Input::Loaded { load, result });
    }

    pub(crate) fn ask(&mut self, input: impl FnOnce(Token) -> Input) {
        self.last_token += 1;
        let token = Token(self.last_token);
        self.waiting.insert(token);
        self.step(input(token));
    }

    /// Who cancels may still get an answer that was on its way.
    pub(crate) fn cancel(&mut self, token: Token) {
        if self.waiting.remove(&token) {
            self.cancelled.insert(token);
        }
        self.step(Input::Cancel { token });
    }

    /// The process ends, and begins again with what is durable.
    pub(crate) fn restart(&mut self) {
        self.pending = None;
        self.wanted.clear();
        self.applying.clear();
        (self.waiting, self.cancelled) = (BTreeSet::new(), BTreeSet::new());
        if !self.is_durable {
            self.applied = self.store.base.index;
        }
        self.handed = self.applied;
        self.config.seed = self.config.seed.wrapping_add(1);
        let recovered = self.store.recovered(self.founded.clone(), self.applied);
        self.raft = Raft::new(self.now, self.config.clone(), recovered)
            .unwrap_or_else(|error| panic!("what was durable does not start: {error}"));
        self.drain();
    }

    /// Everybody who waits is answered at the end, and then nothing happens any more.
    pub(crate) fn end(mut self) {
        if self.stopped.is_none() {
            self.step(Input::Fault(Fault::StoreFailed));
        }
        assert!(self.stopped.is_some(), "a failed store stops a node");
        assert!(self.waiting.is_empty(), "without an answer: {:?}", self.waiting);
        self.raft.step(self.now.after(1 << 40), Input::Timeout);
        assert_eq!(self.raft.deadline(), None);
        assert_eq!(self.raft.poll(), None);
    }
}

fn config(source: &mut Source<'_>) -> Config {
    let mut config = Config::new(ME);
    config.check_invariants = true;
    config.seed = u64::from(source.byte());
    let bits = source.byte();
    let has = |bit: u8| bits >> bit & 1 == 0;
    config.options = Options {
        pre_vote: has(0),
        check_quorum: has(1),
        refuse_while_led: has(2),
        noop: has(3),
        fixed_membership: !has(4),
    };
    if !has(5) {
        (config.cache_bytes, config.append_bytes, config.write_bytes) = (80, 80, 80);
        (config.apply_bytes, config.window_messages, config.window_bytes) = (80, 2, 200);
        (config.uncommitted_bytes, config.command_bytes) = (300, 100);
    }
    config
}

fn founded(source: &mut Source<'_>) -> Membership {
    match source.byte() {
        voters @ 0..200 => Membership::of((0..=voters % 5).map(|id| NodeId(u128::from(id) + 1))),
        _ => said::membership(source),
    }
}

/// A log of a few entries after some base, whose terms rise.
fn log(source: &mut Source<'_>) -> Store {
    let base = match source.byte() {
        0..200 => Position::new(1, 1),
        200..220 => Position::ZERO,
        _ => Position::new(source.number().clamp(1, u64::MAX >> 1), (source.number() >> 2).max(1)),
    };
    let (mut term, mut index) = (base.term, base.index);
    let entries = source.list(8, |source| {
        index = index.next();
        term = Term(term.0 + u64::from(source.byte() % 4 == 3));
        Entry { term, index, time: LogTime(index.0), payload: said::payload(source) }
    });
    let term = Term(term.0 + u64::from(source.byte() % 3));
    let vote = source.flag().then(|| NodeId(u128::from(source.byte() % 5) + 1));
    Store { hard: HardState { term, vote }, base, entries }
}
