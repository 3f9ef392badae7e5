//! The adapter of the original's shape: over a stub of a provider, and call by call.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
    time::Duration,
};

use skiff_core::{
    Append, AppendOutcome, AppendReply, Index, Instant, Message, NodeId, Position, Round, Term,
};
use skiff_transport::{
    Accepted, Body, Call, CallAdapter, CallConnection, CallReply, CallTransport, Calls, Connection,
    Envelope, Hello, Inbox, Local, NotSent, Reply, Signal, Transport, TransportError,
    conformance::Medium, transport_conformance,
};

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().expect("no test panics with a lock held")
}

/// Who listens to whose calls.
type Hub = Arc<Mutex<HashMap<(String, String), Calls>>>;

/// The whole of a provider in the original's shape: it finds the other side in a map.
struct Stub {
    hub: Hub,
    own: OnceLock<String>,
}

impl CallTransport for Stub {
    fn open(&self, local: &Local) -> Result<Option<String>, TransportError> {
        Ok(Some(self.own.get_or_init(|| local.name.clone()).clone()))
    }

    fn connect(&self, address: &str) -> Result<Arc<dyn CallConnection>, TransportError> {
        let own = self.own.get().cloned().unwrap_or_default();
        Ok(Arc::new(StubConnection { hub: self.hub.clone(), own, other: address.to_owned() }))
    }
}

struct StubConnection {
    hub: Hub,
    own: String,
    other: String,
}

impl CallConnection for StubConnection {
    fn invoke(&self, call: Call, reply: Reply) {
        let way = (self.other.clone(), self.own.clone());
        let there = lock(&self.hub).get(&way).cloned();
        match there {
            Some(calls) => calls.tell(call, reply),
            None => reply.tell(Err(TransportError::Other("nobody there".into()))),
        }
    }

    fn listen(&self, to: Calls) {
        lock(&self.hub).insert((self.own.clone(), self.other.clone()), to);
    }

    fn close(&self) {
        lock(&self.hub).remove(&(self.own.clone(), self.other.clone()));
    }
}

struct Stubs {
    hub: Hub,
    outstanding: usize,
}

impl Stubs {
    fn new(outstanding: usize) -> Self {
        Self { hub: Hub::default(), outstanding }
    }
}

impl Medium for Stubs {
    fn transport(&self) -> Arc<dyn Transport> {
        let stub = Stub { hub: self.hub.clone(), own: OnceLock::new() };
        Arc::new(CallAdapter::new(stub).outstanding(self.outstanding))
    }

    fn accepts(&self) -> bool {
        false
    }
}

mod one_outstanding {
    use super::*;

    transport_conformance!(Stubs::new(1));
}

mod many_outstanding {
    use super::*;

    transport_conformance!(Stubs::new(256));
}

const TIMEOUT: Duration = Duration::from_millis(100);

/// A connection whose calls wait for the test to answer them, and whose other side is the test.
#[derive(Clone, Default)]
struct Held(Arc<HeldState>);

#[derive(Default)]
struct HeldState {
    calls: Mutex<Vec<(Envelope, Reply)>>,
    to: Mutex<Option<Calls>>,
    closed: Mutex<usize>,
}

impl CallConnection for Held {
    fn invoke(&self, call: Call, reply: Reply) {
        lock(&self.0.calls).push((call.envelope, reply));
    }

    fn listen(&self, to: Calls) {
        *lock(&self.0.to) = Some(to);
    }

    fn close(&self) {
        *lock(&self.0.closed) += 1;
    }
}

impl CallTransport for Held {
    fn connect(&self, _: &str) -> Result<Arc<dyn CallConnection>, TransportError> {
        Ok(Arc::new(self.clone()))
    }
}

/// One side of such a connection, with all that it was told.
struct Side {
    held: Held,
    adapter: CallAdapter,
    connection: Arc<dyn Connection>,
    told: Arc<Mutex<Vec<Signal>>>,
}

impl Side {
    fn new(outstanding: usize) -> Self {
        let held = Held::default();
        let adapter = CallAdapter::new(held.clone()).timeout(TIMEOUT).outstanding(outstanding);
        adapter.open(Local::default(), Accepted::new(|_| ())).expect("it opens");
        let connection = adapter.connect("other").expect("it connects");
        let told = Arc::<Mutex<Vec<Signal>>>::default();
        let noting = told.clone();
        connection.listen(Inbox::new(move |signal| lock(&noting).push(signal)));
        let side = Self { held, adapter, connection, told };
        assert_eq!(side.told(), [Signal::Up]);
        side
    }

    /// What was told since this was asked last.
    fn told(&self) -> Vec<Signal> {
        std::mem::take(&mut lock(&self.told))
    }

    /// The calls made since this was asked last.
    fn calls(&self) -> Vec<(Envelope, Reply)> {
        std::mem::take(&mut lock(&self.held.0.calls))
    }

    fn tick(&self, millis: u64) {
        self.adapter.tick(Instant(millis * 1_000_000));
    }

    /// The other side calls; where its answers go.
    fn called(&self, envelope: Envelope) -> Arc<Mutex<Vec<CallReply>>> {
        let answers = Arc::<Mutex<Vec<CallReply>>>::default();
        let noting = answers.clone();
        let reply = Reply::new(move |answer| lock(&noting).push(answer));
        let to = lock(&self.held.0.to).clone().expect("it listens");
        to.tell(Call { envelope }, reply);
        answers
    }
}

fn raft(term: u64, message: Message) -> Envelope {
    let body = Body::Raft { term: Term(term), message };
    Envelope { group: 0, from: NodeId(1), to: NodeId(2), boot: 1, body }
}

fn append(seq: u64) -> Envelope {
    let append = Append {
        seq,
        round: Round(seq),
        prev: Position::ZERO,
        entries: Vec::new(),
        commit: Index(0),
    };
    raft(1, Message::Append(append))
}

fn append_reply(seq: u64) -> Envelope {
    let outcome = AppendOutcome::Matched(Index(0));
    raft(1, Message::AppendReply(AppendReply { seq, round: Round(seq), last: Index(0), outcome }))
}

fn hello(boot: u64, nonce: u64) -> Envelope {
    let hello = Hello { nonce, ..Hello::default() };
    Envelope { boot, body: Body::Hello(Box::new(hello)), ..raft(0, Message::TimeoutNow) }
}

fn nothing(answers: &Arc<Mutex<Vec<CallReply>>>) -> bool {
    matches!(lock(answers)[..], [Ok(None)])
}

fn is(answers: &Arc<Mutex<Vec<CallReply>>>, envelope: &Envelope) -> bool {
    matches!(&lock(answers)[..], [Ok(Some(answer))] if answer == envelope)
}

#[test]
fn questions_become_calls_and_answers_are_received() {
    let side = Side::new(8);
    side.connection.send(append(1)).unwrap();
    let (called, reply) = side.calls().remove(0);
    assert_eq!(called, append(1));
    reply.tell(Ok(Some(append_reply(1))));
    assert_eq!(side.told(), [Signal::Received(append_reply(1))]);
}

#[test]
fn reply_answers_all_calls_up_to_its_number() {
    let side = Side::new(8);
    let asked: Vec<_> = (1..=4).map(|seq| side.called(append(seq))).collect();
    side.connection.send(append_reply(3)).unwrap();
    assert!(nothing(&asked[0]) && nothing(&asked[1]) && is(&asked[2], &append_reply(3)));
    assert!(lock(&asked[3]).is_empty(), "4 was not answered yet");
    assert!(side.calls().is_empty(), "the answer went as a call, too");
}

#[test]
fn answer_without_a_call_is_a_call_of_its_own() {
    let side = Side::new(8);
    let asked = side.called(append(1));
    side.connection.send(append_reply(1)).unwrap();
    side.connection.send(append_reply(1)).unwrap();
    assert!(is(&asked, &append_reply(1)));
    assert_eq!(side.calls().remove(0).0, append_reply(1));
}

#[test]
fn each_question_is_answered_by_its_own_kind() {
    let last = Position::ZERO;
    let pairs = [
        (
            Message::PreVote { campaign: Term(2), last },
            Message::PreVoteReply { campaign: Term(2), granted: true },
        ),
        (Message::Vote { last, transfer: false }, Message::VoteReply { granted: false }),
        (Message::ReadIndex { batch: 9 }, Message::ReadIndexReply { batch: 9, index: None }),
    ];
    let side = Side::new(8);
    for (question, answer) in pairs {
        let wrong = side.called(raft(1, Message::ReadIndex { batch: 8 }));
        let asked = side.called(raft(1, question));
        side.connection.send(raft(1, answer.clone())).unwrap();
        assert!(is(&asked, &raft(1, answer)));
        assert!(lock(&wrong).is_empty());
    }
}

#[test]
fn what_asks_nothing_is_answered_at_once() {
    let side = Side::new(8);
    for envelope in [hello(1, 1), append_reply(1), raft(1, Message::TimeoutNow)] {
        assert!(nothing(&side.called(envelope.clone())));
        assert_eq!(side.told(), [Signal::Received(envelope)]);
    }
}

#[test]
fn one_outstanding_call_holds_the_others_back() {
    let side = Side::new(1);
    (1..=3).for_each(|seq| side.connection.send(append(seq)).unwrap());
    for seq in 1..=3 {
        let mut calls = side.calls();
        assert_eq!(calls.len(), 1);
        let (called, reply) = calls.remove(0);
        assert_eq!(called, append(seq));
        reply.tell(Ok(None));
    }
    assert!(side.calls().is_empty());
}

#[test]
fn queue_is_bounded() {
    let side = Side::new(1);
    let mut sent = 0;
    while side.connection.send(append(sent)).is_ok() {
        sent += 1;
        assert!(sent < 10_000);
    }
    assert_eq!(side.connection.send(append(0)), Err(NotSent::Full));
}

#[test]
fn unanswered_call_takes_the_connection_down_and_it_is_tried_again() {
    let side = Side::new(1);
    side.connection.send(append(1)).unwrap();
    side.connection.send(append(2)).unwrap();
    let (_, late) = side.calls().remove(0);
    side.tick(1000);
    side.tick(1099);
    assert_eq!(side.told(), []);
    side.tick(1100);
    assert!(matches!(side.told()[..], [Signal::Down(_)]));
    assert_eq!(side.connection.send(append(3)), Err(NotSent::Down));
    // Nothing from before: neither the late answer nor what was queued.
    late.tell(Ok(Some(append_reply(1))));
    assert_eq!(side.told(), []);
    side.tick(1101);
    side.tick(1126);
    assert_eq!(side.told(), [Signal::Up]);
    assert!(side.calls().is_empty());
    side.connection.send(append(4)).unwrap();
    assert_eq!(side.calls().remove(0).0, append(4));
}

#[test]
fn failed_call_takes_the_connection_down() {
    let side = Side::new(8);
    side.connection.send(append(1)).unwrap();
    side.connection.send(append(2)).unwrap();
    let mut calls = side.calls();
    let (_, second) = calls.remove(1);
    calls.remove(0).1.tell(Err(TransportError::Other("cable eaten".into())));
    assert_eq!(side.told(), [Signal::Down("cable eaten".into())]);
    second.tell(Err(TransportError::Other("again".into())));
    assert_eq!(side.told(), [], "down is told once");
}

#[test]
fn call_of_the_other_side_proves_that_it_is_there() {
    let side = Side::new(8);
    side.connection.send(append(1)).unwrap();
    side.calls().remove(0).1.tell(Err(TransportError::Other("gone".into())));
    side.told();
    side.called(append(7));
    assert_eq!(side.told(), [Signal::Up, Signal::Received(append(7))]);
}

#[test]
fn unanswered_question_is_answered_with_nothing_in_time() {
    let side = Side::new(8);
    let asked = side.called(append(1));
    side.tick(1000);
    side.tick(1049);
    assert!(lock(&asked).is_empty());
    side.tick(1050);
    assert!(nothing(&asked));
    assert_eq!(side.told(), [Signal::Received(append(1))]);
}

#[test]
fn unanswered_questions_are_bounded() {
    let side = Side::new(8);
    let first = side.called(append(1));
    let others: Vec<_> = (2..=1025).map(|seq| side.called(append(seq))).collect();
    assert!(nothing(&first));
    assert!(others.iter().all(|asked| lock(asked).is_empty()));
}

/// A call never outlives its peer: what was asked of its last run is not for the next.
#[test]
fn restart_of_the_other_side_is_noticed() {
    let side = Side::new(8);
    side.called(hello(1, 10));
    side.called(hello(1, 10));
    let asked = side.called(append(1));
    side.connection.send(append(5)).unwrap();
    let (_, old) = side.calls().remove(0);
    side.told();
    side.called(hello(2, 20));
    assert!(matches!(
        &side.told()[..],
        [Signal::Down(_), Signal::Up, Signal::Received(said)] if *said == hello(2, 20)
    ));
    assert!(matches!(lock(&asked)[..], [Err(TransportError::Closed(_))]));
    old.tell(Ok(Some(append_reply(5))));
    assert_eq!(side.told(), []);
}

#[test]
fn close_answers_what_is_open_and_is_done_once() {
    let side = Side::new(8);
    let asked = side.called(append(1));
    side.connection.close();
    side.connection.close();
    side.adapter.shutdown();
    assert_eq!(*lock(&side.held.0.closed), 1);
    assert!(matches!(lock(&asked)[..], [Err(TransportError::Closed(_))]));
    let refused = side.called(append(2));
    assert!(matches!(lock(&refused)[..], [Err(TransportError::Closed(_))]));
}
