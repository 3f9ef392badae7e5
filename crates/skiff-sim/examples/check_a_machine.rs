//! Puts four state machines through everything that a cluster may do to them: a sound one, and three
//! that are not.
//!
//!     cargo run --release -p skiff-sim --example check_a_machine

use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use skiff_replica::{At, StateMachine};
use skiff_sim::{Check, Dice};

/// A sound one: how often each word was said.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Words {
    said: std::collections::BTreeMap<String, u64>,
}

impl StateMachine for Words {
    type Command = String;
    type Response = u64;

    fn apply(&mut self, word: String, _: At) -> u64 {
        let count = self.said.entry(word).or_default();
        *count += 1;
        *count
    }
}

/// Answers with all words, in the order of a hash map: another in each process.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Listing {
    said: HashMap<String, u64>,
}

impl StateMachine for Listing {
    type Command = String;
    type Response = Vec<String>;

    fn apply(&mut self, word: String, _: At) -> Vec<String> {
        *self.said.entry(word).or_default() += 1;
        self.said.keys().cloned().collect()
    }
}

/// Keeps when a word was said, by its own clock.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Diary {
    last: u128,
}

impl StateMachine for Diary {
    type Command = String;
    type Response = u128;

    fn apply(&mut self, _: String, _: At) -> u128 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        self.last = since.map_or(0, |since| since.as_nanos());
        self.last
    }
}

/// Counts, and leaves the count out of its snapshots.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Forgetful {
    said: u64,
    #[serde(skip)]
    longest: usize,
}

impl StateMachine for Forgetful {
    type Command = String;
    type Response = usize;

    fn apply(&mut self, word: String, _: At) -> usize {
        self.said += 1;
        self.longest = self.longest.max(word.len());
        self.longest
    }
}

fn word(dice: &mut Dice) -> String {
    let words = ["mast", "sail", "oar", "rudder", "anchor", "keel", "boom", "thwart"];
    (*dice.pick(&words)).to_owned()
}

fn main() {
    match Check::new(Words::default, word).seeds(50).run() {
        Ok(passed) => println!("Words: sound, through {} clusters", passed.seeds),
        Err(finding) => println!("Words: {finding}"),
    }
    let others = [
        ("Listing", Check::new(Listing::default, word).run().err()),
        ("Diary", Check::new(Diary::default, word).run().err()),
        ("Forgetful", Check::new(Forgetful::default, word).run().err()),
    ];
    for (name, finding) in others {
        match finding {
            Some(finding) => println!("{name}: {finding}"),
            None => println!("{name}: nothing was found"),
        }
    }
}
