//! One node's turn: an event goes in, and all that comes out is done and judged, apart from a write,
//! which is done when the search says so.

use std::sync::Arc;

use bytes::Bytes;
use skiff_replica::{
    Apply, Index, Instant, LogTime, Token,
    core::{AppendOutcome, Event as Told, Fatal, Input, Message, Output, Raft, StateName, Write},
};

use super::{
    bounds::UNLIMITED,
    disk::Disk,
    letter::Letter,
    member::{Broken, DICE, LONGEST, Member, SHORTEST, Setup},
    print::{id, node},
    step::{Event, Node, Pace},
};

/// What a node may do after one event before it is said to go on for ever.
const OUTPUTS_MAX: usize = 1_000;

pub(super) struct Turn<'a> {
    setup: &'a Setup,
    me: Node,
    raft: Raft,
    disk: Disk,
    writing: Option<Write>,
    now: Instant,
    sent: Vec<Arc<Letter>>,
    /// Whether its disk was said to be slow.
    slow: bool,
}

/// `Err` with the sentence unless it holds.
fn must(holds: bool, sentence: &str) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(sentence.into()) }
}

/// The node as it is after the turn, and what it sent. `None` if the event cannot happen.
type Taken = Option<(Member, Vec<Arc<Letter>>)>;

impl<'a> Turn<'a> {
    pub(super) fn take(
        member: &Member,
        setup: &'a Setup,
        me: Node,
        event: &Event<'_>,
        pace: Pace,
    ) -> Result<Taken, Broken> {
        let mut turn = Turn {
            setup,
            me,
            raft: member.raft.clone(),
            disk: member.disk.clone(),
            writing: member.writing.clone(),
            now: member.now,
            sent: Vec::new(),
            slow: false,
        };
        turn.raft.load_dice(DICE);
        if !turn.happens(event)? {
            return Ok(None);
        }
        turn.drain()?;
        // A write that was under way before is a slow one already.
        let begun = turn.writing.as_ref().map(|write| write.id)
            != member.writing.as_ref().map(|write| write.id);
        match pace {
            Pace::Prompt if begun => while turn.persist()? {},
            Pace::Slow if !begun && setup.bounds.max_slow_writes != UNLIMITED => return Ok(None),
            Pace::Prompt | Pace::Slow => {}
        }
        turn.judge_commit(&member.raft)?;
        let Turn { raft, disk, writing, now, sent, .. } = turn;
        Ok(Some((Member { raft, disk, writing, now, prints: member.prints }, sent)))
    }

    /// Whether the event can happen. If so, it does.
    fn happens(&mut self, event: &Event<'_>) -> Result<bool, Broken> {
        match event {
            Event::Letter(Letter { from, term, message, .. }) => {
                let (term, message) = (*term, message.clone());
                self.step(Input::Message { from: id(*from), term, message });
            }
            Event::ElectionTimeout => return self.election_timeout(),
            Event::Heartbeat => {
                self.now = self.now.after(SHORTEST);
                self.step(Input::Timeout);
            }
            Event::Silence => {
                self.now = self.now.after(2 * LONGEST);
                self.step(Input::Timeout);
                return Ok(!self.raft.is_leader());
            }
            Event::Doubt => {
                self.now = self.now.after(SHORTEST);
                self.step(Input::Applied { index: Index::ZERO });
            }
            Event::Propose => {
                let (token, command, time) = (Token::ZERO, Bytes::new(), LogTime::ZERO);
                self.step(Input::Propose { token, command, time });
            }
            // The core gives the token back with the read.
            Event::Read { floor } => self.step(Input::Read { token: Token(floor.0) }),
            Event::Persisted => return self.persist(),
            Event::Crash { kept } => {
                if let Some(write) = self.writing.take_if(|_| *kept) {
                    self.disk.write(&write)?;
                }
                if self.setup.bounds.disks_forget {
                    self.disk = Disk::default();
                }
                self.writing = None;
                self.now = Instant(0);
                self.raft = self.setup.start(self.me, &self.disk)?;
            }
            Event::Disconnect(node) => self.step(Input::Unreachable { node: id(*node) }),
        }
        Ok(true)
    }

    fn step(&mut self, input: Input) {
        self.raft.step(self.now, input);
    }

    /// The write that is under way is done. Whether there was one.
    fn persist(&mut self) -> Result<bool, Broken> {
        let Some(write) = self.writing.take() else { return Ok(false) };
        self.disk.write(&write)?;
        self.step(Input::Persisted { write: write.id });
        self.drain()?;
        Ok(true)
    }

    /// The election timer fires; before that the disk may be found to be slow.
    fn election_timeout(&mut self) -> Result<bool, Broken> {
        loop {
            let Some(at) = self.raft.deadline() else { return Ok(true) };
            self.now = self.now.max(at);
            self.step(Input::Timeout);
            self.drain()?;
            if !std::mem::take(&mut self.slow) {
                return Ok(true);
            }
        }
    }

    fn drain(&mut self) -> Result<(), Broken> {
        for _ in 0..OUTPUTS_MAX {
            let Some(output) = self.raft.poll() else { return Ok(()) };
            self.perform(output)?;
        }
        Err("a node comes to an end".into())
    }

    fn perform(&mut self, output: Output) -> Result<(), Broken> {
        match output {
            Output::Persist(write) => {
                must(self.writing.is_none(), "one write is under way at a time")?;
                self.writing = Some(write);
            }
            Output::Load { load, from, to, .. } => {
                let result = self.disk.read(from, to);
                self.step(Input::Loaded { load, result });
            }
            Output::Apply(apply) => return self.apply(&apply),
            Output::Send { to, term, message } => {
                let letter = Letter::new(self.me, node(to), term, message);
                self.judge_letter(&letter)?;
                self.sent.push(Arc::new(letter));
            }
            Output::Event(Told::SlowDisk { .. }) => self.slow = true,
            Output::ReadReady { token, index } => must(
                index.0 >= token.0,
                "a read sees all that was committed when it was asked for",
            )?,
            Output::Event(_) | Output::Done { .. } | Output::Rejected { .. } => {}
            Output::Stop(Fatal::Broken(sentence)) => return Err(sentence.into()),
            Output::Stop(fatal) => return Err(format!("a node does not stop by itself: {fatal}")),
        }
        Ok(())
    }

    /// Entries are applied once, in order, when they are committed and on disk.
    fn apply(&mut self, apply: &Apply) -> Result<(), Broken> {
        for entry in &apply.entries {
            let index = entry.index;
            must(index <= self.raft.committed(), "only what is committed is applied")?;
            must(self.disk.term_at(index) == Some(entry.term), "only what is on disk is applied")?;
        }
        if let Some(last) = apply.entries.last() {
            self.step(Input::Applied { index: last.index });
        }
        Ok(())
    }

    /// Nothing is said before what it rests on is on disk.
    fn judge_letter(&self, letter: &Letter) -> Result<(), Broken> {
        let hard = self.disk.hard;
        must(hard.term == letter.term, "a term is on disk before anything is said in it")?;
        match &letter.message {
            Message::Vote { .. } => must(
                hard.vote == Some(id(self.me)),
                "a candidate's own vote is on disk before it asks for others",
            ),
            Message::VoteReply { granted: true } => {
                must(hard.vote == Some(id(letter.to)), "a vote is on disk before it is given")
            }
            Message::AppendReply(reply) => match reply.outcome {
                AppendOutcome::Matched(matched) => must(
                    (1..=matched.0).map(Index).all(|at| {
                        self.raft.term_at(at).is_some()
                            && self.disk.term_at(at) == self.raft.term_at(at)
                    }),
                    "entries are on disk before they are acknowledged",
                ),
                AppendOutcome::Mismatch { .. } => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// A leader commits by an entry of its own term.
    fn judge_commit(&self, before: &Raft) -> Result<(), Broken> {
        let committed = self.raft.committed();
        must(
            self.raft.state() != StateName::Leader
                || committed <= before.committed()
                || self.raft.term_at(committed) == Some(self.raft.term()),
            "a leader commits by an entry of its own term",
        )
    }
}
