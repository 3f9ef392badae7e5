//! `skiff transfer` and `skiff outcome`: what is asked of the nodes themselves, not of the store.

use serde_json::json;
use skiff::{Client, EntryPosition, Fate, Index, InstanceId, Term, TransferError, core::Position};
use skiff_kv::Kv;

use crate::{
    args,
    failure::{Exit, Failure},
    nodes::Nodes,
    say,
};

pub(crate) async fn transfer(args: args::Transfer) -> Result<(), Failure> {
    let client = args.nodes.client()?;
    let asked = client.transfer_leadership(args.to.as_deref()).await;
    asked.map_err(|error| not_transferred(&args, &error))?;
    let leader = leader(&client, &args.nodes).await.or_else(|| args.to.clone());
    if args.json {
        return say::json(&json!({ "leader": leader }));
    }
    match leader {
        Some(leader) => say::line(format_args!("`{leader}` leads")),
        None => say::line("another node leads"),
    }
    Ok(())
}

/// Who leads now, as the first node says that knows.
async fn leader(client: &Client<Kv>, nodes: &Nodes) -> Option<String> {
    for address in &nodes.nodes {
        if let Ok(status) = client.status(address).await
            && status.leader.is_some()
        {
            return status.leader;
        }
    }
    None
}

fn not_transferred(args: &args::Transfer, error: &TransferError) -> Failure {
    let names = args.nodes.names();
    match (error, &args.to) {
        (TransferError::NotLeader { .. } | TransferError::Timeout, _) => Failure::failed(format!(
            "no leader did it within {:?}. See how the nodes stand with `skiff status --nodes {names}`",
            args.nodes.timeout
        )),
        (TransferError::NotTransferred { why }, Some(name)) => {
            Failure::failed(format!("leadership was not handed over to `{name}`: {why}"))
        }
        _ => Failure::failed(error),
    }
}

pub(crate) async fn outcome(args: args::Outcome) -> Result<(), Failure> {
    let client = args.nodes.client()?;
    let Position { term, index } = args.position;
    let instance = instance(&client, &args.nodes).await?;
    let other = args.instance.as_ref().is_some_and(|digits| {
        !format!("{:032x}", instance.0).starts_with(&digits.to_ascii_lowercase())
    });
    let fate = match other {
        true => Fate::OtherInstance,
        false => client
            .outcome(EntryPosition { instance, term, index })
            .await
            .map_err(|error| Failure::failed(format!("nobody could say: {error}")))?,
    };
    match args.json {
        true => say::json(&json!({ "index": index.0, "term": term.0, "outcome": fate.as_str() }))?,
        false => say::line(fate),
    }
    match fate {
        Fate::Applied | Fate::Never => Ok(()),
        Fate::Undecided => Err(Failure::new(
            Exit::Unknown,
            format_args!(
                "it is decided once a leader has committed something: is a majority up? See `skiff \
                 status --nodes {}`",
                args.nodes.names()
            ),
        )),
        Fate::OtherInstance => Err(Failure::new(
            Exit::Unknown,
            format_args!("these nodes belong to instance {instance} of the cluster"),
        )),
        _ => Err(Failure::new(Exit::Unknown, "it was decided too long ago to be remembered")),
    }
}

/// The instance of the cluster, as the first node says that is a member.
async fn instance(client: &Client<Kv>, nodes: &Nodes) -> Result<InstanceId, Failure> {
    for address in &nodes.nodes {
        let status = client.status(address).await.ok();
        let digits = status.and_then(|status| status.instance);
        if let Some(number) = digits.and_then(|digits| u128::from_str_radix(&digits, 16).ok()) {
            return Ok(InstanceId(number));
        }
    }
    Err(Failure::failed(format_args!("no member of a cluster answers at {}", nodes.names())))
}

/// `1204/t7`.
pub(crate) fn parse_position(text: &str) -> Result<Position, String> {
    let parts = text.split_once("/t");
    let numbers = parts.and_then(|(index, term)| Some((index.parse().ok()?, term.parse().ok()?)));
    let (index, term) = numbers.ok_or("an index and a term are wanted, as in 1204/t7")?;
    Ok(Position { term: Term(term), index: Index(index) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_is_written() {
        let position = Position::new(7, 1204);
        assert_eq!(parse_position(&position.to_string()), Ok(position));
        for wrong in ["", "7", "1204/7", "1204/t", "/t7", "1204/t7 "] {
            assert!(parse_position(wrong).is_err(), "{wrong}");
        }
    }
}
