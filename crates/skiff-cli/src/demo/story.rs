//! What happens, told line by line while it happens, with a bar where there is a terminal.

use std::{
    fmt::Display,
    io::IsTerminal,
    sync::Arc,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::AbortHandle;

use super::ledger::Ledger;
use crate::say;

/// How often the bar moves.
const BAR_EVERY: Duration = Duration::from_millis(50);
/// How often a line says how far it is, where there is no bar.
const LINE_EVERY: Duration = Duration::from_secs(2);

pub(crate) struct Story {
    began: Instant,
    /// The result is for a program: people are told beside it.
    aside: bool,
    bar: Option<ProgressBar>,
}

impl Story {
    pub(crate) fn new(aside: bool, commands: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| bar(commands));
        Self { began: Instant::now(), aside, bar }
    }

    pub(crate) fn line(&self, text: impl Display) {
        let line = format!("{:>7.3} s  {text}", self.began.elapsed().as_secs_f64());
        let tell = || if self.aside { say::aside(&line) } else { say::line(&line) };
        match &self.bar {
            Some(bar) => bar.suspend(tell),
            None => tell(),
        }
    }

    /// Shows how many commands are acknowledged until what is returned is dropped.
    pub(crate) fn show_progress(&self, ledger: &Arc<Ledger>) -> Showing {
        let (ledger, bar, aside, began) =
            (Arc::clone(ledger), self.bar.clone(), self.aside, self.began);
        let task = tokio::spawn({
            let bar = bar.clone();
            async move {
                let story = Self { began, aside, bar: None };
                loop {
                    tokio::time::sleep(if bar.is_some() { BAR_EVERY } else { LINE_EVERY }).await;
                    match &bar {
                        Some(bar) => bar.set_position(ledger.count()),
                        None => story.line(format_args!("{} acknowledged", ledger.count())),
                    }
                }
            }
        });
        Showing { task: task.abort_handle(), bar }
    }
}

fn bar(commands: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(commands), ProgressDrawTarget::stderr());
    let template = "{bar:40} {pos}/{len} acknowledged, {per_sec}";
    bar.with_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    )
}

/// Progress is shown as long as this lives.
pub(crate) struct Showing {
    task: AbortHandle,
    bar: Option<ProgressBar>,
}

impl Drop for Showing {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
