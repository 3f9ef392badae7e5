//! Mistakes that other implementations made with whole nodes, each a test under its name.

mod pitfall;
mod world;

use world::{Answer, World};

/// A command that must be answered with a response.
fn done(world: &mut World, name: &str, by: i64) -> i64 {
    let call = world.command(name, by);
    match world.wait(&call) {
        Answer::Response(value) => value,
        other => panic!("{other:?}"),
    }
}
