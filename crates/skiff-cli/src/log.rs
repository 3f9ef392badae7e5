//! `skiff log`: a look into the log of a node, without opening it and without changing anything.

mod args;
mod dump;
mod export;
mod holder;
mod outlook;
mod repair_plan;
mod verify;
mod words;

use std::{fs, io, path::Path};

use skiff_wal::inspect::{Inspection, inspect};

pub(crate) use self::args::Log;
use self::{args::LogAction, outlook::Outlook};
use crate::{failure::Failure, say};

pub(crate) fn run(args: &Log) -> Result<(), Failure> {
    match &args.action {
        LogAction::Dump { dir, json } => {
            let outlook = Outlook::of(dir)?;
            warn_of_holder(outlook.holder, dir);
            dump::run(&outlook, *json)
        }
        LogAction::Verify { dir, json } => verify::run(&Outlook::of(dir)?, *json),
        LogAction::RepairPlan { dir, json } => repair_plan::run(&Outlook::of(dir)?, *json),
        LogAction::Export { dir, json } => {
            let outlook = Outlook::of(dir)?;
            warn_of_holder(outlook.holder, dir);
            export::run(&outlook, *json)
        }
    }
}

fn look(dir: &Path) -> Result<Inspection, Failure> {
    const WHICH: &str = "give the one that was given to `skiff serve --data-dir`";
    let name = dir.display();
    match fs::metadata(dir) {
        Ok(metadata) if metadata.is_dir() => Ok(inspect(dir).map_err(anyhow::Error::from)?),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::failed(format!(
            "cannot look at {name}: {error}; {WHICH}, and its owner's rights"
        ))),
        _ => Err(Failure::failed(format!("{name} is no directory: {WHICH}"))),
    }
}

/// What is read while it is written may seem to be damaged.
fn warn_of_holder(holder: Option<u32>, dir: &Path) {
    if let Some(pid) = holder {
        say::aside(format_args!(
            "process {pid} uses {}: what it writes meanwhile may be missing or seem damaged; stop it \
             to be sure",
            dir.display()
        ));
    }
}
