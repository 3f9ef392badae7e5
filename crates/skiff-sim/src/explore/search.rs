//! The search itself: level by level, so that the first path to anything is a shortest one.

use std::collections::HashSet;

use super::{
    Bounds, End, Report, Violation, crew,
    member::{Broken, Setup},
    memo::{Memo, SpreadBuilder},
    state::State,
    trace,
};

/// So many states are expanded before anything is put together.
const BATCH: usize = 1 << 14;

/// Where a state was first reached from: by which of its predecessor's steps.
#[derive(Clone, Copy, Debug)]
struct Origin {
    from: u32,
    step: u16,
}

/// A state that is to be expanded, by its number in the order of discovery.
type Open = (u32, State);

/// A state that was found.
struct Child {
    print: u64,
    origin: Origin,
    state: State,
}

/// What came of expanding some states.
#[derive(Default)]
struct Expanded {
    children: Vec<Child>,
    transitions: u64,
    broken: Option<(Origin, Broken)>,
}

#[derive(Debug)]
pub(super) struct Search {
    setup: Setup,
    seen: HashSet<u64, SpreadBuilder>,
    origins: Vec<Origin>,
    report: Report,
}

impl Search {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self {
            setup: Setup::new(*bounds),
            seen: HashSet::default(),
            origins: Vec::new(),
            report: Report {
                distinct: 0,
                transitions: 0,
                by_depth: Vec::new(),
                end: End::UnderWay,
                violation: None,
            },
        }
    }

    pub(super) fn run(mut self, threads: usize, go_on: &mut dyn FnMut(&Report) -> bool) -> Report {
        let mut memos: Vec<Memo> = (0..threads.max(1)).map(|_| Memo::default()).collect();
        let mut level = match State::first(&self.setup) {
            Ok(first) => {
                let origin = Origin { from: 0, step: 0 };
                self.found(vec![Child { print: first.print(), origin, state: first }])
            }
            Err(broken) => {
                let end = self.broken(&[], broken);
                return self.ended(end);
            }
        };
        while !level.is_empty() {
            self.report.by_depth.push(level.len() as u64);
            match self.descend(level, &mut memos, go_on) {
                Ok(next) => level = next,
                Err(end) => return self.ended(end),
            }
        }
        self.ended(End::Exhausted)
    }

    /// Expands a whole level. The next one, or why there will be none.
    fn descend(
        &mut self,
        level: Vec<Open>,
        memos: &mut [Memo],
        go_on: &mut dyn FnMut(&Report) -> bool,
    ) -> Result<Vec<Open>, End> {
        let mut next = Vec::new();
        let mut level = level.into_iter();
        loop {
            let batch: Vec<Open> = level.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return Ok(next);
            }
            let mut all = self.expand(memos, batch);
            // Before anything is counted: where the batch was cut in pieces must not matter.
            if let Some((origin, broken)) = all.iter_mut().find_map(|one| one.broken.take()) {
                let path = self.path(origin);
                return Err(self.broken(&path, broken));
            }
            for expanded in all {
                self.report.transitions += expanded.transitions;
                next.append(&mut self.found(expanded.children));
            }
            if self.origins.len() >= self.setup.bounds.max_states {
                return Err(End::TooMany);
            }
            if !go_on(&self.report) {
                return Err(End::Told);
            }
        }
    }

    fn expand(&self, memos: &mut [Memo], batch: Vec<Open>) -> Vec<Expanded> {
        let size = batch.len().div_ceil(memos.len());
        let mut batch = batch.into_iter();
        let mut pieces = Vec::new();
        for _ in 0..memos.len() {
            pieces.push(batch.by_ref().take(size).collect::<Vec<Open>>());
        }
        crew::share(memos, pieces, |memo, piece| self.expand_piece(memo, &piece))
    }

    fn expand_piece(&self, memo: &mut Memo, piece: &[Open]) -> Expanded {
        let mut expanded = Expanded::default();
        let mut fresh: HashSet<u64, SpreadBuilder> = HashSet::default();
        for (from, state) in piece {
            for (step, number) in state.steps(&self.setup.bounds).into_iter().zip(0..) {
                let origin = Origin { from: *from, step: number };
                match state.take(step, &self.setup, memo) {
                    Ok(None) => {}
                    Ok(Some(state)) => {
                        expanded.transitions += 1;
                        let print = state.print();
                        if !self.seen.contains(&print) && fresh.insert(print) {
                            expanded.children.push(Child { print, origin, state });
                        }
                    }
                    Err(broken) => {
                        expanded.broken = Some((origin, broken));
                        return expanded;
                    }
                }
            }
        }
        expanded
    }

    /// Numbers those that were not seen before.
    fn found(&mut self, children: Vec<Child>) -> Vec<Open> {
        let mut open = Vec::with_capacity(children.len());
        for Child { print, origin, state } in children {
            if self.seen.insert(print) {
                let number = u32::try_from(self.origins.len()).unwrap_or(u32::MAX);
                self.origins.push(origin);
                open.push((number, state));
            }
        }
        self.report.distinct = self.origins.len() as u64;
        open
    }

    /// The steps from the first state that end with this one.
    fn path(&self, last: Origin) -> Vec<u16> {
        let mut path = vec![last.step];
        let mut at = last.from;
        while at != 0 {
            let Origin { from, step } = self.origins[at as usize];
            path.push(step);
            at = from;
        }
        path.reverse();
        path
    }

    /// Tells of what broke at the end of this path, which is gone once more.
    fn broken(&mut self, path: &[u16], broken: Broken) -> End {
        let (trace, again) = trace::retell(&self.setup, path);
        let rule = if again.as_ref() == Some(&broken) {
            broken
        } else {
            format!("the search was wrong: it saw \"{broken}\", and its steps lead to {again:?}")
        };
        self.report.violation = Some(Violation { rule, path: path.to_vec(), trace });
        End::Violation
    }

    fn ended(mut self, end: End) -> Report {
        self.report.end = end;
        self.report
    }
}
