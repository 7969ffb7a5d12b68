//! TopK as an operator of its own: the first k entries of each row of `[rows, n]` by [the order](#the-order) below, as values (the input's own
//! bits, so −0 and NaN payloads survive) and indices.
//!
//! [`topk_cpu`] is the reference. With the feature `gpu`, `TopKGpu` does the same on a device; both are equal bit for bit.
//!
//! # The order
//!
//! Entries come by key descending (the value, or its magnitude: [`Select`]), then by index ascending:
//!
//! - at a tie the lower index comes first;
//! - −0 and +0 are equal, so their indices decide;
//! - every NaN, of either sign, comes before +∞, and all NaNs are equal;
//! - by magnitude, −∞ and +∞ are equal, as are −x and x.

#[cfg(feature = "gpu")]
mod gpu;
#[cfg(all(feature = "cli", not(feature = "gpu")))]
mod no_gpu;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod plan;
#[cfg(not(feature = "internals"))]
mod plan;

#[cfg(feature = "gpu")]
pub use crate::exec::gpu::{open, Gpu};
pub use crate::ops::tuning::Profile;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub use crate::ops::tuning::Tuning;
#[cfg(feature = "gpu")]
pub use gpu::TopKGpu;
#[cfg(all(feature = "cli", not(feature = "gpu")))]
pub use no_gpu::TopKGpu;

use crate::error::{fail, Result};
use crate::numerics::order::{topk_indices, Select};

/// Shape of a call, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    rows: usize,
    n: usize,
    k: usize,
}

impl Shape {
    /// `length` values in rows of `n`; k from 0 to n. Indices are u32, so n is below 2^31.
    fn new(length: usize, n: usize, k: usize) -> Result<Shape> {
        if k > n {
            fail!(Argument, "k is {k}, but a row has only {n} values");
        }
        if n >= 1 << 31 {
            fail!(
                Argument,
                "rows have {n} values, but at most {} are possible",
                (1u32 << 31) - 1
            );
        }
        let rows = length.checked_div(n).unwrap_or(0);
        if rows * n != length {
            fail!(
                Argument,
                "the input has {length} values, which is not a whole number of rows of {n}"
            );
        }
        Ok(Shape { rows, n, k })
    }

    /// Values (and indices) of the result.
    fn results(self) -> usize {
        self.rows * self.k
    }
}

/// The result: `[rows, k]` each, every row sorted by rank.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopK {
    /// Bits of the input.
    pub values: Vec<f32>,
    /// Where in its row each value is, from 0.
    pub indices: Vec<u32>,
}

/// TopK of rows of `n` values on the CPU, each row in [the order](self#the-order): key descending, then index ascending; NaN before +∞,
/// −0 equal to +0. A k above n is an error, and so is an input that is not a whole number of rows; a k of 0 gives nothing.
///
/// ```
/// use topk_lm::{topk::topk_cpu, Select};
///
/// # fn main() -> topk_lm::Result<()> {
/// let best = topk_cpu(&[1.0, 5.0, 3.0, -7.0, 0.0, 2.0], 3, 2, Select::Abs)?;
/// assert_eq!((best.values, best.indices), (vec![5.0, 3.0, -7.0, 2.0], vec![1, 2, 0, 2]));
/// # Ok(())
/// # }
/// ```
pub fn topk_cpu(input: &[f32], n: usize, k: usize, select: Select) -> Result<TopK> {
    let shape = Shape::new(input.len(), n, k)?;
    let mut result = TopK {
        values: Vec::with_capacity(shape.results()),
        indices: Vec::with_capacity(shape.results()),
    };
    for row in input.chunks_exact(n.max(1)) {
        let indices = topk_indices(row, k, select);
        result.values.extend(indices.iter().map(|&i| row[i as usize]));
        result.indices.extend(indices);
    }
    Ok(result)
}
