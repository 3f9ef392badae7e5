//! How many sockets may be open, in all and from one address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counts the accepted sockets.
#[derive(Debug)]
pub(crate) struct Admission {
    in_all: usize,
    per_address: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    in_all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Counts for one socket until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    pub(crate) fn new(in_all: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self { in_all, per_address, open: Mutex::default() })
    }

    /// `None` if there are as many as there may be.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Permit> {
        let mut open = self.open();
        let from_there = open.by_address.get(&address).copied().unwrap_or(0);
        if open.in_all >= self.in_all || from_there >= self.per_address {
            return None;
        }
        open.in_all += 1;
        open.by_address.insert(address, from_there + 1);
        drop(open);
        Some(Permit { admission: self.clone(), address })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Nothing panics with this lock held.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.admission.open();
        open.in_all = open.in_all.saturating_sub(1);
        if let Some(from_there) = open.by_address.get_mut(&self.address) {
            *from_there = from_there.saturating_sub(1);
            if *from_there == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}
