//! One forward pass over given tokens: logits, hooks, the logit lens, and which neurons `topk_in` edits evicted.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::Model;
use crate::config::Config;
use crate::edits::{Edit, EditTable, Site};
use crate::error::{fail, Result};
use crate::exec::backend::Engine;
use crate::exec::request::{add_capture, Capture, LogitRows};
use crate::hooks::{self, Array, Hook};
use crate::memory::reserve;
use crate::numerics::order;
use crate::ops::def::Point;
use crate::ops::residual::TOPK_IN;
use crate::pace::Cancel;

/// What the argument is called.
const PROMPT_LENGTH: &str = if cfg!(target_arch = "wasm32") { "promptLength" } else { "the prompt length (--prompt-len)" };

/// What [`Model::run`] is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct RunOptions {
    /// Names of what to keep; T is the number of ids:
    ///
    /// | hook | shape |
    /// |---|---|
    /// | `hook_embed`; with learned positions also `hook_pos_embed` | `[T, d_model]` |
    /// | `blocks.{i}.hook_resid_pre`, `.hook_resid_mid` (not where attention and MLP are parallel), `.hook_resid_post` | `[T, d_model]` |
    /// | `blocks.{i}.hook_topk_in`, the sum before any edit, and `.hook_topk_out`, of TopK blocks | `[T, d_model]` |
    /// | `blocks.{i}.attn.hook_q`, `.hook_z`; `.hook_k`, `.hook_v`; with RoPE `.hook_rot_q`, `.hook_rot_k` | `[T, n_heads, d_head]`, keys and values `[T, n_kv_heads, d_head]` |
    /// | `blocks.{i}.attn.hook_pattern` | `[n_heads, T, T]` |
    /// | `blocks.{i}.hook_attn_out`, `.hook_mlp_out` | `[T, d_model]` |
    /// | `blocks.{i}.mlp.hook_pre`, `.hook_post`; with a gated MLP `.hook_pre_linear` | `[T, d_mlp]` |
    /// | `ln_final.hook_normalized` | `[T, d_model]`, before gain and bias |
    /// | of an attached autoencoder: `HOOK.hook_sae_input`, `.hook_sae_recons` / `.hook_sae_error` / `.hook_sae_acts_post` | `[T, d_in]` / the shape of `HOOK` / `[T, d_sae]` |
    pub hooks: Vec<String>,
    /// In the order in which they apply.
    pub edits: Vec<Edit>,
    /// Positions below it count as the prompt; default: all.
    pub prompt_length: Option<usize>,
    /// Of which positions; `Last` by default.
    pub logits: LogitRows,
    /// Whether to report what `topk_in` edits evicted and admitted. Default `true` here, `false` for generations.
    pub swaps: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        RunOptions {
            hooks: Vec::new(),
            edits: Vec::new(),
            prompt_length: None,
            logits: LogitRows::Last,
            swaps: true,
        }
    }
}

/// What a `topk_in` edit changed about the k kept neurons of one position: kept without the edits but not with them, and the reverse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swap {
    /// The block.
    pub layer: usize,
    /// From 0, BOS counted.
    pub position: usize,
    /// Ascending.
    pub evicted: Vec<u32>,
    /// Ascending.
    pub admitted: Vec<u32>,
}

/// What [`Model::run`] gives back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunOutput {
    /// `[T or 1, d_vocab]`; empty where none were asked for.
    pub logits: Array,
    /// By name, in the shapes that [`RunOptions::hooks`] lists.
    pub hooks: BTreeMap<String, Array>,
    /// Only positions where something changed, by layer, then position.
    pub swaps: Vec<Swap>,
}

/// The captures behind a set of hooks, each once and in program order, with those that swaps need.
pub(super) struct Captures {
    pub list: Vec<Capture>,
    hooks: Vec<(Hook, usize)>,
    /// (layer, index in `list`)
    swaps: Vec<(usize, usize)>,
}

impl Captures {
    pub fn new(config: &Config, names: &[String], edits: &EditTable, swaps: bool) -> Result<Self> {
        let hooks = hooks::find(config, names)?;
        let edited: Vec<usize> = (0..config.n_layers)
            .filter(|layer| swaps && config.topk_at(*layer).is_some())
            .filter(|layer| edits.layer(*layer).iter().any(|edit| edit.site == Site::TopkIn))
            .collect();
        let topk_in = |layer: usize| Capture::buffer(Point::end(layer), TOPK_IN);
        let mut list: Vec<Capture> = Vec::new();
        for capture in hooks
            .iter()
            .map(|hook| hook.capture)
            .chain(edited.iter().map(|layer| topk_in(*layer)))
        {
            add_capture(&mut list, capture);
        }
        let index = |capture: Capture| list.iter().position(|c| *c == capture).unwrap_or_default();
        Ok(Captures {
            hooks: hooks
                .into_iter()
                .map(|hook| (hook.clone(), index(hook.capture)))
                .collect(),
            swaps: edited.into_iter().map(|layer| (layer, index(topk_in(layer)))).collect(),
            list,
        })
    }

    /// The hooks' arrays of a whole sequence of `rows` positions.
    pub fn arrays(&self, rows: usize, captured: Vec<Vec<f32>>) -> BTreeMap<String, Array> {
        self.named(captured, |hook, captured| hook.array(rows, captured))
    }

    /// The hooks' arrays of one generated step at `position`.
    pub fn step_arrays(&self, position: usize, captured: Vec<Vec<f32>>) -> BTreeMap<String, Array> {
        self.named(captured, |hook, captured| hook.step_array(position, captured))
    }

    /// By name. One by one: collecting sorts them first, by code of several KB. The last hook that wants a capture takes it.
    fn named(&self, mut captured: Vec<Vec<f32>>, array: impl Fn(&Hook, Cow<'_, [f32]>) -> Array) -> BTreeMap<String, Array> {
        let mut arrays = BTreeMap::new();
        for (number, (hook, index)) in self.hooks.iter().enumerate() {
            let is_last = self.hooks[number + 1..].iter().all(|(_, other)| other != index);
            let captured = if is_last {
                std::mem::take(&mut captured[*index]).into()
            } else {
                captured[*index][..].into()
            };
            arrays.insert(hook.name.clone(), array(hook, captured));
        }
        arrays
    }

    /// What the `topk_in` edits changed at the positions from `start` on.
    pub fn swaps(&self, config: &Config, edits: &EditTable, start: usize, captured: &[Vec<f32>]) -> Vec<Swap> {
        let mut swaps = Vec::new();
        for (layer, index) in &self.swaps {
            let Some(cut) = config.topk_at(*layer) else { continue };
            for (row, sum) in captured[*index].chunks_exact(config.d_model).enumerate() {
                let position = start + row;
                let in_effect = edits
                    .layer(*layer)
                    .iter()
                    .filter(|e| e.site == Site::TopkIn && e.applies(row, position));
                let mut changes: Vec<(u32, f32)> = Vec::new();
                for edit in in_effect {
                    let at = match changes.binary_search_by_key(&edit.index, |change| change.0) {
                        Ok(at) => at,
                        Err(at) => {
                            changes.insert(at, (edit.index, sum[edit.index as usize]));
                            at
                        }
                    };
                    changes[at].1 = edit.apply(changes[at].1);
                }
                if changes.is_empty() {
                    continue;
                }
                let [evicted, admitted] = order::swapped(sum, &changes, cut.k, cut.select);
                if !evicted.is_empty() || !admitted.is_empty() {
                    swaps.push(Swap {
                        layer: *layer,
                        position,
                        evicted,
                        admitted,
                    });
                }
            }
        }
        swaps
    }
}

impl Model {
    /// Runs `ids` through the model. Nothing is sampled; with hooks every position is computed anew.
    pub async fn run(&self, ids: &[u32], options: &RunOptions, cancel: &Cancel) -> Result<RunOutput> {
        let engine = self.engine()?;
        self.run_on(&engine, ids, options, cancel).await
    }

    pub(super) async fn run_on(
        &self,
        engine: &Rc<Engine>,
        ids: &[u32],
        options: &RunOptions,
        cancel: &Cancel,
    ) -> Result<RunOutput> {
        self.check_ids(ids)?;
        let prompt_length = options.prompt_length.unwrap_or(ids.len());
        if prompt_length > ids.len() {
            fail!(
                Argument,
                "{PROMPT_LENGTH} is {prompt_length}, but there are {} tokens; it must be at most that",
                ids.len()
            );
        }
        #[cfg(not(target_arch = "wasm32"))]
        if matches!(options.logits, LogitRows::Token(_)) {
            fail!(Argument, "logits must be None, Last or All");
        }
        let edits = EditTable::new(engine.config(), &options.edits, prompt_length)?;
        let captures = Captures::new(engine.config(), &options.hooks, &edits, options.swaps)?;
        let reusable = if captures.list.is_empty() && options.logits != LogitRows::All {
            ids.len() - 1
        } else {
            0
        };
        let mut sequence = self.pool.take(engine, ids, edits.clone(), reusable)?;
        let cached = sequence.len();
        let output = cancel
            .guard(sequence.extend(&ids[cached..], &captures.list, options.logits))
            .await?;
        self.pool.give_back(sequence);
        let rows = output.logits.len() / self.config().d_vocab;
        Ok(RunOutput {
            logits: Array {
                shape: vec![rows, self.config().d_vocab],
                data: output.logits,
            },
            swaps: captures.swaps(self.config(), &edits, 0, &output.captured),
            hooks: captures.arrays(ids.len(), output.captured),
        })
    }

    /// Logits at every position as if each of `layers` were the last: `[layers, T, d_vocab]`; all layers where none are named. All of `ids` are
    /// the prompt: an edit of generated positions changes nothing.
    pub async fn logit_lens(
        &self,
        ids: &[u32],
        layers: Option<&[usize]>,
        edits: &[Edit],
        cancel: &Cancel,
    ) -> Result<Array> {
        let engine = self.engine()?;
        self.check_ids(ids)?;
        let n_layers = self.config().n_layers;
        let all: Vec<usize> = (0..n_layers).collect();
        let layers = layers.unwrap_or(&all);
        if let Some(layer) = layers.iter().find(|layer| **layer >= n_layers) {
            fail!(
                Argument,
                "layers holds {layer}, but the model's layers are 0 to {}",
                n_layers - 1
            );
        }
        let edits = EditTable::new(engine.config(), edits, ids.len())?;
        let mut sorted = layers.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let captures: Vec<Capture> = sorted.iter().map(|layer| Capture::lens(Point::end(*layer))).collect();
        let mut sequence = self.pool.take(&engine, ids, edits, 0)?;
        let output = cancel.guard(sequence.extend(ids, &captures, LogitRows::None)).await?;
        self.pool.give_back(sequence);
        let mut data = Vec::new();
        let numbers = layers.len().saturating_mul(ids.len()).saturating_mul(self.config().d_vocab);
        reserve(&mut data, numbers, "the logits of all layers; ask for fewer of them")?;
        for layer in layers {
            if let Ok(index) = sorted.binary_search(layer) {
                data.extend_from_slice(&output.captured[index]);
            }
        }
        Ok(Array {
            shape: vec![layers.len(), ids.len(), self.config().d_vocab],
            data,
        })
    }
}
