//! What a node that serves has to tell: the difference between two of its states.

use skiff::Status;

/// What was told so far.
#[derive(Debug, Default)]
pub(crate) struct Story {
    member: bool,
    leader: Option<(Option<String>, u64)>,
    waiting_for: Vec<String>,
    connected: Vec<String>,
}

impl Story {
    /// What is new, a line each.
    pub(crate) fn news(&mut self, status: &Status) -> Vec<String> {
        let mut news = Vec::new();
        self.tell_membership(status, &mut news);
        self.tell_waiting(status, &mut news);
        self.tell_connections(status, &mut news);
        self.tell_leader(status, &mut news);
        news
    }

    fn tell_membership(&mut self, status: &Status, news: &mut Vec<String>) {
        // A member that has just started counts no voters yet.
        let member = status.standing == "member" && status.voters > 0;
        if member && !self.member {
            let instance = status.instance.as_deref().unwrap_or_default();
            let short = instance.get(..8).unwrap_or(instance);
            let voters = status.voters;
            news.push(format!("member of a cluster of {voters}, instance {short}"));
        }
        self.member = member;
    }

    fn tell_waiting(&mut self, status: &Status, news: &mut Vec<String>) {
        if status.waiting_for != self.waiting_for {
            self.waiting_for.clone_from(&status.waiting_for);
            news.extend(status.waiting_for.iter().map(|reason| format!("waits: {reason}")));
        }
    }

    fn tell_connections(&mut self, status: &Status, news: &mut Vec<String>) {
        let connected = status.peers.iter().filter(|peer| peer.connected);
        let connected: Vec<String> = connected
            .map(|peer| match &peer.id {
                Some(id) => format!("`{id}` at {}", peer.address),
                None => peer.address.clone(),
            })
            .collect();
        let gone = self.connected.iter().filter(|peer| !connected.contains(peer));
        news.extend(gone.map(|peer| format!("disconnected: {peer}")));
        let come = connected.iter().filter(|peer| !self.connected.contains(peer));
        news.extend(come.map(|peer| format!("connected: {peer}")));
        self.connected = connected;
    }

    fn tell_leader(&mut self, status: &Status, news: &mut Vec<String>) {
        if status.standing != "member" {
            return;
        }
        let leader = (status.leader.clone(), status.term);
        let known_before = self.leader.as_ref().is_some_and(|(leader, _)| leader.is_some());
        match &leader.0 {
            _ if self.leader.as_ref() == Some(&leader) => {}
            Some(_) if status.state == "leader" => {
                news.push(format!("leads in term {}", status.term));
            }
            Some(name) => news.push(format!(
                "follows `{name}` at {} in term {}",
                status.leader_address.as_deref().unwrap_or("an unknown address"),
                status.term
            )),
            // Each attempt at an election has a term; only the loss of the leader is news.
            None if known_before || self.leader.is_none() => {
                news.push("knows no leader".to_owned());
            }
            None => {}
        }
        self.leader = Some(leader);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A status, from the JSON that it is written as.
    fn status(changes: &serde_json::Value) -> Status {
        let mut value = serde_json::to_value(Status::default()).unwrap();
        for (name, changed) in changes.as_object().unwrap() {
            value[name] = changed.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn each_change_is_told_once() {
        let mut story = Story::default();
        let waiting = serde_json::json!({
            "standing": "fresh", "waiting_for": ["nobody answers at 127.0.0.1:2"],
        });
        assert_eq!(story.news(&status(&waiting)), ["waits: nobody answers at 127.0.0.1:2"]);
        assert!(story.news(&status(&waiting)).is_empty());
        let peer = |connected| {
            serde_json::json!([{
                "id": "b", "address": "127.0.0.1:2", "connected": connected, "voter": true,
                "matched": null, "trails_by": null,
            }])
        };
        let formed = serde_json::json!({
            "standing": "member", "instance": "0123456789abcdef", "voters": 3, "term": 1,
            "peers": peer(true),
        });
        assert_eq!(
            story.news(&status(&formed)),
            [
                "member of a cluster of 3, instance 01234567",
                "connected: `b` at 127.0.0.1:2",
                "knows no leader"
            ]
        );
        let follows = serde_json::json!({
            "standing": "member", "term": 2, "state": "follower", "leader": "b",
            "leader_address": "127.0.0.1:2", "peers": peer(true),
        });
        assert_eq!(story.news(&status(&follows)), ["follows `b` at 127.0.0.1:2 in term 2"]);
        let alone =
            |term| serde_json::json!({ "standing": "member", "term": term, "peers": peer(false) });
        assert_eq!(
            story.news(&status(&alone(2))),
            ["disconnected: `b` at 127.0.0.1:2", "knows no leader"]
        );
        assert!(story.news(&status(&alone(3))).is_empty(), "a term by itself is no news");
        let leads = serde_json::json!({
            "standing": "member", "term": 3, "state": "leader", "leader": "a", "peers": peer(false),
        });
        assert_eq!(story.news(&status(&leads)), ["leads in term 3"]);
    }
}
