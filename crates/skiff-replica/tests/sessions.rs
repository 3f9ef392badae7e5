//! Sessions: a command is executed once, however often it is tried, wherever, and in whatever order.

mod world;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use skiff_core::{Entry, Membership, NodeId, Payload};
use skiff_replica::{
    Applier, Apply, At, Batch, Call, Encoded, Index, InstanceId, Limits, LogTime, MachineError,
    Mark, Opened, Position, Refused, SessionAsk, SessionEntry, SessionId, Snapshots, StateMachine,
    Term, Token,
};
use world::{Answer, PATIENCE, SECOND, World, followers};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sum {
    value: i64,
}

impl StateMachine for Sum {
    type Command = i64;
    type Response = i64;

    fn apply(&mut self, by: i64, _: At) -> i64 {
        self.value += by;
        self.value
    }
}

const LIMITS: Limits = Limits { sessions: 10, bytes: 1000 };

fn entry(index: u64, payload: Payload) -> Entry {
    Entry { term: Term(1), index: Index(index), time: LogTime(index * 10), payload }
}

fn begin(index: u64) -> Entry {
    let begin = SessionEntry::Begin { timeout: 1_000_000, limits: LIMITS };
    entry(index, Payload::Session(begin.encode()))
}

fn in_session(index: u64, session: u64, number: u64, by: i64) -> Entry {
    let session = SessionId(session);
    let command = SessionEntry::Command { session, number, command: bytes(by) };
    entry(index, Payload::Session(command.encode()))
}

fn bytes(number: i64) -> Bytes {
    number.encode().expect("a number can be encoded")
}

fn answered(number: i64) -> Result<Bytes, Refused> {
    Ok(bytes(number))
}

/// Applies these, each with somebody who waits; what those are told.
fn apply<M>(applier: &mut Applier<M>, entries: Vec<Entry>) -> Vec<Result<Bytes, Refused>>
where
    M: Snapshots,
{
    let tokens = entries.iter().map(|entry| (entry.index, Token(entry.index.0))).collect();
    let last = entries.last().expect("something").index;
    let done = applier.apply(&Apply { entries, tokens }, &mut Vec::new());
    assert_eq!(done, Ok(last));
    applier.take_answers().into_iter().map(|answer| answer.result).collect()
}

fn mark(index: u64) -> Mark {
    let membership = Membership::of([NodeId(5)]);
    Mark::new(InstanceId(9), NodeId(5), Position::new(1, index), membership)
}

#[test]
fn commands_with_and_without_a_session_go_side_by_side() {
    let mut applier = Applier::new(Sum::default());
    let plain = |index, by| entry(index, Payload::Command(bytes(by)));
    let tokens = (1..6).map(|index| (Index(index), Token(index))).collect();
    let entries =
        vec![begin(1), plain(2, 1), in_session(3, 1, 1, 10), plain(4, 2), in_session(5, 1, 1, 10)];
    let mut responses = Vec::new();
    let done = applier.apply(&Apply { entries, tokens }, &mut responses);
    assert_eq!(done, Ok(Index(5)));
    assert_eq!(responses, [(Token(2), 1), (Token(4), 13)]);
    let answers = applier.take_answers();
    let told: Vec<_> = answers.iter().map(|one| (one.token, one.executed)).collect();
    assert_eq!(told, [(Some(Token(1)), false), (Some(Token(3)), true), (Some(Token(5)), false)]);
    assert_eq!(
        (answers[1].result.clone(), answers[2].result.clone()),
        (answered(11), answered(11))
    );
    assert_eq!(applier.machine().value, 13);
    assert!(applier.take_answers().is_empty());
}

/// Two leaders have appended what one client tried at both, late and in another order. What counts is
/// the order of the log, on every node alike, in whatever batches they come to it.
#[test]
fn decide_at_apply_not_before() {
    let entries = [
        begin(1),
        in_session(2, 1, 1, 10),
        in_session(3, 1, 2, 100),
        in_session(4, 1, 1, 10),
        in_session(5, 1, 2, 100),
        in_session(6, 1, 3, 1000),
    ];
    let wanted =
        [answered(10), answered(110), Err(Refused::Acknowledged), answered(110), answered(1110)];
    let mut all: Vec<(i64, Bytes)> = Vec::new();
    for size in 1..=entries.len() {
        let mut applier = Applier::new(Sum::default());
        let batches = entries.chunks(size);
        let told: Vec<_> = batches.flat_map(|batch| apply(&mut applier, batch.to_vec())).collect();
        assert_eq!(told[1..], wanted, "in batches of {size}");
        all.push((applier.machine().value, applier.sessions().encode()));
    }
    assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
}

/// A machine that keeps its own data is further than the sessions that its mark has.
#[derive(Clone, Debug)]
struct Durable {
    sum: Sum,
    mark: Mark,
    stored: Vec<Bytes>,
}

impl StateMachine for Durable {
    type Command = i64;
    type Response = i64;

    fn apply(&mut self, by: i64, at: At) -> i64 {
        self.sum.apply(by, at)
    }
}

impl Snapshots for Durable {
    fn apply_batch(&mut self, mut batch: Batch<'_, Self>) -> Result<(), MachineError> {
        while let Some((by, at)) = batch.next_command()? {
            let response = self.apply(by, at);
            batch.respond(response);
        }
        self.stored.push(batch.stored()?);
        Ok(())
    }

    fn snapshot(&self) -> Result<skiff_replica::SnapshotWriter, MachineError> {
        Err(MachineError::new("it is not asked to"))
    }

    fn restore(&mut self, _: &mut dyn std::io::Read, _: Mark) -> Result<(), MachineError> {
        Err(MachineError::new("it is not asked to"))
    }

    fn checkpoint(&mut self, mark: Mark) -> Result<(), MachineError> {
        self.mark = mark;
        self.stored.clear();
        Ok(())
    }

    fn opened_at(&self) -> Opened {
        Opened::At { mark: Box::new(self.mark.clone()), stored: self.stored.clone() }
    }
}

#[test]
fn sessions_with_durable_machine() {
    let machine = Durable { sum: Sum::default(), mark: mark(0), stored: Vec::new() };
    let mut applier = Applier::new(machine);
    apply(&mut applier, vec![begin(1), in_session(2, 1, 1, 10), in_session(3, 1, 2, 100)]);
    let (kept, tables) = (applier.machine().clone(), applier.sessions().encode());
    // It is started again: its data is at 3, its mark at the beginning.
    let mut applier = Applier::new(kept.clone());
    assert_eq!(applier.applied(), Index(3));
    apply(&mut applier, vec![begin(1), in_session(2, 1, 1, 10), in_session(3, 1, 2, 100)]);
    let told = apply(&mut applier, vec![in_session(4, 1, 2, 100), in_session(5, 1, 1, 10)]);
    assert_eq!(told, [answered(110), Err(Refused::Acknowledged)]);
    assert_eq!(applier.machine().sum.value, 110, "neither was executed again");
    // Its tables are those of a node that was never started again.
    let mut again = Applier::new(kept);
    apply(&mut again, vec![begin(1), in_session(2, 1, 1, 10), in_session(3, 1, 2, 100)]);
    assert_eq!(again.sessions().encode(), tables);
    // A checkpoint has all of it in its mark.
    again.checkpoint(mark(3)).expect("it stands there");
    assert_eq!(again.machine().mark.sessions, tables);
    assert!(again.checkpoint(mark(4)).is_err(), "it does not stand there");
    let kept = again.machine().clone();
    let mut applier = Applier::new(kept);
    assert_eq!(apply(&mut applier, vec![in_session(4, 1, 2, 100)]), [answered(110)]);
    assert_eq!(applier.machine().sum.value, 110);
}

/// What a node is given by another has the sessions in it, and an old try gets its old answer there.
#[test]
fn sessions_ride_in_snapshots() {
    let mut applier = Applier::new(Sum::default());
    apply(&mut applier, vec![begin(1), in_session(2, 1, 1, 10)]);
    let (content, tables) = (applier.capture().expect("it can"), applier.sessions().encode());
    let with_sessions = mark(2).with_sessions(tables.clone());
    assert_eq!(Mark::decode(&with_sessions.encode()), Ok(with_sessions));
    let content = [&applier.sessions().head()[..], &content].concat();
    let mut other = Applier::new(Sum::default());
    apply(&mut other, vec![begin(1)]);
    assert!(other.restore(&content[..12], mark(2)).is_err());
    other.restore(&content, mark(2)).expect("it can");
    assert_eq!(other.sessions().encode(), tables);
    let told = apply(&mut other, vec![in_session(3, 1, 1, 10), in_session(4, 1, 2, 1)]);
    assert_eq!(told, [answered(10), answered(11)]);
}

fn session_of(answer: Answer) -> u64 {
    let Answer::Told(bytes) = answer else { panic!("{answer:?}") };
    u64::from_le_bytes(bytes.as_ref().try_into().expect("eight bytes"))
}

fn begins(world: &mut World, name: &str, timeout_ms: u64) -> u64 {
    let call = world.call(name, Call::Session(SessionAsk::Begin { timeout_ms }), PATIENCE);
    session_of(world.wait(&call))
}

fn gives(world: &mut World, name: &str, session: u64, number: u64, by: i64) -> Answer {
    let ask = SessionAsk::Command { session, number, command: bytes(by) };
    let call = world.call(name, Call::Session(ask), PATIENCE);
    world.wait(&call)
}

/// What a node refused, since it did not lead, is no answer of the command's number.
#[test]
fn failed_try_not_remembered() {
    let mut world = World::of_three();
    let leader = world.elect();
    let session = begins(&mut world, &leader, 60_000);
    let follower = followers(&world, &leader).remove(0);
    let refused = gives(&mut world, &follower, session, 1, 5);
    assert!(matches!(refused, Answer::Refused(Refused::NotLeader { .. })), "{refused:?}");
    assert_eq!(gives(&mut world, &leader, session, 1, 5), Answer::Told(bytes(5)));
    assert_eq!(gives(&mut world, &leader, session, 1, 5), Answer::Told(bytes(5)));
    assert_eq!(world.value(&leader), 5);
}

/// The leader dies before it answers; the next one has the answer too.
#[test]
fn retry_across_failover_once() {
    let mut world = World::of_three();
    let leader = world.elect();
    let session = begins(&mut world, &leader, 60_000);
    assert_eq!(gives(&mut world, &leader, session, 1, 5), Answer::Told(bytes(5)));
    world.crash(&leader);
    let next = world.elect();
    assert_ne!(next, leader);
    assert_eq!(gives(&mut world, &next, session, 1, 5), Answer::Told(bytes(5)));
    assert_eq!(gives(&mut world, &next, session, 2, 1), Answer::Told(bytes(6)));
    let old = Answer::Refused(Refused::Acknowledged);
    assert_eq!(gives(&mut world, &next, session, 1, 5), old);
    assert_eq!(world.value(&next), 6);
}

/// Without a quorum for several lifetimes of a session: it is still there afterwards, and expires when
/// time passes in which it could have been used.
#[test]
fn no_expiry_without_leader() {
    let mut world = World::of_three();
    let leader = world.elect();
    let session = begins(&mut world, &leader, 10_000);
    assert_eq!(gives(&mut world, &leader, session, 1, 5), Answer::Told(bytes(5)));
    for name in world.names() {
        world.crash(&name);
    }
    world.run(60 * SECOND);
    for name in world.names() {
        world.start(&name);
    }
    let leader = world.elect();
    assert_eq!(gives(&mut world, &leader, session, 1, 5), Answer::Told(bytes(5)));
    assert_eq!(gives(&mut world, &leader, session, 2, 5), Answer::Told(bytes(10)));
    world.run(11 * SECOND);
    let leader = world.elect();
    let expired = Answer::Refused(Refused::SessionExpired);
    assert_eq!(gives(&mut world, &leader, session, 3, 5), expired);
    assert_eq!(world.value(&leader), 10);
}

#[test]
fn a_session_passed_on_by_a_follower_is_the_same_session() {
    let mut world = world::three_forwarding();
    let leader = world.elect();
    let session = begins(&mut world, &leader, 60_000);
    for (number, name) in (1..).zip(world.names()) {
        let ask = SessionAsk::Command { session, number, command: bytes(1) };
        let call = world.call(&name, Call::Session(ask), PATIENCE);
        let sum = i64::try_from(number).expect("small");
        let answer = world.wait(&call);
        // One that comes from elsewhere is decoded by this little world.
        assert!([Answer::Told(bytes(sum)), Answer::Response(sum)].contains(&answer), "{answer:?}");
    }
    assert_eq!(world.value(&leader), 3);
}
