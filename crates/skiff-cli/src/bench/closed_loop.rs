//! Callers that each wait for their answer before they ask again.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use super::{row::Measured, switches};
use crate::failure::Failure;

/// The longest latency that is told apart, in nanoseconds: a minute.
const LONGEST: u64 = 60_000_000_000;

/// What all callers share.
struct Tally {
    latency: Mutex<Histogram<u64>>,
    ended: AtomicBool,
}

impl Tally {
    fn latency(&self) -> MutexGuard<'_, Histogram<u64>> {
        self.latency.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has `clients` callers call for `span`, after a fifth of it to warm up, and measures. `processes`
/// are those whose context switches count.
pub(crate) async fn measure<F>(
    clients: u32,
    span: Duration,
    processes: &[u32],
    call: impl Fn(u32) -> F + Clone + Send + 'static,
) -> Result<Measured, Failure>
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let histogram = Histogram::new_with_bounds(1, LONGEST, 3);
    let latency = Mutex::new(histogram.map_err(Failure::failed)?);
    let tally = Arc::new(Tally { latency, ended: AtomicBool::new(false) });
    let mut callers = JoinSet::new();
    for client in 0..clients {
        callers.spawn(keep_calling(client, Arc::clone(&tally), call.clone()));
    }
    tokio::select! {
        measured = watch(&tally, span, processes) => {
            tally.ended.store(true, Ordering::Relaxed);
            while let Some(ended) = callers.join_next().await {
                checked(ended)?;
            }
            Ok(measured)
        }
        Some(ended) = callers.join_next() => {
            checked(ended)?;
            Err(Failure::failed("a caller ended before its time"))
        }
    }
}

async fn watch(tally: &Tally, span: Duration, processes: &[u32]) -> Measured {
    tokio::time::sleep(span / 5).await;
    tally.latency().reset();
    let switches = switches::of(processes);
    let began = Instant::now();
    tokio::time::sleep(span).await;
    let latency = tally.latency().clone();
    let took = began.elapsed();
    let switches = switches::of(processes).saturating_sub(switches);
    Measured { commands: latency.len(), took, switches, latency }
}

async fn keep_calling<F>(
    client: u32,
    tally: Arc<Tally>,
    call: impl Fn(u32) -> F + Send,
) -> Result<(), String>
where
    F: Future<Output = Result<(), String>> + Send,
{
    let mut number = client;
    while !tally.ended.load(Ordering::Relaxed) {
        let began = Instant::now();
        call(number).await?;
        let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        tally.latency().saturating_record(nanos);
        number = number.wrapping_add(7919);
    }
    Ok(())
}

fn checked(ended: Result<Result<(), String>, tokio::task::JoinError>) -> Result<(), Failure> {
    ended.map_err(|error| Failure::failed(format!("a caller ended: {error}")))?.map_err(|error| {
        Failure::failed(format!("a command failed, so nothing can be said of the speed: {error}"))
    })
}
