//! What is told in the end.

use std::fmt;

use serde::Serialize;

use crate::{
    appends,
    contestants::{self, SKIFF},
    restart,
    writes::Writes,
};

/// All that was measured.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) folder: String,
    pub(crate) processors: usize,
    /// Of the last minute, when it began and when it ended.
    pub(crate) load_average: [f64; 2],
    /// Turns taken again since others kept the processors busy.
    pub(crate) turns_repeated: usize,
    /// Turns that count all the same, since it was no better in any try.
    pub(crate) turns_disturbed: usize,
    pub(crate) appends: Vec<appends::Row>,
    /// Missing where the folder is not on a disk of its own.
    pub(crate) writes: Option<Writes>,
    pub(crate) restart: Vec<restart::Row>,
    pub(crate) goals: Vec<Goal>,
}

/// What was wanted, and what came out.
#[derive(Serialize)]
pub(crate) struct Goal {
    what: String,
    wanted: &'static str,
    measured: String,
    is_met: bool,
}

impl Report {
    /// Holds what was measured against the goals.
    pub(crate) fn judge(mut self) -> Self {
        let mut goals = Vec::new();
        for skiff in self.appends.iter().filter(|row| row.name.starts_with("skiff")) {
            let what = format!("{}, {}", skiff.load.name(), skiff.name);
            goals.push(Goal {
                what: format!("{what}: of the floor"),
                wanted: "≥ 0.9",
                measured: format!("{:.2}", skiff.of_floor),
                is_met: skiff.of_floor.median >= 0.9,
            });
            let rate = |row: &appends::Row| row.batches_a_second.median;
            let others = self.appends.iter().filter(|row| row.load.bytes == skiff.load.bytes);
            let others = others.filter(|row| contestants::is_other(row.name));
            let fastest = others.max_by(|one, other| rate(one).total_cmp(&rate(other)));
            if let Some(fastest) = fastest {
                let ratio = rate(skiff) / rate(fastest);
                goals.push(Goal {
                    what: format!("{what}: of the fastest other, {}", fastest.name),
                    wanted: "> 1",
                    measured: format!("{ratio:.2}"),
                    is_met: ratio > 1.0,
                });
            }
        }
        if let Some(writes) = &self.writes {
            goals.push(Goal {
                what: "writes of the disk a commit".to_owned(),
                wanted: "≤ 2.1",
                measured: format!("{:.2}", writes.skiff),
                is_met: writes.skiff.median <= 2.1,
            });
        }
        for row in &self.restart {
            if row.load.batches * row.load.entries != 1_000_000 {
                continue;
            }
            goals.push(Goal {
                what: format!("opening 1,000,000 entries, {} a batch, ms", row.load.entries),
                wanted: "< 1000",
                measured: format!("{:.0}", row.opened_ms),
                is_met: row.opened_ms.median < 1000.0,
            });
        }
        if let (Some(short), Some(long)) = (self.restart.first(), self.restart.last()) {
            let more = long.peak_mib.median - short.peak_mib.median;
            goals.push(Goal {
                what: "memory at most while opening the last of these, beside the first, MiB"
                    .to_owned(),
                wanted: "≤ 4 more",
                measured: format!("{more:.1} more"),
                is_met: more <= 4.0,
            });
        }
        self.goals = goals;
        self
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [before, after] = self.load_average;
        writeln!(
            f,
            "{} processors, load average {before} before and {after} after",
            self.processors
        )?;
        let (repeated, disturbed) = (self.turns_repeated, self.turns_disturbed);
        writeln!(f, "{repeated} turns repeated, {disturbed} counted although disturbed")?;
        writeln!(f, "Median [lowest-highest] of the rounds.\n")?;
        writeln!(f, "| load | log | batches/s | entries/s | p50 us | p99 us | of the floor |")?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        for row in &self.appends {
            let (load, name) = (row.load.name(), row.name);
            let (batches, entries) = (row.batches_a_second, row.entries_a_second.median);
            let (p50, p99, of_floor) = (row.p50_us, row.p99_us, row.of_floor);
            write!(f, "| {load} | {name} | {batches} | {entries:.0} ")?;
            writeln!(f, "| {p50} | {p99} | {of_floor:.2} |")?;
        }
        if let Some(Writes { device, floor, skiff }) = &self.writes {
            writeln!(f, "\n| writes of {device} a commit of one entry of 128 B | |\n|---|---|")?;
            writeln!(f, "| floor | {floor:.2} |\n| {} | {skiff:.2} |", SKIFF.name)?;
        }
        writeln!(f, "\n| entries | entries a batch | log MiB | open ms | peak MiB | kept MiB |")?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for row in &self.restart {
            let (count, batch) = (row.load.batches * row.load.entries, row.load.entries);
            let (size, opened) = (row.log_mib, row.opened_ms);
            let (peak, kept) = (row.peak_mib, row.kept_mib);
            writeln!(f, "| {count} | {batch} | {size:.0} | {opened} | {peak:.1} | {kept:.1} |")?;
        }
        writeln!(f, "\n| goal | wanted | measured | |\n|---|---|---|---|")?;
        for Goal { what, wanted, measured, is_met } in &self.goals {
            let verdict = if *is_met { "met" } else { "**missed**" };
            writeln!(f, "| {what} | {wanted} | {measured} | {verdict} |")?;
        }
        Ok(())
    }
}
