//! The `skiff` program: a replicated key-value store to run, to ask, to try out and to measure.

mod args;
mod backup;
mod bench;
mod cluster;
mod demo;
mod failure;
mod filesystem;
mod keys;
mod log;
mod member;
mod nodes;
mod orders;
mod random;
mod say;
mod serve;
mod signals;
mod sim;
mod sizes;
mod snapshot;
mod spans;
mod status;

use std::{io::IsTerminal, process::ExitCode};

use clap::Parser;
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::EnvFilter;

use args::{Cli, Command};
use failure::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A simulated disk fails many times a second, and that is no news.
    let log = match (&cli.command, cli.log.as_str()) {
        (Command::Sim(_), args::LOG) => "off",
        (_, log) => log,
    };
    let done = start_log(log).and_then(|()| run(cli.command));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say::complain(&failure);
            failure.exit.into()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => runtime()?.block_on(serve::run(args)),
        Command::Put(args) => runtime()?.block_on(keys::put(args)),
        Command::Get(args) => runtime()?.block_on(keys::get(args)),
        Command::Delete(args) => runtime()?.block_on(keys::delete(args)),
        Command::List(args) => runtime()?.block_on(keys::list(args)),
        Command::Status(args) => runtime()?.block_on(status::run(args)),
        Command::Transfer(args) => runtime()?.block_on(orders::transfer(args)),
        Command::Outcome(args) => runtime()?.block_on(orders::outcome(args)),
        Command::Demo(args) => runtime()?.block_on(demo::run(args)),
        Command::Bench(args) => bench::run(&args),
        Command::Sim(args) => sim::run(&args),
        Command::Member(args) => runtime()?.block_on(member::run(args)),
        Command::Snapshot(args) => runtime()?.block_on(snapshot::run(args)),
        Command::Backup(args) => runtime()?.block_on(backup::run(args)),
        Command::Restore(args) => backup::restore(&args),
        Command::Log(args) => log::run(&args),
    }
}

/// One thread for everything: what a command waits for is the network and the disk, and the disk has
/// a thread of its own. Every hand-off between threads costs more than it gains here.
fn runtime() -> Result<Runtime, Failure> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// The log goes to stderr, so that results can be piped.
fn start_log(filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::usage(format!(
            "`{filter}` is no log level: {error}; give error, warn, info, debug or trace, or a \
             filter such as `skiff_tcp=debug`"
        ))
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}
