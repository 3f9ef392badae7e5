//! How far a campaign is, while somebody looks.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use skiff_sim::Totals;

/// A bar to so many, or a number that grows.
pub(super) fn bar(count: Option<u64>) -> ProgressBar {
    let bar = count.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let template = if count.is_some() {
        "{elapsed_precise} {bar:30} {pos}/{len} {msg}  {eta} left"
    } else {
        "{elapsed_precise} {pos} {msg}"
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

pub(super) struct Progress {
    bar: ProgressBar,
    began: Instant,
}

impl Progress {
    /// A bar to so many seeds, or none.
    pub(super) fn new(count: Option<u64>) -> Self {
        Self { bar: bar(count), began: Instant::now() }
    }

    #[expect(clippy::cast_precision_loss, reason = "for people")]
    pub(super) fn show(&self, totals: &Totals) {
        self.bar.set_position(totals.seeds);
        let seconds = self.began.elapsed().as_secs_f64();
        let events = totals.events as f64 / seconds;
        let simulated = totals.simulated as f64 / 1e9 / seconds;
        let failed = totals.failed.len();
        self.bar.set_message(format!(
            "seeds, {:.0}k events/s, {simulated:.0} times real time, {failed} failed",
            events / 1e3
        ));
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
