//! Being asked to end.

use tokio::signal::unix::{SignalKind, signal};

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
