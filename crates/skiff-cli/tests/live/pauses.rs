//! A leader that stands still while another takes its place, and does not know it when it goes on.

use rustix::process::Signal;

use crate::{
    clients::{ATTEMPT, get},
    cluster::Cluster,
    history::End,
    store::{Act, Op},
};

#[test]
fn a_leader_that_was_paused_reads_nothing_old() {
    pause_leaders(2);
}

#[test]
#[ignore = "takes minutes"]
fn leaders_that_were_paused_read_nothing_old_twenty_times() {
    pause_leaders(20);
}

fn pause_leaders(times: u64) {
    let cluster = Cluster::formed(3);
    let clients = cluster.clients();
    for _ in 0..times {
        cluster.history.wait_for_more(100);
        let leader = cluster.leader();
        cluster.signal(leader, Signal::STOP);
        cluster.history.wait_for_more(200);
        // Read at it at once: it has not heard yet that another leads.
        let (client, at) = (cluster.client().with_timeout(ATTEMPT), cluster.address(leader));
        for key in 0..5 {
            let key = format!("{key}-0");
            let invoked = cluster.history.now();
            cluster.signal(leader, Signal::CONT);
            let end = cluster.run(get(&client, at, &key));
            let answered = matches!(end, End::Answered(_));
            cluster.history.note(Op { key, act: Act::Get }, invoked, end);
            assert!(answered, "it reads again, through whoever leads now");
        }
    }
    cluster.judge(clients, &format!("the leader paused and read at once, {times} times"));
}
