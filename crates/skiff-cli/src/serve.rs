//! `skiff serve`: one node, until it is asked to end.

mod door;
pub(crate) mod engine;
mod story;

use std::{
    convert::Infallible,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use skiff::{Builder, Node, StartError};
use tokio::sync::oneshot;

use self::{
    door::Door,
    engine::{Engine, Store},
    story::Story,
};
use crate::{args::Serve, failure::Failure, filesystem, say, signals};

pub(crate) async fn run(args: Serve) -> Result<(), Failure> {
    match (args.engine, &args.data_dir) {
        (Engine::Memory, _) => serve(&args, engine::memory()).await,
        (Engine::Redb, Some(dir)) => {
            let cache = usize::try_from(args.engine_cache).unwrap_or(usize::MAX);
            serve(&args, engine::redb(dir, cache)).await
        }
        (Engine::Redb, None) => {
            Err(Failure::usage("--engine redb keeps a file: give it a --data-dir, or leave it out"))
        }
    }
}

async fn serve<M: Store>(args: &Serve, machine: Builder<M>) -> Result<(), Failure> {
    let asked_to_end = signals::asked_to_end()?;
    let orphaned = parent_gone(args.stop_with_stdin);
    let place = place(args)?;
    let door = match &args.metrics {
        Some(address) => Some(Door::open(address, args.insecure).await?),
        None => None,
    };
    let started = builder(args, machine).build()?.start().await;
    let node = started.map_err(|error| not_started(args, error))?;
    say::line(format_args!(
        "node `{}` of cluster `{}` listens on {}; {place}",
        node.id(),
        node.cluster(),
        node.address().unwrap_or_default(),
    ));
    tokio::select! {
        () = asked_to_end => {}
        () = orphaned => {}
        result = tell(&node) => return result,
        never = show(door, node.clone()) => match never {},
    }
    let leads = node.state() == "leader";
    say::line(if leads { "stops, and hands leadership over" } else { "stops" });
    node.stop().await.map_err(Failure::node)?;
    say::line("stopped");
    Ok(())
}

/// Why it did not start, and the commands that help where that is not said yet.
fn not_started(args: &Serve, error: StartError) -> Failure {
    let is_anothers = error.is_of_another_machine();
    let failure = Failure::start(error);
    let Some(dir) = args.data_dir.as_ref().filter(|_| is_anothers) else { return failure };
    let (file, dir) = (engine::file(dir), dir.display());
    let file = file.display();
    Failure::new(
        failure.exit,
        format_args!(
            "{failure}. To set the engine's file aside, so that the node fills a new one:\n  \
             mv {file} {file}.old\n  \
             skiff serve --engine redb --data-dir {dir} ... (all else as before)"
        ),
    )
}

fn builder<M: Store>(args: &Serve, machine: Builder<M>) -> Builder<M> {
    let millis = Duration::from_millis;
    let checkpoint = args.checkpoint_after;
    let mut builder = machine
        .answer_queries()
        .listen(&args.listen)
        .cluster(&args.cluster)
        .insecure(args.insecure)
        .on_lost_data(args.on_lost_data.into())
        .snapshot_after(args.snapshot_after.entries, args.snapshot_after.bytes)
        .log_keep(
            args.log_keep.entries.unwrap_or(u64::MAX),
            args.log_keep.bytes.map_or(usize::MAX, |b| usize::try_from(b).unwrap_or(usize::MAX)),
        )
        .checkpoint_after(
            checkpoint.entries.unwrap_or(u64::MAX),
            checkpoint.bytes.unwrap_or(u64::MAX),
            millis(args.checkpoint_idle_ms),
        )
        .heartbeat_interval(millis(args.heartbeat_ms))
        .min_election_timeout(millis(args.min_election_timeout_ms))
        .max_election_timeout(millis(args.max_election_timeout_ms));
    if let Some(rate) = args.snapshot_rate {
        builder = builder.snapshot_rate(rate);
    }
    if let Some(id) = &args.id {
        builder = builder.id(id);
    }
    if let Some(address) = &args.advertise {
        builder = builder.advertise(address);
    }
    if let Some(dir) = &args.data_dir {
        builder = builder.data_dir(dir);
    }
    if let Some(peers) = &args.peers {
        builder = builder.peers(peers);
    }
    if args.learner {
        builder = builder.learner();
    }
    if args.rejoin {
        builder = builder.rejoin();
    }
    if args.bootstrap || args.dev { builder.bootstrap() } else { builder }
}

/// Where the data is, in words; an error if the node would not know what to do there.
fn place(args: &Serve) -> Result<String, Failure> {
    let Some(dir) = &args.data_dir else {
        return Ok("it keeps its data in memory, and alone".to_owned());
    };
    let alone = args.peers.as_ref().is_none_or(Vec::is_empty);
    if alone && !args.bootstrap && !args.wait && is_empty(dir) {
        return Err(Failure::usage(format!(
            "{} is empty, and no peers are named: there is nobody to form a cluster with. Either\n  \
             name the nodes of the cluster:    --peers 127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003\n  \
             or found one of this node alone:  --bootstrap\n  \
             or wait until a cluster invites it:  --wait\n  \
             or keep everything in memory:     --dev, without --data-dir",
            dir.display()
        )));
    }
    Ok(format!("its data is in {} ({})", dir.display(), filesystem::kind(dir)?))
}

/// Whether nothing was ever kept there. What cannot be looked into is left to the node, which says
/// why it cannot be used.
fn is_empty(dir: &Path) -> bool {
    match fs::read_dir(dir) {
        Ok(entries) => {
            let mut names =
                entries.map(|entry| entry.map(|entry| PathBuf::from(entry.file_name())));
            names.all(|name| name.is_ok_and(|name| name == Path::new("LOCK")))
        }
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Answers at the door, if there is one.
async fn show<M: Store>(door: Option<Door>, node: Node<M>) -> Infallible {
    let Some(door) = door else { return std::future::pending().await };
    say::line(format_args!("shows /metrics, /livez and /readyz at http://{}", door.address()));
    door.serve(node).await
}

/// Tells what happens to the node until it ends by itself.
async fn tell<M: Store>(node: &Node<M>) -> Result<(), Failure> {
    let mut status = node.watch();
    let mut story = Story::default();
    loop {
        let news = story.news(&status.borrow_and_update());
        news.iter().for_each(say::line);
        tokio::select! {
            changed = status.changed() => if changed.is_err() { break },
            _ = node.stopped() => break,
        }
    }
    node.stopped().await.map_err(Failure::node)
}

/// Ends with the parent that holds the other end of stdin; never if that is not wanted.
async fn parent_gone(watched: bool) {
    if !watched {
        return std::future::pending().await;
    }
    let (gone, parent) = oneshot::channel();
    // A thread, since the runtime would wait for a blocking read at the end.
    std::thread::spawn(move || {
        let _closed = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ended = gone.send(());
    });
    let _thread_gone = parent.await;
}
