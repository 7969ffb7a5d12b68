//! Which stored tensors make which weight, and whether a checkpoint has them: it is compared with this list before any
//! data is read.

use super::four_bit;
use super::header::{StoredDtype, TensorInfo};
use super::index::Checkpoint;
use super::names;
use super::planned::{Layout, Part, Planned};
#[cfg(not(target_arch = "wasm32"))]
use super::Source;
use crate::config::Config;
use crate::error::{fail, quoted, Result};
use crate::weights::{Dtype, Weight};

/// All weights of the model in the order in which an executor gets them, compared with what the checkpoint has.
pub(super) fn plan(config: &Config, checkpoint: &Checkpoint) -> Result<Vec<Planned>> {
    let tensors = &config.architecture.definition().tensors;
    // Saved without their head, models have no prefix.
    let prefixed = checkpoint.tensors.keys().any(|name| name.starts_with(tensors.prefix));
    let prefix = if prefixed { tensors.prefix } else { "" };
    let mut planned = names::planned(config, tensors, prefix);
    let stored = |name: &&&str| checkpoint.tensors.contains_key(**name);
    let head = tensors.heads.iter().find(stored);
    if config.tie_word_embeddings {
        // Of two names of one tensor a writer may keep either.
        let embed = &mut planned[0].parts[0];
        if let Some(head) = head.filter(|_| !checkpoint.tensors.contains_key(&embed.name)) {
            embed.name = (*head).into();
        }
    } else {
        let head = head.unwrap_or(&tensors.heads[0]);
        planned.push(Planned::table(Weight::Head, head, config.d_vocab, config.d_model));
    }
    for item in &mut planned {
        item.dtype = checked_dtype(item, config, checkpoint)?;
    }
    no_leftovers(config, checkpoint, &planned)?;
    if let Some(head) = planned.pop_if(|item| item.weight == Weight::Head) {
        let place = |item: &Planned| {
            let (file, info) = checkpoint.tensors.get(&item.parts.first()?.name)?;
            Some((*file, info.start))
        };
        let own = place(&head);
        // Where its bytes come, which may be long before the others'.
        let at = planned.iter().position(|item| own.is_some() && place(item) > own);
        planned.insert(at.unwrap_or(planned.len()), head);
    }
    Ok(planned)
}

/// A head beside tied embeddings must be the same table: another would be left out without a word. `planned`: of [`plan`].
#[cfg(not(target_arch = "wasm32"))]
pub(super) async fn check_tied(source: &dyn Source, config: &Config, checkpoint: &Checkpoint, planned: &[Planned]) -> Result<()> {
    let embed = &planned[0].parts[0].name;
    let heads = config.architecture.definition().tensors.heads;
    let is_other = |name: &&&str| **name != embed && checkpoint.get(name).is_some();
    let Some(head) = heads.iter().find(is_other).filter(|_| config.tie_word_embeddings) else {
        return Ok(());
    };
    for end in ["", ".scale"] {
        let (head, embed) = (format!("{head}{end}"), format!("{embed}{end}"));
        if checkpoint.read(source, &head).await? != checkpoint.read(source, &embed).await? {
            fail!(
                Checkpoint,
                "tensor {head:?} is not {embed:?}, though config.json ties the two; set tie_word_embeddings to false, or leave it out"
            );
        }
    }
    Ok(())
}

/// Checks names, shapes and dtypes; the dtype in which the weight is kept: that of its parts where they agree, else F32.
fn checked_dtype(item: &Planned, config: &Config, checkpoint: &Checkpoint) -> Result<Dtype> {
    let mut common = None;
    for part in &item.parts {
        let dtype = checked_part(part, config, checkpoint)?;
        let four_bits = |dtype| matches!(dtype, Dtype::I4 { .. });
        if common.is_some_and(|common| common != dtype && (four_bits(common) || four_bits(dtype))) {
            fail!(
                Checkpoint,
                "tensor {:?} must have 4 bits in the same groups as what it is multiplied together with, or none of them",
                part.name
            );
        }
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

/// Likewise of one part.
fn checked_part(part: &Part, config: &Config, checkpoint: &Checkpoint) -> Result<Dtype> {
    if let Some(names) = four_bit::names(checkpoint, part) {
        return four_bit::checked(checkpoint, config.quantization, part, &names);
    }
    let (path, info) = find(checkpoint, &part.name, &part.shape())?;
    match info.dtype {
        StoredDtype::F32 => Ok(Dtype::F32),
        StoredDtype::F16 => Ok(Dtype::F16),
        StoredDtype::Bf16 => Ok(Dtype::Bf16),
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
            Ok(Dtype::I8)
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
    }
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
    for name in four_bit::zeros(checkpoint, planned) {
        used.insert(name);
    }
    for part in planned.iter().flat_map(|item| &item.parts) {
        if let Some(names) = four_bit::names(checkpoint, part) {
            used.extend(names.0);
            continue;
        }
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
                "{path}: tensor {name} has no place in the model that config.json describes", name = quoted(name));
        }
    }
    Ok(())
}

/// Endings of buffers that older writers stored.
const BUFFERS: &[&str] = &[
    ".rotary_emb.inv_freq",
    ".attn.bias",
    ".attn.masked_bias",
    ".attention.bias",
    ".attention.masked_bias",
];

/// Buffers, and a head beside tied embeddings.
fn is_ballast(config: &Config, name: &str) -> bool {
    let heads = config.architecture.definition().tensors.heads;
    let tensor = name.strip_suffix(".scale").unwrap_or(name);
    let head = config.tie_word_embeddings && heads.contains(&tensor);
    head || BUFFERS.iter().any(|end| name.ends_with(end))
}
