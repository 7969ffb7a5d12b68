//! The keys of `config.json`, with transformers' names and defaults.

use serde_json::Value;

use super::fields::{shown, Fields};
use super::{
    Activation, Architecture, Biases, CacheDtype, Config, Mlp, Norm, Positions, QuantMethod, Quantization, Residual,
    TopK,
};
use crate::error::{fail, quoted, Code, Result};
use crate::json;
use crate::numerics::int4::LARGEST_GROUP;
use crate::numerics::order::{Post, Select};

/// Largest width of anything: far above every real model, small enough that no product of two overflows.
pub(super) const MAX_WIDTH: usize = 1 << 24;
pub(crate) const MAX_LAYERS: usize = 1 << 12;
const MAX_HEADS: usize = 1 << 14;
/// The GPU's table of rotations is laid out for the whole context at once.
const MAX_CONTEXT: usize = 1 << 22;
/// Most parameters a config may ask for.
const MAX_PARAMETERS: u64 = 1 << 40;

pub(super) fn config(bytes: &[u8], max_context: Option<usize>, cache_dtype: CacheDtype) -> Result<Config> {
    if max_context == Some(0) {
        fail!(
            Argument,
            "the largest context (maxContext, --max-context) is 0; it must be at least 1"
        );
    }
    let map = json::object("config.json", bytes, Code::Config)?;
    let fields = Fields::new("config.json", &map);
    let architecture = architecture(&fields)?;
    let mut config = plain(&fields, architecture)?;
    (architecture.definition().properties)(&fields, &mut config)?;
    fields.only("is_causal", true)?;
    dtype(&fields)?;
    config.quantization = quantization(&fields)?;
    (config.topk, config.n_nontopk) = topk(&fields, config.n_layers)?;
    // Windows and rotations are those of the whole context; only what is laid out by position is smaller.
    config.n_ctx = max_context.map_or(config.n_ctx, |most| most.min(config.n_ctx));
    config.cache_dtype = cache_dtype;
    if cache_dtype == CacheDtype::F16 && !config.d_head.is_multiple_of(2) {
        fail!(
            Config,
            "config.json: a head has {} numbers, but keys and values are cached in f16 two by two; cache them in f32",
            config.d_head
        );
    }
    checked_products(&fields, &config)?;
    Ok(config)
}

/// How matrices of 4 bits are stored: as AutoGPTQ and AutoAWQ write them.
fn quantization(fields: &Fields) -> Result<Option<Quantization>> {
    let Some(fields) = fields.object("quantization_config")? else {
        return Ok(None);
    };
    // transformers 5 calls "format" what had a name of each method's own.
    let layout = |keys: &'static [&'static str]| -> Result<Option<(&str, String)>> {
        let text = fields.agreed(keys, |key| Ok(fields.text(key)?.map(str::to_ascii_lowercase)))?;
        let key = keys.iter().find(|key| fields.get(key).is_some());
        Ok(key.copied().zip(text))
    };
    let method = match fields.text("quant_method")? {
        Some("gptq") => match layout(&["checkpoint_format", "format"])? {
            None => QuantMethod::Gptq { v1: true },
            Some((_, text)) if text == "gptq" => QuantMethod::Gptq { v1: true },
            Some((_, text)) if text == "gptq_v2" => QuantMethod::Gptq { v1: false },
            Some((key, other)) => return fields.wrong(key, "\"gptq\" or \"gptq_v2\"", &other.into()),
        },
        Some("awq") => match layout(&["version", "format"])? {
            None => QuantMethod::Awq,
            Some((_, text)) if text == "gemm" => QuantMethod::Awq,
            Some((key, other)) => return fields.wrong(key, "\"gemm\"", &other.into()),
        },
        Some(other) => return fields.wrong("quant_method", "\"gptq\" or \"awq\"", &other.into()),
        None => return fields.refuse("quant_method", "is missing; \"gptq\" and \"awq\" are supported"),
    };
    match fields.agreed(&["bits", "w_bit"], |key| fields.integer(key, 1, 64))? {
        Some(4) => {}
        Some(bits) => return fields.refuse("bits", format!("= {bits} is not supported; only 4 is")),
        None => return fields.refuse("bits", "is missing; 4 is supported"),
    }
    let group_size = |key: &str| match fields.get(key).map(|value| (value, value.as_i64())) {
        None => Ok(None),
        Some((_, Some(size))) if size == -1 || (1..=LARGEST_GROUP as i64).contains(&size) && size % 8 == 0 => {
            Ok(Some(size))
        }
        Some((value, _)) => fields.wrong(key, &format!("-1 or a multiple of 8 up to {LARGEST_GROUP}"), value),
    };
    let Some(size) = fields.agreed(&["group_size", "q_group_size"], group_size)? else {
        return fields.refuse("group_size", "is missing");
    };
    Ok(Some(Quantization {
        method,
        group_size: usize::try_from(size).ok(),
    }))
}

/// From `architectures`, or `model_type` where that is absent; the two must agree.
fn architecture(fields: &Fields) -> Result<Architecture> {
    let find = |name: &str, of: fn(Architecture) -> &'static str| {
        Architecture::ALL
            .iter()
            .copied()
            .find(|architecture| of(*architecture) == name)
    };
    let by_type = match fields.text("model_type")? {
        None => None,
        Some(name) => match find(name, Architecture::model_type) {
            None => {
                let supported = all(Architecture::model_type);
                return fields.refuse(
                    "model_type",
                    format!(
                        "{name} is not supported; it must be one of {supported}",
                        name = quoted(name)
                    ),
                );
            }
            found => found,
        },
    };
    let names = match fields.get("architectures") {
        None => &[][..],
        Some(Value::Array(names)) => names.as_slice(),
        Some(other) => return fields.wrong("architectures", "a list of names", other),
    };
    let supported = || all(Architecture::class_name);
    let by_name = match names {
        [] => None,
        // As our classes for transformers are called (`modeling_topk.py`), which write their own names.
        [name] => match name
            .as_str()
            .and_then(|name| find(name.strip_prefix("TopK").unwrap_or(name), Architecture::class_name))
        {
            None => {
                let sentence = format!("[{}] is not supported; only {} are", shown(name), supported());
                return fields.refuse("architectures", sentence);
            }
            found => found,
        },
        _ => return fields.refuse("architectures", "must name one class"),
    };
    match (by_name, by_type) {
        (Some(a), Some(b)) if a != b => fields.refuse("architectures", "and model_type name different models"),
        (Some(a), _) | (None, Some(a)) => Ok(a),
        (None, None) => {
            let sentence = format!("is missing; it must be a list of one of {}", supported());
            fields.refuse("architectures", sentence)
        }
    }
}

/// What is supported, for a message.
fn all(name: fn(Architecture) -> &'static str) -> String {
    let names: Vec<&str> = Architecture::ALL.iter().copied().map(name).collect();
    match names.split_last() {
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

/// The sizes, by the architecture's table; everything else at its plainest.
fn plain(fields: &Fields, architecture: Architecture) -> Result<Config> {
    let keys = &architecture.definition().keys;
    let size = |(names, default): (&'static [&'static str], usize), max| {
        let found = fields.agreed(names, |key| fields.integer(key, 1, max))?;
        Ok(found.unwrap_or(default))
    };
    let d_vocab = fields.integer(keys.d_vocab.0, 1, MAX_WIDTH)?.unwrap_or(keys.d_vocab.1);
    let d_model = size(keys.d_model, MAX_WIDTH)?;
    let n_heads = size(keys.n_heads, MAX_HEADS)?;
    let n_kv_heads = match keys.n_kv_heads {
        None => n_heads,
        Some((key, default)) => {
            // An absent key takes the default; `null` means as many as query heads.
            let default = default.filter(|_| fields.raw(key).is_none());
            let n_kv_heads = fields.integer(key, 1, MAX_HEADS)?.or(default).unwrap_or(n_heads);
            if n_heads % n_kv_heads != 0 {
                let sentence = format!("must divide {}, {n_heads}; {n_kv_heads} does not", keys.n_heads.0[0]);
                return fields.refuse(key, sentence);
            }
            n_kv_heads
        }
    };
    let stated = match keys.d_head {
        None => None,
        Some((key, default)) => fields.integer(key, 1, MAX_WIDTH)?.or(default),
    };
    let d_head = match stated {
        Some(d_head) => d_head,
        None if d_model % n_heads == 0 => d_model / n_heads,
        None => {
            let unless = keys
                .d_head
                .map_or(String::new(), |(key, _)| format!(", where there is no {key}"));
            let sentence = format!(
                "must divide {}, {d_model}{unless}; {n_heads} does not",
                keys.d_model.0[0]
            );
            return fields.refuse(keys.n_heads.0[0], sentence);
        }
    };
    let n_ctx = size(keys.n_ctx, MAX_CONTEXT)?;
    let (bos_token_id, eos_token_ids) = special_ids(fields, d_vocab, keys.bos, keys.eos)?;
    Ok(Config {
        architecture,
        d_vocab,
        d_model,
        n_layers: size(keys.n_layers, MAX_LAYERS)?,
        n_heads,
        n_kv_heads,
        d_head,
        d_mlp: match keys.d_mlp {
            (key, Some(default)) => fields.integer(key, 1, MAX_WIDTH)?.unwrap_or(default),
            (key, None) => fields.integer(key, 1, 4 * MAX_WIDTH)?.unwrap_or(4 * d_model),
        },
        n_ctx,
        cache_dtype: CacheDtype::F32,
        n_positions: n_ctx,
        norm: Norm::Rms,
        norm_eps: fields.positive(keys.norm_eps.0)?.unwrap_or(keys.norm_eps.1) as f32,
        post_norms: false,
        positions: Positions::None,
        qk_norm: false,
        quantization: None,
        attn_scale: 1.0 / (d_head as f32).sqrt(),
        attn_scale_by_layer: false,
        attn_softcap: None,
        windows: Vec::new(),
        mlp: Mlp {
            gated: false,
            activation: Activation::Silu,
        },
        residual: Residual::Serial,
        biases: Biases::default(),
        embed_scale: 1.0,
        logit_softcap: None,
        tie_word_embeddings: fields.boolean("tie_word_embeddings")?.unwrap_or(keys.tied),
        topk: None,
        saes: Vec::new(),
        n_nontopk: 0,
        bos_token_id,
        eos_token_ids,
    })
}

/// BOS and EOS: an absent key takes the class's default, `null` is none, as in transformers.
fn special_ids(fields: &Fields, d_vocab: usize, bos: Option<u32>, eos: Option<u32>) -> Result<(Option<u32>, Vec<u32>)> {
    let default = |id: Option<u32>| Vec::from_iter(id.filter(|id| (*id as usize) < d_vocab));
    if let Some(value @ Value::Array(_)) = fields.get("bos_token_id") {
        return fields.wrong("bos_token_id", "a token id or null", value);
    }
    let bos = fields.ids("bos_token_id", d_vocab)?.unwrap_or_else(|| default(bos));
    let eos = fields.ids("eos_token_id", d_vocab)?.unwrap_or_else(|| default(eos));
    Ok((bos.first().copied(), eos))
}

/// Weights carry their own dtype; the key is only checked to be a name.
fn dtype(fields: &Fields) -> Result<()> {
    for key in ["dtype", "torch_dtype"] {
        fields.text(key)?;
    }
    Ok(())
}

fn topk(fields: &Fields, n_layers: usize) -> Result<(Option<TopK>, usize)> {
    fields.only("topk_embed", false)?;
    let k = fields.integer("topk_k", 1, u32::MAX as usize)?;
    let n_nontopk = fields.integer("n_nontopk", 0, n_layers)?.unwrap_or(0);
    let select = match fields.text("topk_select")? {
        None | Some("value") => Select::Value,
        Some("abs") => Select::Abs,
        Some(other) => {
            return fields.refuse(
                "topk_select",
                format!("must be \"value\" or \"abs\", not {other}", other = quoted(other)),
            )
        }
    };
    let post = match fields.text("topk_post")? {
        None | Some("identity") => Post::Identity,
        Some("relu") => Post::Relu,
        Some(other) => {
            return fields.refuse(
                "topk_post",
                format!("must be \"identity\" or \"relu\", not {other}", other = quoted(other)),
            )
        }
    };
    Ok((k.map(|k| TopK { k, select, post }), n_nontopk))
}

/// Every buffer that is laid out from the config alone must be addressable.
fn checked_products(fields: &Fields, config: &Config) -> Result<()> {
    let product = |factors: &[usize]| {
        factors
            .iter()
            .try_fold(1u64, |n, &f| n.checked_mul(f as u64))
            .filter(|n| *n <= MAX_PARAMETERS)
    };
    let (d_model, d_mlp) = (config.d_model, config.d_mlp);
    let matrices = product(&[d_model, config.n_heads, config.d_head, 4])
        .and_then(|attention| Some(attention + product(&[d_model, d_mlp, 3])?))
        .and_then(|block| usize::try_from(block).ok())
        .and_then(|block| product(&[block, config.n_layers]));
    let tables = product(&[config.d_vocab, d_model, 2]).zip(product(&[config.n_positions, d_model]));
    if matrices.is_none() || tables.is_none() {
        return fields.refuse(
            "hidden_size",
            "and the other sizes make a model of more than 2^40 parameters",
        );
    }
    // Bytes: keys and values of every layer, and one head's row of attention probabilities for each head.
    let cache = product(&[
        config.n_ctx,
        config.d_kv(),
        2,
        config.n_layers,
        config.cache_dtype.bytes(),
    ]);
    let pattern = product(&[config.n_ctx, config.n_heads, 4]);
    let is_held = |bytes: Option<u64>| bytes.is_some_and(|bytes| isize::try_from(bytes).is_ok());
    if !(is_held(cache) && is_held(pattern)) {
        let sentence = format!(
            "= {} makes a key-value cache or attention that no memory holds; load fewer positions (maxContext, --max-context)",
            config.n_ctx
        );
        let key = config.architecture.definition().keys.n_ctx.0[0];
        return fields.refuse(key, sentence);
    }
    Ok(())
}
