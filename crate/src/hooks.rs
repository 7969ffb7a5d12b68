//! Hook names (TransformerLens') → what an executor keeps, and the array a caller gets.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::config::{Config, Positions, Residual, Sae};
use crate::error::{fail, shortened, Result};
use crate::exec::request::Capture;
use crate::ops::buffers::{Buffer, HIDDEN};
use crate::ops::def::{OpDef, Point, Stage};
use crate::ops::{attention, attn_out, embed, lm_head, mlp_in, mlp_out, pattern, qkv, residual, sae};

/// An array with its shape, row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Array {
    /// Lengths of the dimensions, the slowest first.
    pub shape: Vec<usize>,
    /// As many numbers as their product: of `[T, d]`, position `t` has `data[t * d..][..d]`.
    pub data: Vec<f32>,
}

/// Which numbers of a captured row belong to the hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    All,
    /// Columns from, to: whole heads.
    Heads(usize, usize),
    /// Every second number from 0 (gate) or 1 (up).
    Interleaved(usize),
    Pattern,
}

/// What stands in the names of an autoencoder's hooks after that where it is attached.
const SAE: &str = ".hook_sae_";

/// A hook of one model.
#[derive(Clone, Debug)]
pub struct Hook {
    pub name: String,
    pub capture: Capture,
    part: Part,
    /// Width of a row as (heads, d_head), or (0, width).
    heads: usize,
    width: usize,
}

/// All hooks that a model has, by name.
pub fn all(config: &Config) -> BTreeMap<String, Hook> {
    let mut table = Table {
        config,
        hooks: BTreeMap::new(),
    };
    if config.positions == Positions::Learned {
        table.probe("hook_embed", Point::EMBED, &embed::TOKEN_TERM, Part::All);
        table.probe("hook_pos_embed", Point::EMBED, &embed::POSITION_TERM, Part::All);
    } else {
        table.rows("hook_embed", Point::EMBED, HIDDEN);
    }
    (0..config.n_layers).for_each(|layer| table.block(layer));
    for (number, sae) in config.saes.iter().enumerate() {
        table.sae(number, sae);
    }
    let last = Point::end(config.n_layers - 1);
    table.probe("ln_final.hook_normalized", last, &lm_head::NORM, Part::All);
    table.hooks
}

/// The hooks found so far.
struct Table<'a> {
    config: &'a Config,
    hooks: BTreeMap<String, Hook>,
}

impl Table<'_> {
    /// The hooks of a block.
    fn block(&mut self, layer: usize) {
        let config = self.config;
        let name = |hook: &str| format!("blocks.{layer}.{hook}");
        let at = |stage| Point::of(layer, stage);
        let (query, kv) = (config.d_query(), config.d_kv());
        let (q, k, v) = (
            Part::Heads(0, query),
            Part::Heads(query, query + kv),
            Part::Heads(query + kv, query + 2 * kv),
        );
        self.rows(&name("hook_resid_pre"), Point::start(layer), HIDDEN);
        self.add(&name("attn.hook_q"), Capture::buffer(at(Stage::Qkv), qkv::QKV), q);
        self.add(&name("attn.hook_k"), Capture::buffer(at(Stage::Qkv), qkv::QKV), k);
        self.add(&name("attn.hook_v"), Capture::buffer(at(Stage::Qkv), qkv::QKV), v);
        if config.rope().is_some() {
            self.add(
                &name("attn.hook_rot_q"),
                Capture::buffer(at(Stage::Qkv), qkv::ROTATED),
                q,
            );
            self.add(
                &name("attn.hook_rot_k"),
                Capture::buffer(at(Stage::Qkv), qkv::ROTATED),
                k,
            );
        }
        self.add(
            &name("attn.hook_z"),
            Capture::buffer(at(Stage::Attention), attention::ATTENDED),
            Part::Heads(0, query),
        );
        self.probe(
            &name("attn.hook_pattern"),
            at(Stage::Attention),
            &pattern::DEF,
            Part::Pattern,
        );
        self.rows(&name("hook_attn_out"), at(Stage::AttnOut), attn_out::ATTN_OUT);
        // In a parallel block nothing reads the stream between attention and MLP.
        if config.residual == Residual::Serial {
            self.rows(&name("hook_resid_mid"), at(Stage::AttnOut), attn_out::RESID_MID);
        }
        let pre = Capture::buffer(at(Stage::MlpIn), mlp_in::MLP_PRE);
        if config.mlp.gated {
            self.add(&name("mlp.hook_pre"), pre, Part::Interleaved(0));
            self.add(&name("mlp.hook_pre_linear"), pre, Part::Interleaved(1));
        } else {
            self.add(&name("mlp.hook_pre"), pre, Part::All);
        }
        self.rows(&name("mlp.hook_post"), at(Stage::MlpIn), mlp_in::MLP_POST);
        self.rows(&name("hook_mlp_out"), at(Stage::MlpOut), mlp_out::MLP_OUT);
        if config.is_topk_block(layer) {
            self.rows(&name("hook_topk_in"), at(Stage::End), residual::TOPK_IN);
            self.rows(&name("hook_topk_out"), at(Stage::End), HIDDEN);
        }
        self.rows(&name("hook_resid_post"), at(Stage::End), HIDDEN);
    }

    /// What an attached autoencoder shows, beside the hook that it is at.
    fn sae(&mut self, number: usize, sae: &Sae) {
        let Ok((point, target)) = splice(self.config, &sae.hook) else {
            return;
        };
        let name = |hook: &str| format!("{}{SAE}{hook}", sae.hook);
        // In the shape of the hook.
        let part = if target == attention::ATTENDED {
            Part::Heads(0, sae.d_in)
        } else {
            Part::All
        };
        self.rows(&name("input"), point, sae::input(sae, number));
        self.rows(&name("acts_post"), point, sae::acts(sae, number));
        self.rows(&name("recons"), point, sae::recons(sae, number));
        self.add(&name("error"), Capture::buffer(point, sae::error(sae, number)), part);
    }

    /// A whole buffer.
    fn rows(&mut self, name: &str, point: Point, buffer: Buffer) {
        self.add(name, Capture::buffer(point, buffer), Part::All);
    }

    /// What an operation run on the side gives.
    fn probe(&mut self, name: &str, point: Point, op: &'static OpDef, part: Part) {
        self.add(name, Capture::probe(point, op, HIDDEN), part);
    }

    fn add(&mut self, name: &str, capture: Capture, part: Part) {
        let config = self.config;
        let whole = capture.source(config).map_or(0, |buffer| buffer.width(config));
        let (heads, width) = match part {
            Part::All => (0, whole),
            Part::Heads(from, to) => ((to - from) / config.d_head, config.d_head),
            Part::Interleaved(_) => (0, whole / 2),
            Part::Pattern => (config.n_heads, config.n_ctx),
        };
        let name = name.to_owned();
        let hook = Hook {
            name: name.clone(),
            capture,
            part,
            heads,
            width,
        };
        self.hooks.insert(name, hook);
    }
}

/// The layer that a name begins with, however it is written, and what comes behind it.
fn block<'a>(config: &Config, name: &'a str) -> Option<(usize, &'a str)> {
    let (layer, rest) = name.strip_prefix("blocks.")?.split_once('.')?;
    let layer = layer.parse().ok().filter(|layer| *layer < config.n_layers)?;
    Some((layer, rest))
}

/// Where the hook of an autoencoder is: the point of the program, and the buffer whose values it replaces.
pub fn splice(config: &Config, hook: &str) -> Result<(Point, Buffer)> {
    // Only by its one name, by which it is found again: not with a layer written 01 or +1.
    let found = block(config, hook).filter(|(layer, name)| *hook == format!("blocks.{layer}.{name}"));
    let at = found.and_then(|(layer, name)| {
        match name {
            "hook_resid_pre" => Some((Point::start(layer), HIDDEN)),
            "hook_resid_mid" if config.residual == Residual::Serial => {
                Some((Point::of(layer, Stage::AttnOut), attn_out::RESID_MID))
            }
            "hook_resid_post" => Some((Point::end(layer), HIDDEN)),
            "hook_mlp_out" => Some((Point::of(layer, Stage::MlpOut), mlp_out::MLP_OUT)),
            "attn.hook_z" => Some((Point::of(layer, Stage::Attention), attention::ATTENDED)),
            _ => None,
        }
    });
    match at {
        Some(at) => Ok(at),
        None => fail!(
            Hook,
            "an autoencoder can't be attached at {hook:.100}; it can at blocks.0. to blocks.{}. with hook_resid_pre, \
             hook_resid_mid, hook_resid_post, hook_mlp_out or attn.hook_z",
            config.n_layers - 1
        ),
    }
}

/// Finds hooks by name; a name that the model does not have is an error that lists those it has there.
pub fn find(config: &Config, names: &[String]) -> Result<Vec<Hook>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let hooks = all(config);
    names
        .iter()
        .map(|name| match hooks.get(name) {
            Some(hook) => Ok(hook.clone()),
            None => {
                let prefix = block(config, name).map_or(String::new(), |(layer, _)| format!("blocks.{layer}."));
                let there = hooks.keys().filter_map(|known| known.strip_prefix(&prefix));
                let there = there.filter(|known| !known.starts_with("blocks.") && !known.contains(SAE)).collect();
                let saes: Vec<&str> = config.saes.iter().filter_map(|sae| sae.hook.strip_prefix(&prefix)).collect();
                let (place, others) = if prefix.is_empty() {
                    let last = config.n_layers - 1;
                    ("this model", format!(", and blocks.0. to blocks.{last}. with their own"))
                } else if saes.is_empty() {
                    (prefix.as_str(), String::new())
                } else {
                    (prefix.as_str(), format!(", {}{SAE}{{acts_post, error, input, recons}}", braced(&saes)))
                };
                fail!(
                    Hook,
                    "hook {} does not exist; {place} has {}{others}",
                    shortened(name),
                    listed(there)
                )
            }
        })
        .collect()
}

/// Names that begin alike together: `hook_{resid_pre, resid_post}`.
fn listed(names: Vec<&str>) -> String {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in names {
        let (start, end) = name.split_at(name.rfind("hook_").map_or(0, |at| at + "hook_".len()));
        groups.entry(start).or_default().push(end);
    }
    let group = |(start, ends): (&&str, &Vec<&str>)| format!("{start}{}", braced(ends));
    groups.iter().map(group).collect::<Vec<_>>().join(", ")
}

/// One name, or several in braces.
fn braced(names: &[&str]) -> String {
    match names {
        [name] => (*name).to_owned(),
        _ => format!("{{{}}}", names.join(", ")),
    }
}

impl Hook {
    /// The hook's numbers of captured rows. For `Pattern` the rows are those of the whole sequence, `T` of them.
    pub fn array(&self, rows: usize, captured: Cow<'_, [f32]>) -> Array {
        let data: Vec<f32> = match self.part {
            Part::All => captured.into_owned(),
            Part::Heads(from, to) => {
                let width = captured.len() / rows.max(1);
                captured
                    .chunks_exact(width.max(1))
                    .flat_map(|row| &row[from..to])
                    .copied()
                    .collect()
            }
            Part::Interleaved(first) => captured.iter().skip(first).step_by(2).copied().collect(),
            Part::Pattern => {
                // [rows, n_heads, keys] → [n_heads, rows, keys]: keys up to the last row's position.
                let (heads, end) = (self.heads, captured.len() / (rows * self.heads).max(1));
                let mut data = Vec::with_capacity(heads * rows * rows);
                for head in 0..heads {
                    for row in 0..rows {
                        data.extend_from_slice(&captured[(row * heads + head) * end..][..rows]);
                    }
                }
                return Array {
                    shape: vec![heads, rows, rows],
                    data,
                };
            }
        };
        let shape = if self.heads > 0 {
            vec![rows, self.heads, self.width]
        } else {
            vec![rows, self.width]
        };
        Array { shape, data }
    }

    /// The same for a single row at an absolute position, as a generated step has it (a pattern then has `position + 1` keys).
    pub fn step_array(&self, position: usize, captured: Cow<'_, [f32]>) -> Array {
        if self.part != Part::Pattern {
            return self.array(1, captured);
        }
        let data = captured
            .chunks_exact((captured.len() / self.heads).max(1))
            .flat_map(|head| &head[..=position])
            .copied()
            .collect();
        Array {
            shape: vec![self.heads, 1, position + 1],
            data,
        }
    }
}
