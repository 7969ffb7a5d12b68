//! `topk-lm info`: describes a model folder, from headers only; or lists the supported architectures.

use std::path::PathBuf;

use clap::Args;
use serde_json::{json, Value};
use topk_lm::checkpoint::{self, FolderSource, Summary};
use topk_lm::config::{Architecture, Config, Residual, Rope, RopeScaling};
use topk_lm::error::Result;
use topk_lm::offline::compare::compare;
use topk_lm::session::{BackendChoice, LoadOptions};
use topk_lm::tokenizer::Tokenizer;

use crate::common::{counted, print_line, KvCache, NoBackend};

/// Describe a model folder: sizes, weights, tokenizer, training checkpoints
#[derive(Args)]
pub struct InfoArgs {
    /// Model folder in the Hugging Face layout
    #[arg(long, value_name = "DIR", required_unless_present = "architectures")]
    model: Option<PathBuf>,
    /// Maximum positions in a sequence, as in other commands: what a model then takes is under `memory`
    #[arg(long, value_name = "N", value_parser = counted)]
    max_context: Option<usize>,
    /// Precision in which keys and values are kept in memory, likewise
    #[arg(long, value_enum, default_value_t)]
    kv_cache: KvCache,
    /// The same model in another form, such as before rounding: also compare how well both predict --text. It is read as it is; --max-context
    /// and --kv-cache are those of --model, which may be the same
    #[arg(long, value_name = "DIR", requires_all = ["model", "text"])]
    against: Option<PathBuf>,
    /// Text file for --against
    #[arg(long, value_name = "FILE", requires = "against")]
    text: Option<PathBuf>,
    /// Most tokens of the text
    #[arg(long, value_name = "N", value_parser = counted, default_value_t = 2000, requires = "against")]
    max_tokens: usize,
    #[command(flatten)]
    _backend: NoBackend,
    /// List the supported architectures (model_type and class) instead of describing a model
    #[arg(long, conflicts_with = "model")]
    architectures: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &InfoArgs) -> Result<()> {
    let Some(model) = &args.model else {
        return print_architectures(args.json);
    };
    let source = FolderSource::new(model)?;
    let mut info = pollster::block_on(gather(&source, args)).map_err(|error| source.named(error))?;
    if let (Some(other), Some(text)) = (&args.against, &args.text) {
        let options = LoadOptions {
            backend: BackendChoice::Cpu,
            max_context: args.max_context,
            kv_cache: args.kv_cache.dtype(),
            ..LoadOptions::default()
        };
        let compared = compare(model, &options, other, text, args.max_tokens)?;
        let [ours, others] = compared.bits_per_byte;
        info["compared"] = json!({
            "against": other.display().to_string(), "tokens": compared.tokens, "bytes": compared.bytes,
            "bits_per_byte": rounded(ours), "bits_per_byte_against": rounded(others),
            "top1_agreement": rounded(compared.top1_agreement), "divergence_bits": rounded(compared.divergence),
        });
    }
    if args.json {
        return print_line(&info.to_string());
    }
    print_line(&format!("model: {}", model.display()))?;
    info.as_object()
        .into_iter()
        .flatten()
        .try_for_each(|(key, value)| print_value("", key, value))
}

/// `model_type: class` of every architecture.
fn print_architectures(as_json: bool) -> Result<()> {
    let all = Architecture::ALL.iter();
    let pairs = all.map(|architecture| (architecture.model_type(), architecture.class_name()));
    if as_json {
        let object: serde_json::Map<_, _> = pairs.map(|(kind, class)| (kind.to_owned(), json!(class))).collect();
        return print_line(&Value::Object(object).to_string());
    }
    for (kind, class) in pairs {
        print_line(&format!("{kind}: {class}"))?;
    }
    Ok(())
}

async fn gather(source: &FolderSource, args: &InfoArgs) -> Result<Value> {
    let config = checkpoint::read_config_within(source, args.max_context, args.kv_cache.dtype()).await?;
    let generation = checkpoint::read_generation_defaults(source, &config).await?;
    let weights = checkpoint::summarize(source, "", &config).await?;
    let tokenizer = match checkpoint::read_tokenizer(source, &config).await? {
        Some(tokenizer) => json!({ "tokens": Tokenizer::len(&tokenizer) }),
        None => Value::Null,
    };
    let mut steps = Vec::new();
    for step in source.steps()? {
        let summary = checkpoint::summarize(source, &format!("step{step}/"), &config).await?;
        steps.push(json!({ "step": step, "tensors": tensors(&summary) }));
    }
    let manifest = checkpoint::read_manifest(source).await?.map(|manifest| {
        json!({ "files": manifest.files.len(), "steps": manifest.steps, "dense_twin": manifest.dense_twin,
            "features": manifest.features })
    });
    Ok(json!({
        "config": describe(&config),
        "generation": {
            "temperature": generation.temperature.and_then(short), "top_k": generation.top_k,
            "top_p": generation.top_p.and_then(short),
            "repetition_penalty": generation.repetition_penalty.and_then(short), "eos_token_ids": generation.eos_token_ids,
            "max_new_tokens": generation.max_new_tokens,
        },
        "parameters": weights.parameters,
        "tensors": tensors(&weights),
        "memory": {
            "weights_on_cpu": weights.cpu_bytes,
            "weights_on_gpu": weights.gpu_bytes,
            "keys_and_values_per_token": config.position_bytes() * config.n_layers,
            "keys_and_values": config.position_bytes() * config.n_layers * config.n_ctx,
        },
        "tokenizer": tokenizer,
        "checkpoints": steps,
        "manifest": manifest,
    }))
}

fn tensors(summary: &Summary) -> Value {
    json!({ "count": summary.tensors, "files": summary.files, "bytes": summary.bytes, "dtypes": summary.dtypes })
}

fn describe(config: &Config) -> Value {
    let windows: Vec<_> = (0..config.n_layers).map(|layer| config.window(layer)).collect();
    json!({
        "architecture": config.architecture.class_name(),
        "d_vocab": config.d_vocab,
        "d_model": config.d_model,
        "n_layers": config.n_layers,
        "n_heads": config.n_heads,
        "n_kv_heads": config.n_kv_heads,
        "d_head": config.d_head,
        "d_mlp": config.d_mlp,
        "n_ctx": config.n_ctx,
        "norm": config.norm.name(),
        "norm_eps": short(config.norm_eps),
        "post_norms": config.post_norms,
        "qk_norm": config.qk_norm,
        "positions": config.positions.name(),
        "rope": config.rope().map(describe_rope),
        "windows": config.windows.iter().any(Option::is_some).then_some(windows),
        "attn_scale": short(config.attn_scale),
        "attn_scale_by_layer": config.attn_scale_by_layer,
        "attn_softcap": config.attn_softcap.and_then(short),
        "logit_softcap": config.logit_softcap.and_then(short),
        "embed_scale": short(config.embed_scale),
        "activation": config.mlp.activation.name(),
        "gated_mlp": config.mlp.gated,
        "parallel_residual": config.residual == Residual::Parallel,
        "tie_word_embeddings": config.tie_word_embeddings,
        "attention_bias": config.biases.qkv,
        "attention_out_bias": config.biases.attn_out,
        "mlp_bias": config.biases.mlp_in,
        "topk_k": config.topk.map(|topk| topk.k),
        "topk_select": config.topk.map(|topk| topk.select),
        "topk_post": config.topk.map(|topk| topk.post),
        "n_nontopk": config.n_nontopk,
        "bos_token_id": config.bos_token_id,
        "eos_token_ids": config.eos_token_ids,
    })
}

fn describe_rope(rope: &Rope) -> Value {
    let mut all = json!({ "theta": rope.theta, "type": "default", "dims": rope.dims, "local_theta": rope.local_theta });
    match rope.scaling {
        RopeScaling::None => {}
        RopeScaling::Linear { factor } => {
            all["type"] = json!("linear");
            all["factor"] = json!(factor);
        }
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_position_embeddings,
        } => {
            all["type"] = json!("llama3");
            all["factor"] = json!(factor);
            all["low_freq_factor"] = json!(low_freq_factor);
            all["high_freq_factor"] = json!(high_freq_factor);
            all["original_max_position_embeddings"] = json!(original_max_position_embeddings);
        }
    }
    all
}

/// To six decimals.
fn rounded(x: f64) -> f64 {
    (x * 1e6).round() / 1e6
}

/// An f32 in the shortest decimal form that is it.
fn short(x: f32) -> Option<f64> {
    x.to_string().parse().ok()
}

/// `key: value`, the fields of an object indented below it.
fn print_value(indent: &str, key: &str, value: &Value) -> Result<()> {
    match value {
        Value::Object(fields) => {
            print_line(&format!("{indent}{key}:"))?;
            let indent = format!("{indent}  ");
            fields
                .iter()
                .try_for_each(|(key, value)| print_value(&indent, key, value))
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            print_line(&format!("{indent}{key}:"))?;
            list.iter()
                .try_for_each(|item| print_line(&format!("{indent}  {item}")))
        }
        Value::String(text) => print_line(&format!("{indent}{key}: {text}")),
        Value::Null => print_line(&format!("{indent}{key}: none")),
        other => print_line(&format!("{indent}{key}: {other}")),
    }
}
