//! What a start of the node would make of a directory.

use std::path::{Path, PathBuf};

use rustix::{
    fs::{Access, access},
    io::Errno,
};
use skiff::{
    core::{Membership, NodeId},
    storage::{Hole, SnapshotMeta, Standing, StoreError},
};
use skiff_wal::inspect::{Examined, Inspection};

use super::{holder, look, words};
use crate::failure::Failure;

/// How often a directory that is in use is looked at until two looks agree.
const LOOKS: usize = 8;

/// A directory, and all that decides about a start on it.
pub(super) struct Outlook {
    pub(super) dir: PathBuf,
    pub(super) inspection: Inspection,
    /// The process that has it open.
    pub(super) holder: Option<u32>,
    pub(super) examined: Result<Examined, StoreError>,
    pub(super) snapshots: Vec<(PathBuf, Result<SnapshotMeta, StoreError>)>,
}

/// What a start would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Make a new node.
    New,
    /// Go on with what is there.
    GoesOn,
    /// Go on once other members have given what is damaged.
    Mends,
    /// Refuse, for this reason.
    Refuses { why: String, advice: String },
}

/// Another voter of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Other {
    pub(super) name: String,
    pub(super) address: String,
}

impl Outlook {
    pub(super) fn of(dir: &Path) -> Result<Self, Failure> {
        let holder = holder::of(dir);
        let (mut inspection, mut examined) = examine(dir)?;
        // While it is written, what is well may seem to be damaged; then the next look differs.
        for _ in 0..if holder.is_some() { LOOKS } else { 0 } {
            if examined.as_ref().is_ok_and(|found| found.recovered.holes.is_empty()) {
                break;
            }
            let before = format!("{examined:?}");
            (inspection, examined) = examine(dir)?;
            if format!("{examined:?}") == before {
                break;
            }
        }
        let snapshots = inspection.snapshots();
        Ok(Self { dir: dir.to_owned(), inspection, holder, examined, snapshots })
    }

    pub(super) fn holes(&self) -> &[Hole] {
        self.examined.as_ref().map_or(&[], |found| &found.recovered.holes)
    }

    /// Whether nothing was ever kept here.
    pub(super) fn is_new(&self) -> bool {
        let nobody = match self.inspection.identity() {
            Ok(identity) => identity.is_none_or(|identity| identity.boot == 0),
            Err(_) => false,
        };
        nobody && self.examined.is_ok()
    }

    /// Fails unless all is there that must be. The exit code of what fails says whether it is damage.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let holes = self.holes();
        if let Err(error) = &self.examined {
            return Err(Failure::store(error.clone()));
        }
        if let Some(first) = holes.first() {
            let dir = self.dir.display();
            let more = match holes.len() {
                1 => String::new(),
                all => format!(" (and {} more stretches of the log)", all - 1),
            };
            let damaged = words::entries(first.first, first.last.index);
            let advice = self.advice();
            return Err(Failure::damaged(format!("{dir} is damaged, {damaged}{more}: {advice}")));
        }
        self.check_snapshot().map_err(Failure::store)
    }

    /// Whether the newest snapshot is well and the log follows it.
    fn check_snapshot(&self) -> Result<(), StoreError> {
        let (Ok(Some(identity)), Ok(examined)) = (self.inspection.identity(), &self.examined)
        else {
            return Ok(());
        };
        let lost = |reason| Err(StoreError::Lost { path: self.dir.clone(), reason });
        let is_member = identity.standing == Standing::Member;
        match self.snapshots.last() {
            Some((_, Err(error))) => Err(error.clone()),
            None if is_member => lost("the snapshot that the log follows is missing".to_owned()),
            Some((_, Ok(meta))) if is_member && meta.position != examined.recovered.base => {
                let (log, snapshot) = (examined.recovered.base, meta.position);
                lost(format!(
                    "the log begins after {log}, but the newest snapshot is of {snapshot}"
                ))
            }
            _ => Ok(()),
        }
    }

    /// The other voters of the cluster, as far as this directory knows them.
    pub(super) fn others(&self) -> Vec<Other> {
        let logged =
            self.examined.as_ref().ok().and_then(|found| {
                found.recovered.memberships.last().map(|(_, membership)| membership)
            });
        let snapshot = self.snapshots.last().and_then(|(_, meta)| meta.as_ref().ok());
        let membership = logged.or_else(|| snapshot.map(|meta| &meta.membership));
        let (Some(membership), Ok(Some(identity))) = (membership, self.inspection.identity())
        else {
            return Vec::new();
        };
        let others = membership.voters.iter().filter(|voter| **voter != identity.node);
        let mut others: Vec<Other> = others.map(|voter| other(membership, *voter)).collect();
        others.sort_unstable();
        others
    }

    /// What a start would do, in the order in which it looks.
    pub(super) fn start(&self) -> Start {
        let refuses = |why: String, advice: String| Start::Refuses { why, advice };
        let dir = self.dir.display();
        if let Some(pid) = self.holder {
            let advice = if self.check().is_ok() {
                format!(
                    "do nothing: process {pid} works with this directory, and all is well with it"
                )
            } else {
                format!(
                    "stop process {pid} and look again: what is damaged is only mended at a start"
                )
            };
            return refuses(format!("it is in use by process {pid}"), advice);
        }
        if let Some(path) = self.not_writable() {
            let path = path.display();
            let advice = format!(
                "see to it that {path} can be written to by the user that the node runs as (a file \
                 must be a plain one), then start the node"
            );
            return refuses(format!("{path} cannot be written to"), advice);
        }
        let checked = self.examined.as_ref().map(drop).map_err(Clone::clone);
        if let Err(error) = checked.and_then(|()| self.check_snapshot()) {
            return refuses(error.to_string(), self.against(&error));
        }
        let identity = self.inspection.identity().ok().flatten();
        if self.is_new() {
            return Start::New;
        }
        if let Some(identity) = identity.filter(|identity| identity.standing == Standing::Removed) {
            let why = format!("node `{}` was removed from its cluster", identity.name);
            let advice = "use a new directory to begin anew; this one is not needed any more";
            return refuses(why, advice.to_owned());
        }
        match self.holes().first() {
            None => Start::GoesOn,
            Some(_) if !self.others().is_empty() => Start::Mends,
            Some(hole) => refuses(
                "this node is the only voter of its cluster, so that nobody else has what is damaged"
                    .to_owned(),
                format!(
                    "put {} back as it was when the node last ran; `skiff log export {dir}` writes \
                     what can still be read",
                    hole.path.display()
                ),
            ),
        }
    }

    /// One sentence about what to do.
    pub(super) fn advice(&self) -> String {
        match self.start() {
            Start::Refuses { advice, .. } => advice,
            Start::New => {
                "start the node if it is a new one; if it was a member before, this is not its \
                 directory, or its data is gone: then do not start it here, but put the data back"
                    .to_owned()
            }
            Start::Mends => format!(
                "start the node and see that {} run: it gets back by itself what is damaged, and \
                 neither votes nor acknowledges anything until then; remove nothing",
                names(&self.others())
            ),
            Start::GoesOn => "start the node: there is nothing else to do".to_owned(),
        }
    }

    /// What can be done against what keeps the log from being opened.
    fn against(&self, error: &StoreError) -> String {
        const AS_IT_WAS: &str = "as it was when the node last ran, and leave the node off until then \
                                 (an older copy lacks what was acknowledged since)";
        let dir = self.dir.display();
        let export = format!("`skiff log export {dir}` writes what can still be read");
        match error {
            StoreError::NewerFormat { .. } => {
                "start the node with the version of skiff that wrote this, or a newer one: nothing is \
                 wrong with the directory"
                    .to_owned()
            }
            StoreError::Io { path, .. } => format!(
                "see to it that {} can be read, or put it back {AS_IT_WAS}; {export}",
                path.display()
            ),
            StoreError::Corrupt { path, .. } if is_named(path, "snapshot-") => format!(
                "put {} back from any copy of it: a snapshot never changes once it is written",
                path.display()
            ),
            StoreError::Corrupt { path, .. } => {
                format!("put {} back {AS_IT_WAS}; {export}", path.display())
            }
            StoreError::Lost { .. } => {
                format!("put what is missing in {dir} back {AS_IT_WAS}; {export}")
            }
            _ => format!("see to what is said there, then look again; {export}"),
        }
    }

    /// What a start must be able to write to and is not.
    fn not_writable(&self) -> Option<PathBuf> {
        const DENIED: [Errno; 2] = [Errno::ACCESS, Errno::ROFS];
        let is_denied =
            |path: &PathBuf| access(path, Access::WRITE_OK).is_err_and(|why| DENIED.contains(&why));
        let segments = self.inspection.segments().into_iter().map(|segment| segment.path);
        // Both are made if they are not there.
        let own = ["LOCK", "IDENTITY.tmp"].map(|name| self.dir.join(name));
        let is_no_file = own.iter().find(|path| path.is_dir()).cloned();
        let mut all = std::iter::once(self.dir.clone()).chain(own).chain(segments);
        is_no_file.or_else(|| all.find(is_denied))
    }
}

fn examine(dir: &Path) -> Result<(Inspection, Result<Examined, StoreError>), Failure> {
    let inspection = look(dir)?;
    let examined = inspection.check();
    Ok((inspection, examined))
}

fn other(membership: &Membership, voter: NodeId) -> Other {
    let known = membership.nodes.get(&voter).cloned().unwrap_or_default();
    let name = if known.name.is_empty() { voter.to_string() } else { known.name };
    Other { name, address: known.address }
}

/// "`b` at 127.0.0.1:7002 and `c` at 127.0.0.1:7003".
pub(super) fn names(others: &[Other]) -> String {
    let name = |other: &Other| format!("`{}` at {}", other.name, other.address);
    let all: Vec<String> = others.iter().map(name).collect();
    match all.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        Some((last, _)) => last.clone(),
        None => "the other members".to_owned(),
    }
}

fn is_named(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
}
