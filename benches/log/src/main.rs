//! Skiff's log against others, in one run on one disk.

mod appends;
mod contestants;
mod device;
mod folder;
mod load;
mod quiet;
mod report;
mod restart;
mod spread;
mod writes;

use std::{env, fs, path::PathBuf, thread, time::Duration};

use anyhow::{Context, Result};
use clap::Parser;

use crate::{device::Device, load::Load, quiet::Quiet, report::Report};

/// Measures Skiff's log against others.
#[derive(Parser)]
struct Args {
    /// Where to measure: on the disk in question. Without it, beside this program.
    dir: Option<PathBuf>,
    /// How often everybody has a turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Batches of a turn with entries of 128 B; half as many with entries of 1 KiB.
    #[arg(long, default_value_t = 16_000)]
    batches: usize,
    /// Open a log of 1,000,000 batches of one entry too. Some minutes more.
    #[arg(long)]
    long: bool,
    /// Seconds to wait, before each turn, until others leave the processors alone.
    #[arg(long, default_value_t = 60)]
    patience: u64,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
    /// Only open the log in DIR, which must hold so many entries.
    #[arg(long, hide = true, requires = "dir")]
    reopen: Option<u64>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let (Some(entries), Some(dir)) = (args.reopen, &args.dir) {
        println!("{}", serde_json::to_string(&restart::reopen_here(dir, entries)?)?);
        return Ok(());
    }
    let report = measure(&args)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

fn measure(args: &Args) -> Result<Report> {
    const ENTRIES: usize = 64;
    let program = env::current_exe()?;
    let dir = args.dir.as_deref().or(program.parent()).context("there is no folder to use")?;
    folder::check(dir)?;
    let above = tempfile::Builder::new().prefix("log-bench-").tempdir_in(dir)?;
    let above = above.path();
    let load_before = load_average()?;

    let small = Load { bytes: 128, entries: ENTRIES, batches: args.batches };
    let large = Load { bytes: 1024, batches: args.batches / 2, ..small };
    let device = Device::of(above);
    if let Err(error) = &device {
        eprintln!("the disk is not looked at: {error:#}");
    }
    let device = device.as_ref().ok();
    let patience = Duration::from_secs(args.patience);
    let mut quiet = Quiet { patience, repeated: 0, disturbed: 0 };
    let mut appends = appends::measure(above, small, args.rounds, &mut quiet)?;
    appends.extend(appends::measure(above, large, args.rounds, &mut quiet)?);
    let writes = device.map(|device| writes::measure(above, device)).transpose()?;

    const BATCH: usize = 50;
    let of = |count, entries| Load { bytes: 128, entries, batches: count / entries };
    let mut loads = vec![of(100_000, BATCH), of(1_000_000, BATCH), of(4_000_000, BATCH)];
    if args.long {
        loads.insert(2, of(1_000_000, 1));
    }
    let reopened = |load: Load| {
        eprintln!("opening {} × {}", load.batches, load.name());
        restart::measure(above, load)
    };
    let restart = loads.into_iter().map(reopened).collect::<Result<_>>()?;

    let report = Report {
        folder: dir.display().to_string(),
        processors: thread::available_parallelism()?.get(),
        load_average: [load_before, load_average()?],
        turns_repeated: quiet.repeated,
        turns_disturbed: quiet.disturbed,
        appends,
        writes,
        restart,
        goals: Vec::new(),
    };
    Ok(report.judge())
}

fn load_average() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split_whitespace().next().context("no load average")?.parse()?)
}
