//! The middle of some figures, and how far they lie apart.

use std::fmt;

use serde::Serialize;

/// Median, lowest and highest.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
}

impl Spread {
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<_> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let half = figures.len() / 2;
        let median = match figures.len() % 2 {
            0 => f64::midpoint(at(&figures, half.saturating_sub(1)), at(&figures, half)),
            _ => at(&figures, half),
        };
        let highest = at(&figures, figures.len().saturating_sub(1));
        Self { median, lowest: at(&figures, 0), highest }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(0);
        let Self { median, lowest, highest } = self;
        write!(f, "{median:.digits$} [{lowest:.digits$}-{highest:.digits$}]")
    }
}

/// The figure below which this part of the sorted `figures` lies.
pub(crate) fn quantile(figures: &[f64], part: f64) -> f64 {
    at(figures, (figures.len().saturating_sub(1) as f64 * part).round() as usize)
}

/// Not a number if there are none.
fn at(figures: &[f64], at: usize) -> f64 {
    figures.get(at).copied().unwrap_or(f64::NAN)
}
