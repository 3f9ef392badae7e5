//! Where the next segment comes from.

use std::{
    sync::mpsc::{self, Receiver, Sender},
    thread::{self, JoinHandle},
};

use skiff_storage::StoreError;

use crate::{
    disk::Disk,
    segment::{self, Order, Segment},
};

/// Makes segments: when they are needed, or ahead and elsewhere.
pub(crate) trait Supply<D: Disk>: Send {
    /// A segment will be needed. At most one is ordered at a time.
    fn order(&mut self, order: Order);

    /// The segment that was ordered. Blocks until it is there.
    fn take(&mut self) -> Result<Segment<D::File>, StoreError>;

    /// Files that nobody needs.
    fn remove(&mut self, names: Vec<String>);
}

/// Makes a segment at the moment it is needed.
#[derive(Debug)]
pub(crate) struct OnDemand<D> {
    disk: D,
    order: Option<Order>,
}

impl<D: Disk> OnDemand<D> {
    pub(crate) const fn new(disk: D) -> Self {
        Self { disk, order: None }
    }
}

impl<D: Disk> Supply<D> for OnDemand<D> {
    fn order(&mut self, order: Order) {
        self.order = Some(order);
    }

    fn take(&mut self) -> Result<Segment<D::File>, StoreError> {
        let order = self.order.take();
        let order = order.ok_or_else(|| StoreError::Misuse("no segment was ordered".to_owned()))?;
        segment::make(&self.disk, &order)
    }

    fn remove(&mut self, names: Vec<String>) {
        remove(&self.disk, &names);
    }
}

/// A file that stays is found and removed after the next opening.
fn remove<D: Disk>(disk: &D, names: &[String]) {
    names.iter().for_each(|name| drop(disk.remove(name)));
}

/// Makes segments ahead on a thread of its own, so that whoever writes the log never waits until
/// some megabytes of zeros are on the medium.
pub(crate) struct Ahead<D: Disk> {
    tasks: Option<Sender<Task>>,
    made: Receiver<Result<Segment<D::File>, StoreError>>,
    thread: Option<JoinHandle<()>>,
}

enum Task {
    Make(Order),
    Remove(Vec<String>),
}

impl<D: Disk> Ahead<D> {
    pub(crate) fn new(disk: D) -> Result<Self, StoreError> {
        let (tasks, to_do) = mpsc::channel();
        let (tell, made) = mpsc::channel();
        let path = disk.path("");
        let work = move || {
            for task in to_do {
                match task {
                    Task::Make(order) => {
                        // If nobody waits for it any more, the store is being closed.
                        let _ = tell.send(segment::make(&disk, &order));
                    }
                    Task::Remove(names) => remove(&disk, &names),
                }
            }
        };
        let thread = thread::Builder::new().name("skiff-segments".to_owned()).spawn(work);
        let thread = thread.map_err(|error| StoreError::io("start a thread for", path, error))?;
        Ok(Self { tasks: Some(tasks), made, thread: Some(thread) })
    }

    fn send(&self, task: Task) {
        // The thread ends only after this end of the channel is gone.
        let _ = self.tasks.as_ref().map(|tasks| tasks.send(task));
    }
}

impl<D: Disk> Supply<D> for Ahead<D> {
    fn order(&mut self, order: Order) {
        self.send(Task::Make(order));
    }

    fn take(&mut self) -> Result<Segment<D::File>, StoreError> {
        let gone = |_| StoreError::Other("the thread that makes segments has died".to_owned());
        self.made.recv().map_err(gone)?
    }

    fn remove(&mut self, names: Vec<String>) {
        self.send(Task::Remove(names));
    }
}

impl<D: Disk> Drop for Ahead<D> {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            // Had it panicked, there would be nothing left to do about it here.
            let _ = thread.join();
        }
    }
}
