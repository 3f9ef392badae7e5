//! What a power cut leaves of the operations that no sync has covered.

use std::{fmt, iter, str::FromStr};

use skiff_wal::disk::sim::{Fate, SECTOR, SimDisk, Unsynced};

/// So many operations, the newest ones, are chosen for each on its own.
const CHOSEN_MAX: usize = 3;

/// What becomes of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    All,
    Nothing,
    FirstSector,
    LastSector,
    /// Every second sector, from the first on.
    EverySecond,
}

/// What becomes of all operations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The oldest operation first. Those that are not named are dropped.
    left: Vec<Left>,
    /// The order in which they reach the medium, if it is not that in which they were done.
    order: Option<Vec<usize>>,
}

impl Choice {
    /// Nothing is left.
    pub(crate) fn nothing() -> Self {
        Self::default()
    }

    /// All others that are to be tried: each of the newest three is kept, dropped or torn in each way,
    /// while those before are all kept or all dropped; and all are kept, with the newest three in any
    /// order.
    pub(crate) fn all(unsynced: &[Unsynced]) -> Vec<Self> {
        let older = unsynced.len().saturating_sub(CHOSEN_MAX);
        let olders = if older == 0 { vec![Left::All] } else { vec![Left::Nothing, Left::All] };
        let mut choices: Vec<Vec<Left>> =
            olders.into_iter().map(|left| vec![left; older]).collect();
        for operation in &unsynced[older..] {
            let ways = Left::ways(operation);
            let with = |choice: Vec<Left>, way| choice.into_iter().chain(iter::once(way)).collect();
            choices = choices
                .into_iter()
                .flat_map(|choice| ways.iter().map(move |way| with(choice.clone(), *way)))
                .collect();
        }
        let kept = |order| Self { left: vec![Left::All; unsynced.len()], order: Some(order) };
        let orders = orders(older, unsynced.len()).into_iter().map(kept);
        choices.retain(|left| left.iter().any(|left| *left != Left::Nothing));
        choices.into_iter().map(|left| Self { left, order: None }).chain(orders).collect()
    }

    /// Cuts the power of a disk.
    pub(crate) fn cut(&self, disk: &SimDisk) {
        let left = |place: usize| self.left.get(place).copied().unwrap_or(Left::Nothing);
        if let Some(order) = &self.order {
            let mut places = order.iter().copied();
            let fate = |one: &Unsynced| left(places.next().unwrap_or(usize::MAX)).fate(one);
            return disk.crash_in_order(|_| order.clone(), fate);
        }
        let mut places = 0..;
        disk.crash(|one| left(places.next().unwrap_or(usize::MAX)).fate(one));
    }
}

/// All orders but the usual one, of the operations from `older` to `count`.
fn orders(older: usize, count: usize) -> Vec<Vec<usize>> {
    let mut orders = vec![(0..older).collect::<Vec<usize>>()];
    for _ in older..count {
        let longer = |order: Vec<usize>| {
            let left = (older..count).filter(|place| !order.contains(place)).collect::<Vec<_>>();
            left.into_iter().map(move |place| [order.as_slice(), &[place]].concat())
        };
        orders = orders.into_iter().flat_map(longer).collect();
    }
    orders.retain(|order| !order.is_sorted());
    orders
}

impl Left {
    const EACH: [(Self, char); 5] = [
        (Self::All, 'k'),
        (Self::Nothing, 'd'),
        (Self::FirstSector, 'f'),
        (Self::LastSector, 'l'),
        (Self::EverySecond, 's'),
    ];

    /// The ways that differ for this operation.
    fn ways(operation: &Unsynced) -> Vec<Self> {
        let many = match operation.sectors() {
            0 | 1 => 2,
            // The first is every second.
            2 => 4,
            _ => 5,
        };
        Self::EACH[..many].iter().map(|(left, _)| *left).collect()
    }

    fn fate(self, operation: &Unsynced) -> Fate {
        let last = operation.sectors().saturating_sub(1);
        match self {
            Self::All => Fate::Keep,
            Self::Nothing => Fate::Drop,
            Self::FirstSector => operation.tear(SECTOR, |sector| sector == 0),
            Self::LastSector => operation.tear(SECTOR, |sector| sector == last),
            Self::EverySecond => operation.tear(SECTOR, |sector| sector % 2 == 0),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |left: &Left| Left::EACH.iter().find(|(one, _)| one == left).map(|(_, c)| *c);
        let letters: String = self.left.iter().filter_map(letter).collect();
        f.write_str(if letters.is_empty() { "-" } else { &letters })?;
        let Some(order) = &self.order else { return Ok(()) };
        let order: Vec<String> = order.iter().map(ToString::to_string).collect();
        write!(f, "@{}", order.join(","))
    }
}

impl FromStr for Choice {
    type Err = ();

    fn from_str(words: &str) -> Result<Self, ()> {
        let (letters, order) = match words.split_once('@') {
            Some((letters, order)) => (letters, Some(order)),
            None => (words, None),
        };
        let left = |letter| Left::EACH.iter().find(|(_, c)| *c == letter).map(|(left, _)| *left);
        let letters = letters.trim_matches('-').chars();
        let order = order.map(|order| order.split(',').map(str::parse).collect::<Result<_, _>>());
        Ok(Self {
            left: letters.map(left).collect::<Option<_>>().ok_or(())?,
            order: order.transpose().map_err(drop)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(sectors: usize) -> Unsynced {
        Unsynced::Write { name: "a".into(), at: 0, len: sectors * SECTOR }
    }

    fn words(unsynced: &[Unsynced]) -> Vec<String> {
        Choice::all(unsynced).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn few_operations_are_chosen_for_each_on_its_own() {
        assert_eq!(words(&[]), [""; 0]);
        assert_eq!(words(&[write(1)]), ["k"]);
        assert_eq!(words(&[write(2)]), ["k", "f", "l"]);
        let create = Unsynced::Create { name: "a".into() };
        assert_eq!(words(&[create, write(1)]), ["kk", "kd", "dk", "kk@1,0"]);
        assert_eq!(words(&[write(3), write(3), write(3)]).len(), 5 * 5 * 5 - 1 + 5);
    }

    #[test]
    fn of_many_the_newest_are_chosen() {
        let all = words(&[write(1), write(1), write(1), write(1), write(1)]);
        assert_eq!(all.len(), 2 * 8 - 1 + 5);
        assert!(all.iter().all(|words| words.starts_with("kk") || words.starts_with("dd")));
        assert!(all.contains(&"kkkkk@0,1,4,3,2".to_owned()));
    }

    #[test]
    fn a_choice_can_be_written_down() {
        for choice in Choice::all(&[write(1), write(3), write(2)]) {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        assert_eq!("kx".parse::<Choice>(), Err(()));
    }
}
