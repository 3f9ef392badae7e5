//! One line of the result.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{cluster::NODES, spans};

/// What was measured with so many clients. These names are the program's interface.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) mode: &'static str,
    pub(crate) nodes: usize,
    pub(crate) clients: u32,
    pub(crate) ops_per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    /// Context switches of all threads of all processes that take part.
    pub(crate) switches_per_command: f64,
    /// What one command costs at least on this machine.
    pub(crate) floor_us: f64,
    /// The median, as a multiple of that.
    pub(crate) ratio_to_floor: f64,
}

/// What a closed loop has measured.
pub(crate) struct Measured {
    pub(crate) commands: u64,
    pub(crate) took: Duration,
    pub(crate) switches: u64,
    /// In nanoseconds.
    pub(crate) latency: Histogram<u64>,
}

impl Row {
    #[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds of a few minutes")]
    pub(crate) fn new(mode: &'static str, clients: u32, floor: Duration, of: &Measured) -> Self {
        let micros = |quantile| of.latency.value_at_quantile(quantile) as f64 / 1e3;
        let commands = of.commands.max(1) as f64;
        let floor_us = spans::micros(floor);
        Self {
            mode,
            nodes: NODES,
            clients,
            ops_per_second: (of.commands as f64 / of.took.as_secs_f64()).round(),
            p50_us: hundredths(micros(0.5)),
            p99_us: hundredths(micros(0.99)),
            p999_us: hundredths(micros(0.999)),
            switches_per_command: thousandths(of.switches as f64 / commands),
            floor_us: hundredths(floor_us),
            ratio_to_floor: hundredths(micros(0.5) / floor_us),
        }
    }

    fn cells(&self) -> [String; 10] {
        [
            self.mode.to_owned(),
            self.nodes.to_string(),
            self.clients.to_string(),
            self.ops_per_second.to_string(),
            self.p50_us.to_string(),
            self.p99_us.to_string(),
            self.p999_us.to_string(),
            self.switches_per_command.to_string(),
            self.floor_us.to_string(),
            self.ratio_to_floor.to_string(),
        ]
    }
}

fn hundredths(value: f64) -> f64 {
    (value * 1e2).round() / 1e2
}

fn thousandths(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

pub(crate) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "MODE",
        "NODES",
        "CLIENTS",
        "OPS/S",
        "P50 US",
        "P99 US",
        "P99.9 US",
        "SWITCHES/CMD",
        "FLOOR US",
        "RATIO",
    ]);
    rows.iter().for_each(|row| {
        table.add_row(row.cells());
    });
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_one_object_with_the_promised_names() {
        let mut latency = Histogram::new(3).unwrap();
        for nanos in [1_000, 2_000, 3_000] {
            latency.record(nanos).unwrap();
        }
        let measured =
            Measured { commands: 3, took: Duration::from_millis(1), switches: 6, latency };
        let row = Row::new("memory", 4, Duration::from_micros(1), &measured);
        let json = serde_json::to_value(&row).unwrap();
        let names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names.len(), 10);
        assert_eq!(json["ops_per_second"], 3000.0);
        assert_eq!(json["switches_per_command"], 2.0);
        assert_eq!(json["p50_us"], 2.0);
        assert_eq!(json["ratio_to_floor"], 2.0);
        assert!(table(&[row]).to_string().contains("3000"));
    }
}
