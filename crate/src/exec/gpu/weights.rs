//! The weights of a model on the GPU.

use std::collections::HashMap;
use std::rc::Rc;

use super::buffers::Buf;
use super::context::Gpu;
use crate::error::{fail, Result};
use crate::ops::def::Vectors;
use crate::weights::{Dtype, Tensor, Weight, TABLE_ROWS};

/// Most rows of a shard: what one dispatch of 16 ids a workgroup reaches.
const MAX_SHARD_ROWS: usize = 65535 * 16;

/// Bytes that kernels read at once.
const LOAD: usize = 16;

/// Most bytes of a binding, in whole loads.
fn most(gpu: &Gpu) -> usize {
    (gpu.max_binding().min(gpu.max_buffer) / LOAD as u64) as usize * LOAD
}

/// A table comes in parts; anything else must fit one binding.
pub fn fits(gpu: &Gpu, which: Weight, bytes: usize) -> Result<()> {
    let most = most(gpu);
    if bytes > most && !which.is_table() && !which.is_vector() {
        fail!(
            Device,
            "{which:?} has {bytes} bytes, more than the GPU's largest binding of {most}; the cpu backend runs it"
        );
    }
    Ok(())
}

/// Rows `first .. first + rows` of a weight.
#[derive(Debug)]
pub struct Shard {
    pub first: usize,
    pub rows: usize,
    pub data: Buf,
}

/// A matrix, or a table in as many shards as the device's largest binding asks for.
#[derive(Debug)]
pub struct Stored {
    pub shards: Vec<Shard>,
    pub dtype: Dtype,
    /// Rows × columns.
    pub numbers: u64,
}

/// All weights of a model on the GPU; a copy shares them.
#[derive(Clone, Debug, Default)]
pub struct GpuWeights {
    stored: HashMap<Weight, Rc<Stored>>,
    /// Vectors, to be packed for the operations that read them.
    small: HashMap<Weight, Rc<Vec<f32>>>,
}

impl GpuWeights {
    /// Numbers in the matrices.
    pub fn matrix_numbers(&self) -> u64 {
        let matrices = self.stored.iter().filter(|(which, _)| !which.is_table());
        matrices.map(|(_, stored)| stored.numbers).sum()
    }

    pub fn stored(&self, which: Weight) -> Result<&Stored> {
        match self.stored.get(&which) {
            Some(stored) => Ok(stored),
            None => fail!(Checkpoint, "the weight {which:?} was not loaded"),
        }
    }

    /// A vector that the model must have.
    pub fn vector(&self, which: Weight) -> Result<Rc<Vec<f32>>> {
        match self.small.get(&which) {
            Some(values) => Ok(values.clone()),
            None => fail!(Checkpoint, "the weight {which:?} was not loaded"),
        }
    }

    /// Takes a matrix that was made on the device.
    pub fn made(&mut self, which: Weight, data: Buf, [rows, columns]: [usize; 2], dtype: Dtype) {
        let stored = Stored {
            shards: vec![Shard { first: 0, rows, data }],
            dtype,
            numbers: (rows * columns) as u64,
        };
        self.stored.insert(which, Rc::new(stored));
    }

    /// The vectors of an operation side by side; those that the model does not have stay zero.
    pub fn pack(&self, gpu: &Gpu, vectors: &Vectors) -> Result<Buf> {
        let mut data = vec![0.0f32; vectors.len];
        for part in &vectors.parts {
            match self.small.get(&part.weight) {
                Some(values) => {
                    let n = values.len().min(part.len);
                    data[part.at..part.at + n].copy_from_slice(&values[..n]);
                }
                None if part.optional => {}
                None => fail!(Checkpoint, "the weight {:?} was not loaded", part.weight),
            }
        }
        Ok(gpu.storage_with("vectors", bytemuck::cast_slice(&data)))
    }

    /// Uploads a weight; vectors wait for those that they are packed with.
    pub fn add(&mut self, gpu: &Gpu, which: Weight, tensor: Tensor) -> Result<()> {
        if tensor.rows.checked_mul(tensor.stride).is_none()
            || tensor.dtype.data_bytes(tensor.rows, tensor.stride) != tensor.data.len()
        {
            fail!(
                Checkpoint,
                "{which:?} has {} bytes where {} × {} numbers were expected",
                tensor.data.len(),
                tensor.rows,
                tensor.stride
            );
        }
        if which.is_vector() {
            self.small.insert(which, Rc::new(tensor.to_f32()));
            return Ok(());
        }
        let (rows, stride, dtype) = (tensor.rows, tensor.stride, tensor.dtype);
        let numbers = rows as u64 * tensor.cols as u64;
        let all_bytes = dtype.gpu_bytes(which, rows, stride);
        fits(gpu, which, all_bytes)?;
        let most = most(gpu) as u64;
        let fit = match which.is_table() {
            true => {
                let together = dtype.table_bytes(TABLE_ROWS, stride).max(1) as u64;
                TABLE_ROWS * (most / together).min((MAX_SHARD_ROWS / TABLE_ROWS) as u64) as usize
            }
            false => rows.max(1),
        };
        if fit == 0 {
            fail!(
                Device,
                "{which:?} has {all_bytes} bytes, more than the GPU's largest binding of {most}; the cpu backend runs it"
            );
        }
        let data = packed(which, tensor);
        let mut shards = Vec::new();
        for first in (0..rows).step_by(fit) {
            let rows = fit.min(rows - first);
            let range = if which.is_table() {
                dtype.table_bytes(first, stride)..dtype.table_bytes(first + rows, stride)
            } else {
                0..all_bytes
            };
            let buffer = gpu.storage(&format!("{which:?}"), range.len().next_multiple_of(LOAD) as u64);
            gpu.write(&buffer, &data[range]);
            // An empty submit starts the transfer, so that the host's copy is not kept until the first step.
            gpu.queue.submit([]);
            shards.push(Shard {
                first,
                rows,
                data: buffer,
            });
        }
        self.stored.insert(which, Rc::new(Stored { shards, dtype, numbers }));
        Ok(())
    }
}

/// The bytes of a weight as `shaders/parts/weights.wgsl` reads them: 8-bit numbers together with their scales.
fn packed(which: Weight, tensor: Tensor) -> Vec<u8> {
    let Tensor {
        rows,
        stride,
        dtype,
        data,
        scales,
        ..
    } = tensor;
    let bytes = dtype.gpu_bytes(which, rows, stride);
    if dtype != Dtype::I8 {
        let mut data = data;
        data.resize(bytes, 0);
        return data;
    }
    let mut packed = Vec::with_capacity(bytes);
    if which.is_table() {
        let blocks = data.chunks(TABLE_ROWS * stride).zip(scales.chunks(TABLE_ROWS));
        for (rows, scales) in blocks {
            let first = packed.len();
            packed.extend(bytemuck::cast_slice::<f32, u8>(scales));
            packed.resize(first + 4 * TABLE_ROWS, 0);
            for row in rows.chunks_exact(stride) {
                packed.extend(row);
                packed.resize(packed.len().next_multiple_of(4), 0);
            }
        }
    } else {
        packed.extend(bytemuck::cast_slice::<f32, u8>(&scales));
        packed.resize(4 * stride, 0);
        packed.extend(data);
    }
    packed.resize(bytes, 0);
    packed
}
