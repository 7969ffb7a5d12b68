//! Weights of which other threads take a part, and how these are cut out of what was stored.

use std::ops::Range;

#[cfg(not(target_arch = "wasm32"))]
use std::sync::Arc;

use super::CpuTensor;
use crate::error::Result;
#[cfg(target_arch = "wasm32")]
use crate::memory::append;
use crate::memory::reserve;
use crate::numerics::numbers::Part;
#[cfg(target_arch = "wasm32")]
use crate::numerics::team::Share;
#[cfg(not(target_arch = "wasm32"))]
use crate::numerics::threads::{Share, Team};
use crate::weights::{Dtype, Tensor, Weight};

/// A table that all threads read.
#[cfg(not(target_arch = "wasm32"))]
pub fn table(which: Weight, tensor: Tensor, team: &Arc<Team>) -> Result<CpuTensor> {
    let share = Share::of_table(team, tensor.rows, tensor.stride);
    let whole = CpuTensor::new(which, tensor)?;
    Ok(CpuTensor { share, ..whole })
}

/// A matrix of which each thread has some columns.
#[cfg(not(target_arch = "wasm32"))]
pub fn matrix(which: Weight, tensor: Tensor, team: &Arc<Team>) -> Result<CpuTensor> {
    let (rows, stride, dtype) = (tensor.rows, tensor.stride, tensor.dtype);
    let part = |columns| Ok(CpuTensor::new(which, tensor_of(columns_of(&tensor, columns)?, dtype))?.packed(which)?.data);
    match Share::of_matrix(team, rows, stride, part)? {
        Some(share) => Ok(CpuTensor {
            stride,
            share: Some(share),
            ..CpuTensor::default()
        }),
        None => CpuTensor::new(which, tensor)?.packed(which),
    }
}

/// A table of which others now have their part.
#[cfg(target_arch = "wasm32")]
pub fn table(which: Weight, tensor: Tensor) -> Result<CpuTensor> {
    let (rows, stride, dtype) = (tensor.rows, tensor.stride, code(tensor.dtype));
    let share = Share::of_table(rows, stride, dtype, |blocks| rows_of(&tensor, &blocks))?;
    let whole = CpuTensor::new(which, tensor)?;
    Ok(CpuTensor { share, ..whole })
}

/// A matrix of which others now have their part.
#[cfg(target_arch = "wasm32")]
pub fn matrix(which: Weight, tensor: Tensor) -> Result<CpuTensor> {
    let (rows, stride, dtype) = (tensor.rows, tensor.stride, tensor.dtype);
    let Some((share, part)) = Share::of_matrix(rows, stride, code(dtype), |columns| columns_of(&tensor, columns))? else {
        return CpuTensor::new(which, tensor)?.packed(which);
    };
    let own = CpuTensor::new(which, tensor_of(part, dtype))?.packed(which)?;
    Ok(CpuTensor {
        stride,
        share: Some(share),
        ..own
    })
}

/// A part as a tensor of its own.
pub fn tensor_of(part: Part, dtype: Dtype) -> Tensor {
    Tensor {
        rows: part.rows,
        cols: part.stride,
        stride: part.stride,
        dtype,
        data: part.bytes,
        scales: part.scales,
    }
}

/// What a part is called where there is no memory for it.
const PART: &str = "a part of the weights";

/// Some columns of a matrix, with their scales.
fn columns_of(tensor: &Tensor, columns: Range<usize>) -> Result<Part> {
    let (rows, stride, dtype) = (tensor.rows, tensor.stride, tensor.dtype);
    let mut bytes = Vec::new();
    reserve(&mut bytes, dtype.data_bytes(rows, columns.len()), PART)?;
    let (words, numbers) = tensor.data.split_at(4 * dtype.words(rows, stride));
    for row in words.chunks_exact((4 * stride).max(1)) {
        bytes.extend_from_slice(&row[4 * columns.start..4 * columns.end]);
    }
    for row in numbers.chunks_exact(dtype.bytes_of(stride).max(1)) {
        bytes.extend_from_slice(&row[dtype.bytes_of(columns.start)..dtype.bytes_of(columns.end)]);
    }
    Ok(Part {
        rows: tensor.rows,
        stride: columns.len(),
        bytes,
        scales: tensor.scales.get(columns).map(<[f32]>::to_vec).unwrap_or_default(),
    })
}

/// Some rows of a table, with their scales.
#[cfg(target_arch = "wasm32")]
fn rows_of(tensor: &Tensor, blocks: &[Range<usize>]) -> Result<Part> {
    let row = tensor.dtype.bytes_of(tensor.stride);
    let (mut bytes, mut scales) = (Vec::new(), Vec::new());
    for block in blocks {
        append(&mut bytes, &tensor.data[block.start * row..block.end * row], PART)?;
        scales.extend(tensor.scales.get(block.clone()).unwrap_or_default());
    }
    Ok(Part {
        rows: blocks.iter().map(Range::len).sum(),
        stride: tensor.stride,
        bytes,
        scales,
    })
}

/// The number by which a type is known in a command.
#[cfg(target_arch = "wasm32")]
fn code(dtype: Dtype) -> i32 {
    match dtype {
        Dtype::F32 => 0,
        Dtype::F16 => 1,
        Dtype::Bf16 => 2,
        Dtype::I8 => 3,
        Dtype::I4 { group } => 4 + group as i32,
    }
}

/// The type of that number.
#[cfg(target_arch = "wasm32")]
pub fn dtype_of(code: i32) -> Option<Dtype> {
    match usize::try_from(code).ok()?.checked_sub(4) {
        None => [Dtype::F32, Dtype::F16, Dtype::Bf16, Dtype::I8].into_iter().find(|dtype| self::code(*dtype) == code),
        Some(group) => Some(Dtype::I4 { group }).filter(|_| group > 0),
    }
}
