//! `skiff log verify`: whether the next start would find everything.

use std::path::Path;

use serde_json::json;
use skiff::storage::{Recovered, StoreError};
use skiff_wal::inspect::Inspection;

use crate::{failure::Failure, say};

pub(crate) fn run(inspection: &Inspection, dir: &Path, json: bool) -> Result<(), Failure> {
    let recovered = inspection.verify();
    let mut remarks = recovered.as_ref().map(|found| found.remarks.clone()).unwrap_or_default();
    let strangers = inspection.strangers().iter();
    remarks.extend(strangers.map(|name| format!("{name} is no file of a log")));
    if json {
        say::line(as_json(&recovered, &remarks));
    } else if let Ok(found) = &recovered {
        say::line(in_words(inspection, dir, found));
        remarks.iter().for_each(|remark| say::line(format_args!("  {remark}")));
    }
    recovered.map(drop).map_err(Failure::store)
}

fn as_json(recovered: &Result<Recovered, StoreError>, remarks: &[String]) -> serde_json::Value {
    match recovered {
        Ok(found) => json!({
            "sound": true,
            "term": found.hard_state.term.0,
            "first": found.base.index.0 + 1,
            "last": found.last.index.0,
            "last_term": found.last.term.0,
            "remarks": remarks,
        }),
        Err(error) => json!({ "sound": false, "reason": error.to_string(), "remarks": remarks }),
    }
}

fn in_words(inspection: &Inspection, dir: &Path, found: &Recovered) -> String {
    if matches!(inspection.identity(), Ok(None)) {
        return format!("{} holds nothing yet", dir.display());
    }
    let (first, last) = (found.base.index.0 + 1, found.last.index.0);
    let entries = match last.checked_sub(first) {
        Some(more) => format!("{} entries, from {first} to {last}", more + 1),
        None => "no entries".to_owned(),
    };
    let files = inspection.segments().len();
    let term = found.hard_state.term;
    format!("{} is sound: {entries}, term {term}, in {files} files", dir.display())
}
