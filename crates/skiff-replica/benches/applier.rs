//! How many commands a second go through an applier on one core. Run with
//! `cargo bench -p skiff-replica`.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use skiff_core::{Entry, Payload};
use skiff_replica::{Applier, Apply, At, Encoded, Index, LogTime, StateMachine, Term, Token};

#[derive(Clone, Default, Serialize, Deserialize)]
struct Counter {
    value: i64,
}

impl StateMachine for Counter {
    type Command = i64;
    type Response = i64;

    fn apply(&mut self, by: i64, _: At) -> i64 {
        self.value += by;
        self.value
    }
}

fn main() {
    const COMMANDS: u64 = 4_000_000;
    for batch in [1, 64, 1024] {
        let command = Payload::Command(1000_i64.encode().unwrap_or_default());
        let entry = |index| Entry {
            term: Term(1),
            index: Index(index),
            time: LogTime(index),
            payload: command.clone(),
        };
        let applies: Vec<Apply> = (0..COMMANDS / batch)
            .map(|number| {
                let indices = number * batch + 1..=(number + 1) * batch;
                let tokens = indices.clone().map(|index| (Index(index), Token(index))).collect();
                Apply { entries: indices.map(entry).collect(), tokens }
            })
            .collect();
        let mut applier = Applier::new(Counter::default());
        let mut responses = Vec::new();
        let begun = Instant::now();
        for apply in &applies {
            responses.clear();
            if let Err(error) = applier.apply(apply, &mut responses) {
                println!("{error}");
                return;
            }
        }
        let rate = applier.applied().0 as f64 / begun.elapsed().as_secs_f64();
        println!("batches of {batch}: {rate:.0} commands a second");
    }
}
