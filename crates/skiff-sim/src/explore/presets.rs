//! The searches that are made again and again.

use skiff_replica::core::Options;

use super::bounds::{Bounds, UNLIMITED};

impl Bounds {
    /// All searches worth making: minutes.
    #[must_use]
    pub fn full() -> Vec<Self> {
        vec![
            Self { max_crashes: 1, max_slow_writes: 1, ..calm("elections", 3) },
            Self { max_crashes: 2, max_slow_writes: UNLIMITED, ..calm("slow disks", 2) },
            Self {
                max_commands: 1,
                max_crashes: 1,
                max_slow_writes: 2,
                ..calm("crashes and slow writes", 2)
            },
            Self { max_commands: 1, max_messages: 2, ..calm("late messages", 2) },
            Self {
                max_commands: 1,
                max_crashes: 1,
                max_disconnects: 1,
                max_duplicates: 1,
                ..calm("broken connections", 2)
            },
            Self { max_commands: 1, max_heartbeats: 1, max_timeouts: 3, ..calm("losses seen", 2) },
            Self {
                max_commands: 2,
                max_disconnects: 1,
                max_messages: 2,
                one_by_one: true,
                ..calm("entries", 1)
            },
            Self { max_commands: 1, one_by_one: true, ..calm("entries of three terms", 3) },
            Self { max_reads: 1, max_crashes: 1, max_slow_writes: 1, ..calm("reads", 2) },
            Self { max_commands: 1, max_crashes: 1, max_timeouts: 3, ..all_rules("all rules", 2) },
            Self { max_timeouts: 4, ..all_rules("all rules, elections", 3) },
            Self { max_heartbeats: 1, max_timeouts: 3, ..all_rules("all rules, silence", 2) },
        ]
    }

    /// Small ones, for a quick look: seconds.
    #[must_use]
    pub fn smoke() -> Vec<Self> {
        vec![
            Self { max_crashes: 1, max_slow_writes: 1, ..calm("elections", 2) },
            Self { max_commands: 1, max_slow_writes: 1, ..calm("slow writes", 2) },
            Self {
                max_commands: 1,
                max_heartbeats: 1,
                max_messages: 2,
                ..calm("late messages", 1)
            },
            Self { one_by_one: true, ..calm("entries of three terms", 3) },
            Self { max_reads: 1, ..calm("reads", 2) },
            all_rules("all rules", 2),
        ]
    }
}

/// So many terms, and an election timeout for each. What goes wrong is to be added.
fn calm(name: &'static str, terms: u8) -> Bounds {
    Bounds { name, max_term: u64::from(terms), max_timeouts: terms, ..Bounds::calm() }
}

/// The same with everything switched on that makes elections rarer.
fn all_rules(name: &'static str, terms: u8) -> Bounds {
    Bounds { options: Options::default(), ..calm(name, terms) }
}
