//! Leadership that is handed over by hand, and positions that are looked up.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Cluster, said, skiff};

/// What the node says of itself that leads.
fn leaders_status(cluster: &Cluster) -> serde_json::Value {
    let status = said(&cluster.run(&["status", "--json"]));
    let mut lines = status.lines().filter_map(|line| serde_json::from_str(line).ok());
    let leads = lines.find(|one: &serde_json::Value| one["status"]["state"] == "leader");
    leads.unwrap_or_else(|| panic!("nobody leads: {status}"))["status"].clone()
}

/// The node that leads.
fn leader(cluster: &Cluster) -> usize {
    let id = leaders_status(cluster)["id"].clone();
    (0..3).find(|node| id == format!("n{node}")).unwrap()
}

#[test]
fn leadership_is_handed_over_on_request() {
    let cluster = Cluster::formed();
    assert!(cluster.run(&["put", "key", "value"]).status.success());
    for _ in 0..3 {
        let to = (leader(&cluster) + 1) % 3;
        let name = format!("n{to}");
        let output = cluster.run(&["transfer", "--to", &name]);
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(said(&output), format!("`{name}` leads\n"));
        assert_eq!(leader(&cluster), to);
    }
    let output = cluster.run(&["transfer", "--json"]);
    assert!(output.status.success(), "{}", said(&output));

    let refused = cluster.run(&["transfer", "--to", "nobody"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("no member is called so"), "{}", said(&refused));
}

#[test]
fn a_position_is_looked_up_by_hand() {
    let cluster = Cluster::formed();
    let put = cluster.run(&["put", "key", "value"]);
    assert!(put.status.success(), "{}", said(&put));
    // The newest committed entry of a leader is of its own term.
    let status = leaders_status(&cluster);
    let [term, committed, instance] =
        ["term", "committed", "instance"].map(|name| status[name].clone());
    let nodes = cluster.nodes();
    let ask = |index: &str, more: &[&str]| {
        let position = format!("{index}/t{term}");
        let output = skiff(&[&["outcome", &*position, "--nodes", &nodes][..], more].concat());
        (output.status.code(), said(&output))
    };
    let index = committed.to_string();
    let digits = &instance.as_str().unwrap()[..8];
    assert_eq!(ask(&index, &["--instance", digits]), (Some(0), "applied\n".to_owned()));
    let (code, told) = ask(&index, &["--instance", "zz"]);
    assert!(code == Some(4) && told.starts_with("other-instance\n"), "{told}");
    let (code, told) = ask("900000", &["--timeout", "500ms"]);
    assert!(code == Some(4) && told.starts_with("undecided\n"), "{told}");
    let position = ["outcome", "2/t900", "--nodes", &nodes];
    assert_eq!(said(&skiff(&position)), "never\n");
    assert_eq!(skiff(&["outcome", "3"]).status.code(), Some(2));
}
