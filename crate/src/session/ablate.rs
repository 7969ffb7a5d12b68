//! The exact effect of every active neuron on one logit: each is ablated alone at the last position (site `topk_out`), and the
//! rest of the model runs on, hundreds of one-token continuations of one prefix in a few batches. These begin behind the blocks of their neurons;
//! what is in front of a block is the same for all. Only where an autoencoder stands at the end of a block they are computed whole.

use super::Model;
use crate::edits::{Action, Edit, EditTable, ResolvedEdit, Site};
use crate::error::{fail, Result};
use crate::exec::request::{Capture, LogitRows};
use crate::memory::append;
use crate::ops::buffers::HIDDEN;
use crate::ops::def::Point;
use crate::pace::Cancel;

/// Effects on the target's logit after the last position, by layer, then index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ablation {
    /// The target's logit with nothing ablated.
    pub logit: f32,
    pub layers: Vec<u32>,
    pub indices: Vec<u32>,
    /// The neuron's value before it was ablated.
    pub values: Vec<f32>,
    /// logit − logit with that one neuron ablated.
    pub effects: Vec<f32>,
}

impl Model {
    /// Ablates every neuron that is active at the last position of `ids`, one at a time. `progress` hears how many are done, of how many.
    pub async fn ablate(
        &self,
        ids: &[u32],
        target: u32,
        edits: &[Edit],
        cancel: &Cancel,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Ablation> {
        let engine = self.engine()?;
        self.check_ids(ids)?;
        let config = self.config();
        if target as usize >= config.d_vocab {
            fail!(
                Argument,
                "target is {target}, but the model's tokens are 0 to {}",
                config.d_vocab - 1
            );
        }
        let blocks: Vec<usize> = (0..config.n_layers)
            .filter(|layer| config.is_topk_block(*layer))
            .collect();
        if blocks.is_empty() {
            fail!(
                Argument,
                "this model has no TopK block, so there are no active neurons to ablate; it needs a model with topk_k"
            );
        }
        let base = EditTable::new(engine.config(), edits, ids.len())?;
        let last = ids.len() - 1;
        let mut sequence = self.pool.take(&engine, ids, base.clone(), last)?;
        let cached = sequence.len();
        cancel
            .guard(sequence.extend(&ids[cached..last], &[], LogitRows::None))
            .await?;

        let captures: Vec<Capture> = blocks
            .iter()
            .map(|layer| Capture::buffer(Point::end(*layer), HIDDEN))
            .collect();
        let output = cancel
            .guard(sequence.extend(&ids[last..], &captures, LogitRows::Token(target)))
            .await?;
        sequence.truncate(last);
        let mut ablation = Ablation {
            logit: output.logits.first().copied().unwrap_or_default(),
            ..Ablation::default()
        };
        for (layer, row) in blocks.iter().zip(&output.captured) {
            for (index, value) in (0u32..).zip(row).filter(|(_, value)| **value != 0.0) {
                ablation.layers.push(*layer as u32);
                ablation.indices.push(index);
                ablation.values.push(*value);
            }
        }

        let total = ablation.indices.len();
        progress(0, total);
        let rows = engine.max_rows();
        let neurons: Vec<(u32, u32)> = ablation
            .layers
            .iter()
            .copied()
            .zip(ablation.indices.iter().copied())
            .collect();
        let groups: Vec<&[(u32, u32)]> = if engine.resumes() && !engine.joins_rows() {
            let of_layer = neurons.chunk_by(|a, b| a.0 == b.0);
            of_layer.flat_map(|neurons| neurons.chunks(rows)).collect()
        } else {
            neurons.chunks(rows).collect()
        };
        for group in groups {
            let logits = if engine.resumes() {
                let layers: Vec<usize> = group.iter().map(|(layer, _)| *layer as usize).collect();
                let hidden = without_each(&blocks, &output.captured, group)?;
                cancel
                    .guard(sequence.resumed(ids[last], &layers, &hidden, target))
                    .await?
            } else {
                let table = with_each(&base, group);
                let alternatives = vec![ids[last]; group.len()];
                let ablated = sequence.alternatives(&alternatives, &table, LogitRows::Token(target));
                cancel.guard(ablated).await?.logits
            };
            ablation
                .effects
                .extend(logits.iter().map(|logit| ablation.logit - logit));
            progress(ablation.effects.len(), total);
        }
        self.pool.give_back(sequence);
        Ok(ablation)
    }
}

/// Of each neuron the stream behind its block, with that one at 0; `streams` are those behind `blocks`.
fn without_each(blocks: &[usize], streams: &[Vec<f32>], group: &[(u32, u32)]) -> Result<Vec<f32>> {
    let mut hidden = Vec::new();
    for (layer, index) in group {
        let (_, row) = blocks.iter().zip(streams).find(|(block, _)| **block == *layer as usize).unzip();
        let first = hidden.len();
        append(&mut hidden, row.map_or(&[][..], Vec::as_slice), "the rows of an ablation")?;
        if let Some(value) = hidden.get_mut(first + *index as usize) {
            *value = 0.0;
        }
    }
    Ok(hidden)
}

/// The edits, with one row for each neuron in which that one is ablated.
fn with_each(base: &EditTable, group: &[(u32, u32)]) -> EditTable {
    let mut table = base.clone();
    for (row, (layer, index)) in (0u32..).zip(group) {
        let edit = ResolvedEdit {
            index: *index,
            action: Action::Ablate,
            value: 0.0,
            site: Site::TopkOut,
            from: 0,
            to: u32::MAX,
            row,
        };
        table.push(*layer as usize, edit);
    }
    table
}
