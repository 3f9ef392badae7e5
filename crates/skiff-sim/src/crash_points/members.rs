//! Scripts in which members come and go.

use super::{
    cluster::{Cluster, Expected, FORMED},
    snapshots::{alone, every},
};
use crate::{
    plan::{Damage, Fault, MS, SECOND, Who},
    world::GONE,
};

/// Who is removed stays as it is.
const FOR_GOOD: u64 = u64::MAX;

impl Cluster {
    /// A member is removed, under load.
    pub(crate) fn remove() -> Self {
        let expects: &[Expected] = &[
            ("a removal", |reached| reached.changes_done, 1),
            ("one that knows", |reached| reached.removals, 1),
            ("answers", |reached| reached.commands_answered, 6),
        ];
        let (asked, who) = (Who::Follower(1), Who::Follower(0));
        Self::new(3, FORMED, FORMED + 80 * MS, expects)
            .calls(FORMED + 5 * MS, 4 * MS, 6)
            .fault(FORMED + 12 * MS, Fault::Remove { asked, who, stays: FOR_GOOD })
    }

    /// The leader is asked to remove itself: it leads until that is done, and hands over.
    pub(crate) fn leave() -> Self {
        let expects: &[Expected] = &[
            ("a removal", |reached| reached.changes_done, 1),
            ("another leader", |reached| reached.leaders_elected, 2),
            ("answers", |reached| reached.commands_answered, 3),
        ];
        let (asked, who) = (Who::Leader, Who::Leader);
        Self::new(3, FORMED, FORMED + 150 * MS, expects)
            .calls(FORMED + 5 * MS, 4 * MS, 4)
            .fault(FORMED + 12 * MS, Fault::Remove { asked, who, stays: FOR_GOOD })
            .calls(FORMED + 120 * MS, 4 * MS, 3)
    }

    /// A member is removed and begins anew: a learner by a snapshot, then a voter.
    pub(crate) fn rejoin() -> Self {
        let expects: &[Expected] = &[
            ("a removal", |reached| reached.removals, 1),
            ("a snapshot to begin with", |reached| reached.snapshots_begun_with, 1),
            ("an admission", |reached| reached.admissions, 1),
            ("a promotion", |reached| reached.promotions, 1),
        ];
        let (asked, who) = (Who::Leader, Who::Follower(0));
        Self::new(3, FORMED, FORMED + 600 * MS, expects)
            .with(every(4))
            .with(|knobs| knobs.genesis_bytes = Some(0))
            .calls(FORMED + 2 * MS, 4 * MS, 6)
            .fault(FORMED + 40 * MS, Fault::Remove { asked, who, stays: 20 * MS })
    }

    /// One is removed and begins anew, and takes the place of another at once.
    pub(crate) fn replace() -> Self {
        let expects: &[Expected] = &[
            ("a replacement", |reached| reached.replaced, 1),
            ("removals", |reached| reached.removals, 2),
            ("a promotion", |reached| reached.promotions, 1),
        ];
        let (asked, who, by) = (Who::Leader, Who::Follower(0), Who::Follower(1));
        Self::new(4, FORMED, FORMED + 700 * MS, expects)
            .calls(FORMED + 2 * MS, 4 * MS, 3)
            .fault(FORMED + 20 * MS, Fault::Remove { asked, who: by, stays: 20 * MS })
            .fault(FORMED + 41 * MS, Fault::Replace { asked, who, by, stays: FOR_GOOD })
    }

    /// While the members are joint, one that was cut off gets a snapshot; what is joint cannot be committed
    /// without it.
    pub(crate) fn joint() -> Self {
        let expects: &[Expected] = &[
            ("a snapshot while joint", |reached| reached.installed_while_joint, 1),
            ("a removal", |reached| reached.changes_done, 1),
            ("answers", |reached| reached.commands_answered, 8),
        ];
        let (asked, who) = (Who::Leader, Who::Follower(2));
        let joint = FORMED + 100 * MS;
        Self::new(5, joint, joint + 250 * MS, expects)
            .with(every(3))
            .calls(FORMED + 2 * MS, 2 * MS, 2)
            .fault(FORMED + 10 * MS, alone(Who::Follower(3), 120 * MS))
            .calls(FORMED + 15 * MS, 4 * MS, 8)
            .fault(joint, Fault::Remove { asked, who, stays: FOR_GOOD })
            .fault(joint + MS, alone(Who::Follower(1), 150 * MS))
    }

    /// A member loses its folder, and gets its place back once it has been missed for long enough.
    pub(crate) fn wipe() -> Self {
        let expects: &[Expected] = &[
            ("a folder lost", |reached| reached.wiped, 1),
            ("its place taken again", |reached| reached.back_after_wipe, 1),
        ];
        let (who, damage) = (Who::Node(1), Damage::Wipe);
        let (since, down) = (FORMED + GONE - 3_200 * MS, 10 * MS);
        Self::new(3, since, since + SECOND, expects)
            .calls(FORMED + 2 * MS, 4 * MS, 3)
            .fault(FORMED + 30 * MS, Fault::Damage { who, damage, place: 0, down })
    }
}
