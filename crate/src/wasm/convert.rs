//! Between Rust and JavaScript: options in, arrays and plain objects out.

use std::collections::BTreeMap;

use js_sys::{Array as JsArray, BigInt, Float32Array, Object, Reflect, Uint32Array};
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;

use crate::edits::Edit;
use crate::error::{fail, Code, Error, Result};
use crate::hooks::Array;
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

/// `{ shape, rowStart, indices, values }`: the non-zero entries of a matrix, row by row.
fn rows(array: &Array) -> JsValue {
    let width = array.shape.get(1).copied().unwrap_or(1).max(1);
    let (mut start, mut indices, mut values) = (vec![0u32], Vec::new(), Vec::new());
    for row in array.data.chunks_exact(width) {
        for (index, value) in (0u32..).zip(row).filter(|(_, value)| **value != 0.0) {
            indices.push(index);
            values.push(*value);
        }
        start.push(indices.len() as u32);
    }
    object([
        ("shape", shape(array)),
        ("rowStart", Uint32Array::from(&start[..]).into()),
        ("indices", Uint32Array::from(&indices[..]).into()),
        ("values", Float32Array::from(&values[..]).into()),
    ])
}

/// Hooks by name; `hook_topk_out` as rows of active neurons.
pub fn hooks(hooks: &BTreeMap<String, Array>) -> JsValue {
    let result = Object::new();
    for (name, value) in hooks {
        let value = if name.ends_with(".hook_topk_out") {
            rows(value)
        } else {
            array(value)
        };
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

fn step(report: &StepReport) -> JsValue {
    let (evicted, admitted) = swaps(&report.swaps);
    let result = Object::new();
    set(&result, "index", &(report.index as f64).into());
    set(&result, "id", &report.id.into());
    set(&result, "text", &(&report.text).into());
    set(&result, "logprob", &report.logprob.into());
    set(&result, "evicted", &evicted);
    set(&result, "admitted", &admitted);
    set(&result, "hooks", &hooks(&report.hooks));
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

/// `{ steps, finish }`
pub fn generated(generated: &Generated) -> Object {
    let steps: JsArray = generated.steps.iter().map(step).collect();
    let result = Object::new();
    set(&result, "steps", &steps);
    set(
        &result,
        "finish",
        &generated.finish.map_or(JsValue::NULL, |finish| finish.name().into()),
    );
    result
}
