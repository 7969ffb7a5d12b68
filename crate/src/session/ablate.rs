//! The exact effect of single neurons on one logit: each is ablated, or set to a value, alone at the last position (site `topk_out`), and the
//! rest of the model runs on, thousands of one-token continuations of one prefix in a few batches. These begin behind the blocks of their neurons;
//! what is in front of a block is the same for all. Only where an autoencoder stands at the end of a block they are computed whole.

use super::Model;
use crate::config::{Config, Sae};
use crate::edits::{Action, Edit, EditTable, ResolvedEdit, Site};
use crate::error::{fail, Result};
use crate::exec::request::{Capture, LogitRows};
use crate::hooks::splice;
use crate::memory::append;
use crate::ops::buffers::HIDDEN;
use crate::ops::def::Point;
use crate::ops::sae;
use crate::pace::Cancel;

/// Effects on the target's logit after the last position, by layer, then index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ablation {
    /// The target's logit with nothing ablated.
    pub logit: f32,
    /// The neuron's block.
    pub layers: Vec<u32>,
    /// Its index in the block.
    pub indices: Vec<u32>,
    /// The neuron's value before it was ablated.
    pub values: Vec<f32>,
    /// logit − logit with that one neuron ablated.
    pub effects: Vec<f32>,
}

/// A neuron, and the value that [`Model::set_each`] sets it to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Its block.
    pub layer: usize,
    /// Its index in the block, from 0 to `d_model` − 1.
    pub index: usize,
    /// Finite.
    pub value: f32,
}

/// Effects of [`Model::set_each`] on the target's logit after the last position, in the order of the neurons.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EachSet {
    /// The target's logit with nothing set.
    pub logit: f32,
    /// logit with that one neuron set − logit.
    pub effects: Vec<f32>,
}

impl Model {
    /// Ablates every neuron that is active at the last position of `ids`, one at a time. `progress` hears how many are done, of how many.
    /// All of `ids` are the prompt: an edit of generated positions changes nothing.
    pub async fn ablate(
        &self,
        ids: &[u32],
        target: u32,
        edits: &[Edit],
        cancel: &Cancel,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Ablation> {
        self.effects(ids, target, None, edits, cancel, progress).await
    }

    /// Sets each of `neurons`, of any blocks and in any order, alone to its value at the last position of `ids`: what that does to `target`'s logit.
    /// The difference of the effects on two tokens is how far a neuron turns the one into the other. `edits` and `progress` as in [`Model::ablate`].
    pub async fn set_each(
        &self,
        ids: &[u32],
        target: u32,
        neurons: &[Setting],
        edits: &[Edit],
        cancel: &Cancel,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<EachSet> {
        let found = self.effects(ids, target, Some(neurons), edits, cancel, progress).await?;
        Ok(EachSet {
            logit: found.logit,
            effects: found.effects,
        })
    }

    /// Of [`Model::set_each`], or without `neurons` of [`Model::ablate`].
    pub(crate) async fn effects(
        &self,
        ids: &[u32],
        target: u32,
        neurons: Option<&[Setting]>,
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
        let given = neurons.unwrap_or_default();
        for Setting { layer, index, value } in given {
            if *layer >= config.n_layers || *index >= config.d_model || !value.is_finite() {
                fail!(
                    Argument,
                    "{value} at neuron {layer}.{index} cannot be set: neurons are 0.0 to {}.{}, and values finite",
                    config.n_layers - 1,
                    config.d_model - 1
                );
            }
        }
        let is_changed = |layer: &usize| match neurons {
            Some(_) => given.iter().any(|neuron| neuron.layer == *layer),
            None => config.is_topk_block(*layer),
        };
        let blocks: Vec<usize> = (0..config.n_layers).filter(is_changed).collect();
        // The numbers of the neurons, by layer.
        let of_block = |block: usize| (0..given.len()).filter(move |number| given[*number].layer == block);
        let order: Vec<usize> = blocks.iter().flat_map(|block| of_block(*block)).collect();
        if blocks.is_empty() && neurons.is_none() {
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

        let captures: Vec<Capture> = blocks.iter().map(|layer| cut(engine.config(), *layer)).collect();
        let output = cancel
            .guard(sequence.extend(&ids[last..], &captures, LogitRows::Token(target)))
            .await?;
        sequence.truncate(last);
        let mut ablation = Ablation {
            logit: output.logits.first().copied().unwrap_or_default(),
            ..Ablation::default()
        };
        let mut settings: Vec<Setting> = Vec::new();
        if let Some(neurons) = neurons {
            settings.extend(order.iter().map(|number| neurons[*number]));
        } else {
            for (layer, row) in blocks.iter().zip(&output.captured) {
                for (index, value) in row.iter().enumerate().filter(|(_, value)| **value != 0.0) {
                    ablation.layers.push(*layer as u32);
                    ablation.indices.push(index as u32);
                    ablation.values.push(*value);
                    settings.push(Setting {
                        layer: *layer,
                        index,
                        value: 0.0,
                    });
                }
            }
        }

        let total = settings.len();
        progress(0, total);
        let rows = engine.max_rows();
        let groups: Vec<&[Setting]> = if engine.resumes() && !engine.joins_rows() {
            let of_layer = settings.chunk_by(|a, b| a.layer == b.layer);
            of_layer.flat_map(|neurons| neurons.chunks(rows)).collect()
        } else {
            settings.chunks(rows).collect()
        };
        for group in groups {
            let logits = if engine.resumes() {
                let layers: Vec<usize> = group.iter().map(|neuron| neuron.layer).collect();
                let hidden = with_each(&blocks, &output.captured, group)?;
                cancel
                    .guard(sequence.resumed(ids[last], &layers, &hidden, target))
                    .await?
            } else {
                let table = edits_of_each(&base, group);
                let alternatives = vec![ids[last]; group.len()];
                let changed = sequence.alternatives(&alternatives, &table, LogitRows::Token(target));
                cancel.guard(changed).await?.logits
            };
            ablation
                .effects
                .extend(logits.iter().map(|logit| ablation.logit - logit));
            progress(ablation.effects.len(), total);
        }
        self.pool.give_back(sequence);
        if neurons.is_some() {
            let sorted = std::mem::replace(&mut ablation.effects, vec![0.0; total]);
            for (number, effect) in order.into_iter().zip(sorted) {
                ablation.effects[number] = -effect;
            }
        }
        Ok(ablation)
    }
}

/// The stream behind a block, in front of an autoencoder that stands there.
fn cut(config: &Config, layer: usize) -> Capture {
    let end = (Point::end(layer), HIDDEN);
    let stands_there = |sae: &Sae| splice(config, &sae.hook).is_ok_and(|place| place == end);
    let sae = config.saes.iter().enumerate().find(|(_, sae)| stands_there(sae));
    Capture::buffer(end.0, sae.map_or(HIDDEN, |(number, sae)| sae::input(sae, number)))
}

/// Of each neuron the stream behind its block, with that one set; `streams` are those behind `blocks`.
fn with_each(blocks: &[usize], streams: &[Vec<f32>], group: &[Setting]) -> Result<Vec<f32>> {
    let mut hidden = Vec::new();
    for Setting { layer, index, value } in group {
        let (_, row) = blocks.iter().zip(streams).find(|(block, _)| *block == layer).unzip();
        let first = hidden.len();
        append(&mut hidden, row.map_or(&[][..], Vec::as_slice), "the rows of an ablation")?;
        if let Some(entry) = hidden.get_mut(first + index) {
            *entry = *value;
        }
    }
    Ok(hidden)
}

/// The edits, with one row for each neuron in which that one is set.
fn edits_of_each(base: &EditTable, group: &[Setting]) -> EditTable {
    let mut table = base.clone();
    for (row, neuron) in (0u32..).zip(group) {
        let edit = ResolvedEdit {
            index: neuron.index as u32,
            action: Action::Clamp,
            value: neuron.value,
            site: Site::TopkOut,
            from: 0,
            to: u32::MAX,
            row,
        };
        table.push(neuron.layer, edit);
    }
    table
}
