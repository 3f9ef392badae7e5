//! The store on disk passes the suite, on real files and on simulated ones, with segments of several
//! sizes.

use skiff_storage::{Opening, Persistence, Store, StoreError, conformance};
use skiff_wal::{DiskPersistence, disk::sim::SimDisk};
use tempfile::TempDir;

struct InTempDir {
    disk: DiskPersistence,
    _dir: TempDir,
}

impl Persistence for InTempDir {
    fn open(&self, opening: &Opening) -> Result<Store, StoreError> {
        self.disk.open(opening)
    }
}

#[test]
fn the_store_on_disk_conforms() {
    conformance::check_all(|| {
        let dir = TempDir::new().unwrap();
        let disk = DiskPersistence::new(dir.path().join("data")).segment_size(256 << 10);
        Box::new(InTempDir { disk, _dir: dir })
    });
}

#[test]
fn the_store_conforms_with_tiny_segments() {
    for size in [0, 2_048, 4_096, 10_000] {
        conformance::check_all(|| Box::new(DiskPersistence::on(SimDisk::new()).segment_size(size)));
    }
}
