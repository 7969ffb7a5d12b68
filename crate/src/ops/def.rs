//! What an operation is, as plain data: the buffers it writes, the weights it reads, its kernels with their bindings by name, how
//! they are dispatched, and its CPU twin. The executors know operations through this alone.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};

use bytemuck::{Pod, Zeroable};

use super::buffers::Buffer;
use super::pass::Pass;
pub use super::point::{At, Point, Rows, Stage};
use super::tuning::Profile;
use crate::config::Config;
use crate::error::Result;
use crate::weights::{Dtype, Tensor, Weight};

/// An operation. One file of `ops/` has one (or a few that share their kernels); `registry.rs` lists them all.
pub struct OpDef {
    pub name: &'static str,
    /// The buffers it writes. Of an operation that is run for a capture the first is what is captured.
    pub writes: fn(&Config, &Step) -> Vec<Buffer>,
    /// The matrix or table whose stored type its kernels depend on.
    pub matrix: fn(&Config, &Step) -> Option<Weight>,
    /// The vectors that its kernels read, packed into one buffer.
    pub vectors: fn(&Config, &Step) -> Vectors,
    /// Its kernels; [`Dispatch::kernel`] counts in this list.
    pub kernels: fn(&KernelContext<'_>) -> Vec<Kernel>,
    /// The dispatches of one run, in order.
    pub plan: fn(&PlanContext<'_>, &mut Vec<Dispatch>),
    /// In how many pieces the CPU twin does `rows`, so that no piece takes long.
    pub pieces: fn(&Pass<'_>, &Range<usize>) -> usize,
    /// The CPU twin: one piece of `rows` of the batch.
    pub cpu: fn(&mut Pass<'_>, &Range<usize>, usize) -> Result<()>,
}

/// An operation in a program, and where it is.
#[derive(Clone, Copy)]
pub struct Step {
    pub op: &'static OpDef,
    pub at: At,
}

/// A step's `layer`, `input`, `point` and `instance` are those of its place.
impl Deref for Step {
    type Target = At;

    fn deref(&self) -> &At {
        &self.at
    }
}

impl PartialEq for Step {
    fn eq(&self, other: &Step) -> bool {
        self.op.name == other.op.name && self.at == other.at
    }
}

impl Eq for Step {}

impl Hash for Step {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.op.name, self.at).hash(state);
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}, {:?})", self.op.name, self.layer, self.input)
    }
}

/// Rows up to which the matrix-vector kernels are used.
pub const FEW_ROWS: usize = 8;
/// Most sequences of one step on the GPU.
pub const SEQUENCES: usize = 16;
/// [`Params::mode`] of such a step: EACH of `shaders/parts/params.wgsl`.
const EACH: u32 = 2;

/// What a kernel's binding is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    Buffer(Buffer),
    /// A matrix, or the shard of a table that the dispatch names.
    Weight(Weight),
    /// Likewise, of which each row of the batch reads so many rows at most: of a table that of its id, of a matrix those of its active entries.
    RowsOf(Weight, usize),
    /// The packed vectors of this step.
    Vectors,
    /// Keys and values of the step's layer, `[positions, 2, d_kv]`: k after RoPE, then v, by position, of one sequence after the other; f32 or f16,
    /// see `shaders/parts/cached.wgsl`.
    Cache,
    /// cos and sin by position, of the step's layer.
    Rope,
    /// The edits of a call; see `shaders/parts/edits.wgsl`.
    Edits,
}

/// One kernel with its constants fixed. `file` is that of `shaders/`; every storage binding that the file has is bound by its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    pub file: &'static str,
    pub constants: Vec<(&'static str, f64)>,
    pub binds: Vec<(&'static str, Resource)>,
}

/// What kernels are chosen by.
#[derive(Clone, Copy)]
pub struct KernelContext<'a> {
    pub config: &'a Config,
    pub step: &'a Step,
    /// How the step's matrix is stored.
    pub dtype: Dtype,
    /// How another one is, where that is known already.
    pub stored: &'a dyn Fn(Weight) -> Option<Dtype>,
    pub profile: Profile,
    /// Whether there are operations of subgroups.
    pub subgroups: bool,
}

/// What a run of an operation is planned by.
#[derive(Clone)]
pub struct PlanContext<'a> {
    pub config: &'a Config,
    pub step: &'a Step,
    /// Rows of the batch to compute; all of them (from 0) in a forward pass.
    pub rows: Range<usize>,
    /// The batch: its first position, mode and decode slot.
    pub params: Params,
    /// First row and rows of each shard of the step's matrix.
    pub shards: &'a [(usize, usize)],
    /// Only this column of the result, where one is enough.
    pub column: Option<usize>,
    /// Whether nothing looks between the operations of a block, which then may be done together.
    pub fuse: bool,
    /// The kind of adapter.
    pub profile: Profile,
}

impl PlanContext<'_> {
    /// Whether the matrix-vector kernels do it. A sequence gets the same sums whether or not others step with it.
    pub fn has_few_rows(&self) -> bool {
        self.rows.len() <= FEW_ROWS || self.params.last_of_each().is_some()
    }
}

/// One dispatch of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Dispatch {
    /// Index in [`OpDef::kernels`].
    pub kernel: usize,
    /// Which shard of the matrix is bound.
    pub shard: usize,
    pub params: Params,
    /// Workgroups.
    pub grid: [usize; 3],
}

impl Dispatch {
    /// Of the first kernel and shard.
    pub fn new(params: Params, grid: [usize; 3]) -> Dispatch {
        Dispatch {
            kernel: 0,
            shard: 0,
            params,
            grid,
        }
    }

    pub fn kernel(self, kernel: usize) -> Dispatch {
        Dispatch { kernel, ..self }
    }
}

/// The uniform of every model kernel: `shaders/parts/params.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Params {
    pub rows: u32,
    pub start: u32,
    pub mode: u32,
    pub layer: u32,
    pub step: u32,
    pub aux: [u32; 3],
    pub more: [u32; 4],
    pub pad: [u32; 4],
    /// Of sequences that step together, by row: position, and where in the cache its sequence begins.
    pub each: [[u32; 2]; SEQUENCES],
}

impl Params {
    pub const BYTES: u64 = size_of::<Params>() as u64;

    /// A batch of `rows` rows from position `start`.
    pub fn batch(rows: usize, start: usize, mode: Rows) -> Params {
        let mode = match mode {
            Rows::Sequence => 0,
            Rows::Alternatives => 1,
        };
        Params {
            rows: rows as u32,
            start: start as u32,
            mode,
            ..Params::default()
        }
    }

    /// One row for each of several sequences: its position, and where in their common cache it begins. `start` moves all of them on.
    pub fn each(places: &[[usize; 2]]) -> Params {
        let mut params = Params {
            rows: places.len().min(SEQUENCES) as u32,
            mode: EACH,
            ..Params::default()
        };
        for (each, place) in params.each.iter_mut().zip(places) {
            *each = place.map(|word| word as u32);
        }
        params
    }

    /// The last position of any of several sequences.
    pub fn last_of_each(&self) -> Option<usize> {
        let rows = self.each.iter().take(self.rows as usize);
        let last = rows.map(|place| (place[0] + self.start) as usize).max();
        last.filter(|_| self.mode == EACH)
    }

    /// Of a later step of the same rows.
    pub fn at_step(self, step: usize) -> Params {
        Params {
            step: step as u32,
            start: self.start + step as u32,
            ..self
        }
    }

    /// One behind the last position of any row.
    pub fn end(&self) -> usize {
        let last = self.start + if self.mode == Rows::Sequence as u32 { self.rows.saturating_sub(1) } else { 0 };
        1 + self.last_of_each().unwrap_or(last as usize)
    }

    pub fn layer(self, layer: usize) -> Params {
        Params {
            layer: layer as u32,
            ..self
        }
    }

    pub fn aux(self, aux: [usize; 3]) -> Params {
        Params {
            aux: aux.map(|word| word as u32),
            ..self
        }
    }
}

/// `constant` of a kernel that does not have what it would point to.
pub const ABSENT: f64 = u32::MAX as f64;

/// f32 vectors packed into one buffer: the parts in order, and where each begins.
#[derive(Clone, Debug, Default)]
pub struct Vectors {
    pub parts: Vec<VectorPart>,
    pub len: usize,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub struct VectorPart {
    pub weight: Weight,
    /// First word.
    pub at: usize,
    /// Words.
    pub len: usize,
    /// Zero where the model does not have it.
    pub optional: bool,
}

impl Vectors {
    /// A vector that the model must have.
    pub fn push(&mut self, weight: Weight, len: usize) {
        self.add(weight, len, false);
    }

    /// A vector that only some models have.
    pub fn push_optional(&mut self, weight: Weight, len: usize) {
        self.add(weight, len, true);
    }

    fn add(&mut self, weight: Weight, len: usize, optional: bool) {
        self.parts.push(VectorPart {
            weight,
            at: self.len,
            len,
            optional,
        });
        self.len += len;
    }

    /// Where a vector begins; [`ABSENT`] where it is not among them.
    pub fn at(&self, weight: Weight) -> f64 {
        let found = self.parts.iter().find(|part| part.weight == weight);
        found.map_or(ABSENT, |part| part.at as f64)
    }
}

/// The length at which the rows of a matrix of so many outputs are stored.
pub fn stride(outputs: usize) -> f64 {
    Tensor::stride_of(outputs) as f64
}

/// A switch among a kernel's constants.
pub fn flag(set: bool) -> f64 {
    f64::from(u8::from(set))
}

/// `weight_type` of `shaders/parts/weights.wgsl` for a table.
pub fn table_type(dtype: Dtype) -> f64 {
    match dtype {
        Dtype::I8 => 4.0,
        other => weight_type(other),
    }
}

/// The same for a matrix.
pub fn weight_type(dtype: Dtype) -> f64 {
    match dtype {
        Dtype::F32 => 0.0,
        Dtype::F16 => 1.0,
        Dtype::Bf16 => 2.0,
        Dtype::I8 => 3.0,
        Dtype::I4 { .. } => 5.0,
    }
}

/// What kernels have to know of a matrix `[inputs, outputs]` (`shaders/parts/weights.wgsl`).
pub fn matrix_constants(dtype: Dtype, inputs: usize, outputs: usize) -> [(&'static str, f64); 4] {
    let stride = Tensor::stride_of(outputs);
    [
        ("weight_type", weight_type(dtype)),
        ("stride", stride as f64),
        ("group_rows", group(dtype)),
        ("words_in_front", dtype.words(inputs, stride) as f64),
    ]
}

/// The same for the other matrix of a kernel (`shaders/parts/down.wgsl`).
pub fn down_constants(dtype: Dtype, inputs: usize, outputs: usize) -> [(&'static str, f64); 4] {
    const NAMES: [&str; 4] = ["down_type", "down_stride", "down_group", "down_words"];
    let values = matrix_constants(dtype, inputs, outputs);
    std::array::from_fn(|i| (NAMES[i], values[i].1))
}

/// Inputs of a group of a 4-bit matrix; 1 of others, which have none.
fn group(dtype: Dtype) -> f64 {
    match dtype {
        Dtype::I4 { group } => group as f64,
        _ => 1.0,
    }
}

/// [`OpDef::vectors`] of an operation that has none.
pub fn no_vectors(_: &Config, _: &Step) -> Vectors {
    Vectors::default()
}

/// [`OpDef::matrix`] of an operation that has none.
pub fn no_matrix(_: &Config, _: &Step) -> Option<Weight> {
    None
}

/// [`OpDef::pieces`] of an operation that is done at once.
pub fn at_once(_: &Pass<'_>, _: &Range<usize>) -> usize {
    1
}

/// One workgroup for each row.
pub fn group_per_row(plan: &PlanContext<'_>, out: &mut Vec<Dispatch>) {
    let params = plan.params.layer(plan.step.layer);
    out.push(Dispatch::new(params, [plan.rows.len(), 1, 1]));
}
