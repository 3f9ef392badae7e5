//! A log's folder with any bytes in its files. It is refused, or opened, within reason, and what was
//! opened can be used.

use skiff_wal::disk::sim::{SECTOR, SimDisk};

use crate::{
    folder::{self, IDENTITY, segment_name, snapshot_name},
    source::Source,
};

/// Files are made no longer than this.
const LONGEST: usize = 16 << 10;

/// Puts files into an empty folder, or changes some of one that is sound. Each file's checksums are
/// left as they are, or made right.
pub fn target(data: &[u8]) {
    let mut source = Source::new(data);
    let disk = if source.flag() { folder::example() } else { SimDisk::new() };
    for _ in 0..8 {
        if source.is_empty() {
            break;
        }
        let (name, seals) = (name(&mut source), source.flag());
        let mut content = disk.content(&name).unwrap_or_default();
        change(&mut content, &mut source);
        if seals {
            folder::seal(&mut content);
        }
        disk.put(&name, content);
    }
    folder::judge(&disk);
}

fn name(source: &mut Source<'_>) -> String {
    match source.byte() {
        number @ 0..160 => segment_name(u64::from(number % 5) + 1),
        160..200 => IDENTITY.to_owned(),
        200..230 => snapshot_name(u64::from(source.byte() % 4), u64::from(source.byte() % 4)),
        230..240 => segment_name(source.number()),
        240..245 => snapshot_name(source.number(), source.number()),
        245..250 => format!("{}.tmp", snapshot_name(1, 1)),
        _ => source.text(40),
    }
}

/// Writes pieces over a content, a few bytes at some place each.
fn change(content: &mut Vec<u8>, source: &mut Source<'_>) {
    for _ in 0..=source.pick(6) {
        let sector = usize::from(source.byte() % 8) * SECTOR;
        let at = sector + usize::from(source.short()) % SECTOR;
        let piece = match source.byte() {
            0..150 => source.bytes(LONGEST),
            150..170 => b"SKIFFSEG",
            170..190 => b"SKIFFBAT",
            190..200 => b"SKIFFIDE",
            200..210 => b"SKIFFSNA",
            210..230 => &[0; SECTOR],
            _ => {
                content.truncate(at);
                continue;
            }
        };
        let end = (at + piece.len()).min(LONGEST);
        content.resize(content.len().max(end), 0);
        content[at..end].copy_from_slice(&piece[..end - at]);
    }
}
