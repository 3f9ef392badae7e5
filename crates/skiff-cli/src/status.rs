//! `skiff status`: how the nodes stand, side by side.

use std::fmt;

use comfy_table::{Table, presets};
use indicatif::HumanBytes;
use serde_json::json;
use skiff::{Client, PeerStatus, ReadError, Status};
use skiff_kv::Kv;
use tokio::task::JoinSet;

use crate::{args, failure::Failure, say};

/// What a node said, or why nothing.
type Answer = (String, Result<Status, ReadError>);

pub(crate) async fn run(args: args::Status) -> Result<(), Failure> {
    let client = args.nodes.client()?;
    let answers = ask_all(&client, &args.nodes.nodes).await;
    if args.json {
        for (address, answer) in &answers {
            say::json(&match answer {
                Ok(status) => json!({ "address": address, "status": status }),
                Err(error) => json!({ "address": address, "error": error.to_string() }),
            })?;
        }
    } else {
        say::line(table(&answers).trim_fmt());
        remarks(&answers).iter().for_each(say::line);
    }
    if answers.iter().all(|(_, answer)| answer.is_err()) {
        return Err(Failure::failed(format!(
            "no node answers at {} within {:?}; are they running, and of cluster `{}`?",
            args.nodes.names(),
            args.nodes.timeout,
            args.nodes.cluster
        )));
    }
    Ok(())
}

/// Asks all nodes at once, so that one that is down delays the others only once.
async fn ask_all(client: &Client<Kv>, nodes: &[String]) -> Vec<Answer> {
    let mut asked = JoinSet::new();
    for (place, address) in nodes.iter().cloned().enumerate() {
        let client = client.clone();
        asked.spawn(async move {
            let answer = client.status(&address).await;
            (place, (address, answer))
        });
    }
    let mut answers = asked.join_all().await;
    answers.sort_by_key(|(place, _)| *place);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

fn table(answers: &[Answer]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "ADDRESS",
        "ID",
        "STATE",
        "TERM",
        "LEADER",
        "LOG",
        "COMMITTED",
        "APPLIED",
        "SNAPSHOT",
        "TRAILS BY",
        "LAST HEARD",
        "DISK FREE",
        "CONNECTED",
    ]);
    let leader = leader(answers);
    for (address, answer) in answers {
        match answer {
            Ok(status) => table.add_row(row(address, status, leader)),
            Err(_) => table.add_row([address.as_str(), "-", "no answer"]),
        };
    }
    table
}

fn row(address: &str, status: &Status, leader: Option<&Status>) -> [String; 13] {
    let connected = status.peers.iter().filter(|peer| peer.connected).count();
    let state = match &*status.standing {
        "member" if status.voter => status.state.clone(),
        "member" if status.voters > 0 => format!("{} (learner)", status.state),
        "member" => status.state.clone(),
        standing => format!("{} ({standing})", status.state),
    };
    let seen = leader.and_then(|leader| seen_by(leader, status));
    let unknown = || "-".to_owned();
    let heard = seen.and_then(|peer| peer.last_contact_ms);
    [
        address.to_owned(),
        status.id.clone(),
        state,
        status.term.to_string(),
        status.leader.clone().unwrap_or_else(unknown),
        if status.last == 0 { unknown() } else { format!("{}..{}", status.first, status.last) },
        status.committed.to_string(),
        status.applied.to_string(),
        status.snapshot.to_string(),
        trails_by(status, leader).unwrap_or_else(unknown),
        heard.map_or_else(unknown, |ms| format!("{} ago", HumanDuration(ms))),
        status.disk_free_bytes.map_or_else(unknown, |bytes| HumanBytes(bytes).to_string()),
        format!("{connected}/{}", status.peers.len()),
    ]
}

/// The one that leads in the highest term: an old leader may not know yet that it is none.
fn leader(answers: &[Answer]) -> Option<&Status> {
    let all = answers.iter().filter_map(|(_, answer)| answer.as_ref().ok());
    all.filter(|status| status.state == "leader").max_by_key(|status| status.term)
}

/// What the leader knows of this node.
fn seen_by<'a>(leader: &'a Status, status: &Status) -> Option<&'a PeerStatus> {
    leader.peers.iter().find(|peer| peer.id.as_deref() == Some(&*status.id))
}

/// What this node lacks, as its leader sees it: entries, bytes at most, and for how long.
fn trails_by(status: &Status, leader: Option<&Status>) -> Option<String> {
    let leader = leader?;
    if leader.id == status.id {
        return Some("0".to_owned());
    }
    let peer = seen_by(leader, status)?;
    let entries = peer.trails_by?;
    if entries == 0 {
        return Some("0".to_owned());
    }
    let bytes = peer.trails_by_bytes.map(|bytes| HumanBytes(bytes).to_string());
    let time = peer.trails_by_ms.map(|ms| HumanDuration(ms).to_string());
    let more: Vec<String> = bytes.into_iter().chain(time).collect();
    let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
    Some(format!("{entries}{more}"))
}

/// Milliseconds, as people say it.
struct HumanDuration(u64);

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms @ ..1_000 => write!(f, "{ms} ms"),
            ms @ 1_000..60_000 => write!(f, "{}.{} s", ms / 1_000, ms % 1_000 / 100),
            ms @ 60_000..3_600_000 => write!(f, "{} min", ms / 60_000),
            ms => write!(f, "{} h", ms / 3_600_000),
        }
    }
}

/// What the table has no room for.
fn remarks(answers: &[Answer]) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(leader) = leader(answers) {
        let tolerates = leader.tolerates.unwrap_or(0);
        remarks.push(format!(
            "`{}` leads {} voters; the cluster tolerates {tolerates} more failure{}",
            leader.id,
            leader.voters,
            if tolerates == 1 { "" } else { "s" }
        ));
    } else if answers.iter().any(|(_, answer)| answer.is_ok()) {
        remarks.push("none of them leads: nothing can be written now".to_owned());
    }
    for (address, answer) in answers {
        match answer {
            Ok(status) => {
                let waits = status.waiting_for.iter();
                remarks.extend(waits.map(|reason| format!("`{}` waits: {reason}", status.id)));
            }
            Err(error) => remarks.push(format!("{address}: {error}")),
        }
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(value: &serde_json::Value) -> Status {
        serde_json::from_value(value.clone()).unwrap()
    }

    #[test]
    fn what_is_not_known_is_left_out_of_the_table() {
        let leader = |peer: serde_json::Value| {
            status(&json!({ "id": "a", "state": "leader", "peers": [peer] }))
        };
        let b = status(&json!({ "id": "b" }));
        let trails = |peer| trails_by(&b, Some(&leader(peer)));
        let all =
            json!({ "id": "b", "trails_by": 7, "trails_by_bytes": 4096, "trails_by_ms": 1500 });
        assert_eq!(trails(all).as_deref(), Some("7 (4.00 KiB, 1.5 s)"));
        assert_eq!(trails(json!({ "id": "b", "trails_by": 7 })).as_deref(), Some("7"));
        assert_eq!(trails(json!({ "id": "b", "trails_by": 0 })).as_deref(), Some("0"));
        assert_eq!(trails(json!({ "id": "b" })), None);
        assert_eq!(trails(json!({ "id": "c", "trails_by": 7 })), None);
        assert_eq!(trails_by(&b, None), None);
        assert_eq!(trails_by(&b, Some(&b)).as_deref(), Some("0"), "a leader trails nobody");
    }

    #[test]
    fn spans_are_told_as_people_say_them() {
        let told = [0, 999, 1_000, 59_999, 60_000, 3_599_999, 7_200_000]
            .map(|ms| HumanDuration(ms).to_string());
        assert_eq!(told, ["0 ms", "999 ms", "1.0 s", "59.9 s", "1 min", "59 min", "2 h"]);
    }
}
