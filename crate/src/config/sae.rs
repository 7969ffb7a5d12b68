//! `cfg.json` of a sparse autoencoder in SAELens' layout → [`Sae`]. Versions from 6 on say what kind it is in `architecture`; older ones
//! say `activation_fn_str`.

use super::fields::Fields;
use super::parse::MAX_WIDTH;
use crate::error::{quoted, Code, Result};
use crate::json;

const FILE: &str = "cfg.json";

/// A sparse autoencoder: x → features → x̂.
#[derive(Clone, Debug, PartialEq)]
pub struct Sae {
    /// The hook whose values it reads and replaces, as `blocks.2.hook_resid_post`.
    pub hook: String,
    /// Numbers that it reads at a position.
    pub d_in: usize,
    /// Its features.
    pub d_sae: usize,
    /// How features are found.
    pub kind: SaeKind,
    /// b_dec is taken off the input before it is encoded.
    pub subtract_decoder_bias: bool,
    /// Features count in units of their decoder row's length (`rescale_acts_by_decoder_norm`).
    pub decoder_norm: bool,
    /// What is done to the input first.
    pub normalize: Normalize,
    /// What the autoencoder leaves over is added to what it puts in the hook's place, so that the model computes what it does
    /// without, but for edits.
    pub error_term: bool,
}

/// How features are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SaeKind {
    /// Those above 0.
    Relu,
    /// The first k in the total order, of which those above 0.
    TopK { k: usize },
    /// Those above a threshold of their own; a BatchTopK autoencoder is saved as one of these.
    JumpRelu,
    /// Again and again the feature that the rest has most of.
    Pursuit {
        iterations: usize,
        /// Ends when the rest is shorter than this; 0: never.
        residual: f32,
        /// Ends when a feature comes again.
        stop_on_duplicate: bool,
    },
}

impl SaeKind {
    /// SAELens' name.
    pub fn name(self) -> &'static str {
        match self {
            SaeKind::Relu => "standard",
            SaeKind::TopK { .. } => "topk",
            SaeKind::JumpRelu => "jumprelu",
            SaeKind::Pursuit { .. } => "matching_pursuit",
        }
    }
}

/// What is done to the input first, and undone to the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalize {
    None,
    /// (x − mean) / (standard deviation + 1e-5), the deviation with n − 1.
    LayerNorm,
    /// Length √d.
    ConstantNorm,
}

impl Sae {
    /// Reads `cfg.json`; `hook` wins over the one it names. Without its error term until told otherwise.
    pub fn from_json(bytes: &[u8], hook: Option<&str>) -> Result<Sae> {
        let map = json::object(FILE, bytes, Code::Config)?;
        let fields = Fields::new(FILE, &map);
        let width = |key: &str| match fields.integer(key, 1, MAX_WIDTH)? {
            Some(width) => Ok(width),
            None => fields.refuse(key, "is missing"),
        };
        let (d_in, d_sae) = (width("d_in")?, width("d_sae")?);
        let metadata = fields.object("metadata")?;
        let about = metadata.as_ref().unwrap_or(&fields);
        let Some(hook) = hook.or(about.text("hook_name")?) else {
            return fields.refuse(
                "metadata.hook_name",
                "is missing; say at which hook the autoencoder belongs",
            );
        };
        let normalize = match fields.text("normalize_activations")? {
            // Not "expected_average_only_in": the factor is not in the file, until SAELens scales the weights by it and says "none".
            None | Some("none") => Normalize::None,
            Some("layer_norm") => Normalize::LayerNorm,
            Some("constant_norm_rescale") => Normalize::ConstantNorm,
            Some(other) => {
                let known = "\"none\", \"layer_norm\" and \"constant_norm_rescale\" are";
                return fields.refuse(
                    "normalize_activations",
                    format!("{other} is not supported; {known}", other = quoted(other)),
                );
            }
        };
        fields.only("finetuning_scaling_factor", false)?;
        // Of TransformerLens: it would see states whose mean is 0.
        if let Some(kwargs) = about.object("model_from_pretrained_kwargs")? {
            kwargs.only("center_writing_weights", false)?;
        }
        Ok(Sae {
            hook: hook.to_owned(),
            d_in,
            d_sae,
            kind: kind(&fields, d_in, d_sae)?,
            subtract_decoder_bias: fields.boolean("apply_b_dec_to_input")?.unwrap_or(true),
            decoder_norm: fields.boolean("rescale_acts_by_decoder_norm")?.unwrap_or(false),
            normalize,
            error_term: false,
        })
    }
}

fn kind(fields: &Fields, d_in: usize, d_sae: usize) -> Result<SaeKind> {
    let top_k = |fields: &Fields| match fields.integer("k", 1, d_sae)? {
        Some(k) => Ok(SaeKind::TopK { k }),
        None => fields.refuse("k", "is missing; a TopK autoencoder needs it"),
    };
    match fields.text("architecture")? {
        Some("jumprelu") => Ok(SaeKind::JumpRelu),
        Some("topk") => top_k(fields),
        Some("matching_pursuit") => Ok(SaeKind::Pursuit {
            // More would find nothing new, for hours.
            iterations: fields.integer("max_iterations", 1, d_in.max(d_sae))?.unwrap_or(d_in),
            residual: fields.number("residual_threshold")?.unwrap_or(1e-2) as f32,
            stop_on_duplicate: fields.boolean("stop_on_duplicate_support")?.unwrap_or(true),
        }),
        None | Some("standard") => {
            let old = fields.text("activation_fn_str")?.or(fields.text("activation_fn")?);
            match (old, fields.object("activation_fn_kwargs")?) {
                (Some("topk"), Some(kwargs)) => top_k(&kwargs),
                (Some("topk"), None) => top_k(fields),
                (None | Some("relu"), _) => Ok(SaeKind::Relu),
                (Some(other), _) => fields.refuse(
                    "activation_fn_str",
                    format!("{other} is not supported", other = quoted(other)),
                ),
            }
        }
        Some(other) => {
            let known =
                "\"standard\", \"topk\", \"jumprelu\" (BatchTopK is saved as that) and \"matching_pursuit\" are";
            fields.refuse(
                "architecture",
                format!("{other} is not supported; {known}", other = quoted(other)),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: serde_json::Value) -> Result<Sae> {
        Sae::from_json(value.to_string().as_bytes(), None)
    }

    #[test]
    fn both_generations_of_configs() {
        let new = json!({"architecture": "topk", "k": 8, "d_in": 4, "d_sae": 16, "apply_b_dec_to_input": false,
            "normalize_activations": "layer_norm", "metadata": {"hook_name": "blocks.1.hook_mlp_out"}});
        let sae = read(new).unwrap();
        assert_eq!(
            (sae.kind, sae.normalize),
            (SaeKind::TopK { k: 8 }, Normalize::LayerNorm)
        );
        assert_eq!(
            (sae.hook.as_str(), sae.subtract_decoder_bias),
            ("blocks.1.hook_mlp_out", false)
        );
        let old = json!({"architecture": "standard", "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 3}, "d_in": 4,
            "d_sae": 16, "hook_name": "blocks.0.hook_resid_post"});
        assert_eq!(read(old).unwrap().kind, SaeKind::TopK { k: 3 });
    }

    #[test]
    fn what_cannot_be_honoured_is_named() {
        let base = json!({"d_in": 4, "d_sae": 16, "metadata": {"hook_name": "x"}});
        for (key, value, word) in [
            ("architecture", json!("gated"), "architecture"),
            ("normalize_activations", json!("other"), "normalize_activations"),
            (
                "normalize_activations",
                json!("expected_average_only_in"),
                "\"expected_average_only_in\" is not supported",
            ),
            (
                "metadata",
                json!({"hook_name": "x", "model_from_pretrained_kwargs": {"center_writing_weights": true}}),
                "metadata.model_from_pretrained_kwargs.center_writing_weights = true is not supported; only false is",
            ),
            ("d_in", json!(0), "d_in"),
            ("metadata", json!({}), "metadata.hook_name"),
            ("architecture", json!("topk"), "k"),
            (
                "architecture",
                json!("matching_pursuit"),
                "max_iterations must be a whole number from 1 to 16",
            ),
        ] {
            let mut cfg = base.clone();
            cfg["max_iterations"] = json!(17);
            cfg[key] = value;
            let message = read(cfg).unwrap_err().to_string();
            assert!(message.starts_with("cfg.json") && message.contains(word), "{message}");
        }
    }
}
