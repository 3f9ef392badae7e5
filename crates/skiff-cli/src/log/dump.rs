//! `skiff log dump`: everything that stands there, in the order in which it was written.

use serde_json::{Value, json};
use skiff::storage::StoreError;
use skiff_wal::{
    BatchHeader, Record,
    inspect::{Finding, Inspection},
};

use super::{outlook::Outlook, words};
use crate::{
    failure::{Exit, Failure},
    say,
};

/// One line of the dump: in words, and as an object.
struct Line {
    words: String,
    object: Value,
}

impl Line {
    fn print(&self, json: bool) {
        if json { say::line(&self.object) } else { say::line(&self.words) }
    }
}

pub(crate) fn run(outlook: &Outlook, json: bool) -> Result<(), Failure> {
    let inspection = &outlook.inspection;
    let mut wrong = Vec::new();
    match identity(inspection) {
        Ok(line) => line.print(json),
        Err(error) => wrong.push(Failure::store(error)),
    }
    files(outlook, &mut wrong).iter().for_each(|line| line.print(json));
    let walked = inspection.walk(|finding| {
        if let Finding::Damage { path, offset, reason } = &finding {
            wrong.push(Failure::damaged(format!("{} at byte {offset}: {reason}", path.display())));
        }
        lines(&finding).iter().for_each(|line| line.print(json));
    });
    wrong.extend(walked.err().map(Failure::store));
    if wrong.is_empty() {
        return outlook.check();
    }
    let is_damaged = wrong.iter().any(|failure| failure.exit == Exit::Damaged);
    let told: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    let next = format!("`skiff log repair-plan {}` says what to do", outlook.dir.display());
    let exit = if is_damaged { Exit::Damaged } else { Exit::Failed };
    Err(Failure::new(exit, format!("{}; {next}", told.join("; "))))
}

fn identity(inspection: &Inspection) -> Result<Line, StoreError> {
    let Some(identity) = inspection.identity()? else {
        let words = "nobody's directory yet".to_owned();
        return Ok(Line { words, object: json!({ "what": "identity", "name": null }) });
    };
    let standing = words::standing(identity);
    let instance = identity.instance.map(|instance| format!("{:032x}", instance.0));
    let node = format!("{:032x}", identity.node.0);
    let words = format!(
        "node `{}` ({node}) of cluster `{}`, {standing}, instance {}, opened {} times",
        identity.name,
        identity.cluster,
        instance.as_deref().unwrap_or("none yet"),
        identity.boot
    );
    let object = json!({
        "what": "identity", "name": identity.name, "node": node, "cluster": identity.cluster,
        "standing": standing, "instance": instance, "boot": identity.boot,
    });
    Ok(Line { words, object })
}

/// The snapshots and the files of the log.
fn files(outlook: &Outlook, wrong: &mut Vec<Failure>) -> Vec<Line> {
    let mut lines = Vec::new();
    for (path, meta) in &outlook.snapshots {
        let path = path.display().to_string();
        let error = meta.as_ref().err().map(ToString::to_string);
        let position = meta.as_ref().ok().map(|meta| meta.position.to_string());
        let stands_for = position.as_deref().or(error.as_deref()).unwrap_or_default();
        lines.push(Line {
            words: format!("snapshot {path}: {stands_for}"),
            object: json!({ "what": "snapshot", "path": path, "position": position, "damage": error }),
        });
        wrong.extend(meta.as_ref().err().cloned().map(Failure::store));
    }
    for segment in outlook.inspection.segments() {
        let (path, size) = (segment.path.display().to_string(), segment.size);
        // One without a header was being made, or is damaged; the walk tells which.
        let number = segment.header.as_ref().ok().map(|header| header.number);
        let remark = segment.header.as_ref().err().map(|reason| format!(", {reason}"));
        lines.push(Line {
            words: format!("segment {path}: {size} bytes{}", remark.unwrap_or_default()),
            object: json!({ "what": "segment", "path": path, "size": size, "number": number }),
        });
    }
    lines
}

fn lines(finding: &Finding<'_>) -> Vec<Line> {
    match finding {
        Finding::Batch { path, header, records } => {
            let mut lines = vec![batch(&path.display().to_string(), header)];
            lines.extend(records.iter().map(|(offset, record)| self::record(*offset, record)));
            lines
        }
        Finding::Damage { path, offset, reason } => {
            let path = path.display().to_string();
            vec![Line {
                words: format!("DAMAGE {path} at byte {offset}: {reason}"),
                object: json!({ "what": "damage", "path": path, "offset": offset, "reason": reason }),
            }]
        }
        Finding::End { path, offset, torn } => {
            let path = path.display().to_string();
            let how = torn.map(|reason| format!(", in a batch that is not whole: {reason}"));
            vec![Line {
                words: format!("end {path} at byte {offset}{}", how.unwrap_or_default()),
                object: json!({ "what": "end", "path": path, "offset": offset, "torn": torn }),
            }]
        }
    }
}

fn batch(path: &str, header: &BatchHeader) -> Line {
    let (number, boot, offset) = (header.number, header.boot, header.place.offset);
    let (term, vote) = (header.hard_state.term, header.hard_state.vote);
    let voted = vote.map(|node| format!(", vote for {node}")).unwrap_or_default();
    Line {
        words: format!(
            "batch {number} {path} at byte {offset}: opening {boot}, term {term}{voted}, \
             synced through {}, {} records",
            header.synced, header.records
        ),
        object: json!({
            "what": "batch", "number": number, "path": path, "offset": offset, "boot": boot,
            "term": term.0, "vote": vote.map(|node| format!("{:032x}", node.0)),
            "synced": header.synced.index.0, "records": header.records,
        }),
    }
}

fn record(offset: u64, record: &Record<'_>) -> Line {
    let simple = |words: String, object: Value| {
        let mut object = object;
        object["offset"] = offset.into();
        Line { words: format!("  {offset:>10}  {words}"), object }
    };
    match record {
        Record::Entry(raw) => {
            let holds = match raw.to_entry() {
                Ok(entry) => words::content(&entry.payload),
                Err(error) => format!("undecodable: {error}"),
            };
            let (position, time) = (raw.position, raw.time);
            simple(
                format!("entry {position}  {holds}"),
                json!({
                    "what": "entry", "index": position.index.0, "term": position.term.0,
                    "time": time.0, "kind": raw.kind, "bytes": raw.payload.len(), "holds": holds,
                }),
            )
        }
        Record::TruncateFrom(index) => simple(
            format!("the entries from {index} on are dropped"),
            json!({ "what": "truncate_from", "index": index.0 }),
        ),
        Record::BeginAfter(position) => simple(
            format!("the log begins after {position}"),
            json!({ "what": "begin_after", "index": position.index.0, "term": position.term.0 }),
        ),
        Record::CompactTo(position) => simple(
            format!("gives up what comes before {position} and that"),
            json!({ "what": "compact_to", "index": position.index.0, "term": position.term.0 }),
        ),
        Record::NextSegment(number) => simple(
            format!("the log goes on in segment {number}"),
            json!({ "what": "next_segment", "number": number }),
        ),
        Record::Opened { highest } => simple(
            format!("opened; the highest batch was {highest}"),
            json!({ "what": "opened", "highest": highest }),
        ),
        Record::Closed => simple("closed".to_owned(), json!({ "what": "closed" })),
        other => simple(format!("{other:?}"), json!({ "what": "other" })),
    }
}
