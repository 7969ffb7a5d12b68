//! Counters of a device, and the timestamps of its dispatches where they are wanted; `clock.rs` reads them.

use std::cell::{Cell, RefCell};

/// Two for each dispatch; what is recorded beyond them is not timed.
pub(super) const TIMESTAMPS: u32 = 4096;

/// Counters, and the clock where it runs.
#[derive(Debug, Default)]
pub struct Meter {
    pub(super) submits: Cell<usize>,
    pub(super) awaits: Cell<usize>,
    /// Awaits with nothing in the queue behind what they wait for.
    pub(super) exposed: Cell<usize>,
    pub(super) clock: RefCell<Option<Clock>>,
    /// Whether no buffer can be made.
    pub(super) refuses: Cell<bool>,
}

/// The clock while it runs.
#[derive(Debug)]
pub(super) struct Clock {
    pub set: wgpu::QuerySet,
    /// The file of each dispatch.
    pub files: Vec<&'static str>,
}

impl Meter {
    /// Of what submit number `submit` makes.
    pub(super) fn count_await(&self, submit: usize) {
        self.awaits.update(|awaits| awaits + 1);
        if submit == self.submits.get() {
            self.exposed.update(|exposed| exposed + 1);
        }
    }

    /// The timestamps of the next dispatch, if they are wanted: it then has a pass of its own.
    pub(super) fn next(&self, file: &'static str) -> Option<(wgpu::QuerySet, u32)> {
        let mut clock = self.clock.borrow_mut();
        let clock = clock.as_mut()?;
        let first = 2 * clock.files.len() as u32;
        if first + 2 > TIMESTAMPS {
            return None;
        }
        clock.files.push(file);
        Some((clock.set.clone(), first))
    }
}
