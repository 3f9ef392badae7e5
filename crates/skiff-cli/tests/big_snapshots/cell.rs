//! A control group for one process, with a limit of memory that it cannot pass.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, Command},
};

/// Where groups are made, and what their limit is called: of the second version, and of the first.
const PLACES: [(&str, &str); 2] =
    [("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")];

/// The group, if one could be made.
pub(crate) struct Cell {
    group: Option<PathBuf>,
}

impl Cell {
    pub(crate) fn new(name: &str, limit: u64) -> Self {
        let made = PLACES.iter().find_map(|(place, file)| {
            let group = Path::new(place).join(format!("skiff-{}-{name}", process::id()));
            fs::create_dir(&group).ok()?;
            // Where the controller is not given to groups, there is no such file, and none can be made.
            let file = group.join(file);
            if file.exists() && fs::write(&file, limit.to_string()).is_ok() {
                return Some(group);
            }
            let _ = fs::remove_dir(&group);
            None
        });
        Self { group: made }
    }

    /// Whether the limit is the system's too.
    pub(crate) const fn is_hard(&self) -> bool {
        self.group.is_some()
    }

    /// A command that runs this program in the group.
    pub(crate) fn command(&self, program: &str) -> Command {
        let Some(group) = &self.group else { return Command::new(program) };
        let mut command = Command::new("sh");
        let enter = r#"echo $$ > "$0" && exec "$@""#;
        command.args(["-c", enter]).arg(group.join("cgroup.procs")).arg(program);
        command
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        if let Some(group) = &self.group {
            let _ = fs::remove_dir(group);
        }
    }
}
