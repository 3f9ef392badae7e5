//! `skiff log verify`: whether the next start would find everything.

use serde_json::json;
use skiff_wal::inspect::Examined;

use super::{
    outlook::{Outlook, Start},
    repair_plan, words,
};
use crate::{failure::Failure, say};

pub(crate) fn run(outlook: &Outlook, json: bool) -> Result<(), Failure> {
    let checked = outlook.check();
    let remarks = remarks(outlook);
    if json {
        say::line(as_json(outlook, &checked, &remarks));
    } else if let Ok(found) = &outlook.examined {
        say::line(in_words(outlook, found, checked.is_ok()));
        for hole in outlook.holes() {
            say::line(format_args!("  {}", words::hole(hole)));
        }
        if outlook.start() == Start::Mends {
            say::line(
                "  the node gets them back from the other members by itself when it is started",
            );
        }
        remarks.iter().for_each(|remark| say::line(format_args!("  {remark}")));
    }
    checked
}

/// What is worth knowing and no damage.
pub(super) fn remarks(outlook: &Outlook) -> Vec<String> {
    let found = outlook.examined.as_ref();
    let mut remarks = found.map(|found| found.recovered.remarks.clone()).unwrap_or_default();
    // Holes are told of by themselves.
    let is_hole = |remark: &String| {
        outlook.holes().iter().any(|hole| {
            remark.contains(&hole.reason) && remark.contains(&*hole.path.to_string_lossy())
        })
    };
    remarks.retain(|remark| !is_hole(remark));
    let strangers = outlook.inspection.strangers().iter();
    remarks.extend(strangers.map(|name| format!("{name} is no file of a log")));
    if let Some((_, older)) = outlook.snapshots.split_last() {
        let damaged = older.iter().filter_map(|(_, meta)| meta.as_ref().err());
        remarks.extend(damaged.map(|error| format!("an older snapshot is not needed: {error}")));
    }
    remarks
}

fn as_json(
    outlook: &Outlook,
    checked: &Result<(), Failure>,
    remarks: &[String],
) -> serde_json::Value {
    let holes: Vec<_> = outlook.holes().iter().map(repair_plan::hole).collect();
    let reason = checked.as_ref().err().map(ToString::to_string);
    let mut object = match &outlook.examined {
        Ok(Examined { recovered: found, mended, left_over }) => json!({
            "term": found.hard_state.term.0,
            "first": found.base.index.0 + 1,
            "last": found.last.index.0,
            "last_term": found.last.term.0,
            "mended": mended,
            "left_over": left_over,
        }),
        Err(_) => json!({}),
    };
    object["sound"] = checked.is_ok().into();
    object["holes"] = holes.into();
    object["remarks"] = remarks.into();
    if let Some(reason) = reason {
        object["reason"] = reason.into();
    }
    object
}

fn in_words(outlook: &Outlook, found: &Examined, is_sound: bool) -> String {
    let dir = outlook.dir.display();
    if matches!(outlook.inspection.identity(), Ok(None)) {
        return format!("{dir} holds nothing yet");
    }
    let is = if is_sound { "sound" } else { "damaged" };
    format!("{dir} is {is}: {}", size(outlook, found))
}

/// How much a log holds.
pub(super) fn size(outlook: &Outlook, found: &Examined) -> String {
    let recovered = &found.recovered;
    let first = recovered.base.index.next();
    let entries = match recovered.last.index.0.checked_sub(first.0) {
        Some(more) => {
            let lost = recovered.holes.iter().map(|hole| 1 + hole.last.index.0 - hole.first.0);
            let lost: u64 = lost.sum();
            let missing =
                if lost > 0 { format!(", {lost} of them damaged") } else { String::new() };
            let last = recovered.last.index;
            format!("{} entries, from {first} to {last}{missing}", more.saturating_add(1))
        }
        None => "no entries".to_owned(),
    };
    let files = words::count(outlook.inspection.segments().len(), "file");
    let mended = words::count(found.mended, "mended piece");
    format!("{entries}, term {}, in {files} and {mended}", recovered.hard_state.term)
}
