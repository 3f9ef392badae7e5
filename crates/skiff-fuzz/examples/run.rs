//! Runs inputs through a target, on any toolchain:
//! `SKIFF_FUZZ_TRACE=1 cargo run -p skiff-fuzz --example run -- step fuzz/regressions/step/*`

use std::{env, error::Error, fs};

use skiff_fuzz::TARGETS;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let name = arguments.next().ok_or("which target?")?;
    let target =
        TARGETS.iter().find(|target| target.name == name).ok_or("there is no such target")?;
    for path in arguments {
        eprintln!("{path}");
        (target.run)(&fs::read(path)?);
    }
    Ok(())
}
