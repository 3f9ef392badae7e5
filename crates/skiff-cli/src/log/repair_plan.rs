//! `skiff log repair-plan`: what a start of the node would do, and what its operator can do.

use serde_json::{Value, json};
use skiff::storage::Hole;
use skiff_wal::inspect::Torn;

use super::{
    outlook::{Outlook, Start, names},
    verify, words,
};
use crate::{failure::Failure, say};

pub(crate) fn run(outlook: &Outlook, json: bool) -> Result<(), Failure> {
    let survey = outlook.inspection.survey();
    let torn = survey.torn();
    if json {
        say::line(as_json(outlook, torn));
    } else {
        in_words(outlook, torn);
    }
    outlook.check()
}

fn in_words(outlook: &Outlook, torn: Option<&Torn>) {
    let row = |head: &str, text: String| say::line(format_args!("{head:<10} {text}"));
    row("directory", outlook.dir.display().to_string());
    match outlook.inspection.identity() {
        Ok(Some(node)) => {
            let standing = words::standing(node);
            row("node", format!("`{}` of cluster `{}`, {standing}", node.name, node.cluster));
        }
        Ok(None) => row("node", "nobody's yet".to_owned()),
        Err(error) => row("node", format!("not known: {error}")),
    }
    match &outlook.examined {
        Ok(found) => row("log", verify::size(outlook, found)),
        Err(error) => row("log", format!("cannot be opened: {error}")),
    }
    for hole in outlook.holes() {
        row("damage", words::hole(hole));
        let (entries, term) = (words::entries(hole.first, hole.last.index), hole.last.term);
        let others = outlook.others();
        if !others.is_empty() {
            let asked = names(&others);
            row(
                "",
                format!("asked of {asked}: {entries}, of which the last one is of term {term}"),
            );
        }
    }
    if let Some(torn) = torn {
        row("dropped", drops(torn));
    }
    verify::remarks(outlook).into_iter().for_each(|remark| row("remark", remark));
    row(
        "start",
        match outlook.start() {
            Start::New => "makes a new node here".to_owned(),
            Start::GoesOn => "goes on with what is there".to_owned(),
            Start::Mends => {
                "mends: asks other members for what is damaged, then goes on".to_owned()
            }
            Start::Refuses { why, .. } => format!("refuses: {why}"),
        },
    );
    row("advice", outlook.advice());
}

fn drops(torn: &Torn) -> String {
    let Torn { path, offset, batch, records, after, reason } = torn;
    let records = words::count(usize::try_from(*records).unwrap_or(usize::MAX), "record");
    format!(
        "the last write, batch {batch} at byte {offset} of {}, of {records} behind entry {after}, is \
         not whole ({reason}): nobody was told that it was durable",
        path.display()
    )
}

fn as_json(outlook: &Outlook, torn: Option<&Torn>) -> Value {
    let identity = outlook.inspection.identity().ok().flatten();
    let others: Vec<Value> = outlook
        .others()
        .iter()
        .map(|other| json!({ "name": other.name, "address": other.address }))
        .collect();
    let start = outlook.start();
    let refused = match &start {
        Start::Refuses { why, .. } => Some(why.clone()),
        _ => None,
    };
    let log = outlook.examined.as_ref().ok().map(|found| {
        json!({
            "first": found.recovered.base.index.0 + 1,
            "last": found.recovered.last.index.0,
            "last_term": found.recovered.last.term.0,
            "term": found.recovered.hard_state.term.0,
            "mended": found.mended,
            "left_over": found.left_over,
        })
    });
    json!({
        "dir": outlook.dir.display().to_string(),
        "node": identity.map(|node| json!({
            "name": node.name, "cluster": node.cluster, "standing": words::standing(node),
        })),
        "log": log,
        "cannot_open": outlook.examined.as_ref().err().map(ToString::to_string),
        "holes": outlook.holes().iter().map(hole).collect::<Vec<_>>(),
        "asked": others,
        "dropped": torn.map(|torn| json!({
            "path": torn.path.display().to_string(), "offset": torn.offset, "batch": torn.batch,
            "records": torn.records, "after": torn.after.index.0, "reason": torn.reason,
        })),
        "remarks": verify::remarks(outlook),
        "in_use_by": outlook.holder,
        "start": match start {
            Start::New => "new",
            Start::GoesOn => "goes_on",
            Start::Mends => "mends",
            Start::Refuses { .. } => "refuses",
        },
        "refused": refused,
        "advice": outlook.advice(),
    })
}

/// A hole, for programs.
pub(super) fn hole(hole: &Hole) -> Value {
    json!({
        "first": hole.first.0, "last": hole.last.index.0, "last_term": hole.last.term.0,
        "path": hole.path.display().to_string(), "offset": hole.offset, "reason": hole.reason,
    })
}
