//! Which stored tensors make which weight, and whether a checkpoint has them: it is compared with this list before any
//! data is read.

use super::header::{StoredDtype, TensorInfo};
use super::index::Checkpoint;
use super::names;
use crate::config::{Architecture, Config};
use crate::error::{fail, Result};
use crate::weights::{Dtype, Weight};

/// How a stored tensor lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// `[outputs, inputs]`: a Linear, to be transposed.
    OutIn,
    /// `[inputs, outputs]`: GPT-2's Conv1D.
    InOut,
    /// A table `[rows, width]`, taken as it is.
    Table,
    /// `[outputs]`.
    Vector,
}

/// Where output `o` of a stored tensor goes among the columns of the weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Columns {
    /// `first + o`.
    From(usize),
    /// Within each head the two that RoPE rotates side by side: `j` to `2j`, `j + d_head/2` to `2j + 1`.
    RopePairs { first: usize, d_head: usize },
    /// `first + 2·o`.
    EveryOther { first: usize },
}

impl Columns {
    pub fn of(self, output: usize) -> usize {
        match self {
            Columns::From(first) => first + output,
            Columns::RopePairs { first, d_head } => {
                let (head, j, half) = (output / d_head, output % d_head, d_head / 2);
                first + head * d_head + if j < half { 2 * j } else { 2 * (j - half) + 1 }
            }
            Columns::EveryOther { first } => first + 2 * output,
        }
    }
}

/// One stored tensor and its place in a weight.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub name: String,
    pub layout: Layout,
    /// `Table`: rows.
    pub inputs: usize,
    /// `Table`: width.
    pub outputs: usize,
    pub columns: Columns,
}

impl Part {
    fn shape(&self) -> Vec<u64> {
        let (inputs, outputs) = (self.inputs as u64, self.outputs as u64);
        match self.layout {
            Layout::OutIn => vec![outputs, inputs],
            Layout::InOut | Layout::Table => vec![inputs, outputs],
            Layout::Vector => vec![outputs],
        }
    }

    pub fn scale_name(&self) -> String {
        format!("{}.scale", self.name)
    }

    /// How many scales an 8-bit tensor has: one an output of a matrix, one a row of a table.
    pub fn scales(&self) -> usize {
        if self.layout == Layout::Table {
            self.inputs
        } else {
            self.outputs
        }
    }
}

/// A weight and the stored tensors it is made of, which fill its columns.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub weight: Weight,
    pub rows: usize,
    pub cols: usize,
    pub dtype: Dtype,
    pub parts: Vec<Part>,
}

impl Planned {
    pub fn vector(weight: Weight, name: String, width: usize) -> Planned {
        let part = Part {
            name,
            layout: Layout::Vector,
            inputs: 1,
            outputs: width,
            columns: Columns::From(0),
        };
        Planned {
            weight,
            rows: 1,
            cols: width,
            dtype: Dtype::F32,
            parts: vec![part],
        }
    }

    pub fn table(weight: Weight, name: &str, rows: usize, width: usize) -> Planned {
        let columns = Columns::From(0);
        let part = Part {
            name: name.into(),
            layout: Layout::Table,
            inputs: rows,
            outputs: width,
            columns,
        };
        Planned {
            weight,
            rows,
            cols: width,
            dtype: Dtype::F32,
            parts: vec![part],
        }
    }

    pub fn matrix(weight: Weight, layout: Layout, inputs: usize, parts: &[(String, usize, Columns)]) -> Planned {
        let part = |(name, outputs, columns): &(String, usize, Columns)| {
            let name = format!("{name}.weight");
            Part {
                name,
                layout,
                inputs,
                outputs: *outputs,
                columns: *columns,
            }
        };
        let cols = parts.iter().map(|(_, outputs, _)| outputs).sum();
        Planned {
            weight,
            rows: inputs,
            cols,
            dtype: Dtype::F32,
            parts: parts.iter().map(part).collect(),
        }
    }

    /// The biases beside a matrix's outputs.
    pub fn bias(weight: Weight, parts: &[(String, usize, Columns)]) -> Planned {
        let part = |(name, outputs, columns): &(String, usize, Columns)| {
            let name = format!("{name}.bias");
            Part {
                name,
                layout: Layout::Vector,
                inputs: 1,
                outputs: *outputs,
                columns: *columns,
            }
        };
        let cols = parts.iter().map(|(_, outputs, _)| outputs).sum();
        Planned {
            weight,
            rows: 1,
            cols,
            dtype: Dtype::F32,
            parts: parts.iter().map(part).collect(),
        }
    }
}

/// All weights of the model in the order in which an executor gets them, compared with what the checkpoint has.
pub(super) fn plan(config: &Config, checkpoint: &Checkpoint) -> Result<Vec<Planned>> {
    let mut planned = match config.architecture {
        Architecture::Llama => names::llama(config),
        Architecture::Gpt2 => {
            let prefixed = checkpoint.tensors.keys().any(|name| name.starts_with("transformer."));
            names::gpt2(config, if prefixed { "transformer." } else { "" })
        }
    };
    if config.tie_word_embeddings {
        // Of two names of one tensor a writer may keep either.
        let embed = &mut planned[0].parts[0];
        if !checkpoint.tensors.contains_key(&embed.name) && checkpoint.tensors.contains_key(HEAD) {
            embed.name = HEAD.into();
        }
    } else {
        planned.push(Planned::table(Weight::Head, HEAD, config.d_vocab, config.d_model));
    }
    for item in &mut planned {
        item.dtype = checked_dtype(item, checkpoint)?;
    }
    no_leftovers(config, checkpoint, &planned)?;
    Ok(planned)
}

const HEAD: &str = "lm_head.weight";

/// Checks names, shapes and dtypes; the dtype in which the weight is kept: that of its parts where they agree, else F32.
fn checked_dtype(item: &Planned, checkpoint: &Checkpoint) -> Result<Dtype> {
    let mut common = None;
    for part in &item.parts {
        let (path, info) = find(checkpoint, &part.name, &part.shape())?;
        let dtype = match info.dtype {
            StoredDtype::F32 => Dtype::F32,
            StoredDtype::F16 => Dtype::F16,
            StoredDtype::Bf16 => Dtype::Bf16,
            StoredDtype::I8 if part.layout != Layout::Vector => {
                let (path, scale) = find(checkpoint, &part.scale_name(), &[part.scales() as u64])?;
                if scale.dtype != StoredDtype::F32 {
                    let dtype = scale.dtype.name();
                    fail!(
                        Checkpoint,
                        "{path}: tensor {:?} must be F32, not {dtype}",
                        part.scale_name()
                    );
                }
                Dtype::F32
            }
            other => {
                let eight_bit = if part.layout == Layout::Vector {
                    ""
                } else {
                    " (or I8 with scales)"
                };
                fail!(
                    Checkpoint,
                    "{path}: tensor {:?} must be F32, F16 or BF16{eight_bit}, not {}",
                    part.name,
                    other.name()
                )
            }
        };
        common = Some(if common.is_none_or(|common| common == dtype) {
            dtype
        } else {
            Dtype::F32
        });
    }
    let is_vector = item.parts.iter().all(|part| part.layout == Layout::Vector);
    Ok(if is_vector {
        Dtype::F32
    } else {
        common.unwrap_or(Dtype::F32)
    })
}

fn find<'a>(checkpoint: &'a Checkpoint, name: &str, shape: &[u64]) -> Result<(&'a str, &'a TensorInfo)> {
    match checkpoint.get(name) {
        Some((path, info)) if info.shape == shape => Ok((path, info)),
        Some((path, info)) => {
            fail!(
                Checkpoint,
                "{path}: tensor {name:?} must have the shape {shape:?}, not {:?}",
                info.shape
            )
        }
        None => match checkpoint.files.as_slice() {
            [only] => fail!(Checkpoint, "{only}: tensor {name:?} is missing"),
            files => fail!(
                Checkpoint,
                "tensor {name:?} is missing from the {} files of the checkpoint",
                files.len()
            ),
        },
    }
}

/// Every stored tensor is used, or known to mean nothing here.
fn no_leftovers(config: &Config, checkpoint: &Checkpoint, planned: &[Planned]) -> Result<()> {
    let mut used = std::collections::BTreeSet::new();
    for part in planned.iter().flat_map(|item| &item.parts) {
        used.insert(part.name.clone());
        if checkpoint
            .get(&part.name)
            .is_some_and(|(_, info)| info.dtype == StoredDtype::I8)
        {
            used.insert(part.scale_name());
        }
    }
    for name in checkpoint.tensors.keys().filter(|name| !used.contains(*name)) {
        if !is_ballast(config, name) {
            let path = checkpoint.get(name).map_or("", |(path, _)| path);
            fail!(
                Checkpoint,
                "{path}: tensor {name:.200?} has no place in the model that config.json describes"
            );
        }
    }
    Ok(())
}

/// Buffers that older writers stored, and a head beside tied embeddings.
fn is_ballast(config: &Config, name: &str) -> bool {
    let head = config.tie_word_embeddings && (name == HEAD || name.strip_suffix(".scale") == Some(HEAD));
    let buffer = [".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias"]
        .iter()
        .any(|end| name.ends_with(end));
    head || buffer
}
