//! `skiff snapshot inspect`: what is in a snapshot or a backup.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use skiff::{
    Sessions,
    core::Membership,
    storage::{SnapshotSource, SnapshotStream, StoreError},
};
use skiff_wal::{backup::Backup, inspect::inspect};

use crate::{
    failure::{Exit, Failure},
    say, sizes,
};

pub(super) fn run(path: &Path, json: bool) -> Result<(), Failure> {
    let (files, cluster) = files_at(path)?;
    let mut wrong = Vec::new();
    for file in &files {
        if let Err(error) = show(file, cluster.as_deref(), json) {
            wrong.push(error);
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let exit = match wrong.iter().any(StoreError::is_damage) {
        true => Exit::Damaged,
        false => Exit::Failed,
    };
    let told: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    Err(Failure::new(exit, told.join("; ")))
}

/// The files to look at, and the cluster's name if that stands beside them.
fn files_at(path: &Path) -> Result<(Vec<PathBuf>, Option<String>), Failure> {
    if !path.is_dir() {
        return Ok((vec![path.to_owned()], None));
    }
    let inspection = inspect(path).map_err(Failure::store)?;
    // Whose it is is not needed to look at the snapshots.
    let identity = inspection.identity().ok().flatten();
    let cluster = identity.map(|identity| identity.cluster.clone());
    let files = inspection.snapshot_files();
    if files.is_empty() {
        return Err(Failure::failed(format!("there is no snapshot in {}", path.display())));
    }
    Ok((files, cluster))
}

/// Shows one. Its error, if it is not whole, is shown too.
fn show(path: &Path, cluster: Option<&str>, json: bool) -> Result<(), StoreError> {
    let name = path.display().to_string();
    let backup = match Backup::open(path) {
        Ok(backup) => backup,
        Err(error) => {
            if json {
                say::line(json!({ "path": name, "whole": false, "damage": error.to_string() }));
            }
            return Err(error);
        }
    };
    let verified = backup.verify();
    let sessions = verified.is_ok().then(|| sessions_in(&backup)).flatten();
    let info = backup.info();
    let (meta, position) = (&info.meta, info.meta.position);
    let cluster = backup.cluster().or(cluster);
    let damage = verified.as_ref().err().map(ToString::to_string);
    let instance = format!("{:032x}", meta.instance.0);
    if json {
        say::line(json!({
            "path": name, "index": position.index.0, "term": position.term.0,
            "cluster": cluster, "instance": instance, "members": members(&meta.membership),
            "sessions": sessions, "terms": meta.terms.len(), "time_ns": meta.time.0,
            "machine_version": meta.machine_version, "codec": meta.codec, "size": info.size,
            "checksum": format!("{:08x}", info.checksum), "backup": backup.cluster().is_some(),
            "whole": damage.is_none(), "damage": damage,
        }));
        return verified;
    }
    let kind = if backup.cluster().is_some() { "backup" } else { "snapshot" };
    say::line(format_args!("{kind} {name}"));
    say::line(format_args!("  position   {position}"));
    say::line(format_args!("  cluster    {}", cluster.unwrap_or("does not stand in it")));
    say::line(format_args!("  instance   {instance}"));
    for (place, member) in members(&meta.membership).iter().enumerate() {
        let title = if place == 0 { "members" } else { "" };
        let text = |key: &str| member[key].as_str().unwrap_or_default().to_owned();
        let (node, address, role) = (text("name"), text("address"), text("role"));
        say::line(format_args!("  {title:<9}  `{node}` at {address}, {role}"));
    }
    let sessions = sessions.map_or_else(|| "unknown".to_owned(), |count| count.to_string());
    say::line(format_args!("  sessions   {sessions}"));
    say::line(format_args!("  terms      {} remembered", meta.terms.len()));
    say::line(format_args!(
        "  machine    version {}, encoded as `{}`",
        meta.machine_version, meta.codec
    ));
    say::line(format_args!("  size       {} ({} bytes)", sizes::show(info.size), info.size));
    let checksum = match &damage {
        None => "right".to_owned(),
        Some(damage) => format!("DAMAGED: {damage}"),
    };
    say::line(format_args!("  checksum   {:08x}, {checksum}", info.checksum));
    verified
}

/// How many sessions of clients are in it; `None` if that cannot be read.
fn sessions_in(backup: &Backup) -> Option<usize> {
    // A cluster begins without sessions.
    if backup.info().meta.position.index.0 <= 1 {
        return Some(0);
    }
    Some(Sessions::read_head(&mut SnapshotStream::new(backup)).ok()?.len())
}

fn members(membership: &Membership) -> Vec<Value> {
    let member = |(id, node): (&skiff::core::NodeId, &skiff::core::Node)| {
        let role = if membership.is_voter(*id) { "voter" } else { "learner" };
        json!({
            "name": node.name, "address": node.address, "node": format!("{:032x}", id.0),
            "role": role,
        })
    };
    membership.nodes.iter().map(member).collect()
}
