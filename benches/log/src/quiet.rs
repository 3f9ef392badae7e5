//! Whether the processors have time for a turn.
//!
//! While others keep them busy, a sync that is done waits for the next tick of the clock until its
//! thread goes on, some milliseconds instead of a tenth of one. A turn that met that tells nothing
//! about a log, so it is taken again.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

/// The part of the time of all processors that others may use.
const OTHERS: f64 = 0.15;
/// How often a turn is taken at most.
const TRIES: usize = 5;

/// Sees to it that turns are not disturbed.
pub(crate) struct Quiet {
    /// How long is waited for others to end, before each turn.
    pub(crate) patience: Duration,
    /// Turns that were taken again.
    pub(crate) repeated: usize,
    /// Turns that count although others were at work, since that was so in every try.
    pub(crate) disturbed: usize,
}

impl Quiet {
    /// Takes a turn until others have left the processors alone in it. The turn is begun with
    /// [`wait`](Self::wait) and gives what others used.
    pub(crate) fn take<T>(&mut self, turn: impl Fn(&Self) -> Result<(T, f64)>) -> Result<T> {
        let mut tries = 1;
        loop {
            let (taken, others) = turn(self)?;
            eprintln!("others used {:.0} % of the processors", others * 100.0);
            if others <= OTHERS || tries == TRIES {
                self.disturbed += usize::from(others > OTHERS);
                return Ok(taken);
            }
            self.repeated += 1;
            tries += 1;
        }
    }

    /// Waits until others leave the processors alone, or until patience ends.
    pub(crate) fn wait(&self) -> Result<()> {
        const LOOK: Duration = Duration::from_millis(500);
        let begun = Instant::now();
        while begun.elapsed() < self.patience {
            let before = Ticks::now()?;
            thread::sleep(LOOK);
            if before.others_since()? <= OTHERS {
                break;
            }
        }
        Ok(())
    }
}

/// The time of the processors, in ticks.
pub(crate) struct Ticks {
    all: f64,
    busy: f64,
    /// What this process has used.
    own: f64,
}

impl Ticks {
    pub(crate) fn now() -> Result<Self> {
        // Waiting for the disk is idling.
        const IDLE: [usize; 2] = [3, 4];
        const OWN: [usize; 2] = [11, 12];
        let text = fs::read_to_string("/proc/stat")?;
        let fields = figures(text.lines().next().and_then(|line| line.strip_prefix("cpu ")))?;
        let all: f64 = fields.iter().sum();
        let idle: f64 = IDLE.iter().filter_map(|at| fields.get(*at)).sum();
        let text = fs::read_to_string("/proc/self/stat")?;
        // The name of the program stands in brackets; the state after it is no figure.
        let fields = figures(text.rsplit_once(") ").and_then(|(_, rest)| rest.get(1..)))?;
        let own = OWN.iter().filter_map(|at| fields.get(*at - 1)).sum();
        Ok(Self { all, busy: all - idle, own })
    }

    /// The part of the processors' time that others have used since.
    pub(crate) fn others_since(&self) -> Result<f64> {
        let now = Self::now()?;
        let others = now.busy - self.busy - (now.own - self.own);
        Ok(others / (now.all - self.all).max(1.0))
    }
}

fn figures(line: Option<&str>) -> Result<Vec<f64>> {
    let line = line.context("/proc looks different here")?;
    Ok(line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
}
