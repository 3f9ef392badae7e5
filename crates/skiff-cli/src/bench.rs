//! `skiff bench`: a closed loop against three nodes, beside what this machine could do at most.

mod closed_loop;
mod durable;
mod floor;
mod memory;
mod row;
mod snapshots;
mod switches;

use tokio::runtime::Builder;

use self::row::Row;
use crate::{args::Bench, failure::Failure, say, signals::unless_interrupted};

pub(crate) fn run(args: &Bench) -> Result<(), Failure> {
    // One thread: callers, and in memory the nodes too, hand over to each other without a switch.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut rows = Vec::new();
    runtime.block_on(unless_interrupted(async {
        if args.memory {
            memory::measure(args, |row| tell(args, &mut rows, row)).await?;
        }
        if args.durable {
            durable::measure_writes(args, |row| tell(args, &mut rows, row)).await?;
        }
        if let Some(bytes) = args.snapshot {
            snapshots::measure(args, bytes, |row| tell(args, &mut rows, row)).await?;
        }
        if args.reads {
            durable::measure_reads(args, |row| tell(args, &mut rows, row)).await?;
        }
        Ok(())
    }))?;
    if !args.json {
        say::line(row::table(&rows).trim_fmt());
    }
    Ok(())
}

/// A row is there: in JSON it is printed at once, else with the others in a table.
fn tell(args: &Bench, rows: &mut Vec<Row>, row: Row) -> Result<(), Failure> {
    if args.json {
        say::json(&row)?;
    } else {
        say::aside(format_args!(
            "{}, {} clients: {} commands a second",
            row.mode, row.clients, row.ops_per_second
        ));
    }
    rows.push(row);
    Ok(())
}
