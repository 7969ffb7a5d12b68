//! Between Rust and JavaScript: options in, arrays and plain objects out.

use std::collections::BTreeMap;

use js_sys::{Array as JsArray, BigInt, Float32Array, Object, Reflect, Uint32Array};
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;

use crate::edits::Edit;
use crate::error::{Code, Error, Result};
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

/// Options as `js/src/arguments.ts` gives them: always an object, its names and choices checked.
pub fn options<T: DeserializeOwned>(value: JsValue) -> Result<T> {
    serde_wasm_bindgen::from_value(value)
        .map_err(|error| Error::new(Code::Argument, format!("options: {}", said(&error))))
}

/// What serde says, without JavaScript's own prefix.
fn said(error: &serde_wasm_bindgen::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("Error: ").unwrap_or(&text).to_owned()
}

/// A list of edits, or none; what is wrong with one names its place in the list.
pub fn edits(value: &JsValue) -> Result<Vec<Edit>> {
    let mut edits = Vec::new();
    let Some(list) = value.dyn_ref::<JsArray>() else {
        return Ok(edits);
    };
    for (number, edit) in list.iter().enumerate() {
        edits.push(
            serde_wasm_bindgen::from_value(edit)
                .map_err(|error| Error::new(Code::Edit, format!("edit {number}: {}", said(&error))))?,
        );
    }
    Ok(edits)
}

/// The edits among the options of a call.
pub fn edits_of(options: &JsValue) -> Result<Vec<Edit>> {
    edits(&Reflect::get(options, &"edits".into()).unwrap_or_default())
}

/// A seed, a BigInt of 64 bits, if there is one.
pub fn seed(value: JsValue) -> Option<u64> {
    u64::try_from(value).ok()
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

/// Lists the non-zero entries of a matrix; gives its width.
fn list_active(array: &Array, active: &mut ActiveRows) -> usize {
    let width = array.shape.get(1).copied().unwrap_or(1).max(1);
    active.clear();
    array.data.chunks_exact(width).for_each(|row| active.push_row(row));
    width
}

/// `{ shape, rowStart, indices, values }`: the non-zero entries of a matrix, row by row.
fn rows(array: &Array) -> JsValue {
    let mut active = ActiveRows::default();
    list_active(array, &mut active);
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

/// `{ first, words, text, names, finish }`: steps in one array, since each array, each object and each text takes its time on the way to the page;
/// `stepsOf` in `js/src/generation.ts` reads it. `first` is the number of the first, `names` those of their hooks.
pub fn generated(generated: &Generated) -> Object {
    let (mut words, mut text, mut active) = (Vec::new(), String::new(), ActiveRows::default());
    for step in &generated.steps {
        text.push_str(&step.text);
        pack(step, &mut words, &mut active);
    }
    let first = generated.steps.first();
    let names: JsArray = first
        .into_iter()
        .flat_map(|step| step.hooks.keys())
        .map(JsValue::from)
        .collect();
    let finish = generated.finish.map_or(JsValue::NULL, |finish| finish.name().into());
    let result = Object::new();
    for (key, value) in [
        ("first", (first.map_or(0, |step| step.index) as f64).into()),
        ("words", Uint32Array::from(&words[..]).into()),
        ("text", text.into()),
        ("names", names.into()),
        ("finish", finish),
    ] {
        set(&result, key, &value);
    }
    result
}

/// A step: its token, the bits of the log-probability, how many UTF-16 units its text has; how many likely tokens are listed, these, the bits
/// of their log-probabilities; how many swaps, of each the layer, the position, how many neurons were evicted and admitted, these. Of each hook,
/// by name: 0, the width, 0, how many neurons are active, their indices, their values; or the number of dimensions, these, the numbers.
fn pack(step: &StepReport, words: &mut Vec<u32>, active: &mut ActiveRows) {
    let units = step.text.encode_utf16().count();
    words.extend([
        step.id,
        step.logprob.to_bits(),
        units as u32,
        step.top_logprobs.len() as u32,
    ]);
    words.extend(step.top_logprobs.iter().map(|(id, _)| id));
    words.extend(step.top_logprobs.iter().map(|(_, logprob)| logprob.to_bits()));
    words.push(step.swaps.len() as u32);
    for swap in &step.swaps {
        let counts = [swap.layer, swap.position, swap.evicted.len(), swap.admitted.len()];
        words.extend(counts.map(|count| count as u32));
        words.extend_from_slice(&swap.evicted);
        words.extend_from_slice(&swap.admitted);
    }
    for (name, value) in &step.hooks {
        if is_active(name) {
            let width = list_active(value, active);
            words.extend([0, width as u32, 0, active.indices.len() as u32]);
            words.extend_from_slice(&active.indices);
            words.extend_from_slice(bytemuck::cast_slice(&active.values));
        } else {
            words.push(value.shape.len() as u32);
            words.extend(value.shape.iter().map(|size| *size as u32));
            words.extend_from_slice(bytemuck::cast_slice(&value.data));
        }
    }
}
