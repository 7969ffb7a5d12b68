//! Kinds of models: their `config.json`, and Hugging Face's names of their tensors.

use std::collections::HashSet;
use std::f64::consts::PI;

use serde_json::{json, Map, Value as Json};

use super::blocks::GgufType;
use super::header::{Header, Value};
use super::tokenizer;
use crate::config::MAX_LAYERS;
use crate::error::{fail, quoted, Result};

/// `general.architecture`; class and `model_type` in transformers.
const KINDS: [(&str, &str, &str); 5] = [
    ("llama", "LlamaForCausalLM", "llama"),
    ("qwen2", "Qwen2ForCausalLM", "qwen2"),
    ("qwen3", "Qwen3ForCausalLM", "qwen3"),
    ("gemma2", "Gemma2ForCausalLM", "gemma2"),
    ("gemma3", "Gemma3ForCausalLM", "gemma3_text"),
];

/// What of Gemma's blocks is called otherwise than below.
const GEMMA_PARTS: [(&str, &str); 3] = [
    ("post_attention_norm", "post_attention_layernorm"),
    ("ffn_norm", "pre_feedforward_layernorm"),
    ("post_ffw_norm", "post_feedforward_layernorm"),
];

/// Names of what is in every block, here and there.
const PARTS: [(&str, &str); 11] = [
    ("attn_norm", "input_layernorm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// Divisors of the frequencies of a rotation that Llama 3's scaling gives.
pub const FREQUENCIES: &str = "rope_freqs.weight";

const WINDOW: &str = "attention.sliding_window";

/// Keys that would change what a model computes, and the values with which they do not.
const NEUTRAL: [(&str, &[f64]); 8] = [
    ("expert_count", &[0.0]),
    (WINDOW, &[0.0]),
    ("attention.clamp_kqv", &[0.0]),
    ("attention.scale", &[0.0]),
    ("rope.scaling.attn_factor", &[1.0]),
    ("logit_scale", &[0.0, 1.0]),
    ("embedding_scale", &[0.0, 1.0]),
    ("residual_scale", &[0.0, 1.0]),
];

/// What every file of Gemma's 27 B models is scaled by, of which none says it: by this many blocks llama.cpp knows them.
const LARGE_GEMMAS: [(&str, i64); 2] = [("gemma2", 46), ("gemma3", 62)];

/// A kind of model.
pub struct Kind {
    name: &'static str,
    class_name: &'static str,
    model_type: &'static str,
}

impl Kind {
    pub fn of(header: &Header) -> Result<Kind> {
        if let Some(parts @ 2..) = header.integer("split.count")? {
            fail!(Checkpoint, "the file is one of {parts} parts; llama-gguf-split --merge, of llama.cpp, joins them");
        }
        if let Some(what) = header.text("general.type")?.filter(|what| *what != "model") {
            fail!(Checkpoint, "general.type is {}; it must be a model", quoted(what));
        }
        let names = KINDS.map(|kind| kind.0).join(", ");
        let Some(name) = header.text("general.architecture")? else {
            fail!(Checkpoint, "general.architecture is missing; {names} are supported")
        };
        match KINDS.iter().find(|kind| kind.0 == name) {
            Some((name, class_name, model_type)) => Ok(Kind { name, class_name, model_type }),
            None => fail!(Checkpoint, "general.architecture {} is not supported; {names} are", quoted(name)),
        }
    }

    fn is_gemma(&self) -> bool {
        self.name.starts_with("gemma")
    }

    /// Whether the file has 1 more than the folder in a tensor (by Hugging Face's name): the gains of Gemma's norms.
    pub fn adds_one(&self, name: &str) -> bool {
        self.is_gemma() && name.ends_with("norm.weight")
    }

    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    fn size(&self, header: &Header, key: &str) -> Result<i64> {
        match header.integer(&self.key(key))? {
            Some(size) if size > 0 => Ok(size),
            Some(size) => fail!(Checkpoint, "{} is {size}; it must be at least 1", self.key(key)),
            None => fail!(Checkpoint, "{} is missing", self.key(key)),
        }
    }

    fn d_head(&self, header: &Header) -> Result<i64> {
        match header.integer(&self.key("attention.key_length"))? {
            Some(d_head) => Ok(d_head),
            None => Ok(self.size(header, "embedding_length")? / self.size(header, "attention.head_count")?),
        }
    }

    /// Whether the matrices of the blocks are all Q4_0, and can stay so.
    pub fn four_bits(&self, header: &Header) -> bool {
        let mut matrices = header.tensors.iter().filter(|(name, stored)| name.starts_with("blk.") && stored.shape.len() == 2);
        let all = matrices.clone().all(|(_, stored)| stored.kind == GgufType::Q4_0 && stored.shape[0] % 8 == 0);
        all && matrices.next().is_some()
    }

    /// Hugging Face's name of a tensor; none for what its config says.
    pub fn name(&self, name: &str) -> Result<Option<String>> {
        let outside = match name {
            "token_embd.weight" => Some("model.embed_tokens.weight"),
            "output_norm.weight" => Some("model.norm.weight"),
            "output.weight" => Some("lm_head.weight"),
            FREQUENCIES => return Ok(None),
            _ => None,
        };
        if let Some(name) = outside {
            return Ok(Some(name.to_owned()));
        }
        let of_block = || {
            let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
            let (part, ending) = rest.rsplit_once('.')?;
            let others = if self.is_gemma() { &GEMMA_PARTS[..] } else { &[] };
            let (_, part) = others.iter().chain(&PARTS).find(|known| known.0 == part)?;
            let layer: usize = layer.parse().ok()?;
            Some(format!("model.layers.{layer}.{part}.{ending}"))
        };
        match of_block() {
            Some(name) => Ok(Some(name)),
            None => fail!(Checkpoint, "tensor {} is not known of models of the kind {}", quoted(name), self.name),
        }
    }

    /// Rows of a head, for those of Llama's tensors whose rows llama.cpp has in pairs (by Hugging Face's name).
    pub fn paired(&self, name: &str, header: &Header) -> Result<Option<usize>> {
        let is_rotated = [".q_proj.weight", ".k_proj.weight", ".q_proj.bias", ".k_proj.bias"]
            .iter()
            .any(|ending| name.ends_with(ending));
        if self.name != "llama" || !is_rotated {
            return Ok(None);
        }
        let d_head = self.d_head(header)?;
        match usize::try_from(d_head) {
            Ok(rows) if rows > 0 && rows % 2 == 0 => Ok(Some(rows)),
            _ => fail!(Checkpoint, "heads of {d_head} are not pairs"),
        }
    }

    /// `config.json`. `frequencies`: what the tensor [`FREQUENCIES`] holds.
    pub fn config(&self, header: &Header, four_bits: bool, frequencies: Option<&[f32]>) -> Result<Json> {
        for (key, harmless) in NEUTRAL {
            if key == WINDOW && self.is_gemma() {
                continue;
            }
            if let Some(number) = header.float(&self.key(key))?.filter(|number| !harmless.contains(number)) {
                fail!(Checkpoint, "{} = {} is not supported", self.key(key), number as f32);
            }
        }
        if header.boolean(&self.key("attention.causal"))? == Some(false) {
            fail!(Checkpoint, "{} = false is not supported", self.key("attention.causal"));
        }
        let size = |key: &str| self.size(header, key);
        let Some(embed) = header.tensors.get("token_embd.weight") else {
            fail!(Checkpoint, "tensor \"token_embd.weight\" is missing")
        };
        let d_head = self.d_head(header)?;
        for (key, expected, of) in [
            ("rope.dimension_count", d_head, "numbers of a head"),
            ("attention.value_length", d_head, "numbers of a head"),
            ("vocab_size", embed.shape[0] as i64, "rows of token_embd.weight"),
        ] {
            if let Some(size) = header.integer(&self.key(key))?.filter(|size| *size != expected) {
                fail!(Checkpoint, "{} is {size}; it must be the {expected} {of}", self.key(key));
            }
        }
        let heads = size("attention.head_count")?;
        let Some(eps) = header.float(&self.key("attention.layer_norm_rms_epsilon"))? else {
            fail!(Checkpoint, "{} is missing", self.key("attention.layer_norm_rms_epsilon"))
        };
        let theta = header.float(&self.key("rope.freq_base"))?.unwrap_or(10_000.0);
        let mut config = Map::new();
        let mut set = |key: &str, value: Json| config.insert(key.to_owned(), value);
        set("architectures", json!([self.class_name]));
        set("model_type", self.model_type.into());
        set("vocab_size", embed.shape[0].into());
        set("hidden_size", size("embedding_length")?.into());
        set("intermediate_size", size("feed_forward_length")?.into());
        set("num_hidden_layers", size("block_count")?.into());
        set("num_attention_heads", heads.into());
        set(
            "num_key_value_heads",
            header.integer(&self.key("attention.head_count_kv"))?.unwrap_or(heads).into(),
        );
        set("head_dim", d_head.into());
        set("max_position_embeddings", size("context_length")?.into());
        // As decimals they are the f32 that the file holds.
        set("rms_norm_eps", shortest(eps));
        set("rope_theta", shortest(theta));
        if self.is_gemma() {
            self.gemma(header, heads, d_head, theta, &mut set)?;
        } else {
            set("hidden_act", "silu".into());
        }
        set("tie_word_embeddings", (!header.tensors.contains_key("output.weight")).into());
        if self.name == "llama" {
            set("attention_bias", header.tensors.contains_key("blk.0.attn_q.bias").into());
            set("mlp_bias", header.tensors.contains_key("blk.0.ffn_up.bias").into());
        }
        let token = |of: &str| tokenizer::id_of(header, of);
        set("bos_token_id", token("bos")?.map_or(Json::Null, Json::from));
        let mut ends = Vec::new();
        for name in ["eos", "eot", "eom", "fim_pad", "fim_rep", "fim_sep"] {
            ends.extend(token(name)?);
        }
        ends.extend(tokenizer::ends(header)?);
        let mut seen = HashSet::new();
        ends.retain(|id| seen.insert(*id));
        set(
            "eos_token_id",
            match ends[..] {
                [] => Json::Null,
                [id] => id.into(),
                _ => ends.into(),
            },
        );
        if let Some(scaling) = self.scaling(header, theta, frequencies)? {
            set("rope_scaling", scaling);
        }
        if four_bits {
            set("quantization_config", super::super::four_bit_config());
        }
        Ok(Json::Object(config))
    }

    /// What Gemma's `config.json` has beside. As in llama.cpp, all but one layer of so many see a window; Gemma 3 turns queries and keys by another
    /// angle there.
    fn gemma(&self, header: &Header, heads: i64, d_head: i64, theta: f64, set: &mut impl FnMut(&str, Json) -> Option<Json>) -> Result<()> {
        let second = self.name == "gemma2";
        let float = |key: &str| header.float(&self.key(key));
        let (layers, width) = (self.size(header, "block_count")?, self.size(header, "embedding_length")?);
        let is_large = LARGE_GEMMAS.contains(&(self.name, layers));
        set("hidden_activation", "gelu_pytorch_tanh".into());
        set("query_pre_attn_scalar", if is_large { width / heads } else { d_head }.into());
        for (key, default) in [("attn_logit_softcapping", 50.0), ("final_logit_softcapping", 30.0)] {
            let cap = float(key)?;
            if second {
                set(key, shortest(cap.unwrap_or(default)));
            } else if let Some(cap) = cap.filter(|cap| *cap != 0.0) {
                fail!(Checkpoint, "{} = {} is not supported", self.key(key), cap as f32);
            }
        }
        let window = header.integer(&self.key(WINDOW))?.unwrap_or(if second { 4096 } else { 0 });
        let local = float("rope.freq_base_swa")?;
        if second && local.is_some_and(|local| local != theta) {
            fail!(Checkpoint, "{} must be {}, as everywhere", self.key("rope.freq_base_swa"), theta as f32);
        }
        if !second {
            set("rope_local_base_freq", shortest(local.unwrap_or(10_000.0)));
        }
        let slides = self.slides(header, layers, if second { 2 } else { 6 })?;
        let kind = |slides: &bool| if *slides && window > 0 { "sliding_attention" } else { "full_attention" };
        set("sliding_window", if window > 0 { window.into() } else { Json::Null });
        set("layer_types", slides.iter().map(kind).collect());
        Ok(())
    }

    /// Whether each layer sees a window: all but the last of so many, or as the file lists them.
    fn slides(&self, header: &Header, layers: i64, usual: i64) -> Result<Vec<bool>> {
        if layers > MAX_LAYERS as i64 {
            fail!(Checkpoint, "{} is {layers}; it must be at most {MAX_LAYERS}", self.key("block_count"));
        }
        let key = self.key("attention.sliding_window_pattern");
        let by_period = |period: i64| (0..layers).map(|layer| period == 0 || layer % period < period - 1).collect();
        let yes = |value: &Value| match value {
            Value::Bool(yes) => Some(*yes),
            Value::Int(number) => Some(*number != 0),
            _ => None,
        };
        let slides = match header.values.get(&key) {
            None => Some(by_period(usual)),
            Some(Value::Int(period @ 0..)) => Some(by_period(*period)),
            Some(Value::List(all)) if all.len() as i64 == layers => all.iter().map(yes).collect(),
            Some(_) => None,
        };
        match slides {
            Some(slides) => Ok(slides),
            None => fail!(Checkpoint, "{key} must be a whole number, or a list with a yes or no for each of the {layers} layers"),
        }
    }

    fn scaling(&self, header: &Header, theta: f64, frequencies: Option<&[f32]>) -> Result<Option<Json>> {
        let kind = self.key("rope.scaling.type");
        match header.text(&kind)? {
            Some("none") => {}
            // llama.cpp takes what has no type for linear, and a factor of 0 for none.
            None | Some("linear") => {
                let factor = header.float(&self.key("rope.scaling.factor"))?;
                let factor = factor.or(header.float(&self.key("rope.scale_linear"))?);
                if let Some(factor) = factor.filter(|factor| ![0.0, 1.0].contains(factor)) {
                    if frequencies.is_some() {
                        fail!(Checkpoint, "a linear scaling beside tensor {FREQUENCIES:?} is not supported");
                    }
                    return Ok(Some(json!({ "rope_type": "linear", "factor": shortest(factor) })));
                }
            }
            Some(other) => fail!(Checkpoint, "{kind} {} is not supported; none and linear are", quoted(other)),
        }
        let Some(divisors) = frequencies else { return Ok(None) };
        // The file holds what Llama 3's scaling comes to, and not its settings: of all Llama 3 they are these, but for the factor.
        let factor = divisors.iter().copied().fold(1.0, f32::max);
        let (low, high, original) = (1.0, 4.0, 8192.0);
        let expected = |pair: usize| {
            let turns = original / (2.0 * PI * theta.powf(pair as f64 / divisors.len() as f64));
            let smooth = ((turns - low) / (high - low)).clamp(0.0, 1.0);
            1.0 / ((1.0 - smooth) / f64::from(factor) + smooth)
        };
        let is_expected = |(pair, divisor): (usize, &f32)| (f64::from(*divisor) / expected(pair) - 1.0).abs() <= 1e-3;
        if !divisors.iter().enumerate().all(is_expected) {
            fail!(Checkpoint, "tensor {FREQUENCIES:?} is not what the scaling of Llama 3 comes to; no other is supported");
        }
        Ok(Some(json!({
            "rope_type": "llama3", "factor": shortest(factor.into()), "low_freq_factor": low, "high_freq_factor": high,
            "original_max_position_embeddings": original as u64,
        })))
    }
}

/// A number that is a finite f32, with its own digits.
fn shortest(number: f64) -> Json {
    (number as f32).to_string().parse::<f64>().map_or(Json::Null, Json::from)
}
