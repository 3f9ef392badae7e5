//! Whether there is room for commands: by what the store says of itself, and by what it refused.

use std::fmt;

use skiff_storage::Room;

use crate::event::Event;

/// A mark is never above this part of all there is: else a small disk could never be used.
const PART: u64 = 20;

#[derive(Debug, Default)]
pub(crate) struct Vacancy {
    /// Too little room was found when it was looked last: why nothing is taken.
    low: Option<String>,
    /// What the store said when it refused a write; until one goes through.
    refused: Option<String>,
    /// What the store last told.
    room: Option<Room>,
    /// That there is no room was told, and not yet that there is again.
    told: bool,
}

impl Vacancy {
    /// Why no commands are taken; `None` if they are.
    pub(crate) fn why_not(&self) -> Option<&str> {
        self.refused.as_deref().or(self.low.as_deref())
    }

    /// The room, as the store last told it.
    pub(crate) const fn room(&self) -> Option<&Room> {
        self.room.as_ref()
    }

    /// The store tells its room. Too little is less than the mark; enough, afterwards, is a quarter
    /// more, so that what is freed bit by bit does not turn it on and off.
    pub(crate) fn measured(&mut self, room: Option<&Room>, reserve: u64) -> Option<Event> {
        let low = room.and_then(|room| {
            let mark = mark(room, reserve);
            let enough = mark.saturating_add(mark / 4);
            let is_low = room.free < if self.low.is_some() { enough } else { mark };
            is_low.then(|| {
                let (free, enough) = (Bytes(room.free), Bytes(enough));
                format!(
                    "no space left for the log in {}: make room, the node then goes on by itself \
                     ({free} are free, from {enough} on it takes commands again)",
                    room.path.display()
                )
            })
        });
        let news = low.clone().filter(|_| !self.told).map(|reason| Event::Full { reason });
        self.low = low;
        self.room = room.cloned();
        self.told |= news.is_some();
        news.or_else(|| self.ended())
    }

    /// The store has refused a write. Whether that is news.
    pub(crate) fn refuse(&mut self, reason: String) -> bool {
        self.told = true;
        self.refused.replace(reason).is_none()
    }

    /// A write went through.
    pub(crate) fn written(&mut self) -> Option<Event> {
        self.refused.take().and_then(|_| self.ended())
    }

    fn ended(&mut self) -> Option<Event> {
        let ended = self.told && self.why_not().is_none();
        self.told &= !ended;
        ended.then_some(Event::RoomAgain)
    }
}

/// So much is kept for what is promised already, for votes and for cleaning up.
fn mark(room: &Room, reserve: u64) -> u64 {
    room.step.saturating_mul(2).saturating_add(reserve).min(room.total / PART).max(1)
}

/// For people.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MEBI: u64 = 1 << 20;
        match self.0 {
            bytes @ ..MEBI => write!(f, "{bytes} bytes"),
            bytes => write!(f, "{}.{} MiB", bytes / MEBI, bytes % MEBI * 10 / MEBI),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEBI: u64 = 1 << 20;
    const RESERVE: u64 = 64 * MEBI;

    fn room(free: u64, total: u64) -> Room {
        Room { path: "/data".into(), free, total, step: 16 * MEBI, log: 0 }
    }

    #[test]
    fn the_mark_is_two_segments_and_the_reserve_but_never_much_of_a_small_disk() {
        assert_eq!(mark(&room(0, 1 << 40), RESERVE), 96 * MEBI);
        assert_eq!(mark(&room(0, 1 << 40), 0), 32 * MEBI);
        assert_eq!(mark(&room(0, 40 * MEBI), RESERVE), 2 * MEBI);
        assert_eq!(mark(&room(0, 0), RESERVE), 1, "with nothing at all it is full");
        assert_eq!(mark(&room(0, u64::MAX), u64::MAX), u64::MAX / PART);
    }

    #[test]
    fn it_is_full_below_the_mark_until_there_is_a_quarter_more() {
        let mut vacancy = Vacancy::default();
        let mut measure = |free: u64| {
            let news = vacancy.measured(Some(&room(free, 1 << 40)), RESERVE);
            (news, vacancy.why_not().map(str::to_owned))
        };
        assert_eq!(measure(96 * MEBI), (None, None));
        let (news, why) = measure(96 * MEBI - 1);
        let text = "no space left for the log in /data: make room, the node then goes on by itself \
                    (95.9 MiB are free, from 120.0 MiB on it takes commands again)";
        assert_eq!(why.as_deref(), Some(text));
        assert_eq!(news, Some(Event::Full { reason: text.to_owned() }));
        for free in [0, 96 * MEBI, 120 * MEBI - 1] {
            let (news, why) = measure(free);
            assert_eq!((news, why.is_some()), (None, true), "{free}: it is told once");
        }
        assert_eq!(measure(120 * MEBI), (Some(Event::RoomAgain), None));
        assert_eq!(measure(96 * MEBI), (None, None));
    }

    #[test]
    fn what_is_not_known_is_not_too_little() {
        let mut vacancy = Vacancy::default();
        assert_eq!((vacancy.measured(None, RESERVE), vacancy.why_not()), (None, None));
        vacancy.measured(Some(&room(5, 1 << 40)), RESERVE);
        assert!(vacancy.why_not().is_some_and(|why| why.contains("(5 bytes are free")));
        assert_eq!(vacancy.measured(None, RESERVE), Some(Event::RoomAgain));
        assert_eq!(vacancy.why_not(), None);
    }

    #[test]
    fn a_refused_write_counts_until_one_goes_through_whatever_is_measured() {
        let mut vacancy = Vacancy::default();
        assert!(vacancy.refuse("no".to_owned()) && !vacancy.refuse("never".to_owned()));
        assert_eq!(vacancy.measured(Some(&room(1 << 30, 1 << 40)), RESERVE), None);
        assert_eq!(vacancy.why_not(), Some("never"));
        // Its end is told once both are over, and its beginning was.
        assert_eq!(vacancy.measured(Some(&room(0, 1 << 40)), RESERVE), None);
        assert_eq!(vacancy.written(), None);
        assert!(vacancy.why_not().is_some());
        let room = room(1 << 30, 1 << 40);
        assert_eq!(vacancy.measured(Some(&room), RESERVE), Some(Event::RoomAgain));
        assert_eq!((vacancy.written(), vacancy.why_not()), (None, None));
    }
}
