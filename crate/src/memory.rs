//! Allocations whose size comes from a model or a request: where there is no memory for them, that is an error and not the end of the
//! process (or of the tab's engine).

use std::fmt::Display;
use std::hint::black_box;

use crate::error::{fail, Result};

/// Requests from this size on leave [`HEADROOM`]; smaller ones are what it is for. In WebAssembly, where nobody survives an allocation that
/// fails, and asking costs next to nothing, the pieces of a KV cache are large.
const LARGE: usize = if cfg!(target_family = "wasm") { 1 << 15 } else { 1 << 20 };
/// Bytes that stay free behind a large allocation, for all the small ones that are not checked one by one.
pub const HEADROOM: usize = if cfg!(target_family = "wasm") { 8 << 20 } else { 32 << 20 };

#[inline(never)] // once, and not for every type
fn has_headroom() -> bool {
    let mut free = Vec::<u8>::new();
    let has = free.try_reserve_exact(HEADROOM).is_ok();
    black_box(&free); // what nobody looks at the compiler takes for granted, without asking
    has
}

/// Room for `more` numbers of `what` behind those that are there.
pub fn reserve<T>(numbers: &mut Vec<T>, more: usize, what: impl Display) -> Result<()> {
    let bytes = (more as u128) * size_of::<T>() as u128;
    let mut room = || -> Option<()> {
        numbers.try_reserve_exact(more).ok()?;
        (bytes < LARGE as u128 || has_headroom()).then_some(())
    };
    if room().is_none() {
        numbers.shrink_to_fit();
        fail!(OutOfMemory, "there is no memory for the {bytes} bytes of {what}");
    }
    Ok(())
}

/// `length` zeros.
pub fn zeroed<T: Default + Clone>(length: usize, what: impl Display) -> Result<Vec<T>> {
    let mut numbers = Vec::new();
    reserve(&mut numbers, length, what)?;
    numbers.resize(length, T::default());
    Ok(numbers)
}

/// A copy.
pub fn copied<T: Copy>(numbers: &[T], what: impl Display) -> Result<Vec<T>> {
    let mut copy = Vec::new();
    append(&mut copy, numbers, what)?;
    Ok(copy)
}

/// `more` behind `numbers`.
pub fn append<T: Copy>(numbers: &mut Vec<T>, more: &[T], what: impl Display) -> Result<()> {
    if more.len() > numbers.capacity() - numbers.len() {
        reserve(numbers, more.len(), what)?;
    }
    numbers.extend_from_slice(more);
    Ok(())
}
