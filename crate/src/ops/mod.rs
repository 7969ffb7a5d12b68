//! The operations of the program, one a file: shapes, bindings, and the CPU twin. The kernel of the same name lies in `shaders/`.

use crate::config::Config;
use crate::cpu::{Buffers, CpuWeights};
use crate::engine::{Batch, Rows};

pub mod attention;
pub mod attn_out;
pub mod embed;
pub mod kernel;
pub mod lm_head;
pub mod mlp_in;
pub mod mlp_out;
pub mod norm;
pub mod qkv;
pub mod residual;
pub mod rope;
pub mod topk;

/// What every CPU twin gets.
pub struct Pass<'a> {
    pub config: &'a Config,
    pub weights: &'a CpuWeights,
    pub rope: &'a rope::RopeTable,
    pub batch: &'a Batch<'a>,
    pub buffers: &'a mut Buffers,
    /// Of every row, where they are of several sequences; `None`: as `batch` says.
    pub positions: Option<&'a [usize]>,
}

impl Pass<'_> {
    /// Absolute position of row `row` of the batch.
    pub fn position(&self, row: usize) -> usize {
        if let Some(positions) = self.positions {
            return positions[row];
        }
        match self.batch.rows {
            Rows::Sequence => self.batch.start + row,
            Rows::Alternatives => self.batch.start,
        }
    }

    pub fn rows(&self) -> usize {
        self.batch.ids.len()
    }
}
