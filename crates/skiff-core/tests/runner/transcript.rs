//! How a transcript writes things: a line for what was done to a node, and under it a line for each
//! thing the node asked for.

use skiff_core::{
    Append, AppendOutcome, AppendReply, Entry, Event, Fault, Input, LoadError, Membership, Message,
    NodeId, Output, Payload, Reject, StateName, Status, Token,
};

/// Names that scripts give to requests and batches, which are numbers to the core.
#[derive(Debug, Default)]
pub struct Names {
    tokens: Vec<String>,
    batches: Vec<u64>,
}

impl Names {
    /// The token of this name, made if it is new.
    pub fn token(&mut self, name: &str) -> Token {
        let at = self.tokens.iter().position(|one| one == name).unwrap_or_else(|| {
            self.tokens.push(name.to_owned());
            self.tokens.len() - 1
        });
        Token(at as u64 + 1)
    }

    fn of(&self, token: Token) -> &str {
        if token == Token::ZERO {
            return "nobody";
        }
        usize::try_from(token.0 - 1)
            .ok()
            .and_then(|at| self.tokens.get(at))
            .map_or("?", String::as_str)
    }

    /// Batches are numbered as they appear.
    fn batch(&mut self, batch: u64) -> usize {
        let at = self.batches.iter().position(|one| *one == batch).unwrap_or_else(|| {
            self.batches.push(batch);
            self.batches.len() - 1
        });
        at + 1
    }

    pub fn batch_named(&self, number: usize) -> u64 {
        self.batches.get(number.wrapping_sub(1)).copied().unwrap_or(number as u64)
    }

    pub fn input(&mut self, input: &Input) -> String {
        match input {
            Input::Message { from, term, message } => {
                format!("receives from {from} t{term}: {}", self.message(message))
            }
            Input::Timeout => "timeout".into(),
            Input::Propose { token, .. } | Input::ProposeInSession { token, .. } => {
                format!("proposed {}", self.of(*token))
            }
            Input::Read { token } => format!("asked to read {}", self.of(*token)),
            Input::Cancel { token } => format!("cancelled {}", self.of(*token)),
            Input::TransferLeadership { token, to } => {
                let to = to.map_or_else(|| "anybody".into(), |id| id.to_string());
                format!("asked to let {to} lead {}", self.of(*token))
            }
            Input::ChangeMembership { token, change } => {
                format!("asked to change {}: {change:?}", self.of(*token))
            }
            Input::SetMembership { membership } => {
                format!("membership set to {}", self::membership(membership))
            }
            Input::Persisted { write } => format!("w{write} is durable"),
            Input::Loaded { load, result } => match result {
                Ok(entries) => format!("loaded l{load}: {}", self::entries(entries)),
                Err(LoadError::Compacted) => format!("cannot load l{load}: compacted"),
                Err(LoadError::Truncated) => format!("cannot load l{load}: truncated"),
                Err(LoadError::Failed) => format!("cannot load l{load}: failed"),
            },
            Input::Applied { index } => format!("machine has applied {index}"),
            Input::SnapshotTaken { position } => format!("snapshot {position} is durable"),
            Input::SnapshotReceived { position, membership, .. } => {
                format!("snapshot {position} has come, {}", self::membership(membership))
            }
            Input::Marked { index } => format!("machine has {index} also after a crash"),
            Input::SnapshotRestored { position } => format!("machine has snapshot {position}"),
            Input::SnapshotSent { node, position, arrived: true } => {
                format!("snapshot {position} is durable at {node}")
            }
            Input::SnapshotSent { node, position, arrived: false } => {
                format!("snapshot {position} did not get to {node}")
            }
            Input::Unreachable { node } => format!("lost the connection to {node}"),
            Input::Fault(Fault::WriteRefused { write }) => format!("w{write} is refused"),
            Input::Fault(Fault::StoreFailed) => "store failed".into(),
            Input::Fault(Fault::MachineFailed { index }) => format!("machine failed at {index}"),
        }
    }

    pub fn output(&mut self, output: &Output) -> String {
        match output {
            Output::Persist(write) => {
                let vote =
                    write.hard_state.vote.map_or_else(|| "nobody".into(), |id| id.to_string());
                let mut line =
                    format!("write w{}: t{} vote {vote}", write.id, write.hard_state.term);
                if let Some(base) = write.begin_after {
                    line += &format!(", begin after {base}");
                }
                if let Some(base) = write.compact_to {
                    line += &format!(", compact to {base}");
                }
                if let Some(from) = write.truncate_from {
                    line += &format!(", cut from {from}");
                }
                if !write.entries.is_empty() {
                    line += &format!(", {}", entries(&write.entries));
                }
                line
            }
            Output::Load { load, from, to, .. } => {
                format!("load l{load}: {from} up to before {to}")
            }
            Output::Apply(apply) => {
                let mut line = format!("apply {}", entries(&apply.entries));
                for (index, token) in &apply.tokens {
                    line += &format!(", answer {} at {index}", self.of(*token));
                }
                line
            }
            Output::RestoreSnapshot { position } => format!("restore snapshot {position}"),
            Output::SendSnapshot { to, position } => format!("send {to} snapshot {position}"),
            Output::ReadReady { token, index } => format!("read {} at {index}", self.of(*token)),
            Output::Send { to, term, message } => {
                format!("send {to} t{term}: {}", self.message(message))
            }
            Output::Done { token } => format!("done {}", self.of(*token)),
            Output::Rejected { token, reason } => {
                format!("reject {}: {}", self.of(*token), reject(reason))
            }
            Output::Event(event) => format!("event: {}", self::event(event)),
            Output::Stop(fatal) => format!("stop: {fatal}"),
        }
    }

    pub fn message(&mut self, message: &Message) -> String {
        match message {
            Message::PreVote { campaign, last } => format!("PreVote for t{campaign}, log {last}"),
            Message::PreVoteReply { campaign, granted } => {
                format!("PreVoteReply for t{campaign}, {}", grant(*granted))
            }
            Message::Vote { last, transfer: false } => format!("Vote, log {last}"),
            Message::Vote { last, transfer: true } => format!("Vote, log {last}, transfer"),
            Message::VoteReply { granted } => format!("VoteReply, {}", grant(*granted)),
            Message::Append(append) => self::append(append),
            Message::AppendReply(reply) => append_reply(reply),
            Message::TimeoutNow => "TimeoutNow".into(),
            Message::Removed { index } => format!("Removed, as of {index}"),
            Message::ReadIndex { batch } => format!("ReadIndex, batch {}", self.batch(*batch)),
            Message::ReadIndexReply { batch, index } => {
                let index =
                    index.map_or_else(|| "not the leader".into(), |index| format!("index {index}"));
                format!("ReadIndexReply, batch {}, {index}", self.batch(*batch))
            }
        }
    }
}

fn grant(granted: bool) -> &'static str {
    if granted { "granted" } else { "refused" }
}

fn append(append: &Append) -> String {
    let Append { seq, round, prev, entries, commit } = append;
    let entries = match entries.as_slice() {
        [] => "nothing".into(),
        some => self::entries(some),
    };
    format!("Append #{seq} round {round}, after {prev} {entries}, commit {commit}")
}

fn append_reply(reply: &AppendReply) -> String {
    let AppendReply { seq, round, last, outcome } = reply;
    let outcome = match outcome {
        AppendOutcome::Matched(index) => format!("matched {index}, log agrees to {last}"),
        AppendOutcome::Mismatch { prev, hint } => {
            format!("mismatch at {prev}, try {hint}, log ends at {last}")
        }
    };
    format!("AppendReply #{seq} round {round}, {outcome}")
}

pub fn entries(entries: &[Entry]) -> String {
    let words: Vec<String> = entries.iter().map(entry).collect();
    format!("[{}]", words.join(" "))
}

fn entry(entry: &Entry) -> String {
    let payload = match &entry.payload {
        Payload::Noop => "noop".into(),
        Payload::Command(bytes) | Payload::Session(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        Payload::Membership(one) => membership(one),
        Payload::Unknown { kind, .. } => format!("kind {kind}"),
    };
    let time = if entry.time.0 == 0 { String::new() } else { format!(" at time {}", entry.time) };
    format!("{}={payload}{time}", entry.position())
}

pub fn membership(membership: &Membership) -> String {
    let list = |ids: &std::collections::BTreeSet<NodeId>| {
        ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };
    let mut text = format!("voters({})", list(&membership.voters));
    if membership.is_joint() {
        text += &format!("+outgoing({})", list(&membership.outgoing));
    }
    if !membership.learners.is_empty() {
        text += &format!("+learners({})", list(&membership.learners));
    }
    for (id, replaces) in &membership.wishes {
        text += &format!("+{id} to vote");
        if let Some(old) = replaces {
            text += &format!(" for {old}");
        }
    }
    text
}

fn reject(reason: &Reject) -> String {
    let leader = |leader: &Option<NodeId>| match leader {
        Some(id) => format!("{id} leads"),
        None => "nobody is known to lead".into(),
    };
    match reason {
        Reject::NotLeader { leader: id } => format!("not the leader, {}", leader(id)),
        Reject::LeadershipLost { position, leader: id } => {
            format!("leadership lost after {position}, {}", leader(id))
        }
        Reject::Stopped { position: Some(position) } => format!("stopped after {position}"),
        other => other.to_string(),
    }
}

fn state(name: StateName) -> &'static str {
    match name {
        StateName::Follower => "follower",
        StateName::Candidate => "candidate",
        StateName::Leader => "leader",
    }
}

fn event(event: &Event) -> String {
    match event {
        Event::State(name) => format!("becomes {}", state(*name)),
        Event::ElectionTimeout => "election timeout".into(),
        Event::Leader { leader: Some(id), term } => format!("{id} leads t{term}"),
        Event::Leader { leader: None, term } => format!("no leader in t{term}"),
        Event::Reverted { node, matched, last } => {
            format!("{node} had {matched} and ends at {last} now")
        }
        Event::NeedsSnapshot { node, next } => format!("{node} needs a snapshot, lacks {next}"),
        Event::LogCompacted { base } => format!("log begins after {base}"),
        Event::SnapshotInstalled { position } => format!("installed snapshot {position}"),
        Event::Removed { index } => format!("removed as of {index}"),
        Event::SlowDisk { write } => format!("disk is slow with w{write}"),
        Event::WriteRefused { write } => format!("no room for w{write}"),
        Event::TransferStarted { to } => format!("hands over to {to}"),
        Event::TransferDone { to } => format!("handed over to {to}"),
        Event::TransferAborted { to, why } => format!("not handed over to {to}: {why}"),
        Event::LoadFailed { from } => format!("cannot load from {from}"),
        other => format!("{other:?}"),
    }
}

/// How a node stands, on one line, and one for each peer of a leader.
pub fn status(status: &Status) -> String {
    let name = |id: Option<NodeId>| id.map_or_else(|| "nobody".into(), |id| id.to_string());
    let mut text = format!(
        "{} {} t{} vote {} leader {}: log {}..{} durable {} committed {} applied {}",
        status.id,
        state(status.state),
        status.term,
        name(status.vote),
        name(status.leader),
        status.base,
        status.last,
        status.durable,
        status.committed,
        status.applied,
    );
    for (id, peer) in &status.peers {
        let state = format!("{:?}", peer.state).to_lowercase();
        text += &format!("\n  {id}: matched {} next {} {state}", peer.matched, peer.next);
    }
    text
}
