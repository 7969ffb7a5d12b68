//! Every number of a record that comes from counting, against a recomputation from `Model::run`'s hooks.

use std::collections::BTreeMap;

use serde_json::Value;
use topk_lm::checkpoint::FolderSource;
use topk_lm::edits::EditTable;
use topk_lm::features::statistics::{count, entropy};
use topk_lm::offline::OfflineModel;
use topk_lm::ops::buffers::HIDDEN;
use topk_lm::ops::def::{Point, Rows};
use topk_lm::pace::Cancel;
use topk_lm::session::{BackendChoice, RunOptions};

use crate::common::{ids, json, load};
use crate::{analyze, documents, folder, golden, record, succeeds};

/// One activation: value, document, position, token, the one that follows.
type Active = (f32, usize, usize, u32, Option<u32>);

/// To four significant digits.
fn near(found: &Value, expected: f64) {
    let found = found
        .as_f64()
        .unwrap_or_else(|| panic!("{found} instead of {expected}"));
    assert!(
        (found - expected).abs() <= 5.1e-4 * expected.abs() + 1e-9,
        "{found} instead of {expected}"
    );
}

/// All activations of every neuron at the positions that count, and how many of those there are.
fn by_hooks(name: &str, layers: &[usize]) -> (BTreeMap<(usize, usize), Vec<Active>>, usize) {
    let model = load(&golden(name), BackendChoice::Cpu).unwrap();
    let hooks: Vec<String> = layers
        .iter()
        .map(|layer| format!("blocks.{layer}.hook_resid_post"))
        .collect();
    let options = RunOptions {
        hooks: hooks.clone(),
        ..RunOptions::default()
    };
    let mut special = model.eos_token_ids().to_vec();
    special.extend(model.config().bos_token_id);
    let (mut active, mut positions) = (BTreeMap::<_, Vec<Active>>::new(), 0);
    for (number, document) in documents(model.config().n_ctx).iter().enumerate() {
        let output = pollster::block_on(model.run(document, &options, &Cancel::default())).unwrap();
        for position in (1..document.len()).filter(|position| !special.contains(&document[*position])) {
            positions += 1;
            for (layer, hook) in layers.iter().zip(&hooks) {
                let array = &output.hooks[hook];
                let d = array.shape[1];
                for (index, value) in array.data[position * d..][..d]
                    .iter()
                    .enumerate()
                    .filter(|(_, v)| **v != 0.0)
                {
                    let next = document.get(position + 1).copied();
                    let one = (*value, number, position, document[position], next);
                    active.entry((*layer, index)).or_default().push(one);
                }
            }
        }
    }
    (active, positions)
}

fn compare(name: &str, layers: &[usize], key: fn(f32) -> f32, tails: &[f32]) {
    let out = folder(&format!("features-counters-{name}"));
    succeeds(analyze(&golden(name), &out, &["--threads", "2"]));
    let (active, positions) = by_hooks(name, layers);
    let index = json(&out.join("index.json"));
    assert_eq!(index["corpus"]["positions"], positions);
    assert_eq!(index["corpus"]["documents"], 38); // 37, one of which is two windows
    let d_model = index["d_model"].as_u64().unwrap() as usize;
    let none = Vec::new();
    let column = |name: &str, place: usize| index["columns"][name][place].clone();
    for (at, layer) in layers.iter().enumerate() {
        for i in 0..d_model {
            let all = active.get(&(*layer, i)).unwrap_or(&none);
            let neuron = record(&out, *layer, i);
            let place = at * d_model + i;
            near(&neuron["density"], all.len() as f64 / positions as f64);
            assert_eq!(neuron["density"], column("density", place));
            let counts = neuron["histogram"]["counts"].as_array().unwrap();
            assert_eq!(counts.iter().filter_map(Value::as_u64).sum::<u64>(), all.len() as u64);
            if all.is_empty() {
                assert_eq!(neuron["label"], "dead");
                assert!(neuron["max"].is_null() && neuron["token_entropy"].is_null());
                continue;
            }
            near(
                &neuron["mean"],
                all.iter().map(|a| f64::from(key(a.0))).sum::<f64>() / all.len() as f64,
            );
            // The tail with the lower entropy of its hundred highest; the first at a tie.
            let ranked = |tail: f32| {
                let mut ranked = all.clone();
                ranked.sort_by(|a, b| {
                    let order = key(b.0 * tail).total_cmp(&key(a.0 * tail));
                    order.then((a.1, a.2).cmp(&(b.1, b.2)))
                });
                ranked.truncate(100);
                ranked
            };
            let tokens = |top: &[Active]| count(top.iter().map(|a| a.3));
            let (tail, top) = tails
                .iter()
                .map(|tail| (*tail, ranked(*tail)))
                .reduce(|a, b| {
                    if entropy(&tokens(&b.1)) < entropy(&tokens(&a.1)) {
                        b
                    } else {
                        a
                    }
                })
                .unwrap();
            if tails.len() > 1 {
                assert_eq!(neuron["tail"], tail as i64);
            }
            assert_eq!(neuron["n"], top.len());
            near(&neuron["max"], f64::from(top[0].0));
            near(&neuron["token_entropy"], entropy(&tokens(&top)));
            let following = count(top.iter().filter_map(|a| a.4));
            if following.is_empty() {
                assert!(neuron["next_entropy"].is_null());
            } else {
                near(&neuron["next_entropy"], entropy(&following));
            }
            let expected: Vec<Vec<u32>> = tokens(&top).iter().take(20).map(|(id, n)| vec![*id, *n]).collect();
            let found: Vec<Vec<u32>> = neuron["tokens"].as_array().unwrap().iter().map(ids).collect();
            assert_eq!(found, expected);
            examples(&neuron, &top, all, if tails.len() > 1 { 8 } else { 12 });
        }
    }
}

/// Examples are true quotations of the corpus and of the neuron's values.
fn examples(neuron: &Value, top: &[Active], all: &[Active], most: usize) {
    let shown = neuron["examples"]["top"].as_array().unwrap();
    let place = |example: &Value| {
        (
            example["doc"].as_u64().unwrap() as usize,
            example["pos"].as_u64().unwrap() as usize,
        )
    };
    let mut documents: Vec<usize> = top.iter().map(|a| a.1).collect();
    documents.sort_unstable();
    documents.dedup();
    let mut shown_documents: Vec<usize> = shown.iter().map(|example| place(example).0).collect();
    shown_documents.sort_unstable();
    shown_documents.dedup();
    assert_eq!(shown.len(), top.len().min(most));
    assert_eq!(shown_documents.len(), documents.len().min(most));
    assert_eq!(place(&shown[0]), (top[0].1, top[0].2));
    let parts = neuron["examples"]["quantiles"].as_array().unwrap();
    let quantiles = parts.iter().flat_map(|part| part["examples"].as_array().unwrap());
    for example in shown
        .iter()
        .chain(neuron["examples"]["random"].as_array().unwrap())
        .chain(quantiles)
    {
        let (document, position) = place(example);
        let one = all
            .iter()
            .find(|a| (a.1, a.2) == (document, position))
            .expect("an active position");
        near(&example["value"], f64::from(one.0));
        let at = position - example["start"].as_u64().unwrap() as usize;
        assert_eq!(ids(&example["ids"])[at], one.3);
        let acts = example["acts"].as_array().unwrap();
        let own = acts.iter().find(|act| act[0] == at).expect("its own value");
        near(&own[1], f64::from(one.0));
        for act in acts {
            let offset = act[0].as_u64().unwrap() as usize;
            let there = position + offset - at;
            if let Some(one) = all.iter().find(|a| (a.1, a.2) == (document, there)) {
                near(&act[1], f64::from(one.0));
            }
        }
        // Whatever is strong enough to be seen is there, nothing else; a value at the bound may fall to either side.
        let start = position - at;
        let least = if most == 8 { 0.25 } else { 0.05 } * f64::from(top[0].0).abs();
        for one in all.iter().filter(|a| a.1 == document && a.2 != position) {
            let value = f64::from(one.0).abs();
            if (start..start + ids(&example["ids"]).len()).contains(&one.2) && (value / least - 1.0).abs() > 1e-4 {
                let is_shown = acts.iter().any(|act| act[0] == one.2 - start);
                assert_eq!(is_shown, value > least, "{value} of {}", top[0].0);
            }
        }
    }
}

/// The path of the analysis is the engine's own: the stream is that of the hooks, bit for bit.
#[test]
fn the_stream_is_that_of_the_hooks() {
    for folder in crate::common::golden_models() {
        let model = load(&folder, BackendChoice::Cpu).unwrap();
        let offline = OfflineModel::load(FolderSource::new(&folder).unwrap(), "").unwrap();
        let config = model.config();
        let hooks: Vec<String> = (0..config.n_layers)
            .map(|layer| format!("blocks.{layer}.hook_resid_post"))
            .collect();
        let options = RunOptions {
            hooks: hooks.clone(),
            ..RunOptions::default()
        };
        let mut cache = offline.engine.new_cache();
        let edits = EditTable::default();
        for document in documents(config.n_ctx).iter().filter(|document| document.len() > 4) {
            let output = pollster::block_on(model.run(document, &options, &Cancel::default())).unwrap();
            let run = offline.engine.run(&mut cache, document, 0, Rows::Sequence, &edits);
            let mut run = run.unwrap();
            for (layer, hook) in hooks.iter().enumerate() {
                pollster::block_on(run.to(Point::end(layer))).unwrap();
                let dense = run.buffer(HIDDEN);
                assert!(dense == output.hooks[hook].data, "{} layer {layer}", folder.display());
                if config.topk_at(layer).is_some() {
                    let zeros = dense.iter().filter(|value| **value == 0.0).count();
                    assert_eq!(run.pass().buffers.active.values.len() + zeros, dense.len());
                }
            }
        }
    }
}

#[test]
fn topk_by_value() {
    compare("llama-gqa", &[0, 1, 2], |v| v, &[1.0]);
}

#[test]
fn topk_by_magnitude() {
    compare("llama-abs", &crate::layers("llama-abs"), f32::abs, &[1.0]);
}

#[test]
fn gpt2() {
    compare("gpt2", &crate::layers("gpt2"), |v| v, &[1.0]);
}

#[test]
fn both_tails_of_a_dense_model() {
    compare(
        "llama-dense-bias",
        &crate::layers("llama-dense-bias"),
        |v| v,
        &[1.0, -1.0],
    );
}
