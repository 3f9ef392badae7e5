//! A linearizable read sees everything that was committed when it was asked for, to anybody's
//! knowledge (dissertation 6.4).

use skiff_replica::Index;

use crate::failure::{Verdict, must};

/// A read that was asked for when `floor` was committed is served at `index` by a machine that has
/// applied up to `applied`.
pub(crate) fn served(floor: Index, index: Index, applied: Index) -> Verdict {
    must(index >= floor, || {
        format!("a read is served at {index}, {floor} was committed when it was asked for")
    })?;
    must(applied >= index, || {
        format!("a read is served at {index}, the machine has applied {applied}")
    })
}
