//! A counter that remembers all it did. It is an engine: neither `Clone` nor serde, so it gives and
//! takes its state in its own way.

use std::io::Read;

use skiff_replica::{At, MachineError, Mark, Queries, SnapshotWriter, Snapshots, StateMachine};

#[derive(Debug, Default)]
pub(crate) struct Counter {
    pub(crate) value: i64,
    pub(crate) history: Vec<i64>,
    /// Panics when it is to apply this.
    pub(crate) fails_at: Option<i64>,
}

impl StateMachine for Counter {
    type Command = i64;
    type Response = i64;

    fn apply(&mut self, by: i64, _: At) -> i64 {
        assert!(self.fails_at != Some(by), "cannot add {by}");
        self.value += by;
        self.history.push(by);
        self.value
    }
}

impl Queries for Counter {
    type Query = i64;
    type Answer = i64;

    fn query(&self, plus: i64) -> i64 {
        self.value + plus
    }
}

impl Snapshots for Counter {
    fn snapshot(&self) -> Result<SnapshotWriter, MachineError> {
        let history = self.history.clone();
        Ok(Box::new(move |to| {
            history.iter().try_for_each(|number| to.write_all(&number.to_le_bytes()))
        }))
    }

    fn restore(&mut self, from: &mut dyn Read, _: Mark) -> Result<(), MachineError> {
        let mut content = Vec::new();
        from.read_to_end(&mut content)?;
        let numbers = content.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok());
        self.history = numbers.map(i64::from_le_bytes).collect();
        self.value = self.history.iter().sum();
        Ok(())
    }
}
