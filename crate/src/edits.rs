//! Edits of neurons: what a caller says ([`Edit`]), checked and resolved to what an executor applies ([`EditTable`]).

#[cfg(test)]
mod tests;
mod written;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::{fail, Result};

/// What is done to the value of a neuron.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", expecting = "\"add\", \"clamp\", \"scale\" or \"ablate\"")]
pub enum Action {
    /// v + value
    Add,
    /// = value
    Clamp,
    /// v · value
    Scale,
    /// = 0
    Ablate,
}

/// Where in the block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", expecting = "\"topk_out\" or \"topk_in\"")]
pub enum Site {
    /// After the TopK activation and `topk_post`: the neuron is set whatever it was.
    #[default]
    TopkOut,
    /// Before the TopK activation: the neuron competes, and may evict another.
    TopkIn,
}

/// At which positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Positions {
    /// At every position.
    #[default]
    All,
    /// Below the prompt's length.
    Prompt,
    /// The others.
    Generated,
    /// Half-open, absolute from 0, BOS counted.
    #[serde(untagged)]
    Range {
        /// The first position.
        from: usize,
        /// One past the last position.
        to: usize,
    },
}

/// Over which layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", expecting = "\"layer\" or \"from_layer\"")]
pub enum Propagate {
    /// In the layer of the edit alone.
    #[default]
    Layer,
    /// The same index in that and every later TopK block.
    FromLayer,
}

/// One edit, as callers write it.
///
/// ```
/// use topk_lm::{Edit, Positions, Site};
///
/// # fn main() -> topk_lm::Result<()> {
/// let edit = Edit::clamp(4, 17, 8.0).site(Site::TopkIn).positions(Positions::Generated);
/// // The same as the command writes it: key=value, with commas between.
/// let parsed: Edit = "layer=4,index=17,action=clamp,value=8,site=topk_in,positions=generated".parse()?;
/// assert_eq!(edit, parsed);
/// // A feature of an attached autoencoder, at positions 3 to 6.
/// let feature = Edit::add(0, 90, 2.5).sae("blocks.2.hook_resid_post").positions(Positions::Range { from: 3, to: 7 });
/// assert_eq!(feature, "sae=blocks.2.hook_resid_post,index=90,action=add,value=2.5,positions=3..7".parse()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "written::RawEdit", into = "written::RawEdit")]
pub struct Edit {
    /// Of a neuron; of no meaning for a feature.
    pub layer: usize,
    /// The hook of an attached sparse autoencoder whose feature is meant, instead of a neuron of a layer.
    pub sae: Option<String>,
    /// Index of the neuron in its block, from 0 to `d_model` − 1; of a feature up to `d_sae` − 1.
    pub index: usize,
    /// What is done to its value.
    pub action: Action,
    /// Finite in f32; required, but for `ablate`.
    pub value: Option<f64>,
    /// Where in the block.
    pub site: Site,
    /// At which positions.
    pub positions: Positions,
    /// In which layers.
    pub propagate: Propagate,
}

impl Edit {
    fn new(layer: usize, index: usize, action: Action, value: Option<f64>) -> Edit {
        Edit {
            layer,
            sae: None,
            index,
            action,
            value,
            site: Site::default(),
            positions: Positions::default(),
            propagate: Propagate::default(),
        }
    }

    /// Sets neuron `index` behind block `layer` to `value`, whatever it was.
    pub fn clamp(layer: usize, index: usize, value: f64) -> Edit {
        Edit::new(layer, index, Action::Clamp, Some(value))
    }

    /// Adds `value` to it.
    pub fn add(layer: usize, index: usize, value: f64) -> Edit {
        Edit::new(layer, index, Action::Add, Some(value))
    }

    /// Multiplies it by `value`.
    pub fn scale(layer: usize, index: usize, value: f64) -> Edit {
        Edit::new(layer, index, Action::Scale, Some(value))
    }

    /// Sets it to 0.
    pub fn ablate(layer: usize, index: usize) -> Edit {
        Edit::new(layer, index, Action::Ablate, None)
    }

    /// Of feature `index` of the autoencoder attached at `hook`, instead of a neuron: layer, site and propagation no longer count.
    pub fn sae(self, hook: impl Into<String>) -> Edit {
        let mut feature = Edit::new(0, self.index, self.action, self.value).positions(self.positions);
        feature.sae = Some(hook.into());
        feature
    }

    /// Where in the block; without this call [`Site::TopkOut`].
    pub fn site(mut self, site: Site) -> Edit {
        self.site = site;
        self
    }

    /// At which positions; without this call [`Positions::All`].
    pub fn positions(mut self, positions: Positions) -> Edit {
        self.positions = positions;
        self
    }

    /// Over which layers; without this call [`Propagate::Layer`].
    pub fn propagate(mut self, propagate: Propagate) -> Edit {
        self.propagate = propagate;
        self
    }

    /// What no model is needed for: that there is a value where one is needed, that f32 has it, and that a range of positions is one. Gives the
    /// value in f32, 0 where there is none, or what is wrong.
    fn check_alone(&self) -> std::result::Result<f32, String> {
        if let Positions::Range { from, to } = self.positions {
            if from >= to {
                return Err(format!("positions {from}..{to} must be a half-open range with from below to, like 3..7"));
            }
        }
        match (self.value, self.action) {
            (None, Action::Ablate) => Ok(0.0),
            (None, _) => Err("value is missing; only action ablate goes without one".to_owned()),
            (Some(value), _) if (value as f32).is_finite() => Ok(value as f32),
            // Not shown: it may have hundreds of digits, and text for another form of them is long in the browser's module.
            (Some(_), _) => Err("value must be finite in f32, at most 3.4e38".to_owned()),
        }
    }
}

/// All rows of a batch, in [`ResolvedEdit::row`].
pub const EVERY_ROW: u32 = u32::MAX;

/// An edit as an executor applies it, in one layer: positions are absolute and half-open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResolvedEdit {
    pub index: u32,
    pub action: Action,
    pub value: f32,
    pub site: Site,
    pub from: u32,
    pub to: u32,
    /// Only this row of the batch, or [`EVERY_ROW`].
    pub row: u32,
}

impl ResolvedEdit {
    /// Whether the edit is in effect for a row of a batch at an absolute position.
    pub fn applies(&self, row: usize, position: usize) -> bool {
        (self.from as usize..self.to as usize).contains(&position)
            && (self.row == EVERY_ROW || self.row as usize == row)
    }

    /// The new value. An edit to the value that is already there changes nothing, bit for bit: adding 0 keeps −0.
    pub fn apply(&self, value: f32) -> f32 {
        match self.action {
            Action::Add if self.value == 0.0 => value,
            Action::Add => value + self.value,
            Action::Clamp if value == self.value => value,
            Action::Clamp => self.value,
            Action::Scale if self.value == 1.0 => value,
            Action::Scale => value * self.value,
            Action::Ablate if value == 0.0 => value,
            Action::Ablate => 0.0,
        }
    }
}

/// Edits in the order in which they apply, in one list for each layer (`topk_in` and `topk_out` mixed; executors filter by site) and
/// behind these one for each attached autoencoder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EditTable {
    lists: Vec<Vec<ResolvedEdit>>,
    n_layers: usize,
}

impl EditTable {
    /// A table without edits.
    pub fn none(n_layers: usize) -> Self {
        EditTable {
            lists: vec![Vec::new(); n_layers],
            n_layers,
        }
    }

    /// The list of the features of autoencoder `number`.
    pub fn list_of_sae(config: &Config, number: usize) -> usize {
        config.n_layers + number
    }

    /// Checks `edits` against the model and resolves `prompt`/`generated` with the prompt's length.
    pub fn new(config: &Config, edits: &[Edit], prompt_length: usize) -> Result<Self> {
        let mut table = EditTable::none(config.n_layers);
        table.lists.resize(config.n_layers + config.saes.len(), Vec::new());
        for (number, edit) in edits.iter().enumerate() {
            let resolved = resolve(config, edit, prompt_length, number)?;
            if let Some(hook) = &edit.sae {
                if let Some(sae) = config.saes.iter().position(|sae| sae.hook == *hook) {
                    table.push(EditTable::list_of_sae(config, sae), resolved);
                }
                continue;
            }
            table.push(edit.layer, resolved);
            if edit.propagate == Propagate::FromLayer {
                // Reaches later TopK blocks; in a model without topk_k every later block. From a block without a TopK activation
                // in a TopK model it is as `layer`.
                let reaches = config.topk.is_none() || config.is_topk_block(edit.layer);
                for layer in edit.layer + 1..config.n_layers {
                    if reaches && (config.topk.is_none() || config.is_topk_block(layer)) {
                        table.push(layer, resolved);
                    }
                }
            }
        }
        Ok(table)
    }

    /// Adds one resolved edit at the end of a layer's list.
    pub fn push(&mut self, list: usize, edit: ResolvedEdit) {
        if let Some(list) = self.lists.get_mut(list) {
            list.push(edit);
        }
    }

    /// Adds another table's edits behind these, for row `row` of a batch alone.
    pub fn append(&mut self, other: &EditTable, row: u32) {
        if self.lists.len() < other.lists.len() {
            self.lists.resize(other.lists.len(), Vec::new());
        }
        for (list, others) in self.lists.iter_mut().zip(&other.lists) {
            list.extend(others.iter().map(|edit| ResolvedEdit { row, ..*edit }));
        }
    }

    pub fn layer(&self, layer: usize) -> &[ResolvedEdit] {
        self.lists.get(layer).map_or(&[], Vec::as_slice)
    }

    /// Lists, those of autoencoders among them.
    pub fn lists(&self) -> usize {
        self.lists.len()
    }

    /// Lists whose edits reach keys and values: of all layers but the last, and of the autoencoders.
    pub fn reaching_the_cache(&self) -> impl Iterator<Item = usize> {
        let last = self.n_layers.saturating_sub(1);
        (0..last).chain(self.n_layers..self.lists.len())
    }
}

fn resolve(config: &Config, edit: &Edit, prompt_length: usize, number: usize) -> Result<ResolvedEdit> {
    let Edit {
        layer, index, action, ..
    } = *edit;
    if let Some(hook) = &edit.sae {
        let Some(sae) = config.saes.iter().find(|sae| sae.hook == *hook) else {
            let there: Vec<&str> = config.saes.iter().map(|sae| sae.hook.as_str()).collect();
            let there = if there.is_empty() {
                "none".into()
            } else {
                there.join(", ")
            };
            fail!(
                Edit,
                "edit {number}: no autoencoder is attached at {hook:.100}; attached: {there}"
            );
        };
        if index >= sae.d_sae {
            fail!(
                Edit,
                "edit {number}: index is {index}, but the features at {hook} are 0 to {}",
                sae.d_sae - 1
            );
        }
    } else if layer >= config.n_layers {
        fail!(
            Edit,
            "edit {number}: layer is {layer}, but the model's layers are 0 to {}",
            config.n_layers - 1
        );
    }
    if edit.sae.is_none() && index >= config.d_model {
        fail!(
            Edit,
            "edit {number}: index is {index}, but the model's neurons are 0 to {}",
            config.d_model - 1
        );
    }
    let value = match edit.check_alone() {
        Ok(value) => value,
        Err(wrong) => fail!(Edit, "edit {number}: {wrong}"),
    };
    let end = u32::MAX;
    let prompt = u32::try_from(prompt_length).unwrap_or(end);
    let (from, to) = match edit.positions {
        Positions::All => (0, end),
        Positions::Prompt => (0, prompt),
        Positions::Generated => (prompt, end),
        Positions::Range { from, to } => {
            if to > config.n_ctx {
                fail!(
                    Edit,
                    "edit {number}: positions {from}..{to} must end at most at the context of {}",
                    config.n_ctx
                );
            }
            (from as u32, to as u32)
        }
    };
    Ok(ResolvedEdit {
        index: index as u32,
        action,
        value,
        site: edit.site,
        from,
        to,
        row: EVERY_ROW,
    })
}
