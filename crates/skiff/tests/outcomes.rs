//! Leaders are cut off, or asked to hand over, in the middle of calls, again and again. Whatever became of a
//! call is found out afterwards, from any node, and is true.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{collections::BTreeMap, time::Duration};

use common::soon;
use serde::{Deserialize, Serialize};
use skiff::{
    At, Client, CommandError, Consistency, EntryPosition, Fate, Index, InstanceId, Node, Outcome,
    StateMachine, Term, transport::MemoryNetwork,
};
use tokio::task::JoinSet;

const NAMES: [&str; 3] = ["a", "b", "c"];
/// So many calls are under way when the leader is deposed.
const CALLS: u64 = 16;
/// How many leaders are deposed in the long form.
const ROUNDS: &str = "SKIFF_OUTCOME_ROUNDS";

/// How often each number came.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Seen(BTreeMap<u64, u64>);

impl StateMachine for Seen {
    type Command = u64;
    type Response = ();

    fn apply(&mut self, number: u64, _: At) {
        *self.0.entry(number).or_default() += 1;
    }
}

/// What is known of the calls that were made.
#[derive(Default)]
struct Ledger {
    answered: Vec<u64>,
    refused: Vec<u64>,
    unknown: Vec<(u64, EntryPosition)>,
    /// Unknown, and nobody said where it stands.
    nowhere: Vec<u64>,
}

impl Ledger {
    fn note(&mut self, number: u64, answer: Result<(), CommandError>) {
        let Err(error) = answer else { return self.answered.push(number) };
        match (error.outcome(), error.position()) {
            (Outcome::NotApplied, _) => self.refused.push(number),
            (Outcome::AppliedResponseLost, _) => self.answered.push(number),
            (Outcome::Unknown, Some(position)) => self.unknown.push((number, position)),
            (Outcome::Unknown, None) => self.nowhere.push(number),
        }
    }
}

async fn three(network: &MemoryNetwork) -> Vec<Node<Seen>> {
    let mut nodes = Vec::new();
    for name in NAMES {
        let builder = Node::builder()
            .state_machine(Seen::default())
            .id(name)
            .transport(network.transport())
            .heartbeat_interval(Duration::from_millis(10))
            .min_election_timeout(Duration::from_millis(50))
            .max_election_timeout(Duration::from_millis(100))
            .peers(NAMES);
        nodes.push(builder.start().await.unwrap());
    }
    for node in &nodes {
        soon("ready", node.ready()).await.unwrap();
    }
    nodes
}

/// The node that leads, and that the others follow.
async fn leader(nodes: &[Node<Seen>]) -> Node<Seen> {
    let mut watched: Vec<_> = nodes.iter().map(Node::watch).collect();
    let led = async {
        loop {
            let mut leaders = nodes.iter().map(|node| node.leader().map(|leader| leader.name));
            let first = leaders.next().flatten();
            if first.is_some() && leaders.all(|leader| leader == first) {
                let found = nodes.iter().find(|node| Some(node.id()) == first.as_deref());
                return found.unwrap().clone();
            }
            let [a, b, c] = &mut watched[..] else { panic!("there are three") };
            tokio::select! {
                told = a.changed() => told.unwrap(),
                told = b.changed() => told.unwrap(),
                told = c.changed() => told.unwrap(),
            }
        }
    };
    soon("a leader that all follow", led).await
}

/// What a node says of an entry, once it knows.
async fn fate(node: &Node<Seen>, position: EntryPosition) -> Fate {
    let mut watched = node.watch();
    let known = async {
        loop {
            match node.outcome(position).await.unwrap() {
                Fate::Undecided => watched.changed().await.unwrap(),
                fate => return fate,
            }
        }
    };
    soon("a fate", known).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_unknown_outcome_is_found_out_afterwards() {
    let rounds = std::env::var(ROUNDS).ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let network = MemoryNetwork::new();
    let nodes = three(&network).await;
    let mut ledger = Ledger::default();
    let mut number = 0;
    for round in 0..rounds {
        let leading = leader(&nodes).await;
        let others: Vec<&str> = NAMES.into_iter().filter(|name| *name != leading.id()).collect();
        let mut calls = JoinSet::new();
        for _ in 0..CALLS {
            let (node, mine) = (leading.clone(), number);
            number += 1;
            calls.spawn(async move { (mine, node.command(mine).await) });
        }
        // Sooner or later, so that some are committed, some are on their way, and some are nowhere.
        for _ in 0..round % 7 * 3 {
            tokio::task::yield_now().await;
        }
        if round % 4 == 3 {
            let _any = leading.transfer_leadership(None).await;
        } else {
            others.iter().for_each(|other| network.cut(leading.id(), other));
        }
        while let Some(done) = soon("an answer", calls.join_next()).await {
            let (number, answer) = done.unwrap();
            ledger.note(number, answer);
        }
        others.iter().for_each(|other| network.heal(leading.id(), other));
    }
    judge(&nodes, ledger).await;
}

async fn judge(nodes: &[Node<Seen>], ledger: Ledger) {
    leader(nodes).await;
    let read = nodes[0].read(Consistency::Linearizable, Clone::clone);
    let Seen(seen) = soon("a read", read).await.unwrap();
    assert!(seen.values().all(|times| *times == 1), "nothing takes effect twice");
    assert!(ledger.answered.iter().all(|number| seen.contains_key(number)));
    assert!(ledger.refused.iter().all(|number| !seen.contains_key(number)));
    assert!(ledger.nowhere.is_empty(), "who leads knows where an entry stands");
    let unknown = ledger.unknown.len();
    for (number, position) in ledger.unknown {
        let expected = if seen.contains_key(&number) { Fate::Applied } else { Fate::Never };
        for node in nodes {
            assert_eq!(fate(node, position).await, expected, "{number} at {position}");
        }
    }
    assert!(unknown > 0, "no outcome was unknown: this tests nothing");
    println!(
        "{unknown} unknown, {} answered, {} refused",
        ledger.answered.len(),
        ledger.refused.len()
    );
}

/// What a node has said is not forgotten when the time is up before the next answer.
#[tokio::test]
async fn undecided_is_an_answer_also_when_the_nodes_are_gone() {
    let network = MemoryNetwork::new();
    let nodes = three(&network).await;
    let leading = leader(&nodes).await;
    leading.command(1_u64).await.unwrap();
    let status = leading.status().await;
    let client = Client::<Seen>::over(network.transport(), "skiff", NAMES).unwrap();
    let instance = u128::from_str_radix(&status.instance.unwrap(), 16).unwrap();
    // Of a term that no leader of this test gets to.
    let position =
        EntryPosition { instance: InstanceId(instance), term: Term(900), index: Index(9_000) };
    let long = client.clone().with_timeout(Duration::from_secs(3));
    let asked = tokio::spawn(async move { long.outcome(position).await });
    // Meanwhile it was told the same as this one, which ends first.
    let brief = client.with_timeout(Duration::from_millis(300));
    assert_eq!(brief.outcome(position).await.unwrap(), Fate::Undecided);
    for node in &nodes {
        node.stop().await.unwrap();
    }
    assert_eq!(asked.await.unwrap().unwrap(), Fate::Undecided);
}
