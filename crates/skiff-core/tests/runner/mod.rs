//! Runs scripts over a virtual cluster. What a command does to a node is a line of the transcript,
//! and under it stand all things the node asked for.
//!
//! | command | what it does |
//! |---|---|
//! | `cluster nodes=3 [start=no] [learners=".."] [prevote=no] [window=2] ..` | founds a cluster |
//! | `store 1 term=3 [vote=2] [base=5/t2] 6/t2=a ..` | what node 1 finds when it starts |
//! | `start 1 ..`, `crash 1 ..` | begins from the store, is gone with all that was not durable |
//! | `wait 40`, `timeout 1 ..`, `tick 1 ..` | time passes (ms); the deadline of 1 comes; 1 is asked too early |
//! | `run 500` | so long all timers fire when due and all messages arrive |
//! | `elect 1` | 1 times out until it leads, and all messages arrive |
//! | `deliver [1 2] [from=1] [to=2] [only=Append] [pick=2] [keep=yes]` | what is on its way now arrives |
//! | `settle`, `drop ..`, `flights` | all arrives until silence; is lost instead; is listed |
//! | `isolate 1 ..`, `cut 1 2`, `heal` | nothing passes between these and the others; from 1 to 2 |
//! | `propose 1 a ..`, `read 1 r`, `cancel 1 a` | a caller at node 1 |
//! | `transfer 1 t [to=2]` | a caller at node 1 wants 2 to lead, or anybody |
//! | `disk 1 slow`, `persist 1`, `refuse 1`, `store-fails 1` | the disk of node 1 |
//! | `machine 1 slow`, `applied 1`, `machine-fails 1 7` | its state machine |
//! | `loads 1 slow`, `loaded 1 [error=..] [skip=1] [take=1]` | reading its old entries back |
//! | `say 2 1 append term=2 prev=1/t1 2/t2=x ..` | 2 says this to 1, whatever 2 thinks |
//! | `set-membership 1 voters=".."`, `unreachable 1 2` | from outside |
//! | `status 1 ..`, `log 1 ..`, `members 1`, `patience 1` | looks |

#![allow(dead_code, unreachable_pub, reason = "the words of scripts, some used by few")]

mod act;
mod found;
mod say;
pub mod transcript;
pub mod words;

use std::error::Error;

use goldenscript::{Command, Context};

use self::{
    transcript::Names,
    words::{Args, Res},
};
use crate::common::{Cluster, trace::Happened};

#[derive(Default)]
pub struct Runner {
    cluster: Option<Cluster>,
    names: Names,
}

impl goldenscript::Runner for Runner {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        let mut args = Args::of(command);
        let text = self.dispatch(&command.name, &mut args)?;
        args.nothing_else()?;
        self.check()?;
        Ok(self.transcript() + &text)
    }
}

impl Runner {
    fn dispatch(&mut self, name: &str, args: &mut Args) -> Res<String> {
        if name == "cluster" {
            return self.found(args).map(|()| String::new());
        }
        let looked = self.look(name, args)?;
        if let Some(text) = looked {
            return Ok(text);
        }
        self.act(name, args).map(|()| String::new())
    }

    fn cluster(&mut self) -> Res<&mut Cluster> {
        self.cluster.as_mut().ok_or_else(|| "begin with a cluster".into())
    }

    /// Commands that change nothing.
    fn look(&mut self, name: &str, args: &mut Args) -> Res<Option<String>> {
        let names = &mut self.names;
        let cluster = self.cluster.as_ref().ok_or("begin with a cluster")?;
        let lines: Vec<String> = match name {
            "flights" => cluster
                .flights
                .iter()
                .map(|f| {
                    format!("{} to {} t{}: {}", f.from, f.to, f.term, names.message(&f.message))
                })
                .collect(),
            "status" | "log" | "members" | "patience" => {
                let ids = args.nodes()?;
                let ids = if ids.is_empty() { cluster.ids() } else { ids };
                ids.iter().map(|id| look_at(cluster, name, *id)).collect()
            }
            _ => return Ok(None),
        };
        Ok(Some(if lines.is_empty() { "nothing".into() } else { lines.join("\n") }))
    }

    /// What was recorded since the last command.
    fn transcript(&mut self) -> String {
        let Some(trace) = self.cluster.as_mut().and_then(|c| c.trace.as_mut()) else {
            return String::new();
        };
        let mut text = String::new();
        for one in std::mem::take(trace) {
            match one.what {
                Happened::Started(_) => text += &format!("{} starts\n", one.node),
                Happened::Given(input) => {
                    text += &format!("{} {}\n", one.node, self.names.input(&input));
                }
                Happened::Polled(Some(output)) => {
                    text += &format!("  {}\n", self.names.output(&output));
                }
                Happened::Followed(_) | Happened::Polled(None) => {}
            }
        }
        text
    }

    /// What must hold at any time.
    fn check(&self) -> Res<()> {
        let Some(cluster) = &self.cluster else { return Ok(()) };
        for raft in cluster.members.values().filter_map(|member| member.raft.as_ref()) {
            raft.check_invariants().map_err(|broken| format!("{}: {broken}", raft.id()))?;
        }
        Ok(())
    }
}

fn look_at(cluster: &Cluster, what: &str, id: skiff_core::NodeId) -> String {
    let member = &cluster.members[&id];
    let Some(raft) = &member.raft else { return format!("{id} is down") };
    match what {
        "status" => transcript::status(&raft.status()),
        "members" => format!("{id} {}", transcript::membership(raft.membership())),
        "patience" => match raft.deadline() {
            Some(at) => format!("{id} waits {} ms", at.since(cluster.now) / crate::common::MS),
            None => format!("{id} waits for nothing"),
        },
        _ => format!(
            "{id} stored {}, commands applied {:?}",
            transcript::entries(&member.store.entries),
            member.commands()
        ),
    }
}
