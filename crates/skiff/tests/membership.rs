//! Members come and go while their cluster serves, in one process.

mod common;

use common::{leader, soon, start, three};
use skiff::{Event, Node, Why, transport::MemoryNetwork};

async fn roles<M: skiff::Snapshots>(node: &Node<M>) -> Vec<String> {
    let members = node.status().await.members;
    members.iter().map(|member| format!("{} {}", member.name, member.role)).collect()
}

#[tokio::test]
async fn members_are_added_and_removed_through_any_node() {
    let network = MemoryNetwork::new();
    let founder = start(&network, &["a"], |builder| builder.bootstrap()).await.remove(0);
    soon("ready", founder.ready()).await.unwrap();
    founder.command(5).await.unwrap();
    let mut others =
        start(&network, &["b", "c"], |builder| builder.peers(Vec::<String>::new())).await;
    let mut events = founder.events();
    soon("added", founder.add_voter("b")).await.unwrap();
    soon("added", others[0].add_learner("c")).await.unwrap();
    assert_eq!(roles(&founder).await, ["a voter", "b voter", "c learner"]);
    soon("added", founder.add_voter("c")).await.unwrap();
    assert_eq!(roles(&founder).await, ["a voter", "b voter", "c voter"]);
    for node in &others {
        soon("ready", node.ready()).await.unwrap();
        let value = node.read(skiff::Consistency::Linearizable, |machine| machine.value);
        assert_eq!(soon("a value", value).await.unwrap(), 5);
    }
    let error = soon("refused", founder.remove("x")).await.unwrap_err();
    assert_eq!(error.code(), Why::UnknownMember.code(), "{error}");
    soon("left", others[1].leave()).await.unwrap();
    let left = others.remove(1);
    let mut status = left.watch();
    soon("removed", status.wait_for(|status| status.standing == "removed")).await.unwrap();
    let mut told = Vec::new();
    while told.last() != Some(&"left") {
        match soon("an event", events.next()).await.unwrap() {
            Event::MemberJoined { .. } => told.push("joined"),
            Event::MemberPromoted { .. } => told.push("promoted"),
            Event::MemberLeft { .. } => told.push("left"),
            _ => {}
        }
    }
    assert_eq!(told, ["joined", "promoted", "joined", "promoted", "left"]);
}

#[tokio::test]
async fn a_leader_that_leaves_is_followed_by_another() {
    let nodes = three(&MemoryNetwork::new()).await;
    let old = soon("a leader", leader(&nodes)).await;
    old.command(1).await.unwrap();
    soon("left", old.leave()).await.unwrap();
    let rest: Vec<_> = nodes.iter().filter(|node| node.id() != old.id()).cloned().collect();
    let new = soon("another leader", leader(&rest)).await;
    assert_eq!(soon("done", new.command(1)).await.unwrap(), 2);
    let mut status = old.watch();
    soon("removed", status.wait_for(|status| status.standing == "removed")).await.unwrap();
}
