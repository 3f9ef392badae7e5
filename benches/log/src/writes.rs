//! How many writes of the disk a commit costs.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::{
    contestants::{Contestant, Entrant, FLOOR, SKIFF},
    device::Device,
    folder,
    load::Load,
    spread::Spread,
};

/// Writes of the disk a commit, of commits of one small entry.
#[derive(Serialize)]
pub(crate) struct Writes {
    pub(crate) device: String,
    pub(crate) floor: Spread,
    pub(crate) skiff: Spread,
}

const STRETCHES: usize = 20;
const COMMITS: usize = 500;

/// Counts in stretches, by turns. The disk counts for all who use it, so others can only add: the
/// lowest of the stretches is nearest to the truth.
pub(crate) fn measure(above: &Path, device: &Device) -> Result<Writes> {
    let load = Load { bytes: 128, entries: 1, batches: STRETCHES * COMMITS };
    let payloads = load.payloads();
    let count = |log: &mut dyn Contestant, stretch: usize| -> Result<f64> {
        folder::settle(above)?;
        let before = device.writes()?;
        for at in 0..COMMITS {
            log.append((stretch * COMMITS + at) as u64 + 1, &payloads)?;
        }
        Ok((device.writes()? - before) as f64 / COMMITS as f64)
    };
    folder::fresh(above, |dir| {
        let open = |entrant: Entrant| {
            let dir = dir.join(entrant.name);
            std::fs::create_dir(&dir)?;
            (entrant.open)(&dir, &load)
        };
        let (mut floor, mut skiff) = (open(FLOOR)?, open(SKIFF)?);
        let (mut of_floor, mut of_skiff) = (Vec::new(), Vec::new());
        for stretch in 0..STRETCHES {
            of_floor.push(count(&mut *floor, stretch)?);
            of_skiff.push(count(&mut *skiff, stretch)?);
        }
        let (floor, skiff) = (Spread::of(of_floor), Spread::of(of_skiff));
        Ok(Writes { device: device.name.clone(), floor, skiff })
    })
}
