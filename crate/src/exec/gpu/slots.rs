//! Where the keys and values of sequences that step together lie: side by side in one buffer a layer, so that one dispatch serves them all.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use super::cache::GpuCache;
use super::context::Guard;
use super::staging::Staging;

/// A cache for several sequences. It goes with the last of its slots.
#[derive(Debug)]
pub(super) struct Slots {
    pub cache: RefCell<GpuCache>,
    /// Positions in use, ascending.
    taken: RefCell<Vec<Range<usize>>>,
}

/// The room of one sequence.
#[derive(Debug)]
pub struct Slot {
    pub(super) slots: Rc<Slots>,
    /// Its positions in the common cache.
    pub(super) range: Range<usize>,
    bytes: usize,
    /// Batches of its prompt that are submitted, of which only the status is still to be read.
    pub(super) unread: Vec<(Staging, Guard)>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.taken.borrow_mut().retain(|range| *range != self.range);
    }
}

impl Slot {
    /// Bytes of its keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Slots {
    pub fn new() -> Slots {
        Slots {
            cache: RefCell::new(GpuCache::without_room()),
            taken: RefCell::default(),
        }
    }

    /// The first gap of so many positions, or where one would begin behind all that is taken.
    pub fn gap(&self, positions: usize) -> usize {
        let mut begin = 0;
        for range in self.taken.borrow().iter() {
            if range.start - begin >= positions {
                break;
            }
            begin = range.end;
        }
        begin
    }

    /// Room at these positions, which take so many bytes in all layers.
    pub fn take(self: &Rc<Slots>, range: Range<usize>, bytes: usize) -> Slot {
        let mut taken = self.taken.borrow_mut();
        let number = taken.partition_point(|other| other.start < range.start);
        taken.insert(number, range.clone());
        Slot {
            slots: self.clone(),
            range,
            bytes,
            unread: Vec::new(),
        }
    }
}
