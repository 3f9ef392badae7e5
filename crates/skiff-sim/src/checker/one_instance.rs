//! One set of nodes forms at most one cluster that ever does anything.

use skiff_replica::InstanceId;

use crate::failure::{Verdict, must};

#[derive(Debug, Default)]
pub(crate) struct OneInstance {
    serving: Option<InstanceId>,
}

impl OneInstance {
    /// A member of this instance acts as leader.
    pub(crate) fn serves(&mut self, instance: InstanceId) -> Verdict {
        let first = *self.serving.get_or_insert(instance);
        must(first == instance, || format!("instances {first} and {instance} both serve"))
    }
}
