//! How long it takes to open a log again, and in how much memory.

use std::{env, fs, path::Path, process::Command, time::Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::{
    contestants::{SKIFF, reopen},
    folder,
    load::Load,
    spread::Spread,
};

/// What opening a log of so many entries took.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) load: Load,
    pub(crate) log_mib: f64,
    pub(crate) opened_ms: Spread,
    /// By how much the memory of the process grew while opening, at most.
    pub(crate) peak_mib: Spread,
    /// By how much it had grown once the log was open.
    pub(crate) kept_mib: Spread,
}

/// What one process saw that opened a log.
#[derive(Serialize, Deserialize)]
pub(crate) struct Seen {
    opened_ms: f64,
    peak_mib: f64,
    kept_mib: f64,
}

const OPENINGS: usize = 5;

/// Writes a log, then opens it in fresh processes, each after the one before. Its files are in the
/// memory of the system: they have just been written.
pub(crate) fn measure(above: &Path, load: Load) -> Result<Row> {
    folder::fresh(above, |dir| {
        let payloads = load.payloads();
        let mut log = (SKIFF.open)(dir, &load)?;
        for batch in 0..load.batches {
            log.append((batch * load.entries) as u64 + 1, &payloads)?;
        }
        drop(log);
        folder::settle(dir)?;
        let seen = (0..OPENINGS).map(|_| in_a_process(dir, load)).collect::<Result<Vec<_>>>()?;
        let sizes = fs::read_dir(dir)?.map(|file| Ok(file?.metadata()?.len()));
        let bytes = sizes.sum::<Result<u64>>()?;
        Ok(Row {
            load,
            log_mib: bytes as f64 / f64::from(1 << 20),
            opened_ms: Spread::of(seen.iter().map(|seen| seen.opened_ms)),
            peak_mib: Spread::of(seen.iter().map(|seen| seen.peak_mib)),
            kept_mib: Spread::of(seen.iter().map(|seen| seen.kept_mib)),
        })
    })
}

fn in_a_process(dir: &Path, load: Load) -> Result<Seen> {
    let entries = (load.batches * load.entries).to_string();
    let mut command = Command::new(env::current_exe()?);
    let output = command.arg("--reopen").arg(entries).arg(dir).output()?;
    if !output.status.success() {
        bail!("opening failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// What the fresh process does.
pub(crate) fn reopen_here(dir: &Path, entries: u64) -> Result<Seen> {
    let before = memory_mib("VmRSS")?;
    let begun = Instant::now();
    let (_store, recovered) = reopen(dir)?;
    let opened_ms = begun.elapsed().as_secs_f64() * 1e3;
    let (peak, after) = (memory_mib("VmHWM")?, memory_mib("VmRSS")?);
    ensure!(recovered.last.index.0 == entries, "the log ends at {}", recovered.last.index.0);
    Ok(Seen { opened_ms, peak_mib: peak - before, kept_mib: after - before })
}

fn memory_mib(field: &str) -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(field)).context("no such field")?;
    let kib: f64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
    Ok(kib / 1024.0)
}
