#![doc = include_str!("../README.md")]
#![warn(clippy::print_stdout)]

mod folder;
pub mod frames;
pub mod handshake;
pub mod identity;
pub mod kv;
pub mod log_bytes;
pub mod log_damage;
pub mod payload;
pub mod replica;
mod said;
pub mod snapshot;
mod source;
pub mod step;
mod trace;
pub mod wire;

/// One of the fuzz targets.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is that of its folders under `fuzz/` too.
    pub name: &'static str,
    /// What it does with an input. It panics if something is not as it must be.
    pub run: fn(&[u8]),
    /// The most memory it may ask for in all, whatever it gives back meanwhile: so much in any case,
    /// and so much for each byte of the input.
    pub memory: (usize, usize),
}

macro_rules! targets {
    ($($name:ident: $memory:expr,)*) => {
        &[$(Target { name: stringify!($name), run: $name::target, memory: $memory },)*]
    };
}

/// All fuzz targets.
pub const TARGETS: &[Target] = targets! {
    frames: (8 << 20, 1_000),
    handshake: (8 << 10, 0),
    identity: (1 << 20, 1_000),
    kv: (64 << 20, 1_000),
    log_bytes: (1 << 20, 1_000),
    log_damage: (8 << 20, 1_000),
    payload: (64 << 10, 1_000),
    replica: (8 << 20, 10_000),
    snapshot: (1 << 20, 1_000),
    step: (8 << 20, 10_000),
    wire: (64 << 10, 1_000),
};
