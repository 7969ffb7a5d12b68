//! `WasmGeneration` and `WasmGenerationBatch`.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Reflect, Uint32Array};
use serde::Deserialize;
use wasm_bindgen::prelude::*;

use super::convert::{big, edits_of, generated, options, seed, set, thrown};
use super::model::{JsResult, WasmModel};
use crate::error::{Code, Error, Result};
use crate::pace::Cancel;
use crate::session::{GenerateOptions, Generation, GenerationBatch, Model, SamplingOptions};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct GenerateArguments {
    max_tokens: Option<usize>,
    temperature: Option<f32>,
    top_k: Option<usize>,
    top_p: Option<f32>,
    repetition_penalty: Option<f32>,
    stop: Vec<String>,
    ignore_eos: bool,
    hooks: Vec<String>,
    top_logprobs: usize,
}

#[wasm_bindgen]
impl WasmModel {
    /// A generation; nothing is computed before its first `next()`.
    pub fn generate(&self, ids: Vec<u32>, generate_options: JsValue) -> JsResult<WasmGeneration> {
        generate(&self.model, &ids, generate_options).map_err(thrown)
    }

    /// Several generations side by side, each of `{ ids, options }`.
    pub fn generate_batch(&self, all: Vec<JsValue>) -> JsResult<WasmGenerationBatch> {
        generate_batch(&self.model, &all).map_err(thrown)
    }
}

/// A generation under way.
#[wasm_bindgen]
pub struct WasmGeneration {
    generation: Rc<RefCell<Option<Generation>>>,
    cancel: Cancel,
    seed: u64,
}

#[wasm_bindgen]
impl WasmGeneration {
    /// The seed in use, a BigInt.
    #[wasm_bindgen(getter)]
    pub fn seed(&self) -> JsValue {
        big(self.seed)
    }

    /// The next few steps, as `convert::generated` packs them. Calls must not overlap.
    pub async fn next(&self) -> JsResult<JsValue> {
        let (slot, cancel) = (self.generation.clone(), self.cancel.clone());
        let mut generation = taken(&slot)?;
        let steps = generation.next(&cancel).await.map_err(thrown)?;
        slot.replace(Some(generation));
        Ok(generated(&steps).into())
    }

    /// Ends it: a `next()` under way is rejected with code `aborted` at its next pause.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }
}

/// Several generations under way side by side.
#[wasm_bindgen]
pub struct WasmGenerationBatch {
    batch: Rc<RefCell<Option<GenerationBatch>>>,
    cancel: Cancel,
    seeds: Vec<u64>,
}

#[wasm_bindgen]
impl WasmGenerationBatch {
    /// The seeds in use, BigInts.
    #[wasm_bindgen(getter)]
    pub fn seeds(&self) -> Vec<JsValue> {
        self.seeds.iter().map(|seed| big(*seed)).collect()
    }

    /// `[{ number, … }]`: the next few steps of some, packed likewise; none once all have ended. Calls must not overlap.
    pub async fn next(&self) -> JsResult<Vec<JsValue>> {
        let (slot, cancel) = (self.batch.clone(), self.cancel.clone());
        let mut batch = taken(&slot)?;
        let made = batch.next(&cancel).await.map_err(thrown)?;
        slot.replace(Some(batch));
        let told = made.iter().map(|(number, steps)| {
            let told = generated(steps);
            set(&told, "number", &(*number as f64).into());
            told.into()
        });
        Ok(told.collect())
    }

    /// Ends all: a `next()` under way is rejected with code `aborted` at its next pause.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }
}

/// What a `next()` works on, until it puts it back.
fn taken<T>(slot: &RefCell<Option<T>>) -> JsResult<T> {
    slot.borrow_mut().take().ok_or_else(|| {
        thrown(Error::new(
            Code::Argument,
            "next() was called while another next() of this generation was under way, or after it failed",
        ))
    })
}

/// The options of a generation.
fn options_from(generate_options: JsValue) -> Result<GenerateOptions> {
    // A seed has 64 bits, which only a BigInt carries: read it apart.
    let seed = Reflect::get(&generate_options, &"seed".into()).ok().and_then(seed);
    let edits = edits_of(&generate_options)?;
    let arguments: GenerateArguments = options(generate_options)?;
    Ok(GenerateOptions {
        max_tokens: arguments.max_tokens,
        sampling: SamplingOptions {
            temperature: arguments.temperature,
            top_k: arguments.top_k,
            top_p: arguments.top_p,
            repetition_penalty: arguments.repetition_penalty,
        },
        seed,
        stop: arguments.stop,
        ignore_eos: arguments.ignore_eos,
        edits,
        hooks: arguments.hooks,
        top_logprobs: arguments.top_logprobs,
        swaps: true,
    })
}

fn generate(model: &Model, ids: &[u32], generate_options: JsValue) -> Result<WasmGeneration> {
    let generation = model.generate(ids, &options_from(generate_options)?)?;
    Ok(WasmGeneration {
        seed: generation.seed(),
        generation: Rc::new(RefCell::new(Some(generation))),
        cancel: Cancel::default(),
    })
}

fn generate_batch(model: &Model, all: &[JsValue]) -> Result<WasmGenerationBatch> {
    let requests = all.iter().enumerate().map(|(number, request)| {
        let part = |name: &str| Reflect::get(request, &name.into()).unwrap_or_default();
        let options = options_from(part("options")).map_err(|error| error.at(format_args!("generation {number}")))?;
        Ok((Uint32Array::new(&part("ids")).to_vec(), options))
    });
    let batch = model.generate_batch(&requests.collect::<Result<Vec<_>>>()?)?;
    Ok(WasmGenerationBatch {
        seeds: batch.seeds().to_vec(),
        batch: Rc::new(RefCell::new(Some(batch))),
        cancel: Cancel::default(),
    })
}
