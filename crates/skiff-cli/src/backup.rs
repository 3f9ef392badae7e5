//! `skiff backup` and `skiff restore`: a copy of the whole cluster in a file, and a cluster begun from it.

use std::{io::IsTerminal, path::PathBuf, time::Duration};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use skiff::backup::{self, BackupError, Restore as Wish, RestoreError};
use skiff_kv::Kv;

use crate::{
    failure::{Exit, Failure},
    nodes::Nodes,
    say, signals, sizes,
};

#[derive(Args, Debug)]
pub(crate) struct Backup {
    /// The file to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace the file if it is there, once the new one is complete
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    nodes: Nodes,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Restore {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the new node is to keep its data: a directory that is empty or not there yet
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The new node's name
    #[arg(long, value_name = "NAME")]
    id: String,
    /// Where it will listen
    #[arg(long, default_value = "127.0.0.1:7001", value_name = "ADDRESS")]
    listen: String,
    /// The cluster's name, if it is to have another than that which was backed up
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Backup) -> Result<(), Failure> {
    let client = args.nodes.client()?;
    let mut progress = Progress::new();
    let interrupted = signals::asked_to_end()?;
    let copied = tokio::select! {
        copied = client.backup(&args.file, args.force, |done, of| progress.at(done, of)) => copied,
        () = interrupted => {
            progress.end();
            return Err(Failure::new(
                Exit::Interrupted,
                format_args!("interrupted; {} was not written", args.file.display()),
            ));
        }
    };
    progress.end();
    let done = copied.map_err(|error| not_backed_up(&args, &error))?;
    let name = args.file.display().to_string();
    if args.json {
        return say::json(&json!({
            "path": name, "index": done.index.0, "term": done.term.0, "size": done.size,
            "instance": format!("{:032x}", done.instance.0),
            "checksum": format!("{:08x}", done.checksum),
        }));
    }
    say::line(format_args!(
        "{name}: all that was acknowledged, up to {}/t{}, {}; read back and found whole",
        done.index,
        done.term,
        sizes::show(done.size)
    ));
    Ok(())
}

fn not_backed_up(args: &Backup, error: &BackupError) -> Failure {
    let (name, names) = (args.file.display(), args.nodes.names());
    match error {
        BackupError::Exists { .. } => {
            Failure::usage(format!("{error}; --force replaces it, or choose another name"))
        }
        BackupError::Snapshot(error) => Failure::failed(format!(
            "no node gave a snapshot, and {name} was not written: {error}. See how the nodes stand with \
             `skiff status --nodes {names}`"
        )),
        error => Failure::failed(format!("{name} was not written: {error}")),
    }
}

pub(crate) fn restore(args: &Restore) -> Result<(), Failure> {
    let wish =
        Wish { name: args.id.clone(), address: args.listen.clone(), cluster: args.cluster.clone() };
    let done = backup::restore::<Kv>(&args.file, &args.data_dir, &wish).map_err(not_restored)?;
    let (dir, instance) = (args.data_dir.display(), format!("{:032x}", done.instance.0));
    if args.json {
        return say::json(&json!({
            "data_dir": dir.to_string(), "cluster": done.cluster, "instance": instance,
            "index": done.index.0, "term": done.term.0, "size": done.size,
            "backed_up_instance": format!("{:032x}", done.backed_up.0),
        }));
    }
    say::line(format_args!(
        "{dir}: `{}` is the only member of a new instance of cluster `{}` ({}), with the state of {}/t{} \
         of instance {}",
        args.id, done.cluster, done.instance, done.index, done.term, done.backed_up
    ));
    let cluster = match done.cluster.as_str() {
        "skiff" => String::new(),
        name => format!(" --cluster {name}"),
    };
    say::line(format_args!(
        "start it:    skiff serve --data-dir {dir} --id {} --listen {}{cluster}",
        args.id, args.listen
    ));
    say::line(format_args!(
        "then others: skiff serve --data-dir DIR --listen ADDRESS --wait{cluster}, and skiff member add \
         ADDRESS --nodes {}{cluster}",
        args.listen
    ));
    Ok(())
}

fn not_restored(error: RestoreError) -> Failure {
    match error {
        RestoreError::Store(error) => Failure::store(error),
        error @ RestoreError::NotEmpty { .. } => Failure::usage(error),
        RestoreError::NoCluster => {
            Failure::usage(format!("{}, with --cluster NAME", RestoreError::NoCluster))
        }
        error => Failure::failed(error),
    }
}

/// A bar on a terminal; nothing where nobody looks.
struct Progress(Option<ProgressBar>);

impl Progress {
    fn new() -> Self {
        Self(std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template(
                "{msg} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_message("waiting for a snapshot");
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        }))
    }

    fn at(&mut self, done: u64, of: u64) {
        if let Some(bar) = &self.0 {
            bar.set_message("copying");
            bar.set_length(of);
            bar.set_position(done);
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
