//! Many random lives of small clusters: nodes crash at any job, come back, are cut off, lose their
//! disk. Whatever happens, there is one cluster, and what was acknowledged stays.

mod world;

use std::collections::BTreeSet;

use skiff_replica::{Consistency, Standing};
use world::{Answer, CallId, MS, SECOND, Spec, World, node::Crash};

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<'a>(&mut self, names: &[&'a str]) -> &'a str {
        let at = self.roll(names.len() as u64);
        names[usize::try_from(at).expect("a small number")]
    }
}

struct Life<'a> {
    world: World,
    names: &'a [&'a str],
    dice: Dice,
    /// How many more disks may be lost.
    wipes: u64,
    number: i64,
    calls: Vec<(i64, CallId)>,
    /// Instances in which anything was ever applied.
    alive: BTreeSet<u128>,
}

impl<'a> Life<'a> {
    fn new(seed: u64, names: &'a [&'a str], wipes: u64) -> Self {
        let mut life = Self {
            world: World::new(),
            names,
            dice: Dice(seed.wrapping_mul(7919) + 1),
            wipes,
            number: 0,
            calls: Vec::new(),
            alive: BTreeSet::new(),
        };
        for name in names {
            life.world.prepare(name, Spec::peers(names).forwarding());
        }
        life
    }

    fn act(&mut self) {
        let name = self.dice.pick(self.names);
        let running = self.world.is_running(name);
        match self.dice.roll(12) {
            0 if running => self.world.crash(name),
            1 if running && self.wipes > 0 => {
                self.wipes -= 1;
                self.world.wipe(name);
            }
            0..=4 if !running => {
                let crash = Crash {
                    jobs: usize::try_from(self.dice.roll(60)).expect("a small number"),
                    done: self.dice.roll(2) == 0,
                };
                self.world.spec(name).crash = (self.dice.roll(3) == 0).then_some(crash);
                self.world.start(name);
            }
            5 => self.world.cut(name, self.dice.pick(self.names)),
            6 | 7 => self.world.heal(name, self.dice.pick(self.names)),
            8..=10 if running => {
                self.number += 1;
                let call = self.world.command(name, self.number);
                self.calls.push((self.number, call));
            }
            11 if running => {
                self.world.read(name, Consistency::Linearizable);
            }
            _ => {}
        }
        let time = match self.dice.roll(4) {
            0 => 500 * MS,
            1 => 50 * MS,
            _ => 5 * MS,
        };
        self.world.run(time);
        self.check();
    }

    /// What must hold at any time.
    fn check(&mut self) {
        let running = self.names.iter().filter(|name| self.world.is_running(name));
        let members: Vec<_> = running
            .filter(|name| self.world.status(name).standing == Standing::Member)
            .map(|name| {
                let instance = self.world.status(name).instance.expect("a member has one");
                (instance.0, self.world.history(name))
            })
            .collect();
        for (instance, history) in &members {
            if !history.is_empty() {
                self.alive.insert(*instance);
            }
            for (other, longer) in members.iter().filter(|(_, h)| h.len() >= history.len()) {
                let agree = instance != other || longer.starts_with(history);
                assert!(agree, "{history:?} is no beginning of {longer:?}");
            }
        }
        assert!(self.alive.len() <= 1, "two clusters have done something: {:?}", self.alive);
    }

    /// All comes back and is well.
    fn recover(&mut self) {
        for one in self.names {
            for other in self.names {
                self.world.heal(one, other);
            }
            self.world.spec(one).crash = None;
        }
        for name in self.names {
            if !self.world.is_running(name) {
                self.world.start(name);
            }
        }
        self.world.run(20 * SECOND);
        self.check();
    }

    /// Whether everything that was acknowledged is in this history, once, and nothing twice.
    fn check_acknowledged(&self, history: &[i64]) -> usize {
        let once: BTreeSet<_> = history.iter().collect();
        assert_eq!(once.len(), history.len(), "something was done twice: {history:?}");
        let acknowledged = self
            .calls
            .iter()
            .filter(|(_, call)| matches!(self.world.answer(call), Some(Answer::Response(_))));
        acknowledged
            .map(|(number, _)| assert!(once.contains(number), "{number} was acknowledged, is gone"))
            .count()
    }
}

#[test]
fn crashes_and_cuts_lose_nothing() {
    let mut acknowledged = 0;
    for seed in 0..40 {
        let names = if seed % 2 == 0 { &["a", "b", "c"][..] } else { &["a", "b", "c", "d", "e"] };
        let mut life = Life::new(seed, names, 0);
        (0..150).for_each(|_| life.act());
        life.recover();
        let leader = life.world.elect();
        let call = life.world.command(&leader, -1);
        assert!(matches!(life.world.wait(&call), Answer::Response(_)), "seed {seed}");
        life.world.until("all to have all", |world| {
            names.iter().all(|name| world.history(name).last() == Some(&-1))
        });
        acknowledged += life.check_acknowledged(&life.world.history(&leader));
    }
    assert!(acknowledged > 300, "only {acknowledged} commands were acknowledged");
}

/// A minority loses its disks at any time, also while the cluster forms.
#[test]
fn lost_disks_found_no_second_cluster() {
    let mut served = 0;
    for seed in 0..40 {
        let names = if seed % 2 == 0 { &["a", "b", "c"][..] } else { &["a", "b", "c", "d", "e"] };
        let mut life = Life::new(seed, names, names.len() as u64 / 2);
        (0..150).for_each(|_| life.act());
        life.recover();
        if let Some(leader) = life.world.leader() {
            served += 1;
            life.check_acknowledged(&life.world.history(&leader));
        }
    }
    assert!(served > 20, "only {served} of 40 served at the end");
}
