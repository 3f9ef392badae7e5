//! Being asked to end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use crate::failure::Failure;

/// From now on Ctrl-C and SIGTERM do not end the process but this future.
pub(crate) fn asked_to_end() -> Result<impl Future<Output = ()>, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Does `work`, unless Ctrl-C or SIGTERM come first: then it is dropped, with all it holds.
pub(crate) async fn unless_interrupted<T>(
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let asked = asked_to_end()?;
    tokio::select! {
        done = work => done,
        () = asked => Err(Failure::interrupted()),
    }
}

/// From now on Ctrl-C and SIGTERM do not end the process; what is returned tells whether one has come.
/// For work without a runtime of its own.
pub(crate) fn interrupted() -> Result<impl Fn() -> bool + Sync, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let asked = runtime.block_on(async { asked_to_end() })?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(asked);
        raised.store(true, Ordering::Relaxed);
    })?;
    Ok(move || flag.load(Ordering::Relaxed))
}
