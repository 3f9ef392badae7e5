//! `skiff log export`: every entry that can be read, each once.

use std::fmt::Write as _;

use serde_json::json;
use skiff::{Index, core::Entry};
use skiff_wal::inspect::Part;

use super::{outlook::Outlook, words};
use crate::{failure::Failure, say};

pub(crate) fn run(outlook: &Outlook, json: bool) -> Result<(), Failure> {
    let survey = outlook.inspection.survey();
    tell_beginning(outlook, survey.base().index);
    let (mut missing, mut doubtful) = (0_u32, None);
    survey.parts(|part| match part {
        Part::Entry { entry, is_certain } => {
            if !is_certain {
                let first = doubtful.map_or(entry.index, |(first, _)| first);
                doubtful = Some((first, entry.index));
            }
            print(&entry, is_certain, json);
        }
        Part::Missing { first, last, last_term, reason } => {
            missing += 1;
            say::aside(match (last, last_term) {
                (Some(last), Some(term)) => {
                    let entries = words::entries(first, last);
                    format!("missing: {entries}, up to term {term}: {reason}")
                }
                (Some(last), None) => format!("missing: {}: {reason}", words::entries(first, last)),
                (None, _) => format!("missing: whatever followed, from entry {first} on: {reason}"),
            });
        }
    });
    if let Some((first, last)) = doubtful {
        say::aside(format_args!(
            "not certain: {} (marked so): what is missing may have replaced them; compare them with \
             the log of another member",
            words::entries(first, last)
        ));
    }
    match outlook.check() {
        Ok(()) if missing > 0 => Err(Failure::damaged(
            "not all could be read; what could be was written: see to the disk, then try again",
        )),
        checked => checked,
    }
}

/// Where the entries are that come before the log's.
fn tell_beginning(outlook: &Outlook, base: Index) {
    if outlook.is_new() {
        return say::aside(format_args!("{} holds nothing yet", outlook.dir.display()));
    }
    if base == Index::ZERO {
        return;
    }
    let covers = outlook.snapshots.iter().rev().find_map(|(path, meta)| {
        meta.as_ref().ok().filter(|meta| meta.position.index >= base).map(|_| path.display())
    });
    match covers {
        Some(path) => say::aside(format_args!(
            "the log begins after entry {base}; what came before is in the snapshot {path}"
        )),
        None => say::aside(format_args!(
            "missing: what came before the log, up to entry {base}: no snapshot that can be read \
             holds it"
        )),
    }
}

fn print(entry: &Entry, is_certain: bool, json: bool) {
    let (position, time, kind) = (entry.position(), entry.time, entry.payload.kind());
    let holds = words::content(&entry.payload);
    if json {
        return say::line(json!({
            "index": position.index.0, "term": position.term.0, "time": time.0, "kind": kind,
            "certain": is_certain, "holds": holds, "payload": hex(&entry.payload.body()),
        }));
    }
    let doubt = if is_certain { "" } else { "  (not certain)" };
    say::line(format_args!("{position}  time {}  kind {kind}  {holds}{doubt}", time.0));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _infallible = write!(out, "{byte:02x}");
        out
    })
}
