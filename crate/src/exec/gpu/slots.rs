//! Where the keys and values of sequences that step together lie: side by side in one buffer a layer, so that one dispatch serves them all.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;

use super::cache::GpuCache;
use super::guard::Guard;
use super::staging::Staging;
use crate::exec::request::Capture;
use crate::ops::def::Params;

/// A cache for several sequences. It goes with the last of its slots.
#[derive(Debug)]
pub(super) struct Slots {
    pub cache: RefCell<GpuCache>,
    /// Positions in use, ascending.
    taken: RefCell<Vec<Range<usize>>>,
    /// Steps that are submitted already, of those that step together.
    flights: RefCell<Vec<JointFlight>>,
    /// Slots so far.
    count: Cell<u64>,
}

/// Steps of several sequences under way.
#[derive(Debug)]
pub(super) struct JointFlight {
    pub staging: Staging,
    pub guard: Guard,
    /// By row the slot, `None` once that is gone: nobody will ask for its steps.
    pub slots: Vec<Option<u64>>,
    /// Of the first step; what its `start` counts from is what the host wrote last.
    pub first: Params,
    pub steps: usize,
    /// Into which parts attention splits what the rows see.
    pub split: Option<usize>,
    pub captures: Vec<Capture>,
    pub logits: bool,
    /// Which recording of its engine it is.
    pub number: u64,
    /// When the GPU began with it, as far as the host knows: at the submit, or when it had read what was before it.
    pub at_ms: f64,
}

impl JointFlight {
    /// The row of a slot whose next position is this one.
    pub fn row_of(&self, slot: &Slot, position: usize) -> Option<usize> {
        let row = self.slots.iter().position(|other| *other == Some(slot.number))?;
        (self.position(row) == position).then_some(row)
    }

    /// The position that a row feeds first.
    pub fn position(&self, row: usize) -> usize {
        (self.first.each[row][0] + self.first.start) as usize
    }
}

/// The room of one sequence.
#[derive(Debug)]
pub struct Slot {
    pub(super) slots: Rc<Slots>,
    /// No other slot has had it.
    pub(super) number: u64,
    /// Its positions in the common cache.
    pub(super) range: Range<usize>,
    bytes: usize,
    /// Batches of its prompt that are submitted, of which only the status is still to be read.
    pub(super) unread: Vec<(Staging, Guard)>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.taken.borrow_mut().retain(|range| *range != self.range);
        self.slots.flights.borrow_mut().retain_mut(|flight| {
            for slot in &mut flight.slots {
                slot.take_if(|slot| *slot == self.number);
            }
            flight.slots.iter().any(Option::is_some)
        });
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
            flights: RefCell::default(),
            count: Cell::default(),
        }
    }

    /// Keeps steps that are under way for those who will ask for them.
    pub fn keep(&self, flight: JointFlight) {
        self.flights.borrow_mut().push(flight);
    }

    /// The host has read what was before recording `number`: the GPU has begun with that, if it is steps under way.
    pub fn began(&self, number: u64, at_ms: f64) {
        let mut flights = self.flights.borrow_mut();
        for flight in flights.iter_mut().filter(|flight| flight.number == number) {
            flight.at_ms = at_ms;
        }
    }

    /// The steps under way of any of these slots, taken out.
    pub fn under_way(&self, slots: &[&mut Slot]) -> Option<JointFlight> {
        let mut flights = self.flights.borrow_mut();
        let is_of = |flight: &JointFlight| slots.iter().any(|slot| flight.slots.contains(&Some(slot.number)));
        let place = flights.iter().position(is_of)?;
        Some(flights.swap_remove(place))
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
            number: self.count.replace(self.count.get() + 1),
            range,
            bytes,
            unread: Vec::new(),
        }
    }
}
