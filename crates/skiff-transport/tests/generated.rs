//! The committed code of the messages equals what the schema gives. Run with `UPDATE_GENERATED=1`
//! to write it anew after the schema was changed.

use std::{env, fs, path::Path};

use prost_build::{Config, Module};

const COMMITTED: &str = "src/wire/generated.rs";

#[test]
fn committed_code_is_what_the_schema_gives() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let code = generate(root);
    if env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(root.join(COMMITTED), &code).unwrap();
    }
    let committed = fs::read_to_string(root.join(COMMITTED)).unwrap();
    assert!(committed == code, "{COMMITTED} is not up to date: run with UPDATE_GENERATED=1");
}

fn generate(root: &Path) -> String {
    let proto = root.join("proto");
    let descriptors = protox::compile(["skiff.proto"], [&proto]).expect("the schema is sound");
    let files = descriptors
        .file
        .into_iter()
        .map(|file| (Module::from_protobuf_package_name("skiff.wire"), file));
    let made = Config::new().bytes(["."]).generate(files.collect()).expect("the schema gives code");
    made.into_values().collect()
}
