//! `WasmModel`.

use std::rc::Rc;

use js_sys::{Float32Array, Function, Uint32Array};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use super::convert::{array, edits as edits_from, edits_of, hooks, object, options, swaps, thrown};
use super::source::JsSource;
use super::WasmCancel;
use crate::error::{Code, Error, Result};
use crate::exec::request::LogitRows;
use crate::numerics::team;
use crate::pace::Cancel;
use crate::session::{
    max_tokens, BackendChoice, BackendKind, CacheDtype, KeptAs, LoadOptions, Model, RunOptions, SaeOptions,
    SamplingOptions, Setting,
};

pub(super) type JsResult<T> = std::result::Result<T, JsValue>;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LoadArguments {
    backend: Option<String>,
    max_context: Option<usize>,
    dtype: Option<String>,
    kv_cache: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RunArguments {
    hooks: Vec<String>,
    prompt_length: Option<usize>,
    logits: Option<String>,
}

#[derive(Serialize)]
struct GenerationInfo {
    temperature: f32,
    top_k: usize,
    top_p: f32,
    repetition_penalty: f32,
    max_new_tokens: usize,
}

#[derive(Serialize)]
struct Backend {
    kind: &'static str,
    adapter: Option<String>,
    reason: String,
    threads: usize,
}

#[derive(Serialize)]
struct Info {
    architecture: &'static str,
    d_vocab: usize,
    d_model: usize,
    n_layers: usize,
    n_heads: usize,
    n_kv_heads: usize,
    d_head: usize,
    d_mlp: usize,
    n_ctx: usize,
    topk_k: Option<usize>,
    n_nontopk: usize,
    topk_select: crate::numerics::order::Select,
    topk_post: crate::numerics::order::Post,
    bos_token_id: Option<u32>,
    eos_token_ids: Vec<u32>,
    tie_word_embeddings: bool,
    norm_eps: f32,
    rope_theta: Option<f64>,
    n_parameters: u64,
    has_tokenizer: bool,
    generation: GenerationInfo,
    backend: Backend,
}

/// A loaded model.
#[wasm_bindgen]
pub struct WasmModel {
    pub(super) model: Rc<Model>,
}

#[wasm_bindgen]
impl WasmModel {
    /// Loads from `source` (see `source.rs`); `progress(bytesDone, bytesTotal)` counts bytes of weights. `team` starts the threads that compute
    /// beside this one, if the model runs on the CPU; see `numerics/team.rs`.
    pub async fn load(
        source: JsValue,
        load_options: JsValue,
        progress: Option<Function>,
        cancel: &WasmCancel,
        team: Option<Function>,
    ) -> JsResult<WasmModel> {
        let cancel = cancel.0.clone();
        team::expect(team);
        load(source, load_options, progress, cancel).await.map_err(thrown)
    }

    /// Configuration, defaults and backend.
    pub fn info(&self) -> JsResult<JsValue> {
        let (model, config, defaults, backend) = (
            &self.model,
            self.model.config(),
            self.model.defaults(),
            self.model.backend(),
        );
        let sampling = SamplingOptions::default().resolve(defaults, 0);
        let topk = config.topk.unwrap_or(crate::config::TopK {
            k: 0,
            select: Default::default(),
            post: Default::default(),
        });
        let info = Info {
            architecture: config.architecture.class_name(),
            d_vocab: config.d_vocab,
            d_model: config.d_model,
            n_layers: config.n_layers,
            n_heads: config.n_heads,
            n_kv_heads: config.n_kv_heads,
            d_head: config.d_head,
            d_mlp: config.d_mlp,
            n_ctx: config.n_ctx,
            topk_k: config.topk.map(|topk| topk.k),
            n_nontopk: config.n_nontopk,
            topk_select: topk.select,
            topk_post: topk.post,
            bos_token_id: config.bos_token_id,
            eos_token_ids: model.eos_token_ids().to_vec(),
            tie_word_embeddings: config.tie_word_embeddings,
            norm_eps: config.norm_eps,
            rope_theta: config.rope().map(|rope| rope.theta),
            n_parameters: config.n_parameters(),
            has_tokenizer: model.has_tokenizer(),
            generation: GenerationInfo {
                temperature: sampling.temperature,
                top_k: sampling.top_k,
                top_p: sampling.top_p,
                repetition_penalty: sampling.repetition_penalty,
                max_new_tokens: max_tokens(None, defaults),
            },
            backend: Backend {
                kind: backend.kind.name(),
                adapter: backend.adapter.clone(),
                reason: backend.reason.clone(),
                threads: match backend.kind {
                    BackendKind::Cpu => team::threads(),
                    _ => 1,
                },
            },
        };
        info.serialize(&serde_wasm_bindgen::Serializer::json_compatible())
            .map_err(|error| thrown(Error::new(Code::Argument, error.to_string())))
    }

    /// Ids of a text, as the tokenizer's post-processor says; an empty text is BOS. `split`: special tokens that are written out in it are text.
    pub fn encode(&self, text: &str, split: bool) -> JsResult<Vec<u32>> {
        let ids = match split {
            true => self.model.encode_split(text),
            false => self.model.encode_prompt(text),
        };
        ids.map_err(thrown)
    }

    /// Text of ids.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> JsResult<String> {
        self.model
            .tokenizer()
            .and_then(|tokenizer| tokenizer.decode(ids, skip_special))
            .map_err(thrown)
    }

    /// Text of each id alone, for showing tokens.
    pub fn tokens(&self, ids: &[u32]) -> JsResult<Vec<String>> {
        self.model
            .tokenizer()
            .and_then(|tokenizer| tokenizer.tokens(ids))
            .map_err(thrown)
    }

    /// One forward pass; see `js/src/types.ts` for options and result.
    pub async fn run(&self, ids: Vec<u32>, run_options: JsValue, cancel: &WasmCancel) -> JsResult<JsValue> {
        let (model, cancel) = (self.model.clone(), cancel.0.clone());
        run(&model, &ids, run_options, &cancel).await.map_err(thrown)
    }

    /// Logits as if each of `layers` were the last: `{ data, shape: [layers, T, d_vocab] }`.
    pub async fn logit_lens(
        &self,
        ids: Vec<u32>,
        layers: Option<Vec<u32>>,
        edits: JsValue,
        cancel: &WasmCancel,
    ) -> JsResult<JsValue> {
        let (model, cancel) = (self.model.clone(), cancel.0.clone());
        let layers: Option<Vec<usize>> = layers.map(|layers| layers.into_iter().map(|layer| layer as usize).collect());
        let edits = edits_from(&edits).map_err(thrown)?;
        model
            .logit_lens(&ids, layers.as_deref(), &edits, &cancel)
            .await
            .map(|lens| array(&lens))
            .map_err(thrown)
    }

    /// The exact effect of every active neuron of the last position on `target`'s logit; or, where neurons are given (layer, index, value, layer, …),
    /// of setting each of these.
    pub async fn ablate(
        &self,
        ids: Vec<u32>,
        target: u32,
        edits: JsValue,
        cancel: &WasmCancel,
        progress: Option<Function>,
        neurons: Option<Vec<f32>>,
    ) -> JsResult<JsValue> {
        let (model, cancel) = (self.model.clone(), cancel.0.clone());
        let edits = edits_from(&edits).map_err(thrown)?;
        let mut heard = |done: usize, total: usize| call(progress.as_ref(), done as f64, total as f64);
        let setting = |one: &[f32]| Setting {
            layer: one[0] as usize,
            index: one[1] as usize,
            value: one[2],
        };
        let neurons: Option<Vec<Setting>> = neurons.map(|all| all.chunks_exact(3).map(setting).collect());
        let ablation = model
            .effects(&ids, target, neurons.as_deref(), &edits, &cancel, &mut heard)
            .await
            .map_err(thrown)?;
        Ok(object([
            ("logit", ablation.logit.into()),
            ("layers", Uint32Array::from(&ablation.layers[..]).into()),
            ("indices", Uint32Array::from(&ablation.indices[..]).into()),
            ("values", Float32Array::from(&ablation.values[..]).into()),
            ("effects", Float32Array::from(&ablation.effects[..]).into()),
        ]))
    }

    /// Swaps in the weights of a training checkpoint, whose files `source` gives as those of a model folder.
    pub async fn load_checkpoint(
        &self,
        source: JsValue,
        cancel: &WasmCancel,
        progress: Option<Function>,
    ) -> JsResult<()> {
        let (model, cancel) = (self.model.clone(), cancel.0.clone());
        let source = JsSource::new(source).map_err(thrown)?;
        let mut heard = |done: u64, total: u64| call(progress.as_ref(), done as f64, total as f64);
        model
            .load_checkpoint(&source, "", &cancel, &mut heard)
            .await
            .map_err(thrown)
    }

    /// Attaches a sparse autoencoder whose two files `source` gives; `{ hook, kind, dIn, dSae, errorTerm }`.
    pub async fn attach_sae(
        &self,
        source: JsValue,
        hook: Option<String>,
        error_term: bool,
        cancel: &WasmCancel,
    ) -> JsResult<JsValue> {
        let (model, cancel) = (self.model.clone(), cancel.0.clone());
        let source = JsSource::new(source).map_err(thrown)?;
        let options = SaeOptions { hook, error_term };
        let sae = model
            .attach_sae_unless(&source, &options, &cancel)
            .await
            .map_err(thrown)?;
        Ok(object([
            ("hook", sae.hook.as_str().into()),
            ("kind", sae.kind.name().into()),
            ("dIn", (sae.d_in as f64).into()),
            ("dSae", (sae.d_sae as f64).into()),
            ("errorTerm", sae.error_term.into()),
        ]))
    }

    /// Takes all autoencoders out again.
    pub async fn detach_saes(&self) -> JsResult<()> {
        self.model.clone().detach_saes().await.map_err(thrown)
    }

    /// `{ baseLoss, splicedLoss, tokens, saes: [{ hook, fvu, mse, l0 }] }` over a text.
    pub async fn sae_quality(&self, ids: Vec<u32>, cancel: &WasmCancel) -> JsResult<JsValue> {
        let (model, cancel) = (self.model.clone(), cancel.0.clone());
        let quality = model.sae_quality(&ids, &cancel).await.map_err(thrown)?;
        let saes = quality.saes.iter().map(|sae| {
            object([
                ("hook", sae.hook.as_str().into()),
                ("fvu", sae.fvu().into()),
                ("mse", sae.mse().into()),
                ("l0", sae.l0().into()),
            ])
        });
        Ok(object([
            ("baseLoss", quality.base_loss.into()),
            ("splicedLoss", quality.spliced_loss.into()),
            ("tokens", (quality.tokens as f64).into()),
            ("saes", saes.collect::<js_sys::Array>().into()),
        ]))
    }

    /// Live GPU buffers and their bytes.
    pub fn memory(&self) -> JsValue {
        let (buffers, bytes) = self.model.memory();
        object([("buffers", (buffers as f64).into()), ("bytes", (bytes as f64).into())])
    }

    /// Frees weights and caches now; later calls fail with code `disposed`.
    pub fn dispose(&self) {
        self.model.dispose();
        team::disband();
    }
}

fn call(function: Option<&Function>, done: f64, total: f64) {
    if let Some(function) = function {
        // What a listener throws is its own affair.
        let _ = function.call2(&JsValue::NULL, &done.into(), &total.into());
    }
}

async fn load(source: JsValue, load_options: JsValue, progress: Option<Function>, cancel: Cancel) -> Result<WasmModel> {
    let arguments: LoadArguments = options(load_options)?;
    let choice = match arguments.backend.as_deref() {
        Some("webgpu") => BackendChoice::Gpu,
        Some("cpu") => BackendChoice::Cpu,
        _ => BackendChoice::Auto,
    };
    let dtype = match arguments.dtype.as_deref() {
        Some("f16") => KeptAs::F16,
        _ => KeptAs::Stored,
    };
    let kv_cache = match arguments.kv_cache.as_deref() {
        Some("f16") => CacheDtype::F16,
        _ => CacheDtype::F32,
    };
    let source = JsSource::new(source)?;
    let mut heard = |done: u64, total: u64| call(progress.as_ref(), done as f64, total as f64);
    let load_options = LoadOptions {
        backend: choice,
        max_context: arguments.max_context,
        dtype,
        kv_cache,
        ..LoadOptions::default()
    };
    let model = Model::load_with(&source, &load_options, &cancel, &mut heard).await?;
    Ok(WasmModel { model: Rc::new(model) })
}

async fn run(model: &Model, ids: &[u32], run_options: JsValue, cancel: &Cancel) -> Result<JsValue> {
    let edits = edits_of(&run_options)?;
    let arguments: RunArguments = options(run_options)?;
    let logits = match arguments.logits.as_deref() {
        Some("none") => LogitRows::None,
        Some("all") => LogitRows::All,
        _ => LogitRows::Last,
    };
    let run_options = RunOptions {
        hooks: arguments.hooks,
        edits,
        prompt_length: arguments.prompt_length,
        logits,
        swaps: true,
    };
    let output = model.run(ids, &run_options, cancel).await?;
    let (evicted, admitted) = swaps(&output.swaps);
    let logits = if logits == LogitRows::None {
        JsValue::NULL
    } else {
        array(&output.logits)
    };
    Ok(object([
        ("logits", logits),
        ("hooks", hooks(&output.hooks)),
        ("evicted", evicted),
        ("admitted", admitted),
    ]))
}
