//! Machines of all kinds, and the way entries go into them.

use std::io::Read;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use skiff_core::{Entry, Membership, NodeId, Payload};
use skiff_replica::{
    Applier, Apply, At, Batch, Encoded, Index, InstanceId, KeepsNothing, LogTime, MachineError,
    MachineFormat, Malformed, Mark, Opened, Position, Raw, SnapshotWriter, Snapshots, StateMachine,
    Term, Token,
};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sum {
    value: i64,
}

impl StateMachine for Sum {
    type Command = i64;
    type Response = i64;

    fn apply(&mut self, by: i64, _: At) -> i64 {
        assert!(by != 666, "no evil");
        self.value += by;
        self.value
    }
}

fn entry(index: u64, payload: Payload) -> Entry {
    Entry { term: Term(1), index: Index(index), time: LogTime(index * 10), payload }
}

fn command(index: u64, command: impl Encoded) -> Entry {
    entry(index, Payload::Command(command.encode().expect("it can be encoded")))
}

fn apply(entries: Vec<Entry>, tokens: &[(u64, u64)]) -> Apply {
    let tokens = tokens.iter().map(|(index, token)| (Index(*index), Token(*token))).collect();
    Apply { entries, tokens }
}

fn mark(index: u64) -> Mark {
    let membership = Membership::of([NodeId(5)]);
    Mark::new(InstanceId(9), NodeId(5), Position::new(1, index), membership)
}

#[test]
fn commands_are_applied_in_order_and_only_waiting_callers_get_their_responses() {
    let mut applier = Applier::new(Sum::default());
    let mut responses = Vec::new();
    let entries = vec![
        entry(1, Payload::Noop),
        command(2, 10),
        entry(3, Payload::Membership(Membership::default().into())),
        command(4, 20),
        command(5, 30),
    ];
    let result = applier.apply(&apply(entries, &[(2, 7), (5, 8)]), &mut responses);
    assert_eq!(result, Ok(Index(5)));
    assert_eq!(responses, [(Token(7), 10), (Token(8), 60)]);
    assert_eq!(applier.applied(), Index(5));
}

#[test]
fn nothing_is_applied_twice_and_nothing_is_left_out() {
    let mut applier = Applier::new(Sum::default());
    let mut responses = Vec::new();
    let first = vec![command(1, 1), command(2, 2)];
    assert_eq!(applier.apply(&apply(first.clone(), &[]), &mut responses), Ok(Index(2)));
    assert_eq!(applier.apply(&apply(first, &[(2, 1)]), &mut responses), Ok(Index(2)));
    let overlapping = vec![command(2, 2), command(3, 3)];
    assert_eq!(applier.apply(&apply(overlapping, &[(3, 4)]), &mut responses), Ok(Index(3)));
    assert_eq!(applier.machine().value, 6);
    assert_eq!(responses, [(Token(4), 6)]);
    let gap = applier.apply(&apply(vec![command(5, 5)], &[]), &mut responses);
    assert_eq!(gap.expect_err("4 is missing").index, Index(4));
}

#[test]
fn a_panic_names_the_index_and_is_the_end_of_the_machine() {
    let mut applier = Applier::new(Sum::default());
    let mut responses = Vec::new();
    let entries = vec![command(1, 1), command(2, 666), command(3, 3)];
    let error = applier.apply(&apply(entries, &[(1, 1)]), &mut responses).expect_err("it panics");
    assert_eq!(error.index, Index(2));
    assert!(error.reason.contains("no evil"), "{error}");
    assert!(responses.is_empty(), "nothing of a failed batch is answered");
    assert_eq!(applier.applied(), Index(0));
    let again = applier.apply(&apply(vec![command(1, 1)], &[]), &mut responses);
    assert_eq!(again, Err(error));
    assert!(applier.capture().is_err());
}

#[test]
fn bytes_that_are_no_command_are_refused_before_and_stop_the_machine_after() {
    for (nonsense, is_refused) in [(&b"\xc1"[..], true), (b"\x01\x02", true), (b"\x01", false)] {
        assert_eq!(i64::check(&Bytes::from_static(nonsense)).is_err(), is_refused);
    }
    let mut applier = Applier::new(Sum::default());
    let bad = entry(1, Payload::Command(Bytes::from_static(b"\xc1")));
    let error = applier.apply(&apply(vec![bad], &[]), &mut Vec::new()).expect_err("nonsense");
    assert_eq!(error.index, Index(1));
}

#[test]
fn an_entry_of_an_unknown_kind_is_never_skipped() {
    let mut applier = Applier::new(Sum::default());
    let unknown = entry(2, Payload::Unknown { kind: 77, body: Bytes::new() });
    let error = applier.apply(&apply(vec![command(1, 1), unknown], &[]), &mut Vec::new());
    let error = error.expect_err("it is not known");
    assert_eq!(error.index, Index(2));
    assert!(error.reason.contains("77"), "{error}");
}

#[test]
fn a_state_that_is_captured_can_be_restored() {
    let mut applier = Applier::new(Sum::default());
    applier.apply(&apply(vec![command(1, 41)], &[]), &mut Vec::new()).expect("it applies");
    let content = applier.capture().expect("it captures");
    let mut other = Applier::new(Sum::default());
    other.restore(&content, mark(1)).expect("it restores");
    assert_eq!(other.machine().value, 41);
    assert_eq!(other.applied(), Index(1));
    other.apply(&apply(vec![command(2, 1)], &[]), &mut Vec::new()).expect("it goes on");
    assert_eq!(other.machine().value, 42);
    assert!(other.restore(b"\xc1", mark(3)).is_err());
    assert!(other.apply(&apply(vec![command(3, 1)], &[]), &mut Vec::new()).is_err());
}

#[test]
fn what_a_machine_is_told_about_a_command_is_equal_everywhere_and_never_the_same_twice() {
    #[derive(Clone, Default, Serialize, Deserialize)]
    struct Told(Vec<(u64, u64, u64, u64)>);
    impl StateMachine for Told {
        type Command = Raw;
        type Response = u64;
        fn apply(&mut self, _: Raw, at: At) -> u64 {
            self.0.push((at.index.0, at.term.0, at.time.0, at.random));
            at.random
        }
    }
    let entries: Vec<_> = (2..200).map(|index| command(index, Raw::from("x"))).collect();
    let told = |instance| {
        let mut applier = Applier::new(Told::default());
        let content = applier.capture().expect("it captures");
        let mark =
            Mark::new(InstanceId(instance), NodeId(1), Position::new(1, 1), Membership::default());
        applier.restore(&content, mark).expect("it restores");
        for chunk in entries.chunks(7) {
            let apply = apply(chunk.to_vec(), &[]);
            applier.apply(&apply, &mut Vec::new()).expect("it applies");
        }
        applier.machine().0.clone()
    };
    let mut one = told(1);
    assert_eq!(one, told(1));
    assert_eq!((one[0].0, one[0].1, one[0].2), (2, 1, 20));
    assert_ne!(one, told(2));
    one.sort_by_key(|told| told.3);
    one.dedup_by_key(|told| told.3);
    assert_eq!(one.len(), 198);
}

#[test]
fn a_node_without_a_machine_answers_the_index() {
    let mut applier = Applier::new(KeepsNothing);
    let mut responses = Vec::new();
    let apply = apply(vec![command(1, Raw::from("some command"))], &[(1, 3)]);
    applier.apply(&apply, &mut responses).expect("it applies");
    assert_eq!(responses, [(Token(3), 1)]);
}

/// A snapshot and commands written before a field was added are read; newer ones are refused.
#[test]
fn grown_struct() {
    #[derive(Clone, Default, Serialize, Deserialize)]
    struct Old {
        value: i64,
    }
    #[derive(Serialize, Deserialize)]
    struct OldCommand {
        by: i64,
    }
    #[derive(Clone, Default, Serialize, Deserialize)]
    struct Grown {
        #[serde(default)]
        name: String,
        value: i64,
        #[serde(default)]
        count: u64,
    }
    #[derive(Serialize, Deserialize)]
    struct GrownCommand {
        #[serde(default)]
        twice: bool,
        by: i64,
    }
    impl StateMachine for Old {
        type Command = OldCommand;
        type Response = i64;
        fn apply(&mut self, command: OldCommand, _: At) -> i64 {
            self.value += command.by;
            self.value
        }
    }
    impl StateMachine for Grown {
        type Command = GrownCommand;
        type Response = i64;
        const VERSION: u32 = 1;
        fn apply(&mut self, command: GrownCommand, _: At) -> i64 {
            self.value += if command.twice { 2 * command.by } else { command.by };
            self.count += 1;
            self.value
        }
    }
    let mut old = Applier::new(Old::default());
    let entries = vec![command(1, OldCommand { by: 5 })];
    old.apply(&apply(entries, &[]), &mut Vec::new()).expect("it applies");
    let content = old.capture().expect("it captures");
    let mut grown = Applier::new(Grown::default());
    grown.restore(&content, mark(1)).expect("it reads the old state");
    let entries =
        vec![command(2, OldCommand { by: 6 }), command(3, GrownCommand { twice: true, by: 1 })];
    grown.apply(&apply(entries, &[]), &mut Vec::new()).expect("it reads both");
    assert_eq!((grown.machine().value, grown.machine().count), (13, 2));
    assert_eq!(MachineFormat::of::<Grown>().version, 1);
    assert_eq!(MachineFormat::of::<Old>().codec, MachineFormat::of::<Grown>().codec);
}

/// A type with an encoding of its own, which serde does not know.
#[derive(Debug, PartialEq)]
struct Byte(u8);

impl Encoded for Byte {
    fn encode(&self) -> Result<Bytes, Malformed> {
        Ok(Bytes::copy_from_slice(&[self.0]))
    }

    fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        match bytes[..] {
            [byte] => Ok(Self(byte)),
            _ => Err(Malformed::new("a byte is one byte")),
        }
    }
}

/// An engine that is durable by itself: it keeps its mark, and applies a batch in one transaction.
#[derive(Default)]
struct Engine<S> {
    bytes: Vec<u8>,
    mark: Option<Vec<u8>>,
    stored: Vec<Bytes>,
    transactions: usize,
    forgets_to_answer: bool,
    _store: std::marker::PhantomData<S>,
}

impl<S: Send + Sync + 'static> StateMachine for Engine<S> {
    type Command = Byte;
    type Response = u64;

    fn apply(&mut self, Byte(byte): Byte, _: At) -> u64 {
        self.bytes.push(byte);
        self.bytes.len() as u64
    }
}

impl<S: Send + Sync + 'static> Snapshots for Engine<S> {
    fn apply_batch(&mut self, mut batch: Batch<'_, Self>) -> Result<(), MachineError> {
        while let Some((command, at)) = batch.next_command()? {
            let response = self.apply(command, at);
            if !self.forgets_to_answer {
                batch.respond(response);
            }
        }
        self.transactions += 1;
        self.stored.push(batch.stored()?);
        Ok(())
    }

    fn snapshot(&self) -> Result<SnapshotWriter, MachineError> {
        let bytes = self.bytes.clone();
        Ok(Box::new(move |to| to.write_all(&bytes)))
    }

    fn restore(&mut self, from: &mut dyn Read, mark: Mark) -> Result<(), MachineError> {
        self.bytes.clear();
        from.read_to_end(&mut self.bytes)?;
        self.stored.clear();
        self.mark = Some(mark.encode().to_vec());
        Ok(())
    }

    fn opened_at(&self) -> Opened {
        let mark = self.mark.as_ref().and_then(|mark| Mark::decode(mark).ok());
        let stored = self.stored.clone();
        mark.map_or(Opened::Empty, |mark| Opened::At { mark: Box::new(mark), stored })
    }
}

#[test]
fn an_engine_applies_a_batch_at_once_and_is_not_given_it_again() {
    let mut applier = Applier::new(Engine::<String>::default());
    applier.restore(b"ab", mark(1)).expect("it restores");
    let mut responses = Vec::new();
    let entries = vec![command(2, Byte(b'c')), command(3, Byte(b'd'))];
    applier.apply(&apply(entries.clone(), &[(3, 1)]), &mut responses).expect("it applies");
    assert_eq!(responses, [(Token(1), 4)]);
    assert_eq!(applier.machine().transactions, 1);
    let Engine { bytes, mark, stored, .. } = applier.machine();
    let kept = Engine::<String> {
        bytes: bytes.clone(),
        mark: mark.clone(),
        stored: stored.clone(),
        ..Engine::default()
    };
    let mut reopened = Applier::new(kept);
    assert_eq!(reopened.applied(), Index(3));
    reopened.apply(&apply(entries, &[]), &mut responses).expect("it has them");
    assert_eq!(reopened.machine().bytes, b"abcd");
}

#[test]
fn an_engine_that_forgets_to_answer_is_told() {
    let engine = Engine::<()> { forgets_to_answer: true, ..Engine::default() };
    let mut applier = Applier::new(engine);
    let error = applier.apply(&apply(vec![command(1, Byte(1))], &[(1, 1)]), &mut Vec::new());
    assert!(error.expect_err("a caller waits").reason.contains("unanswered"));
}

#[test]
fn a_mark_survives_as_bytes_and_others_are_refused() {
    let mark = mark(7);
    assert_eq!(Mark::decode(&mark.encode()), Ok(mark.clone()));
    let mut newer = mark.encode().to_vec();
    newer[0] = 9;
    let error = Mark::decode(&newer).expect_err("a newer one");
    assert!(error.reason.contains('9'), "{error}");
    for short in 0..newer.len() {
        assert!(Mark::decode(&mark.encode()[..short]).is_err());
    }
}

#[test]
fn raw_bytes_are_not_copied() {
    let bytes = Bytes::from(vec![1, 2, 3]);
    let Raw(decoded) = Raw::decode(&bytes).expect("any bytes are raw bytes");
    assert_eq!(decoded.as_ptr(), bytes.as_ptr());
    assert_eq!(Raw(decoded).encode().expect("it is bytes").as_ptr(), bytes.as_ptr());
}
