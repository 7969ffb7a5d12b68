//! Edits as the kernels read them (`shaders/parts/edits.wgsl`).

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::buffers::Buf;
use super::context::Gpu;
use crate::edits::{Action, EditTable, Site};

/// Words that the buffer has room for at first.
const FIRST_WORDS: usize = 1 << 12;
/// Bit of a record's kind that says `topk_in`.
const TOPK_IN: u32 = 256;

/// The words of a table: for each of its lists (first word, count), then records of 8 words.
pub fn words(table: &EditTable, lists: usize) -> Vec<u32> {
    let mut header = Vec::with_capacity(2 * lists);
    let mut records: Vec<u32> = Vec::new();
    for list in 0..lists {
        let edits = table.layer(list);
        header.extend([(2 * lists + records.len()) as u32, edits.len() as u32]);
        for edit in edits {
            let action = match edit.action {
                Action::Add => 0,
                Action::Clamp => 1,
                Action::Scale => 2,
                Action::Ablate => 3,
            };
            let site = if edit.site == Site::TopkIn { TOPK_IN } else { 0 };
            records.extend([
                edit.index,
                action | site,
                edit.value.to_bits(),
                edit.from,
                edit.to,
                edit.row,
                0,
                0,
            ]);
        }
    }
    header.extend(records);
    header
}

/// The buffer of edits. It grows with the largest table seen; bind groups of an older one are no longer valid.
#[derive(Debug)]
pub struct EditBuffer {
    buffer: RefCell<Rc<Buf>>,
    generation: Cell<usize>,
    /// The buffer may not be there.
    stale: Cell<bool>,
}

impl EditBuffer {
    pub fn new(gpu: &Gpu) -> EditBuffer {
        EditBuffer {
            buffer: RefCell::new(Rc::new(gpu.storage("edits", 4 * FIRST_WORDS as u64))),
            generation: Cell::new(0),
            stale: Cell::new(false),
        }
    }

    pub fn buffer(&self) -> Rc<Buf> {
        self.buffer.borrow().clone()
    }

    /// Changes with the buffer.
    pub fn generation(&self) -> usize {
        self.generation.get()
    }

    /// Writes a table, in the order of the queue.
    pub fn write(&self, gpu: &Gpu, words: &[u32]) {
        let bytes = 4 * words.len() as u64;
        if self.stale.take() || self.buffer.borrow().size() < bytes {
            self.buffer.replace(Rc::new(gpu.storage("edits", bytes.next_power_of_two())));
            self.generation.update(|generation| generation + 1);
        }
        gpu.write(&self.buffer.borrow(), bytemuck::cast_slice(words));
    }

    /// The next table takes a new one.
    pub fn forget(&self) {
        self.stale.set(true);
    }
}
