//! `skiff log`: a look into the log of a node, without opening it.

mod dump;
mod verify;

use std::path::Path;

use skiff_wal::inspect::{Inspection, inspect};

use crate::{
    args::{Log, LogAction},
    failure::Failure,
};

pub(crate) fn run(args: &Log) -> Result<(), Failure> {
    match &args.action {
        LogAction::Dump { dir, json } => dump::run(&look(dir)?, *json),
        LogAction::Verify { dir, json } => verify::run(&look(dir)?, dir, *json),
    }
}

fn look(dir: &Path) -> Result<Inspection, Failure> {
    if !dir.is_dir() {
        return Err(Failure::failed(format!(
            "{} is no directory: give the one that was given to `skiff serve --data-dir`",
            dir.display()
        )));
    }
    Ok(inspect(dir).map_err(anyhow::Error::from)?)
}
