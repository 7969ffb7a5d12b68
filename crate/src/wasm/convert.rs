//! Between Rust and JavaScript: options in, arrays and plain objects out.

use std::collections::BTreeMap;

use js_sys::{Array as JsArray, BigInt, Float32Array, Object, Reflect, Uint32Array};
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;

use crate::edits::Edit;
use crate::error::{fail, Code, Error, Result};
use crate::hooks::Array;
use crate::ops::pass::ActiveRows;
use crate::session::{Generated, StepReport, Swap};

/// What JavaScript gets thrown: `{ code, message }`.
pub fn thrown(error: Error) -> JsValue {
    object([
        ("code", error.code().name().into()),
        ("message", error.to_string().into()),
    ])
}

/// A plain object.
pub fn object<const N: usize>(entries: [(&str, JsValue); N]) -> JsValue {
    let object = Object::new();
    for (key, value) in entries {
        set(&object, key, &value);
    }
    object.into()
}

pub fn set(object: &Object, key: &str, value: &JsValue) {
    // Setting a property of a plain object of our own does not fail.
    let _ = Reflect::set(object, &key.into(), value);
}

/// Options as JavaScript gives them; `name` is the argument's, for the error.
pub fn options<T: DeserializeOwned + Default>(name: &str, value: JsValue) -> Result<T> {
    if value.is_undefined() || value.is_null() {
        return Ok(T::default());
    }
    serde_wasm_bindgen::from_value(value)
        .map_err(|error| Error::new(Code::Argument, format!("{name}: {}", said(&error))))
}

/// What serde says, without JavaScript's own prefix.
fn said(error: &serde_wasm_bindgen::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("Error: ").unwrap_or(&text).to_owned()
}

/// A list of edits; what is wrong with one names its place in the list.
pub fn edits(value: &JsValue) -> Result<Vec<Edit>> {
    if value.is_undefined() || value.is_null() {
        return Ok(Vec::new());
    }
    let Some(list) = value.dyn_ref::<JsArray>() else {
        fail!(Edit, "edits must be a list")
    };
    let mut edits = Vec::new();
    for (number, edit) in list.iter().enumerate() {
        edits.push(serde_wasm_bindgen::from_value(edit).map_err(|error| {
            let text = said(&error);
            let text = if text.contains("Positions") {
                "positions must be 'all', 'prompt', 'generated' or {from, to}"
            } else {
                &text
            };
            Error::new(Code::Edit, format!("edit {number}: {text}"))
        })?);
    }
    Ok(edits)
}

/// The edits among the options of a call.
pub fn edits_of(options: &JsValue) -> Result<Vec<Edit>> {
    edits(&Reflect::get(options, &"edits".into()).unwrap_or_default())
}

/// A seed: a BigInt, or a whole number.
pub fn seed(value: &JsValue) -> Result<Option<u64>> {
    let wrong = || {
        Error::new(
            Code::Argument,
            "seed must be a BigInt or a whole number from 0 to 2^64 - 1",
        )
    };
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    if let Some(number) = value.as_f64() {
        let whole = number >= 0.0 && number.fract() == 0.0 && number <= 9_007_199_254_740_991.0;
        return if whole { Ok(Some(number as u64)) } else { Err(wrong()) };
    }
    u64::try_from(value.clone()).map(Some).map_err(|_| wrong())
}

pub fn big(value: u64) -> JsValue {
    BigInt::from(value).into()
}

fn shape(array: &Array) -> JsValue {
    array
        .shape
        .iter()
        .map(|n| JsValue::from(*n as f64))
        .collect::<JsArray>()
        .into()
}

/// `{ data: Float32Array, shape }`
pub fn array(array: &Array) -> JsValue {
    object([
        ("data", Float32Array::from(&array.data[..]).into()),
        ("shape", shape(array)),
    ])
}

/// Width and non-zero entries of a matrix.
fn active(array: &Array) -> (usize, ActiveRows) {
    let width = array.shape.get(1).copied().unwrap_or(1).max(1);
    let mut active = ActiveRows::default();
    active.clear();
    array.data.chunks_exact(width).for_each(|row| active.push_row(row));
    (width, active)
}

/// `{ shape, rowStart, indices, values }`: the non-zero entries of a matrix, row by row.
fn rows(array: &Array) -> JsValue {
    let (_, active) = active(array);
    let start: Vec<u32> = active.start.iter().map(|start| *start as u32).collect();
    object([
        ("shape", shape(array)),
        ("rowStart", Uint32Array::from(&start[..]).into()),
        ("indices", Uint32Array::from(&active.indices[..]).into()),
        ("values", Float32Array::from(&active.values[..]).into()),
    ])
}

/// Whether a hook comes as rows of active neurons.
fn is_active(name: &str) -> bool {
    name.ends_with(".hook_topk_out")
}

/// Hooks of a step in one array, since each array takes its time on the way to the page; `js/src/generation.ts` reads it. Of each, by name:
/// 0, the width, how many neurons are active, their indices, their values; or the number of dimensions, these, the numbers.
fn packed(hooks: &BTreeMap<String, Array>) -> JsValue {
    let mut words = Vec::new();
    for (name, value) in hooks {
        if is_active(name) {
            let (width, active) = active(value);
            words.extend([0, width as u32, active.indices.len() as u32]);
            words.extend_from_slice(&active.indices);
            words.extend_from_slice(bytemuck::cast_slice(&active.values));
        } else {
            words.push(value.shape.len() as u32);
            words.extend(value.shape.iter().map(|size| *size as u32));
            words.extend_from_slice(bytemuck::cast_slice(&value.data));
        }
    }
    Uint32Array::from(&words[..]).into()
}

/// Hooks by name.
pub fn hooks(hooks: &BTreeMap<String, Array>) -> JsValue {
    let result = Object::new();
    for (name, value) in hooks {
        let value = if is_active(name) { rows(value) } else { array(value) };
        set(&result, name, &value);
    }
    result.into()
}

/// What `topk_in` edits changed, as two lists of `{ layer, position, indices }`.
pub fn swaps(swaps: &[Swap]) -> (JsValue, JsValue) {
    let list = |side: fn(&Swap) -> &[u32]| -> JsValue {
        swaps
            .iter()
            .filter(|swap| !side(swap).is_empty())
            .map(|swap| {
                object([
                    ("layer", (swap.layer as f64).into()),
                    ("position", (swap.position as f64).into()),
                    ("indices", Uint32Array::from(side(swap)).into()),
                ])
            })
            .collect::<JsArray>()
            .into()
    };
    (list(|swap| &swap.evicted), list(|swap| &swap.admitted))
}

/// What most steps have not is left out.
fn step(report: &StepReport) -> JsValue {
    let result = Object::new();
    set(&result, "index", &(report.index as f64).into());
    set(&result, "id", &report.id.into());
    set(&result, "text", &(&report.text).into());
    set(&result, "logprob", &report.logprob.into());
    if !report.swaps.is_empty() {
        let (evicted, admitted) = swaps(&report.swaps);
        set(&result, "evicted", &evicted);
        set(&result, "admitted", &admitted);
    }
    if !report.hooks.is_empty() {
        set(&result, "hooks", &packed(&report.hooks));
    }
    if !report.top_logprobs.is_empty() {
        let (ids, logprobs): (Vec<u32>, Vec<f32>) = report.top_logprobs.iter().copied().unzip();
        let top = object([
            ("ids", Uint32Array::from(&ids[..]).into()),
            ("logprobs", Float32Array::from(&logprobs[..]).into()),
        ]);
        set(&result, "topLogprobs", &top);
    }
    result.into()
}

/// `{ names, steps, finish }`; the names of the hooks that are packed in each step.
pub fn generated(generated: &Generated) -> Object {
    let steps: JsArray = generated.steps.iter().map(step).collect();
    let names = generated.steps.first().map(|step| step.hooks.keys());
    let names: JsArray = names.into_iter().flatten().map(JsValue::from).collect();
    let result = Object::new();
    set(&result, "names", &names);
    set(&result, "steps", &steps);
    set(
        &result,
        "finish",
        &generated.finish.map_or(JsValue::NULL, |finish| finish.name().into()),
    );
    result
}
