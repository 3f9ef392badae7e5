//! A log that was written, with crashes in between, and then damaged. It never holds what was not
//! written: it is refused, or is as it was at some time; or it knows what it has lost, and with what it
//! ended. What was only crashed is never refused.

use std::collections::BTreeMap;

use skiff_core::{HardState, Index, NodeId, Position, Term, Write};
use skiff_wal::{
    Opened,
    disk::sim::{Fate, SECTOR, SimDisk, Unsynced},
};

use crate::{
    folder::{self, State},
    source::Source,
};

/// The first bytes choose what is written, the rest what is damaged.
pub fn target(data: &[u8]) {
    let mut source = Source::new(data);
    let mut life = Life::new();
    for _ in 0..source.pick(12) {
        life.act(&mut source);
    }
    let Life { disk, opened, past, .. } = life;
    match source.flag() {
        true => folder::close(opened),
        false => drop(opened),
    }
    while !source.is_empty() {
        damage(&disk, &mut source);
    }
    if let Some(found) = folder::judge(&disk) {
        // Behind damage, a torn batch tells of the newest vote: of one that nobody was told of, perhaps,
        // since what it came with is not there.
        let held = past
            .iter()
            .position(|state| (state.base, &state.entries) == (found.base, &found.entries));
        let voted = past.iter().rposition(|state| state.hard_state == found.hard_state);
        let was_so = held.zip(voted).is_some_and(|(held, voted)| held <= voted);
        assert!(was_so, "it never was so: {found:?}");
    } else if let Some((hard_state, last)) = folder::judge_lost(&disk) {
        let was_so = |state: &State| (state.hard_state, state.last()) == (hard_state, last);
        assert!(past.iter().any(was_so), "it never ended with {last}, {hard_state:?}");
    }
}

struct Life {
    disk: SimDisk,
    opened: Opened<SimDisk>,
    now: State,
    /// All that it ever was, or may have been had everything ended then.
    past: Vec<State>,
    /// How large the entry of each term and index is: there is one, however often it is cut and comes
    /// again.
    sizes: BTreeMap<(u64, u64), usize>,
}

impl Life {
    fn new() -> Self {
        let disk = SimDisk::new();
        let opened = folder::open(&disk);
        Self {
            disk,
            opened,
            now: State::default(),
            past: vec![State::default()],
            sizes: BTreeMap::new(),
        }
    }

    fn act(&mut self, source: &mut Source<'_>) {
        match source.pick(8) {
            0..4 => {
                let (writes, states) = self.group(source);
                let error = self.opened.log.append(&writes).error;
                assert!(error.is_none(), "a sound group failed: {error:?}");
                self.now = states.last().cloned().unwrap_or_default();
                self.past.extend(states);
            }
            4 | 5 => self.crash(source),
            6 => {
                let now = self.now.clone();
                self.reopen(&[now], folder::close);
            }
            _ => folder::save_snapshot(&mut self.opened, self.now.last()),
        }
    }

    /// A group during which everything ends; what was not synced may be there or not.
    fn crash(&mut self, source: &mut Source<'_>) {
        let (writes, states) = self.group(source);
        self.disk.halt_after(u64::from(source.byte() % 16));
        let is_whole = self.opened.log.append(&writes).error.is_none();
        let fates = source.long();
        let mut bit = 0_u32;
        let mut next = || {
            bit = (bit + 1) % u64::BITS;
            fates >> bit & 1 == 1
        };
        self.disk.crash(|unsynced: &Unsynced| match next() {
            true => unsynced.tear(SECTOR, |_| next()),
            false => Fate::Drop,
        });
        self.past.extend(states.iter().cloned());
        match is_whole {
            true => self.reopen(&states[states.len() - 1..], drop),
            false => self.reopen(&states, drop),
        }
    }

    fn reopen(&mut self, possible: &[State], end: impl FnOnce(Opened<SimDisk>)) {
        // Something must stand in its place meanwhile.
        let elsewhere = folder::open(&SimDisk::new());
        end(std::mem::replace(&mut self.opened, elsewhere));
        self.opened = folder::open(&self.disk);
        self.now = State::of(&self.opened);
        assert!(possible.contains(&self.now), "{:?} is none of {possible:?}", self.now);
    }

    /// A few writes, and all states from before the first to after the last.
    fn group(&mut self, source: &mut Source<'_>) -> (Vec<Write>, Vec<State>) {
        let (mut writes, mut states) = (Vec::new(), vec![self.now.clone()]);
        let mut now = self.now.clone();
        for _ in 0..=source.pick(3) {
            let write = write(&now, &mut self.sizes, source);
            if let Some(base) = write.begin_after {
                folder::save_snapshot(&mut self.opened, base);
            }
            let during = now.during(&write);
            now = during.last().cloned().unwrap_or_default();
            states.extend(during);
            writes.push(write);
        }
        (writes, states)
    }
}

fn write(now: &State, sizes: &mut BTreeMap<(u64, u64), usize>, source: &mut Source<'_>) -> Write {
    let raised = now.hard_state.term.0 + u64::from(source.byte() % 4 == 3);
    let ahead = Some(source.byte()).filter(|byte| *byte >= 230).map(|byte| u64::from(byte % 5));
    let begin_after = ahead.map(|ahead| Position::new(raised, now.last().index.0 + ahead));
    let (base, end) = match begin_after {
        Some(base) => (base.index.0, base.index.0),
        None => (now.base.index.0, now.last().index.0),
    };
    let cut = Some(source.byte()).filter(|byte| *byte >= 180).map(|byte| u64::from(byte % 8));
    let truncate_from = cut.map(|cut| Index(end.saturating_sub(cut).max(base) + 1));
    let first = truncate_from.map_or(end + 1, |from| from.0.min(end + 1));
    let term = raised.max(1);
    let entries = (first..).zip(source.list(5, size)).map(|(index, size)| {
        folder::entry(term, index, *sizes.entry((term, index)).or_insert(size))
    });
    let vote = source.flag().then(|| NodeId(u128::from(source.byte() % 4)));
    let entries: Vec<_> = entries.collect();
    let term = if entries.is_empty() { raised } else { term };
    let hard_state = HardState { term: Term(term), vote };
    Write { hard_state, begin_after, truncate_from, entries, ..Write::default() }
}

fn size(source: &mut Source<'_>) -> usize {
    match source.byte() {
        small @ 0..200 => usize::from(small),
        large => usize::from(large - 199) * 50,
    }
}

fn damage(disk: &SimDisk, source: &mut Source<'_>) {
    let files: Vec<_> = disk.synced_files();
    if files.is_empty() {
        source.rest();
        return;
    }
    let (name, size) = &files[source.pick(files.len())];
    let at = u64::from(source.byte()) * 16 + u64::from(source.byte() % 16);
    let at = at % size.max(&1);
    let mut content = disk.content(name).unwrap_or_default();
    let place = usize::try_from(at).unwrap_or(0).min(content.len());
    match source.pick(8) {
        0 | 1 => {
            disk.flip_bit(name, at, source.byte() % 8);
            return;
        }
        2 => {
            disk.zero_sector(name, at);
            return;
        }
        3 => content.truncate(place),
        4 => drop(content.splice(place..place, source.bytes(600).iter().copied())),
        5 => {
            let bytes = source.bytes(600);
            content.iter_mut().skip(place).zip(bytes).for_each(|(byte, with)| *byte = *with);
        }
        6 => {
            let (other, _) = &files[source.pick(files.len())];
            let from = usize::from(source.byte()) * SECTOR;
            let other = disk.content(other).unwrap_or_default();
            let sector = other.iter().copied().skip(from).take(SECTOR);
            let to = place / SECTOR * SECTOR;
            content.iter_mut().skip(to).zip(sector).for_each(|(byte, with)| *byte = with);
        }
        _ => {
            disk.take_away(name);
            return;
        }
    }
    disk.put(name, content);
}
