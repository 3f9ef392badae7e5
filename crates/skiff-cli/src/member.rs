//! `skiff member`: who belongs to the cluster, and changing it.

use comfy_table::{Table, presets};
use skiff::{ChangeError, Client, MemberChange, Status};
use skiff_kv::Kv;

use crate::{
    args::{Member, MemberCommand},
    failure::{Exit, Failure},
    nodes::Nodes,
    say,
};

pub(crate) async fn run(member: Member) -> Result<(), Failure> {
    let (nodes, change, done) = match member.command {
        MemberCommand::List(args) => return list(&args.nodes, args.json).await,
        MemberCommand::Add(args) => {
            let address = args.address;
            let (change, word) = match args.learner {
                true => (MemberChange::AddLearner { address: address.clone() }, "learner"),
                false => (MemberChange::AddVoter { address: address.clone() }, "voter"),
            };
            (args.nodes, change, format!("the node at {address} is a {word} of the cluster"))
        }
        MemberCommand::Remove(args) => {
            let done = format!("`{}` is no member any more", args.name);
            (args.nodes, MemberChange::Remove { name: args.name }, done)
        }
        MemberCommand::Replace(args) => {
            let done =
                format!("the node at {} has taken the place of `{}`", args.address, args.name);
            let change = MemberChange::Replace { name: args.name, address: args.address };
            (args.nodes, change, done)
        }
    };
    let changed = nodes.client()?.change(change).await;
    changed.map_err(|error| not_changed(&nodes, &error))?;
    say::line(done);
    Ok(())
}

fn not_changed(nodes: &Nodes, error: &ChangeError) -> Failure {
    let names = nodes.names();
    match error {
        ChangeError::Timeout { begun: true } | ChangeError::Disconnected => Failure::new(
            Exit::Unknown,
            format!("{error}. See how far it is with `skiff member list --nodes {names}`"),
        ),
        ChangeError::NotLeader { .. } | ChangeError::Timeout { .. } => Failure::failed(format!(
            "no leader was found within {:?}; nothing was changed. See how the nodes stand with \
             `skiff status --nodes {names}`",
            nodes.timeout
        )),
        _ => Failure::failed(error),
    }
}

/// The members as the leader sees them, or whoever answers if none does.
async fn list(nodes: &Nodes, json: bool) -> Result<(), Failure> {
    let status = newest(&nodes.client()?, nodes).await?;
    if json {
        return say::json(&serde_json::to_value(&status.members).map_err(Failure::failed)?);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["NAME", "ADDRESS", "ROLE"]);
    for member in &status.members {
        let leads = status.leader.as_deref() == Some(member.name.as_str());
        let role = if leads { "leader" } else { member.role.as_str() };
        table.add_row([member.name.as_str(), member.address.as_str(), role]);
    }
    say::line(table.trim_fmt());
    status.waiting_for.iter().for_each(say::line);
    Ok(())
}

async fn newest(client: &Client<Kv>, nodes: &Nodes) -> Result<Status, Failure> {
    let mut newest: Option<Status> = None;
    let mut failed = None;
    for node in &nodes.nodes {
        match client.status(node).await {
            Ok(status) => {
                let rank = |one: &Status| (one.state == "leader", one.term, one.committed);
                if newest.as_ref().is_none_or(|best| rank(&status) > rank(best)) {
                    newest = Some(status);
                }
            }
            Err(error) => failed = Some((node, error)),
        }
    }
    match (newest, failed) {
        (Some(status), _) => Ok(status),
        (None, Some((node, error))) => {
            Err(Failure::failed(format!("none of the nodes answers; {node}: {error}")))
        }
        (None, None) => Err(Failure::usage("no node is named")),
    }
}
