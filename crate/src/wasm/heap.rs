//! The module's heap. Large blocks begin at lines of the processor's caches, as the command's do: else each row of weights takes a line more,
//! and a quarter of all loads of a whole register meets two lines.

use std::alloc::{GlobalAlloc, Layout, System};

/// Bytes from which on a block is large.
const LARGE: usize = 1 << 16;
/// Bytes of a line.
const LINE: usize = 64;

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

/// How a block is laid out.
fn of(layout: Layout) -> Layout {
    match layout.align_to(LINE) {
        Ok(aligned) if layout.size() >= LARGE => aligned,
        _ => layout,
    }
}

// Nothing is inlined into who calls: that would be 7 KB of code.
// SAFETY: what is promised of blocks is what the system's heap keeps, which finds what it needs to know of a block in front of it.
unsafe impl GlobalAlloc for Heap {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller says.
        unsafe { System.alloc(of(layout)) }
    }

    #[inline(never)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller says.
        unsafe { System.alloc_zeroed(of(layout)) }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller says.
        unsafe { System.dealloc(block, layout) }
    }

    /// In place, where there is room: with the line's alignment each would be copied.
    #[inline(never)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller says.
        unsafe { System.realloc(block, layout, size) }
    }
}
