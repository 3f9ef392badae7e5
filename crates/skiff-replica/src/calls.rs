//! The calls that wait for an answer: those of local callers, and those that came over links.

mod deadlines;

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
};

use bytes::Bytes;
use skiff_core::{Index, Instant, Position, Token};
use skiff_transport::{Consistency, MemberChange};

use self::deadlines::Deadlines;
use crate::{
    job::{LinkId, REMOTE, is_remote},
    refused::EntryPosition,
    sessions::Proposal,
};

/// Bytes that every call is counted with beside its content.
const OVERHEAD: usize = 64;

/// What is wanted.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// To have something appended, replicated and applied.
    Command(Proposal),
    /// To read the machine here; only local callers can.
    Read(Consistency),
    /// To put a question to the machine.
    Query { query: Bytes, consistency: Consistency },
    /// To have another lead: this one, or any.
    Transfer(Option<String>),
    /// To know what became of an entry.
    Fate(EntryPosition),
    /// To have the members changed.
    Change(MemberChange),
    /// To have a snapshot taken.
    Snapshot,
    /// To have a copy of one, piece by piece.
    Backup(Copy),
    /// To know how the node is.
    Describe,
}

/// What is wanted of a copy of a snapshot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copy {
    /// Which snapshot; `None`: one that holds all that was acknowledged.
    pub(crate) position: Option<Position>,
    pub(crate) offset: u64,
    pub(crate) bytes_max: u32,
}

/// How far a call is.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// It has its answer.
    Done,
    /// It is new.
    Arrived,
    /// It waits here for somebody to lead.
    Held(Wanted),
    /// The leader has it.
    Forwarded { link: LinkId, command: Proposal },
    /// The leader has it, to change the members.
    Asked { link: LinkId, change: MemberChange },
    /// It is to change the members, once somebody answers at an address.
    Inviting(MemberChange),
    /// The core changes the members.
    Changing(MemberChange),
    /// The command is in the log.
    Appended(Position),
    /// The command is committed, and on its way through the machine.
    Committed(Position),
    /// The core looks for the index to read at. With a question, if it is not a local read.
    Reading(Option<Bytes>),
    /// The core looks for the index that a copy must hold.
    Covering,
    /// It waits for a snapshot to be there.
    Snapshot,
    /// The core does what was asked of the node itself.
    Ordered,
    /// The driver is making the answer.
    Responding,
}

impl Stage {
    /// How many bytes it holds on to.
    fn bytes(&self) -> usize {
        match self {
            Self::Held(Wanted::Command(command)) | Self::Forwarded { command, .. } => {
                OVERHEAD + command.size()
            }
            Self::Held(Wanted::Query { query, .. }) => OVERHEAD + query.len(),
            _ => 0,
        }
    }
}

/// Where a call came from that came over a link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) link: LinkId,
    /// What the other side calls it.
    pub(crate) id: u64,
    /// How often it was passed on already.
    pub(crate) hops: u32,
    pub(crate) bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Calls {
    local: Ring,
    remote: Ring,
    origins: BTreeMap<Token, Origin>,
    /// Commands in the machine, by index, ascending.
    committed: VecDeque<(Index, Token)>,
    deadlines: Deadlines,
    next_remote: u64,
    waiting_bytes: usize,
    remote_bytes: usize,
    /// What the driver still makes the answers to although nobody waits any more, with its bytes: a
    /// machine that is slow must not be asked without end.
    given_up: BTreeMap<Token, usize>,
}

impl Calls {
    pub(crate) fn new() -> Self {
        Self {
            local: Ring::default(),
            remote: Ring::default(),
            origins: BTreeMap::new(),
            committed: VecDeque::new(),
            deadlines: Deadlines::default(),
            next_remote: REMOTE,
            waiting_bytes: 0,
            remote_bytes: 0,
            given_up: BTreeMap::new(),
        }
    }

    /// How many calls wait.
    pub(crate) const fn len(&self) -> usize {
        self.local.waiting + self.remote.waiting
    }

    /// How many bytes wait for a leader or for its answer.
    pub(crate) const fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// How many bytes of calls came over links.
    pub(crate) const fn remote_bytes(&self) -> usize {
        self.remote_bytes
    }

    /// The name of a new call that came over a link.
    pub(crate) fn name_remote(&mut self, mut origin: Origin) -> Token {
        let token = Token(self.next_remote);
        self.next_remote += 1;
        origin.bytes += OVERHEAD;
        self.remote_bytes += origin.bytes;
        self.origins.insert(token, origin);
        token
    }

    /// A call begins to wait.
    pub(crate) fn open(&mut self, token: Token, deadline: Instant) {
        self.ring_mut(token).open(token, deadline);
        self.deadlines.add(deadline, token);
    }

    pub(crate) fn stage(&self, token: Token) -> Option<&Stage> {
        Some(&self.ring(token).get(token)?.stage)
    }

    /// When a call ends at the latest.
    pub(crate) fn deadline_of(&self, token: Token) -> Option<Instant> {
        Some(self.ring(token).get(token)?.deadline)
    }

    /// How often a call was passed on already.
    pub(crate) fn hops(&self, token: Token) -> u32 {
        self.origins.get(&token).map_or(0, |origin| origin.hops)
    }

    /// A call goes on. Returns where it was; one that is done stays done.
    pub(crate) fn advance(&mut self, token: Token, stage: Stage) -> Option<Stage> {
        let bytes = stage.bytes();
        let old = self.ring_mut(token).advance(token, stage)?;
        self.waiting_bytes += bytes;
        self.waiting_bytes -= old.bytes();
        Some(old)
    }

    /// A command is handed to the machine.
    /// Whether anyone still waits for it.
    pub(crate) fn commit(&mut self, index: Index, token: Token) -> bool {
        let Some(Stage::Appended(position)) = self.stage(token) else { return false };
        let stage = Stage::Committed(*position);
        self.advance(token, stage);
        self.committed.push_back((index, token));
        true
    }

    /// The machine has applied everything up to `index`: the local callers have their answers.
    pub(crate) fn applied(&mut self, index: Index) {
        while let Some((_, token)) = self.committed.front().copied().filter(|(at, _)| *at <= index)
        {
            self.committed.pop_front();
            if !is_remote(token) {
                self.close(token);
            }
        }
    }

    /// A call has its answer. Returns where it was, and where it came from; `None` if it had its
    /// answer already.
    pub(crate) fn close(&mut self, token: Token) -> Option<(Stage, Option<Origin>)> {
        let stage = self.ring_mut(token).close(token)?;
        self.waiting_bytes -= stage.bytes();
        Some((stage, self.take_origin(token)))
    }

    fn take_origin(&mut self, token: Token) -> Option<Origin> {
        let origin = if is_remote(token) { self.origins.remove(&token) } else { None }?;
        self.remote_bytes -= origin.bytes;
        Some(origin)
    }

    /// A call ends before the driver has made its answer.
    pub(crate) fn give_up(&mut self, token: Token) -> Option<(Stage, Option<Origin>)> {
        let closed = self.close(token)?;
        if let (Stage::Responding, Some(origin)) = &closed {
            self.remote_bytes += origin.bytes;
            self.given_up.insert(token, origin.bytes);
        }
        Some(closed)
    }

    /// The driver has made the answer to a call.
    pub(crate) fn responded(&mut self, token: Token) {
        self.remote_bytes -= self.given_up.remove(&token).unwrap_or(0);
    }

    /// All that wait and for which `which` holds.
    pub(crate) fn find(&self, which: impl Fn(Token, &Stage) -> bool) -> Vec<Token> {
        let all = self.local.iter().chain(self.remote.iter());
        all.filter(|(token, stage)| which(*token, stage)).map(|(token, _)| token).collect()
    }

    /// All that came over this link.
    pub(crate) fn of_link(&self, link: LinkId) -> Vec<Token> {
        let of_link = self.origins.iter().filter(|(_, origin)| origin.link == link);
        of_link.map(|(token, _)| *token).collect()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// The next call whose deadline has passed.
    pub(crate) fn take_expired(&mut self, now: Instant) -> Option<Token> {
        loop {
            let token = self.deadlines.take_due(now)?;
            if self.stage(token).is_some() {
                return Some(token);
            }
        }
    }

    /// Forgets the deadlines of calls that are done.
    pub(crate) fn trim(&mut self) {
        let (local, remote) = (&self.local, &self.remote);
        self.deadlines.trim(self.local.waiting + self.remote.waiting, |token| {
            let ring = if is_remote(token) { remote } else { local };
            ring.get(token).is_some()
        });
    }

    const fn ring(&self, token: Token) -> &Ring {
        if is_remote(token) { &self.remote } else { &self.local }
    }

    const fn ring_mut(&mut self, token: Token) -> &mut Ring {
        if is_remote(token) { &mut self.remote } else { &mut self.local }
    }
}

/// Calls whose tokens are consecutive numbers: a queue, whose front is dropped as it gets done.
#[derive(Debug, Default)]
struct Ring {
    /// The token of the front.
    first: u64,
    slots: VecDeque<Slot>,
    /// Those before the front that wait so long that the queue would grow behind them.
    stragglers: BTreeMap<u64, Slot>,
    waiting: usize,
}

/// So many that are done may stay in the queue.
const IDLE: usize = 1024;

#[derive(Debug)]
struct Slot {
    deadline: Instant,
    stage: Stage,
}

impl Slot {
    const fn is_waiting(&self) -> bool {
        !matches!(self.stage, Stage::Done)
    }
}

impl Ring {
    fn open(&mut self, token: Token, deadline: Instant) {
        if self.slots.is_empty() {
            self.first = token.0;
        }
        let at = self.place(token);
        debug_assert_eq!(at, Some(self.slots.len()), "token {token} is out of turn");
        if at == Some(self.slots.len()) {
            self.slots.push_back(Slot { deadline, stage: Stage::Arrived });
            self.waiting += 1;
        }
    }

    fn place(&self, token: Token) -> Option<usize> {
        usize::try_from(token.0.checked_sub(self.first)?).ok()
    }

    fn get(&self, token: Token) -> Option<&Slot> {
        match self.place(token) {
            Some(at) => self.slots.get(at).filter(|slot| slot.is_waiting()),
            None => self.stragglers.get(&token.0),
        }
    }

    fn advance(&mut self, token: Token, stage: Stage) -> Option<Stage> {
        let slot = match self.place(token) {
            Some(at) => self.slots.get_mut(at).filter(|slot| slot.is_waiting()),
            None => self.stragglers.get_mut(&token.0),
        }?;
        Some(mem::replace(&mut slot.stage, stage))
    }

    fn close(&mut self, token: Token) -> Option<Stage> {
        let stage = self.advance(token, Stage::Done)?;
        self.waiting -= 1;
        self.stragglers.remove(&token.0);
        while self.slots.front().is_some_and(|slot| !slot.is_waiting()) {
            self.slots.pop_front();
            self.first += 1;
        }
        while self.slots.len() > IDLE + 4 * self.waiting
            && let Some(slot) = self.slots.pop_front()
        {
            if slot.is_waiting() {
                self.stragglers.insert(self.first, slot);
            }
            self.first += 1;
        }
        Some(stage)
    }

    fn iter(&self) -> impl Iterator<Item = (Token, &Stage)> {
        let stragglers = self.stragglers.iter().map(|(number, slot)| (*number, slot));
        let all = stragglers.chain((self.first..).zip(&self.slots));
        let waiting = all.filter(|(_, slot)| slot.is_waiting());
        waiting.map(|(number, slot)| (Token(number), &slot.stage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSITION: Position = Position::new(1, 1);

    #[test]
    fn each_call_is_closed_once() {
        let mut calls = Calls::new();
        for token in 1..=3 {
            calls.open(Token(token), Instant(10));
        }
        assert!(calls.close(Token(2)).is_some());
        assert!(calls.close(Token(2)).is_none());
        assert!(calls.close(Token(1)).is_some());
        assert!(calls.close(Token(1)).is_none());
        assert_eq!(calls.len(), 1);
        assert_eq!(calls.take_expired(Instant(10)), Some(Token(3)));
        assert!(calls.take_expired(Instant(10)).is_none());
    }

    #[test]
    fn one_that_waits_long_does_not_keep_the_others() {
        let mut calls = Calls::new();
        for token in 1..=100_000 {
            calls.open(Token(token), Instant(token));
            if token > 2 {
                calls.close(Token(token));
            }
            calls.trim();
        }
        assert!(calls.local.slots.len() < 2 * IDLE);
        let waiting = calls.find(|_, _| true);
        assert_eq!(waiting, [Token(1), Token(2)]);
        assert_eq!(calls.deadline(), Some(Instant(1)));
        calls.advance(Token(1), Stage::Responding);
        assert!(matches!(calls.close(Token(1)), Some((Stage::Responding, None))));
        assert!(calls.close(Token(1)).is_none());
        assert_eq!(calls.len(), 1);
        assert_eq!(calls.take_expired(Instant(2)), Some(Token(2)));
    }

    #[test]
    fn bytes_are_counted_while_a_command_is_kept() {
        let mut calls = Calls::new();
        let command = Bytes::from_static(&[0; 100]);
        let command = Proposal::Command(command);
        let held = Stage::Held(Wanted::Command(command.clone()));
        calls.open(Token(1), Instant(10));
        calls.advance(Token(1), held.clone());
        assert_eq!(calls.waiting_bytes(), 100 + OVERHEAD);
        calls.advance(Token(1), Stage::Forwarded { link: LinkId::Dialled(1), command });
        assert_eq!(calls.waiting_bytes(), 100 + OVERHEAD);
        calls.advance(Token(1), Stage::Appended(POSITION));
        assert_eq!(calls.waiting_bytes(), 0);
        calls.advance(Token(1), held);
        calls.close(Token(1));
        assert_eq!(calls.waiting_bytes(), 0);
    }

    #[test]
    fn what_the_machine_applied_is_done_for_local_callers_only() {
        let mut calls = Calls::new();
        let origin = Origin { link: LinkId::Accepted(1), id: 7, hops: 0, bytes: 5 };
        let remote = calls.name_remote(origin);
        for token in [Token(1), remote] {
            calls.open(token, Instant(10));
            calls.advance(token, Stage::Appended(POSITION));
            calls.commit(Index(2), token);
        }
        calls.applied(Index(1));
        assert_eq!(calls.len(), 2);
        calls.applied(Index(2));
        assert_eq!(calls.len(), 1);
        assert_eq!(calls.remote_bytes(), 5 + OVERHEAD);
        let (_, origin) = calls.close(remote).expect("it waits for its response");
        assert_eq!(origin.map(|origin| origin.id), Some(7));
        assert_eq!(calls.remote_bytes(), 0);
    }
}
