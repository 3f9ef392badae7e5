//! What can be asked of the program.

use std::{path::PathBuf, time::Duration};

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use skiff::core::Position;

use crate::{
    backup::{Backup, Restore},
    failure::EXIT_CODES,
    log::Log,
    nodes::Nodes,
    orders,
    serve::engine::Engine,
    sim::args::Sim,
    sizes::{self, Amount},
    snapshot::Snapshot,
    spans,
};

/// A replicated key-value store, and the library it is made with, to try out.
///
/// Start three nodes with `serve`, write and read with `put` and `get`, look at them with `status`.
/// Or let `demo` do all of that, and kill nodes meanwhile.
#[derive(Debug, Parser)]
#[command(name = "skiff", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// What to log to stderr: error, warn, info, debug, trace, or a filter such as skiff_tcp=debug
    #[arg(long, global = true, env = "SKIFF_LOG", default_value = LOG, value_name = "LEVEL")]
    pub(crate) log: String,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is logged if nobody says otherwise.
pub(crate) const LOG: &str = "warn";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one node of the key-value store, until Ctrl-C
    #[command(after_help = "\
Example, three nodes on one machine, each in a terminal of its own:
  skiff serve --listen 127.0.0.1:7001 --data-dir n1 --peers 127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003
  skiff serve --listen 127.0.0.1:7002 --data-dir n2 --peers 127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003
  skiff serve --listen 127.0.0.1:7003 --data-dir n3 --peers 127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003

One node by itself, durable:
  skiff serve --data-dir n1 --bootstrap
The same with more data than fits into memory:
  skiff serve --data-dir n1 --bootstrap --engine redb
One node by itself, in memory, to try things out:
  skiff serve --dev")]
    Serve(Serve),

    /// Give a key a value
    #[command(after_help = "\
Prints what the key held before, if it was there.

Example:
  skiff put greeting hello --nodes 127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003
  skiff put picture - < picture.png")]
    Put(Put),

    /// Print what a key holds
    #[command(after_help = "\
Exit code 3 if the key is not there.

Example:
  skiff get greeting
  skiff get greeting --local --nodes 127.0.0.1:7002")]
    Get(Get),

    /// Take a key away
    #[command(after_help = "\
Prints what the key held. Exit code 3 if it was not there.

Example:
  skiff delete greeting")]
    Delete(Delete),

    /// Print keys and what they hold, in order
    #[command(after_help = "\
Example:
  skiff list --prefix user/ --limit 20")]
    List(List),

    /// Show how nodes stand
    #[command(after_help = "\
Exit code 1 if none of them answers.

Example:
  skiff status --nodes 127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003")]
    Status(Status),

    /// Let another node lead
    #[command(after_help = "\
Without --to, whoever is best up to date leads. Commands wait meanwhile, and none is lost. Exit code 1 if
leadership was not handed over; then whoever led goes on.

Example:
  skiff transfer --nodes 127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003
  skiff transfer --to n2")]
    Transfer(Transfer),

    /// Say what became of a write that was not answered
    #[command(after_help = "\
Whoever writes and gets no answer is told where the entry stands, if that is known: its index and its
term. Prints `applied`, `never`, `undecided`, `other-instance` or `forgotten`. Exit code 4 if it is none
of the first two.

Example:
  skiff outcome 1204/t7
  skiff outcome 1204/t7 --instance 9f86d081")]
    Outcome(Outcome),

    /// Start three nodes, write while the leader is killed again and again, and check that nothing
    /// is lost
    #[command(after_help = "\
Three child processes with a durable log each; all of it is taken away at the end. Exit code 5 if
anything acknowledged is missing or nodes differ.

Example:
  skiff demo
  skiff demo --commands 50000 --kill 10 --seed 7")]
    Demo(Demo),

    /// Measure commands a second, beside what this machine could do at most
    #[command(after_help = "\
Example:
  skiff bench --memory
  skiff bench --durable --clients 1,64 --seconds 5 --json")]
    Bench(Bench),

    /// Run whole clusters in simulated time, with every fault there is a name for, and judge every
    /// step
    #[command(after_help = "\
Everything comes from a seed: the cluster, its settings, the faults, the calls. What fails prints the
command that runs it again. Exit code 5 if anything fails.

Example:
  skiff sim --seeds 2000 --nodes 5 --span 30s
  skiff sim --minutes 30 --mode crash --save failures --shrink
  skiff sim --seed 17 --trace
  skiff sim --plan failures/seed-17.json --trace")]
    Sim(Sim),

    /// See who belongs to the cluster, and change it while it serves
    #[command(after_help = "\
Whoever is added must run already, on an empty directory, and listen where it is added:
  skiff serve --listen 127.0.0.1:7004 --data-dir n4 --wait
  skiff member add 127.0.0.1:7004
A node that is started with --peers, some of them members, is added at its own request.

Example:
  skiff member list
  skiff member remove NAME
  skiff member replace NAME 127.0.0.1:7005")]
    Member(Member),

    /// Have nodes take snapshots, and look into snapshots and backups
    #[command(after_help = "\
Example:
  skiff snapshot take --nodes 127.0.0.1:7001
  skiff snapshot inspect n1")]
    Snapshot(Snapshot),

    /// Write all that the cluster holds to a file, while it serves
    #[command(after_help = "\
A node takes a snapshot of everything that was acknowledged until now, and gives a copy of it. The file
appears under its name once it is complete, durable, and was read back; until then it is called
FILE.unfinished, and an interrupted backup takes that away. --timeout is how long a node may be silent;
the backup as a whole may take as long as it needs.

Example:
  skiff backup orders.backup --nodes 127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003
  skiff snapshot inspect orders.backup")]
    Backup(Backup),

    /// Begin a new instance of the cluster, of one node, from a backup
    #[command(after_help = "\
The node holds every key, and the sessions of clients with all they had done. Nodes of the old instance
and positions of its entries are told apart from the new ones. Nothing is started: what is printed says
how to start the node and how to add others.

Exit codes:
  0  done
  1  failed; also if another machine wrote the backup
  2  the directory is not empty
  5  the backup is damaged

Example:
  skiff restore orders.backup --data-dir r1 --id r1 --listen 127.0.0.1:7011
  skiff serve --data-dir r1 --id r1 --listen 127.0.0.1:7011")]
    Restore(Restore),

    /// Look into the log of a node that is not running, and change nothing
    #[command(after_help = "\
Example:
  skiff log verify n1
  skiff log repair-plan n1
  skiff log export n1 --json
  skiff log dump n1 --json")]
    Log(Log),
}

/// One node.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:7001", value_name = "ADDRESS")]
    pub(crate) listen: String,

    /// Where others reach this node, if that is not where it listens: behind a proxy, say
    #[arg(long, conflicts_with = "dev", value_name = "ADDRESS")]
    pub(crate) advertise: Option<String>,

    /// Where to keep the data; made if it is not there
    #[arg(long, required_unless_present = "dev", conflicts_with = "dev", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// All nodes of the cluster, separated by commas; the own address may be among them
    #[arg(long, value_delimiter = ',', conflicts_with = "dev", value_name = "ADDRESSES")]
    pub(crate) peers: Option<Vec<String>>,

    /// The node's name; one is made if it is left out, and kept with the data
    #[arg(long, value_name = "NAME")]
    pub(crate) id: Option<String>,

    /// The cluster's name
    #[arg(long, env = "SKIFF_CLUSTER", default_value = "skiff", value_name = "NAME")]
    pub(crate) cluster: String,

    /// Found a cluster of this one node, unless it is a member already
    #[arg(long, conflicts_with_all = ["peers", "dev"])]
    pub(crate) bootstrap: bool,

    /// One node by itself that keeps everything in memory
    #[arg(long)]
    pub(crate) dev: bool,

    /// Belong to no cluster until `skiff member add` invites this node
    #[arg(long, conflicts_with_all = ["peers", "bootstrap", "dev"])]
    pub(crate) wait: bool,

    /// In a cluster that exists, only receive the log: be no voter, ever
    #[arg(long)]
    pub(crate) learner: bool,

    /// If this node was removed from its cluster, set its data aside and begin anew
    #[arg(long)]
    pub(crate) rejoin: bool,

    /// Allow listening where other machines can connect, without encryption or passwords
    #[arg(long)]
    pub(crate) insecure: bool,

    /// What to do if damage has taken entries from the log
    #[arg(long, value_enum, default_value_t = OnLostData::Mend, value_name = "WHAT")]
    pub(crate) on_lost_data: OnLostData,

    /// Where to show metrics for Prometheus at /metrics, and health at /livez and /readyz, over HTTP
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics: Option<String>,

    /// After how much in the log to take a snapshot: a number of entries, a size of them, or both with a
    /// comma between, whichever comes first; `never` for only on request. The log grows until then
    #[arg(long, default_value = "1000000,64MiB", value_parser = sizes::parse_snapshot_after, value_name = "AMOUNT")]
    pub(crate) snapshot_after: Amount,

    /// How much of the log to keep behind a snapshot, so that nodes that are a little behind need none: at
    /// most so many entries, so large a part, or both
    #[arg(long, default_value = "100000,16MiB", value_parser = sizes::parse_amount, value_name = "AMOUNT")]
    pub(crate) log_keep: Amount,

    /// How much of a snapshot to send to one node in a second, as in 20MiB; as much as it takes if left out
    #[arg(long, value_parser = sizes::parse_rate, value_name = "SIZE")]
    pub(crate) snapshot_rate: Option<u64>,

    /// What keeps the keys and their values
    #[arg(long, value_enum, default_value_t = Engine::Memory, value_name = "ENGINE")]
    pub(crate) engine: Engine,

    /// How much memory the engine on disk may use for its cache
    #[arg(long, default_value = "64MiB", value_parser = sizes::parse, value_name = "SIZE")]
    pub(crate) engine_cache: u64,

    /// After how much the engine on disk makes its data durable: a number of entries, a size of them, or
    /// both. As much is applied again after a crash
    #[arg(long, default_value = "65536,16MiB", value_parser = sizes::parse_amount, value_name = "AMOUNT")]
    pub(crate) checkpoint_after: Amount,

    /// It does so too when nothing has come for so long, in milliseconds
    #[arg(long, default_value_t = 1000, value_name = "MS")]
    pub(crate) checkpoint_idle_ms: u64,

    /// How often a leader gives a sign of life, in milliseconds
    #[arg(long, default_value_t = 50, value_name = "MS")]
    pub(crate) heartbeat_ms: u64,

    /// The shortest time without a leader after which a node campaigns, in milliseconds
    #[arg(long, default_value_t = 150, value_name = "MS")]
    pub(crate) min_election_timeout_ms: u64,

    /// The longest such time, in milliseconds
    #[arg(long, default_value_t = 300, value_name = "MS")]
    pub(crate) max_election_timeout_ms: u64,

    /// End when stdin ends: for a parent that must not leave its children behind
    #[arg(long, hide = true)]
    pub(crate) stop_with_stdin: bool,
}

/// What a node does whose log has lost entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnLostData {
    /// Abstain, and get them back from the other members
    Mend,
    /// End with exit code 5, and leave the data as it is
    Refuse,
}

impl From<OnLostData> for skiff::OnLostData {
    fn from(what: OnLostData) -> Self {
        match what {
            OnLostData::Mend => Self::Mend,
            OnLostData::Refuse => Self::Refuse,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct Member {
    #[command(subcommand)]
    pub(crate) command: MemberCommand,
}

/// What to do about the members.
#[derive(Subcommand, Debug)]
pub(crate) enum MemberCommand {
    /// Print who belongs to the cluster
    #[command(after_help = "\
Example:
  skiff member list")]
    List(MemberList),
    /// Invite the fresh node at an address
    #[command(after_help = "\
Example:
  skiff member add 127.0.0.1:7004")]
    Add(MemberAdd),
    /// Remove a member: it keeps its data, and stays out
    #[command(after_help = "\
Example:
  skiff member remove n3")]
    Remove(MemberRemove),
    /// Put the fresh node at an address in the place of a member, in one step
    #[command(after_help = "\
Example:
  skiff member replace n3 127.0.0.1:7005")]
    Replace(MemberReplace),
}

#[derive(Args, Debug)]
pub(crate) struct MemberList {
    #[command(flatten)]
    pub(crate) nodes: Nodes,
    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct MemberAdd {
    /// Where it listens
    pub(crate) address: String,
    /// As a learner, which receives the log and does not vote
    #[arg(long)]
    pub(crate) learner: bool,
    #[command(flatten)]
    pub(crate) nodes: Nodes,
}

#[derive(Args, Debug)]
pub(crate) struct MemberRemove {
    /// Its name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) nodes: Nodes,
}

#[derive(Args, Debug)]
pub(crate) struct MemberReplace {
    /// The name of the member that goes
    pub(crate) name: String,
    /// Where the node that comes listens
    pub(crate) address: String,
    #[command(flatten)]
    pub(crate) nodes: Nodes,
}

#[derive(Args, Debug)]
pub(crate) struct Put {
    /// The key
    pub(crate) key: String,
    /// Its value from now on; `-` to read it from stdin
    #[arg(allow_hyphen_values = true)]
    pub(crate) value: String,
    #[command(flatten)]
    pub(crate) nodes: Nodes,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Get {
    /// The key
    pub(crate) key: String,
    /// Ask the first of the nodes for what it has applied, which may be old. Without it the answer
    /// holds everything that was acknowledged before
    #[arg(long)]
    pub(crate) local: bool,
    #[command(flatten)]
    pub(crate) nodes: Nodes,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Delete {
    /// The key
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) nodes: Nodes,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only keys that begin so
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub(crate) prefix: String,
    /// At most so many
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit: Option<usize>,
    /// Ask the first of the nodes for what it has applied, which may be old
    #[arg(long)]
    pub(crate) local: bool,
    #[command(flatten)]
    pub(crate) nodes: Nodes,
    /// Print a JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) nodes: Nodes,
    /// Print a JSON object for each node, with everything it says
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Transfer {
    /// The name of the node that is to lead
    #[arg(long, value_name = "NAME")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) nodes: Nodes,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Outcome {
    /// Where the entry stands: its index and its term, as in 1204/t7
    #[arg(value_parser = orders::parse_position, value_name = "POSITION")]
    pub(crate) position: Position,
    /// The first digits of the cluster's instance that the entry was given to; that of the nodes if left
    /// out
    #[arg(long, value_name = "DIGITS")]
    pub(crate) instance: Option<String>,
    #[command(flatten)]
    pub(crate) nodes: Nodes,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// How many commands to write
    #[arg(long, default_value_t = 10_000, value_name = "COUNT")]
    pub(crate) commands: u64,
    /// How often to kill the leader
    #[arg(long, default_value_t = 3, value_name = "COUNT")]
    pub(crate) kill: u64,
    /// Decides when it is killed and what is written; any if left out
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// How many write at the same time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024), value_name = "COUNT")]
    pub(crate) clients: u16,
    /// In which folder to put the temporary one: on a disk
    #[arg(long, env = "SKIFF_DEMO_DIR", value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Leave the data and the logs of the nodes behind
    #[arg(long)]
    pub(crate) keep: bool,
    /// Print the result as a JSON object; the story goes to stderr
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("mode").required(true).multiple(true).args(["memory", "durable", "reads", "snapshot"]))]
pub(crate) struct Bench {
    /// Three nodes in this process, nothing on disk
    #[arg(long)]
    pub(crate) memory: bool,
    /// Three processes with a durable log each, over loopback
    #[arg(long)]
    pub(crate) durable: bool,
    /// Three such processes, and linearizable reads through those that do not lead
    #[arg(long)]
    pub(crate) reads: bool,
    /// Three such processes with a state of this size, as in 1GiB: commands while a snapshot of it is taken and
    /// sent, and without
    #[arg(long, value_parser = sizes::parse, value_name = "SIZE")]
    pub(crate) snapshot: Option<u64>,
    /// How many callers at a time, separated by commas: each is measured
    #[arg(long, value_delimiter = ',', default_value = "1,64,256,1024", value_parser = clap::value_parser!(u32).range(1..=65_536), value_name = "COUNTS")]
    pub(crate) clients: Vec<u32>,
    /// How long to measure each, after a fifth of it to warm up
    #[arg(long, default_value = "5s", value_parser = spans::parse, value_name = "SPAN")]
    pub(crate) seconds: Duration,
    /// In which folder to put the data: on a disk
    #[arg(long, env = "SKIFF_DEMO_DIR", value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Print a JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        let mut commands = vec![Cli::command()];
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands().cloned());
            if command.get_name() != "skiff" {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("Example"), "{}", command.get_name());
            }
        }
    }
}
