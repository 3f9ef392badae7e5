//! One node in a process of its own.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
};

use anyhow::Context;
use tokio::time::Instant;

use crate::failure::{Exit, Failure};

/// How many of a node's last lines are shown when it fails.
const LAST_LINES: usize = 12;

pub(crate) struct Child {
    name: String,
    address: String,
    log: PathBuf,
    arguments: Vec<String>,
    process: Option<process::Child>,
}

impl Child {
    /// Starts `skiff serve`. Its data and its log are in `folder`, under its name.
    pub(crate) fn start(
        name: &str,
        address: &str,
        folder: &Path,
        more: &[&str],
    ) -> Result<Self, Failure> {
        let data = folder.join(name);
        let own =
            ["--log", "info", "serve", "--stop-with-stdin", "--id", name, "--listen", address];
        let mut arguments: Vec<String> = own.iter().chain(more).map(ToString::to_string).collect();
        arguments.extend(["--data-dir".to_owned(), data.display().to_string()]);
        let mut child = Self {
            name: name.to_owned(),
            address: address.to_owned(),
            log: folder.join(format!("{name}.log")),
            arguments,
            process: None,
        };
        child.restart()?;
        Ok(child)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The process, if it was not killed.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(process::Child::id)
    }

    /// Starts the process anew.
    pub(crate) fn restart(&mut self) -> Result<(), Failure> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let program = std::env::current_exe().context("cannot find out where this program is")?;
        let process = Command::new(program)
            .args(&self.arguments)
            // Held open by this process: it ends with it, however that ends.
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C is for this process, which knows what to do with its children.
            .process_group(0)
            .spawn()
            .context("cannot start a node")?;
        self.process = Some(process);
        Ok(())
    }

    /// SIGKILL, and waits for the end.
    pub(crate) fn kill(&mut self) -> Result<(), Failure> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// An error if the process has ended by itself. If only its port was taken meanwhile it is
    /// started again until `until`, unless that was its first start.
    pub(crate) fn must_run(&mut self, until: Instant) -> Result<(), Failure> {
        let Some(process) = &mut self.process else { return Ok(()) };
        let Some(status) = process.try_wait()? else { return Ok(()) };
        let port_taken = status.code() == Some(Exit::Listen as i32);
        if port_taken && self.has_data() && Instant::now() < until {
            return self.restart();
        }
        let exit = if port_taken { Exit::Listen } else { Exit::Failed };
        let (name, words) = (&self.name, self.last_words());
        Err(Failure::new(exit, format_args!("{name} has ended by itself ({status}):\n{words}")))
    }

    /// Whether it has been a member of a cluster.
    fn has_data(&self) -> bool {
        fs::read_to_string(&self.log).is_ok_and(|log| log.contains("\nmember of a cluster"))
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.len().saturating_sub(LAST_LINES);
        lines[last..].iter().map(|line| format!("    {line}\n")).collect()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _dead_already = self.kill();
    }
}
