//! Programs of the examples, and addresses for them.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "shared by several tests")]

use std::{
    path::PathBuf,
    process::{self, Command},
    sync::atomic::{AtomicU16, Ordering},
};

/// The program of an example, built if it is not.
pub fn example(name: &str) -> PathBuf {
    // Beside the folder of this test, where `cargo test` has put it; a lone `--test` has not.
    let tests = std::env::current_exe().unwrap();
    let profile = tests.parent().unwrap().parent().unwrap();
    let program = profile.join("examples").join(name);
    if !program.exists() {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--offline", "--locked", "--package", "skiff", "--example", name]);
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success());
    }
    program
}

/// An address that nothing else on this machine comes upon: the system gives ports to those who
/// connect, and a node that was killed must find its own again.
pub fn own_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(7001);
    let [_, high, middle, low] = process::id().to_be_bytes();
    let port = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("127.{}.{middle}.{low}:{port}", 1 + high)
}
