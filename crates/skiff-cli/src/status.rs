//! `skiff status`: how the nodes stand, side by side.

use comfy_table::{Table, presets};
use serde_json::json;
use skiff::{Client, ReadError, Status};
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
        "COMMITTED",
        "APPLIED",
        "TRAILS BY",
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

fn row(address: &str, status: &Status, leader: Option<&Status>) -> [String; 9] {
    let connected = status.peers.iter().filter(|peer| peer.connected).count();
    let state = match &*status.standing {
        "member" => status.state.clone(),
        standing => format!("{} ({standing})", status.state),
    };
    [
        address.to_owned(),
        status.id.clone(),
        state,
        status.term.to_string(),
        status.leader.clone().unwrap_or_else(|| "-".to_owned()),
        status.committed.to_string(),
        status.applied.to_string(),
        trails_by(status, leader).map_or_else(|| "-".to_owned(), |entries| entries.to_string()),
        format!("{connected}/{}", status.peers.len()),
    ]
}

/// The one that leads in the highest term: an old leader may not know yet that it is none.
fn leader(answers: &[Answer]) -> Option<&Status> {
    let all = answers.iter().filter_map(|(_, answer)| answer.as_ref().ok());
    all.filter(|status| status.state == "leader").max_by_key(|status| status.term)
}

/// How many entries this node lacks, as its leader sees it.
fn trails_by(status: &Status, leader: Option<&Status>) -> Option<u64> {
    let leader = leader?;
    if leader.id == status.id {
        return Some(0);
    }
    let peer = leader.peers.iter().find(|peer| peer.id.as_deref() == Some(&*status.id))?;
    peer.trails_by
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
