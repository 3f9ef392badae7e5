//! What is to happen, decided by a seed: how many commands there are, and when the leader is killed.

use crate::random::Random;

/// A phase between two kills has at least so many commands.
const PHASE_MIN: u64 = 8;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) commands: u64,
    pub(crate) seed: u64,
    /// One for each kill, and one more to end with.
    pub(crate) phases: Vec<Phase>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Phase {
    /// Up to here commands are written in it.
    pub(crate) until: u64,
    pub(crate) kill: Option<Kill>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kill {
    /// As soon as so many commands are acknowledged.
    pub(crate) after: u64,
    /// Up to here commands may be written before it. There are always some that have to wait for
    /// the next leader.
    pub(crate) allowed_before: u64,
}

impl Plan {
    pub(crate) fn new(commands: u64, kills: u64, seed: u64) -> Result<Self, String> {
        let needed = kills.saturating_add(1).saturating_mul(PHASE_MIN);
        if commands < needed {
            return Err(format!(
                "{commands} commands are too few for {kills} kills: give --commands {needed} or \
                 more, or a smaller --kill"
            ));
        }
        let mut random = Random::new(seed);
        let mut phases = Vec::new();
        let length = commands / (kills + 1);
        for number in 0..kills {
            let (from, until) = (number * length, (number + 1) * length);
            let after = from + random.between(length / 4, length * 5 / 8);
            let allowed_before = after + (until - after) / 2;
            phases.push(Phase { until, kill: Some(Kill { after, allowed_before }) });
        }
        phases.push(Phase { until: commands, kill: None });
        Ok(Self { commands, seed, phases })
    }

    /// The pair that the command of this number writes. No two commands write the same key.
    pub(crate) fn pair(seed: u64, number: u64) -> (String, String) {
        let mut random = Random::new(seed ^ number.rotate_left(32));
        let key = format!("demo/{number:08}");
        let words = random.between(1, 9);
        let value = (0..words).map(|_| format!("{:016x}", random.next())).collect();
        (key, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_spread_and_each_leaves_something_to_do() {
        for (commands, kills) in [(10_000, 3), (500, 2), (200, 1), (48, 5), (8, 0)] {
            for seed in 0..50 {
                let plan = Plan::new(commands, kills, seed).unwrap();
                assert_eq!(plan.phases.len() as u64, kills + 1);
                let mut from = 0;
                for phase in &plan.phases {
                    if let Some(kill) = &phase.kill {
                        assert!(from < kill.after, "{plan:?}");
                        assert!(kill.after <= kill.allowed_before, "{plan:?}");
                        assert!(kill.allowed_before < phase.until, "{plan:?}");
                    }
                    from = phase.until;
                }
                assert_eq!(from, commands);
            }
        }
    }

    #[test]
    fn a_seed_decides_and_too_few_commands_are_refused() {
        assert_eq!(Plan::new(1000, 4, 1), Plan::new(1000, 4, 1));
        assert_ne!(Plan::new(1000, 4, 1).unwrap().phases, Plan::new(1000, 4, 2).unwrap().phases);
        assert!(Plan::new(31, 3, 1).unwrap_err().contains("--commands 32"));
        assert!(Plan::new(1, u64::MAX, 1).is_err());
    }

    #[test]
    fn no_two_commands_write_the_same_key() {
        let keys: std::collections::BTreeSet<_> =
            (0..1000).map(|number| Plan::pair(1, number).0).collect();
        assert_eq!(keys.len(), 1000);
        assert_eq!(Plan::pair(1, 5), Plan::pair(1, 5));
        assert_ne!(Plan::pair(1, 5).1, Plan::pair(2, 5).1);
    }
}
