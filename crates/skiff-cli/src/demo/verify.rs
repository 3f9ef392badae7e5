//! Reads everything back, from every node.

use skiff::{Client, Consistency};
use skiff_kv::{Answer, Kv, MAX_PAGE, Query};

use super::{ledger::Ledger, story::Story};
use crate::{
    cluster::{LocalCluster, NODES},
    failure::Failure,
};

/// What a reading of all nodes has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Acknowledged commands that are missing, or hold something else, on at least one node.
    pub(crate) lost: Vec<String>,
    /// Keys on at least one node that nobody wrote.
    pub(crate) unknown: Vec<String>,
    /// What the nodes say of their contents, each.
    pub(crate) digests: Vec<u64>,
}

impl Found {
    /// Whether all nodes hold the same.
    pub(crate) fn agree(&self) -> bool {
        self.digests.iter().all(|digest| *digest == self.digests[0])
    }

    /// Takes in what one node holds.
    fn compare(&mut self, expected: &[(String, String)], held: &[(String, String)]) {
        let (mut expected, mut held) = (expected.iter().peekable(), held.iter().peekable());
        loop {
            match (expected.peek(), held.peek()) {
                (None, None) => break,
                (Some(wanted), Some(there)) if wanted.0 == there.0 => {
                    if wanted.1 != there.1 {
                        self.lost.push(wanted.0.clone());
                    }
                    expected.next();
                    held.next();
                }
                (Some(wanted), there) if there.is_none_or(|there| wanted.0 < there.0) => {
                    self.lost.push(wanted.0.clone());
                    expected.next();
                }
                (_, Some(there)) => {
                    self.unknown.push(there.0.clone());
                    held.next();
                }
                // Both are covered: with nothing held, whatever is wanted is lost.
                (Some(_), None) => unreachable!("the arm before the last takes it"),
            }
        }
        for keys in [&mut self.lost, &mut self.unknown] {
            keys.sort();
            keys.dedup();
        }
    }
}

/// Waits until every node has applied what the leader has committed, and compares what each of them
/// holds, by itself, with what was acknowledged.
pub(crate) async fn read_back(
    cluster: &mut LocalCluster,
    ledger: &Ledger,
    story: &Story,
) -> Result<Found, Failure> {
    let expected = ledger.pairs();
    let mut found = Found::default();
    let (_, leader) = cluster.leader().await?;
    for number in 0..NODES {
        let status = cluster.wait_for(number, |status| status.applied >= leader.committed).await?;
        let address = cluster.address(number);
        let held = read_all(cluster.client(), address).await?;
        found.compare(&expected, &held);
        found.digests.push(digest(cluster.client(), address).await?);
        story.line(format_args!(
            "{} holds {} keys, with {} entries applied",
            cluster.name(number),
            held.len(),
            status.applied
        ));
    }
    Ok(found)
}

async fn read_all(client: &Client<Kv>, node: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut all: Vec<(String, String)> = Vec::new();
    loop {
        let after = all.last().map(|(key, _)| key.clone());
        let query = Query::List { prefix: String::new(), after, limit: MAX_PAGE };
        match ask(client, node, query).await? {
            Answer::Page { pairs, more } => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                all.extend(pairs.iter().map(|(key, value)| (key.clone(), text(value))));
                if !more {
                    return Ok(all);
                }
            }
            answer => return Err(Failure::failed(format!("{node} answered {answer:?}"))),
        }
    }
}

async fn digest(client: &Client<Kv>, node: &str) -> Result<u64, Failure> {
    match ask(client, node, Query::Digest).await? {
        Answer::Digest(digest) => Ok(digest),
        answer => Err(Failure::failed(format!("{node} answered {answer:?}"))),
    }
}

async fn ask(client: &Client<Kv>, node: &str, query: Query) -> Result<Answer, Failure> {
    let answer = client.query_at(Some(node), Consistency::Local, query).await;
    answer.map_err(|error| Failure::failed(format!("cannot read from {node}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_missing_changed_or_unknown_is_found() {
        let expected = pairs(&[("b", "1"), ("c", "2"), ("d", "3"), ("f", "4")]);
        let mut found = Found::default();
        found.compare(&expected, &expected);
        assert_eq!(found, Found::default());
        found.compare(
            &expected,
            &pairs(&[("a", "0"), ("b", "1"), ("c", "x"), ("f", "4"), ("g", "")]),
        );
        assert_eq!(found.lost, ["c", "d"]);
        assert_eq!(found.unknown, ["a", "g"]);
        found.compare(&expected, &[]);
        assert_eq!(found.lost, ["b", "c", "d", "f"]);
    }

    #[test]
    fn nodes_agree_if_all_say_the_same() {
        let found = |digests: &[u64]| Found { digests: digests.into(), ..Found::default() };
        assert!(found(&[4, 4, 4]).agree());
        assert!(!found(&[4, 4, 5]).agree());
    }
}
