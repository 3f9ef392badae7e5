//! The only threads of the simulator. Each takes a piece of what is to be done, and what comes of the
//! pieces is put together in their order: how many there are changes nothing but the time.

use std::thread;

/// Does the pieces at once, one for each helper.
pub(super) fn share<H: Send, P: Send, R: Send>(
    helpers: &mut [H],
    pieces: Vec<P>,
    work: impl Fn(&mut H, P) -> R + Sync,
) -> Vec<R> {
    let work = &work;
    thread::scope(|scope| {
        let running: Vec<_> = helpers
            .iter_mut()
            .zip(pieces)
            .map(|(helper, piece)| scope.spawn(move || work(helper, piece)))
            .collect();
        running
            .into_iter()
            .map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}
