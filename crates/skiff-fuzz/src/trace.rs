//! Tells what happens, to whoever looks into a failure.

use std::{env, fmt::Debug, sync::OnceLock};

/// Prints `what` to stderr if `SKIFF_FUZZ_TRACE` is set.
pub(crate) fn trace(what: &impl Debug) {
    static WANTED: OnceLock<bool> = OnceLock::new();
    if *WANTED.get_or_init(|| env::var_os("SKIFF_FUZZ_TRACE").is_some()) {
        eprintln!("{what:?}");
    }
}
