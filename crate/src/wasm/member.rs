//! A thread that keeps parts of the large matrices of an engine in another worker, and computes with them: the other side of
//! `numerics/team.rs`.

use std::collections::HashMap;
use std::ops::Range;

use js_sys::{Float32Array, Int32Array, SharedArrayBuffer, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::error::{fail, Result};
use crate::memory::{append, reserve};
use crate::numerics::gemm;
use crate::numerics::numbers::Part;
use crate::numerics::team::{at, block_bytes, blocks, command, Words, MAX_MEMBERS};
use crate::ops::weights::shared::{dtype_of, tensor_of};
use crate::ops::weights::CpuTensor;
use crate::weights::{Dtype, Weight};

/// Bytes of the memory that an engine and so many members share.
#[wasm_bindgen(js_name = teamBytes)]
pub fn team_bytes(members: usize) -> u32 {
    block_bytes(members.min(MAX_MEMBERS))
}

/// Serves the engine that shares `block`, as member `number` of so many, until that lets it go.
#[wasm_bindgen(js_name = serveTeam)]
pub fn serve_team(block: &SharedArrayBuffer, number: usize, members: usize) {
    let words = Words::new(block);
    let mut member = Member {
        number,
        threads: members + 1,
        input: words.input(),
        input_bytes: words.input_bytes(),
        output: words.output(number),
        matrices: HashMap::new(),
        coming: None,
        x: Vec::new(),
        out: Vec::new(),
    };
    let commands: Int32Array = words.command();
    let mut epoch = 0;
    let mut current = [0; command::WORDS];
    loop {
        let Some(next) = words.other_than(at::EPOCH, epoch, f64::INFINITY) else {
            continue;
        };
        epoch = next;
        commands.copy_to(&mut current);
        if current[0] == command::LEAVE {
            return;
        }
        let failed = member.obey(current).is_err();
        words.set(at::FAILED + number as u32, failed.into());
        words.set(at::DONE + number as u32, epoch);
    }
}

/// A matrix of which not all bytes are there.
struct Coming {
    is_table: bool,
    dtype: Dtype,
    part: Part,
    bytes: usize,
    scales: usize,
    scale_bytes: Vec<u8>,
}

struct Member {
    number: usize,
    threads: usize,
    input: Float32Array,
    input_bytes: Uint8Array,
    output: Float32Array,
    matrices: HashMap<i32, CpuTensor>,
    coming: Option<Coming>,
    x: Vec<f32>,
    out: Vec<f32>,
}

impl Member {
    /// Does what a command says; the result is in the block.
    fn obey(&mut self, [what, id, to, a, b, c, d]: [i32; command::WORDS]) -> Result<()> {
        if to != command::ALL && to != self.number as i32 {
            return Ok(());
        }
        let [a, b, c, d] = [a, b, c, d].map(|n| usize::try_from(n).unwrap_or(0));
        match what {
            command::PUT | command::PUT_TABLE => self.begin(what == command::PUT_TABLE, a as i32, b, c, d),
            command::FILL => self.fill(id, a),
            command::FREE => {
                self.matrices.remove(&id);
                self.coming = None;
                Ok(())
            }
            command::MULTIPLY => self.multiply(id, a, b),
            command::DOTS => self.dots(id, a, b..c),
            _ => fail!(Device, "{what} is no command"),
        }
    }

    fn begin(&mut self, is_table: bool, dtype: i32, rows: usize, stride: usize, scales: usize) -> Result<()> {
        let Some(dtype) = dtype_of(dtype) else {
            fail!(Device, "{dtype} is no type")
        };
        let bytes = dtype.data_bytes(rows, stride);
        let mut part = Part {
            rows,
            stride,
            bytes: Vec::new(),
            scales: Vec::new(),
        };
        reserve(&mut part.bytes, bytes, "a part of the weights")?;
        self.coming = Some(Coming {
            is_table,
            dtype,
            part,
            bytes,
            scales,
            scale_bytes: Vec::new(),
        });
        Ok(())
    }

    /// Bytes of the matrix, then of its scales; with the last ones it is there.
    fn fill(&mut self, id: i32, count: usize) -> Result<()> {
        let Some(coming) = &mut self.coming else {
            fail!(Device, "no matrix is coming")
        };
        let mut bytes = Vec::new();
        reserve(&mut bytes, count, "a part of the weights")?;
        bytes.resize(count, 0);
        self.input_bytes.subarray(0, count as u32).copy_to(&mut bytes);
        let is_matrix = coming.part.bytes.len() < coming.bytes;
        let to = if is_matrix {
            &mut coming.part.bytes
        } else {
            &mut coming.scale_bytes
        };
        append(to, &bytes, "a part of the weights")?;
        if coming.part.bytes.len() < coming.bytes || coming.scale_bytes.len() < 4 * coming.scales {
            return Ok(());
        }
        let Some(mut coming) = self.coming.take() else {
            return Ok(());
        };
        coming.part.scales = coming
            .scale_bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect();
        // Which weight it is does not matter here, as long as it is a matrix.
        let which = Weight::MlpIn(0);
        let tensor = CpuTensor::new(which, tensor_of(coming.part, coming.dtype))?;
        let tensor = if coming.is_table { tensor } else { tensor.packed(which)? };
        self.matrices.insert(id, tensor);
        Ok(())
    }

    fn multiply(&mut self, id: i32, rows: usize, inputs: usize) -> Result<()> {
        let Some(matrix) = self.matrices.get(&id) else {
            fail!(Device, "there is no matrix {id}")
        };
        self.x.resize(rows * inputs, 0.0);
        self.input.subarray(0, self.x.len() as u32).copy_to(&mut self.x);
        self.out.resize(rows * matrix.stride, 0.0);
        gemm::matmul(&self.x, inputs, &matrix.data, matrix.stride, &mut self.out);
        self.output.subarray(0, self.out.len() as u32).copy_from(&self.out);
        Ok(())
    }

    /// The rows of the table in `of` that are kept here: they lie one behind the other.
    fn dots(&mut self, id: i32, rows: usize, of: Range<usize>) -> Result<()> {
        let kept = |of| {
            blocks(of, self.number + 1, self.threads)
                .iter()
                .map(Range::len)
                .sum::<usize>()
        };
        let (first, count) = (kept(0..of.start), kept(of));
        // A small table has no rows for every thread, and then there is none here.
        if count == 0 {
            return Ok(());
        }
        let Some(table) = self.matrices.get(&id) else {
            fail!(Device, "there is no table {id}")
        };
        let inputs = table.stride;
        self.x.resize(rows * inputs, 0.0);
        self.input.subarray(0, self.x.len() as u32).copy_to(&mut self.x);
        self.out.resize(rows * count, 0.0);
        gemm::dots(
            &self.x,
            inputs,
            &table.data,
            first..first + count,
            table.stride,
            &mut self.out,
        );
        self.output.subarray(0, self.out.len() as u32).copy_from(&self.out);
        Ok(())
    }
}
