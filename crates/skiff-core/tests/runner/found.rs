//! Founding a cluster, and what its nodes find when they start.

use skiff_core::{Config, HardState, Membership, NodeId, Term};

use super::{
    Runner,
    words::{self, Args, Res},
};
use crate::common::Cluster;

impl Runner {
    pub(super) fn found(&mut self, args: &mut Args) -> Res<()> {
        let mut config = Config::new(NodeId(0));
        if args.switch("foreign", false)? {
            config.options = skiff_core::Options::foreign();
        }
        let options = &mut config.options;
        options.pre_vote = args.switch("prevote", options.pre_vote)?;
        options.check_quorum = args.switch("check-quorum", options.check_quorum)?;
        options.refuse_while_led = args.switch("refuse-while-led", options.refuse_while_led)?;
        options.noop = args.switch("noop", options.noop)?;
        options.fixed_membership = args.switch("fixed", options.fixed_membership)?;
        config.window_messages = args.number_or("window", config.window_messages)?;
        config.append_bytes = args.number_or("append-bytes", config.append_bytes)?;
        config.write_bytes = args.number_or("write-bytes", config.write_bytes)?;
        config.cache_bytes = args.number_or("cache-bytes", config.cache_bytes)?;
        config.keep_entries = args.number_or("keep", config.keep_entries)?;
        config.uncommitted_bytes = args.number_or("uncommitted-bytes", config.uncommitted_bytes)?;
        config.command_bytes = args.number_or("command-bytes", config.command_bytes)?;
        let membership = match args.number::<u128>("nodes")? {
            Some(count) => {
                let mut membership = Membership::of((1..=count).map(NodeId));
                membership.learners = args.id_set("learners")?;
                for id in membership.learners.clone() {
                    membership.voters.remove(&id);
                    membership.nodes.insert(id, Default::default());
                }
                membership
            }
            None => args.membership()?,
        };
        let mut cluster = Cluster::founded(membership, |one| {
            let (id, seed) = (one.id, one.seed);
            *one = Config { id, seed, ..config.clone() };
        });
        cluster.may_stop = true;
        if args.switch("start", true)? {
            cluster.start_all();
            cluster.ids().into_iter().for_each(|id| cluster.drain(id));
        }
        cluster.trace = Some(Vec::new());
        self.cluster = Some(cluster);
        Ok(())
    }

    /// What a node finds when it starts.
    pub(super) fn store(&mut self, args: &mut Args) -> Res<()> {
        let id = args.node()?;
        let vote = args.key("vote").map(|text| words::node(&text)).transpose()?;
        let term = Term(args.number("term")?.ok_or("term= is missing")?);
        let base = args.position("base")?;
        let durable_machine = args.switch("machine", false)?;
        let entries = args.entries()?;
        let member = self.cluster()?.member(id);
        member.store.hard = HardState { term, vote };
        member.store.base = base;
        member.store.entries = entries;
        member.durable_machine = durable_machine;
        Ok(())
    }
}
