//! The file that says whose folder it is, of any content.

use skiff_core::NodeId;
use skiff_storage::{Identity, InstanceId, Standing};
use skiff_wal::{disk::sim::SimDisk, inspect::Inspection};

use crate::{
    folder::{self, IDENTITY},
    source::Source,
};

/// Opens a folder in which that file is made up, or is of another identity, or was changed.
pub fn target(data: &[u8]) {
    let mut source = Source::new(data);
    let (seals, alone, made_up) = (source.flag(), source.flag(), source.flag());
    let disk = if alone { SimDisk::new() } else { folder::example() };
    let mut content = if made_up {
        [b"SKIFFIDE", source.rest()].concat()
    } else {
        let identity = identity(&mut source);
        let mut content = written(&identity);
        for (at, with) in source.list(4, |source| (source.short(), source.byte())) {
            let at = usize::from(at) % content.len();
            content[at] = with;
        }
        content
    };
    if seals {
        folder::seal(&mut content);
    }
    disk.put(IDENTITY, content);
    folder::judge(&disk);
}

fn identity(source: &mut Source<'_>) -> Identity {
    Identity {
        standing: [Standing::Fresh, Standing::Member, Standing::Removed][source.pick(3)],
        cluster: if source.flag() { "fuzz".to_owned() } else { source.text(60) },
        instance: source.flag().then(|| InstanceId(u128::from_le_bytes(source.array()))),
        name: if source.flag() { "a".to_owned() } else { source.text(60) },
        node: NodeId(u128::from_le_bytes(source.array())),
        // The counter never goes back.
        boot: source.number().max(1),
    }
}

/// The bytes of this identity, which come back as it.
fn written(identity: &Identity) -> Vec<u8> {
    let disk = SimDisk::new();
    let opened = folder::open(&disk);
    let identified = opened.log.identify(identity);
    identified.unwrap_or_else(|error| panic!("an identity cannot be written: {error}"));
    let inspection = Inspection::of(disk.clone());
    let inspection = inspection.unwrap_or_else(|error| panic!("cannot look: {error}"));
    match inspection.identity() {
        Ok(found) => assert_eq!(found, Some(identity)),
        Err(error) => panic!("a sound identity cannot be read: {error}"),
    }
    disk.content(IDENTITY).unwrap_or_default()
}
