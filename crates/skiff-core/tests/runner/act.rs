//! Commands that do something.

use bytes::Bytes;
use skiff_core::{Change, Fault, Input, LoadError, LogTime, Message, Node, NodeId, Token};

use super::{
    Runner,
    words::{self, Args, Res},
};
use crate::common::{Cluster, Flight, MS};

/// More rounds of messages than this are taken for a loop.
const ROUNDS_MAX: usize = 200;

impl Runner {
    pub(super) fn act(&mut self, name: &str, args: &mut Args) -> Res<()> {
        match name {
            "store" => self.store(args),
            "start" | "join" | "crash" | "timeout" | "tick" => self.each_node(name, args),
            "wait" => {
                let span: u64 = args.must_word()?.parse()?;
                let cluster = self.cluster()?;
                cluster.now = cluster.now.after(span * MS);
                Ok(())
            }
            "run" => {
                let span: u64 = args.must_word()?.parse()?;
                self.cluster()?.run(span);
                Ok(())
            }
            "elect" => self.elect(args.node()?),
            "deliver" | "drop" => self.deliver(args, name == "drop"),
            "settle" => self.settle(),
            "isolate" => {
                let ids = args.nodes()?;
                self.cluster()?.isolate(&ids);
                Ok(())
            }
            "cut" => {
                let way = (args.node()?, args.node()?);
                self.cluster()?.cut.insert(way);
                Ok(())
            }
            "heal" => {
                self.cluster()?.heal();
                Ok(())
            }
            "propose" | "read" | "cancel" => self.call(name, args),
            "say" => self.say(args),
            "snapshot" => {
                let id = args.node()?;
                self.cluster()?.snapshot(id);
                Ok(())
            }
            "supply" => {
                let arrived = !args.switch("lost", false)?;
                let cluster = self.cluster()?;
                (!cluster.supplies.is_empty()).then_some(()).ok_or("no snapshot is to be sent")?;
                cluster.supply(arrived);
                Ok(())
            }
            "taken" | "receive" => self.snapshot(name, args),
            "change" => self.change(args),
            "set-membership" => {
                let id = args.node()?;
                let membership = args.membership()?;
                self.step(id, Input::SetMembership { membership })
            }
            "transfer" => {
                let id = args.node()?;
                let token = args.must_word()?;
                let to = args.key("to").map(|text| words::node(&text)).transpose()?;
                let token = self.names.token(&token);
                self.step(id, Input::TransferLeadership { token, to })
            }
            "unreachable" => {
                let (id, node) = (args.node()?, args.node()?);
                self.step(id, Input::Unreachable { node })
            }
            _ => self.lane(name, args),
        }
    }

    fn step(&mut self, id: NodeId, input: Input) -> Res<()> {
        let cluster = self.cluster()?;
        if cluster.members[&id].raft.is_none() {
            return Err(format!("{id} is down").into());
        }
        cluster.step(id, input);
        Ok(())
    }

    fn each_node(&mut self, name: &str, args: &mut Args) -> Res<()> {
        for id in args.nodes()? {
            let cluster = self.cluster()?;
            match name {
                "start" => {
                    cluster.try_start(id)?;
                    cluster.drain(id);
                }
                "join" => cluster.join(id),
                "crash" => cluster.crash(id),
                "timeout" => cluster.time_out(id),
                _ => cluster.step(id, Input::Timeout),
            }
        }
        Ok(())
    }

    fn elect(&mut self, id: NodeId) -> Res<()> {
        for _ in 0..10 {
            self.cluster()?.time_out(id);
            self.settle()?;
            if self.cluster()?.raft(id).is_leader() {
                return Ok(());
            }
        }
        Err(format!("{id} was not elected").into())
    }

    fn settle(&mut self) -> Res<()> {
        for _ in 0..ROUNDS_MAX {
            let cluster = self.cluster()?;
            if cluster.flights.is_empty() {
                return Ok(());
            }
            let flights = std::mem::take(&mut cluster.flights);
            flights.into_iter().for_each(|flight| arrive(cluster, flight));
        }
        Err("no end of messages".into())
    }

    /// What is on its way now and fits arrives, or is lost.
    fn deliver(&mut self, args: &mut Args, lost: bool) -> Res<()> {
        let from = args.word().or_else(|| args.key("from"));
        let from = from.map(|text| words::node(&text)).transpose()?;
        let to = args.word().or_else(|| args.key("to"));
        let to = to.map(|text| words::node(&text)).transpose()?;
        let only = args.key("only");
        let pick: Option<usize> = args.number("pick")?;
        let keep = args.switch("keep", false)?;
        let cluster = self.cluster()?;
        let fits = |flight: &Flight| {
            from.is_none_or(|id| id == flight.from)
                && to.is_none_or(|id| id == flight.to)
                && only.as_deref().is_none_or(|name| name == kind(&flight.message))
        };
        let mut chosen: Vec<usize> =
            (0..cluster.flights.len()).filter(|at| fits(&cluster.flights[*at])).collect();
        if let Some(pick) = pick {
            chosen = chosen.get(pick - 1).copied().into_iter().collect();
        }
        if chosen.is_empty() {
            return Err("nothing like that is on its way".into());
        }
        let flights: Vec<Flight> = chosen.iter().map(|at| cluster.flights[*at].clone()).collect();
        if !keep {
            chosen.iter().rev().for_each(|at| drop(cluster.flights.remove(*at)));
        }
        if !lost {
            flights.into_iter().for_each(|flight| arrive(cluster, flight));
        }
        Ok(())
    }

    fn call(&mut self, name: &str, args: &mut Args) -> Res<()> {
        let id = args.node()?;
        let time = LogTime(args.number_or("time", 0)?);
        while let Some(word) = args.word() {
            let token = self.names.token(&word);
            let input = match name {
                "propose" => Input::Propose { token, command: Bytes::from(word), time },
                "read" => Input::Read { token },
                _ => Input::Cancel { token },
            };
            self.step(id, input)?;
        }
        Ok(())
    }

    /// A snapshot of this position is said to be durable, whatever there is.
    fn snapshot(&mut self, name: &str, args: &mut Args) -> Res<()> {
        let id = args.node()?;
        let position = words::position(&args.must_word()?)?;
        if name == "taken" {
            return self.step(id, Input::SnapshotTaken { position });
        }
        let membership = args.membership()?;
        let store = &mut self.cluster()?.member(id).store;
        store.keep(position, membership.clone(), Vec::new());
        let time = LogTime::ZERO;
        let terms = Vec::new();
        self.step(id, Input::SnapshotReceived { position, membership, time, terms })
    }

    /// `change 1 c add-voter 4`, `remove 2`, `replace 2 4`, `readdress 2 where`.
    fn change(&mut self, args: &mut Args) -> Res<()> {
        let id = args.node()?;
        let word = args.must_word()?;
        // Nobody waits for what is called `nobody`.
        let token = if word == "nobody" { Token::ZERO } else { self.names.token(&word) };
        let kind = args.must_word()?;
        let one = args.node()?;
        let node = |id: NodeId, args: &mut Args| Node {
            name: args.key("name").unwrap_or_else(|| id.to_string()),
            address: args.key("at").unwrap_or_default(),
        };
        let change = match kind.as_str() {
            "add-learner" => Change::AddLearner { id: one, node: node(one, args) },
            "add-voter" => Change::AddVoter { id: one, node: node(one, args) },
            "remove" => Change::Remove { id: one },
            "replace" => {
                let id = args.node()?;
                Change::Replace { old: one, id, node: node(id, args) }
            }
            "readdress" => Change::Readdress { id: one, address: args.must_word()? },
            other => return Err(format!("{other} is no change").into()),
        };
        self.step(id, Input::ChangeMembership { token, change })
    }

    /// What is below the core of a node: its disk, its machine, its old entries.
    fn lane(&mut self, name: &str, args: &mut Args) -> Res<()> {
        let id = args.node()?;
        match name {
            "disk" => self.cluster()?.member(id).slow_disk = is_slow(args)?,
            "machine" => self.cluster()?.member(id).slow_machine = is_slow(args)?,
            "loads" => self.cluster()?.member(id).slow_loads = is_slow(args)?,
            "restores" => self.cluster()?.member(id).slow_restores = is_slow(args)?,
            "restored" => self.cluster()?.finish_restore(id),
            "persist" => {
                let cluster = self.cluster()?;
                cluster.member(id).pending.as_ref().ok_or("nothing is being written")?;
                cluster.persist(id);
            }
            "persisted" => {
                let write = skiff_core::WriteId(args.must_word()?.parse()?);
                return self.step(id, Input::Persisted { write });
            }
            "refuse" => {
                let write = self.cluster()?.member(id).pending.take();
                let write = write.ok_or("nothing is being written")?.id;
                return self.step(id, Input::Fault(Fault::WriteRefused { write }));
            }
            "store-fails" => return self.step(id, Input::Fault(Fault::StoreFailed)),
            "machine-fails" => {
                let index = words::index(&args.must_word()?)?;
                return self.step(id, Input::Fault(Fault::MachineFailed { index }));
            }
            "applied" => self.cluster()?.finish_apply(id),
            "loaded" => return self.loaded(id, args),
            other => return Err(format!("{other} is no command").into()),
        }
        Ok(())
    }

    /// Answers the oldest load: with an error, or with what was asked for from the `skip`th entry
    /// on, at most `take`.
    fn loaded(&mut self, id: NodeId, args: &mut Args) -> Res<()> {
        let member = self.cluster()?.member(id);
        let wanted = member.wanted.pop_front().ok_or("nothing was asked for")?;
        let result = match args.key("error").as_deref() {
            Some("compacted") => Err(LoadError::Compacted),
            Some("truncated") => Err(LoadError::Truncated),
            Some(_) => Err(LoadError::Failed),
            None => member.store.read(wanted.from, wanted.to, wanted.bytes_max),
        };
        let (skip, take) = (args.number_or("skip", 0)?, args.number_or("take", usize::MAX)?);
        let result = result.map(|entries| entries.into_iter().skip(skip).take(take).collect());
        self.step(id, Input::Loaded { load: wanted.load, result })
    }
}

fn arrive(cluster: &mut Cluster, flight: Flight) {
    let up = cluster.members.get(&flight.to).is_some_and(|member| member.raft.is_some());
    if up {
        cluster.deliver(flight);
    }
}

fn is_slow(args: &mut Args) -> Res<bool> {
    match args.must_word()?.as_str() {
        "slow" => Ok(true),
        "fast" => Ok(false),
        other => Err(format!("slow or fast, not {other}").into()),
    }
}

const fn kind(message: &Message) -> &'static str {
    match message {
        Message::PreVote { .. } => "PreVote",
        Message::PreVoteReply { .. } => "PreVoteReply",
        Message::Vote { .. } => "Vote",
        Message::VoteReply { .. } => "VoteReply",
        Message::Append(_) => "Append",
        Message::AppendReply(_) => "AppendReply",
        Message::TimeoutNow => "TimeoutNow",
        Message::Removed { .. } => "Removed",
        Message::ReadIndex { .. } => "ReadIndex",
        Message::ReadIndexReply { .. } => "ReadIndexReply",
    }
}
