//! RoPE settings: transformers 4 writes `rope_theta` and `rope_scaling`, transformers 5 `rope_parameters`.

use super::fields::Fields;
use super::{Rope, RopeScaling};
use crate::error::{quoted, Result};

/// transformers' default base of the wavelengths.
const DEFAULT_THETA: f64 = 10_000.0;

/// What an architecture calls its settings beside those of the scaling. Where a file has several names they must agree.
pub(super) struct RopeKeys {
    pub theta: &'static [&'static str],
    pub default_theta: f64,
    /// The share of a head that is rotated, from its beginning; none: whole heads only.
    pub fraction: &'static [&'static str],
    pub default_fraction: f64,
}

impl RopeKeys {
    pub const USUAL: RopeKeys = RopeKeys {
        theta: &["rope_theta"],
        default_theta: DEFAULT_THETA,
        fraction: &[],
        default_fraction: 1.0,
    };
}

pub(super) fn rope(config: &Fields, n_ctx: usize, d_head: usize, keys: &RopeKeys) -> Result<Rope> {
    let outer = Outer::read(config, n_ctx, d_head, keys)?;
    let mut found: Option<(&str, Rope)> = None;
    for key in ["rope_parameters", "rope_scaling"] {
        let Some(fields) = config.object(key)? else { continue };
        let rope = outer.with(&fields)?;
        match &found {
            Some((first, other)) if *other != rope => {
                return config.refuse(key, format!("contradicts {first}; keep one of them"))
            }
            _ => found = Some((key, rope)),
        }
    }
    match found {
        Some((_, rope)) => Ok(rope),
        None => outer.alone(),
    }
}

/// Gemma 3: one RoPE for the layers that see everything, another without scaling for those that see a window. transformers 4
/// writes the latter's base as `rope_local_base_freq`, transformers 5 both under `rope_parameters` by the kind of layer.
pub(super) fn rope_by_layer_type(config: &Fields, n_ctx: usize, d_head: usize) -> Result<Rope> {
    const FULL: RopeKeys = RopeKeys {
        default_theta: 1_000_000.0,
        ..RopeKeys::USUAL
    };
    const LOCAL: RopeKeys = RopeKeys {
        theta: &["rope_local_base_freq"],
        ..RopeKeys::USUAL
    };
    let nested = config.object("rope_parameters")?;
    let part = |kind: &str| match &nested {
        Some(fields) => fields.object(kind),
        None => Ok(None),
    };
    if let Some(nested) = nested.as_ref().filter(|nested| nested.raw("rope_type").is_some()) {
        return nested.refuse(
            "rope_type",
            "must be given for full_attention and sliding_attention apart",
        );
    }
    let local = Outer::read(config, n_ctx, d_head, &LOCAL)?;
    let local = match part("sliding_attention")? {
        Some(fields) => {
            let local = local.with(&fields)?;
            if local.scaling != RopeScaling::None {
                return fields.refuse("rope_type", "must be \"default\" for layers that see a window");
            }
            local
        }
        None => local.alone()?,
    };
    let outer = Outer::read(config, n_ctx, d_head, &FULL)?;
    let full = match (part("full_attention")?, config.object("rope_scaling")?) {
        (Some(new), Some(old)) => {
            let rope = outer.with(&new)?;
            if outer.with(&old)? != rope {
                return config.refuse("rope_scaling", "contradicts rope_parameters; keep one of them");
            }
            rope
        }
        (Some(fields), None) | (None, Some(fields)) => outer.with(&fields)?,
        (None, None) => outer.alone()?,
    };
    Ok(Rope {
        local_theta: Some(local.theta),
        ..full
    })
}

/// What the config itself says, outside of `rope_parameters` and `rope_scaling`.
struct Outer<'a> {
    keys: &'a RopeKeys,
    theta: Option<f64>,
    fraction: Option<f64>,
    original: Option<f64>,
    n_ctx: usize,
    d_head: usize,
    /// For errors about the head's width.
    config: &'a Fields<'a>,
}

impl<'a> Outer<'a> {
    fn read(config: &'a Fields<'a>, n_ctx: usize, d_head: usize, keys: &'a RopeKeys) -> Result<Outer<'a>> {
        if keys.fraction.is_empty() {
            config.only_one("partial_rotary_factor")?;
        }
        Ok(Outer {
            keys,
            theta: config.agreed(keys.theta, |key| config.positive(key))?,
            fraction: config.agreed(keys.fraction, |key| config.positive(key))?,
            original: config.positive("original_max_position_embeddings")?,
            n_ctx,
            d_head,
            config,
        })
    }

    /// Without scaling.
    fn alone(&self) -> Result<Rope> {
        Ok(Rope {
            theta: self.theta.unwrap_or(self.keys.default_theta),
            scaling: RopeScaling::None,
            dims: self.dims(self.fraction)?,
            local_theta: None,
        })
    }

    /// With what `fields`, `rope_parameters` or `rope_scaling`, says.
    fn with(&self, fields: &Fields) -> Result<Rope> {
        if self.keys.fraction.is_empty() {
            fields.only_one("partial_rotary_factor")?;
        }
        // Elsewhere than in Gemma 3's `rope_parameters` these would be passed over.
        for kind in ["full_attention", "sliding_attention"] {
            if fields.get(kind).is_some() {
                return fields.refuse(kind, "is not supported here; give its keys without it");
            }
        }
        let same = |key: &str, inner: Option<f64>, outer: Option<f64>| match (inner, outer) {
            (Some(inner), Some(outer)) if inner != outer => {
                fields.refuse(key, format!("is {inner}, but that of the config is {outer}"))
            }
            (inner, outer) => Ok(inner.or(outer)),
        };
        let theta = same("rope_theta", fields.positive("rope_theta")?, self.theta)?;
        let factor = fields.positive("partial_rotary_factor")?;
        let fraction = same("partial_rotary_factor", factor, self.fraction)?;
        Ok(Rope {
            theta: theta.unwrap_or(self.keys.default_theta),
            scaling: scaling(fields, |inner| {
                let original = same("original_max_position_embeddings", inner, self.original)?;
                Ok(original.unwrap_or(self.n_ctx as f64))
            })?,
            dims: self.dims(fraction)?,
            local_theta: None,
        })
    }

    /// How many numbers of a head are rotated.
    fn dims(&self, fraction: Option<f64>) -> Result<usize> {
        let Some(&key) = self.keys.fraction.first() else {
            return match self.d_head % 2 {
                0 => Ok(self.d_head),
                _ => self.config.refuse(
                    "head_dim",
                    format!("must be even for rotary embeddings, not {}", self.d_head),
                ),
            };
        };
        // Rounded down, as transformers does it.
        let dims = (self.d_head as f64 * fraction.unwrap_or(self.keys.default_fraction)) as usize;
        let odd = |n: usize| !n.is_multiple_of(2);
        if dims == 0 || dims > self.d_head || odd(dims) || odd(self.d_head) {
            let sentence = format!(
                "must rotate an even number of a head's numbers, of which there must be an even number too; not {dims} of {}",
                self.d_head
            );
            return self.config.refuse(key, sentence);
        }
        Ok(dims)
    }
}

/// What only a scaling has: without a type nobody knows what they scale.
const OF_A_SCALING: [&str; 7] = [
    "factor",
    "low_freq_factor",
    "high_freq_factor",
    "short_factor",
    "long_factor",
    "attention_factor",
    "beta_fast",
];

/// `original`: what counts as the original context, from what `fields` says of it.
fn scaling(fields: &Fields, original: impl Fn(Option<f64>) -> Result<f64>) -> Result<RopeScaling> {
    let type_key = if fields.get("rope_type").is_some() {
        "rope_type"
    } else {
        "type"
    };
    let required = |key: &str| match fields.positive(key)? {
        Some(x) => Ok(x),
        None => fields.refuse(key, "is missing"),
    };
    let kind = fields.agreed(&["rope_type", "type"], |key| fields.text(key))?;
    if let (None, Some(key)) = (kind, OF_A_SCALING.iter().find(|key| fields.get(key).is_some())) {
        let sentence = format!("is missing beside {key}; \"default\", \"linear\" and \"llama3\" are supported");
        return fields.refuse("rope_type", sentence);
    }
    match kind.unwrap_or("default") {
        "default" => Ok(RopeScaling::None),
        "linear" => Ok(RopeScaling::Linear {
            factor: required("factor")?,
        }),
        "llama3" => {
            let original = original(fields.positive("original_max_position_embeddings")?)?;
            let (low, high) = (required("low_freq_factor")?, required("high_freq_factor")?);
            if high <= low {
                return fields.refuse(
                    "high_freq_factor",
                    format!("must be above low_freq_factor, {low}, not {high}"),
                );
            }
            Ok(RopeScaling::Llama3 {
                factor: required("factor")?,
                low_freq_factor: low,
                high_freq_factor: high,
                original_max_position_embeddings: original,
            })
        }
        other => {
            let sentence = format!(
                "{other} is not supported; \"default\", \"linear\" and \"llama3\" are",
                other = quoted(other)
            );
            fields.refuse(type_key, sentence)
        }
    }
}
