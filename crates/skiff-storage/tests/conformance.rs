//! The memory store passes the suite.

use skiff_storage::{MemoryPersistence, conformance};

#[test]
fn the_memory_store_conforms() {
    conformance::check_all(|| Box::new(MemoryPersistence::new()));
}

#[test]
fn a_new_object_is_a_new_node() {
    for _ in 0..2 {
        conformance::a_fresh_place_becomes_a_new_store(&MemoryPersistence::new());
    }
}
