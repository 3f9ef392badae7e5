//! Plans that failed once, each for a fault that is mended: they pass. The name of a file tells what it
//! was.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path};

use skiff_sim::{Plan, Registers, run};

#[test]
fn what_failed_once_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut files: Vec<_> =
        fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        let plan: Plan = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let report = run(&plan, &Registers);
        assert_eq!(report.failure, None, "{}", file.display());
    }
}
