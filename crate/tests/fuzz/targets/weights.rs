//! A model's weights: one file, or an index and shards.

use pollster::block_on;
use serde_json::json;
use topk_lm::checkpoint::{self, MemorySource};
use topk_lm::ops::weights::CpuWeights;

use super::{reheaded, words_of, wrong, Target};
use crate::common::tiny::{self, safetensors, Shape};
use crate::mutate;

pub fn target() -> Target {
    let (first, second) = tiny::SHAPES.split_at(7);
    let whole = safetensors(&tiny::SHAPES);
    let shards = [safetensors(first), safetensors(second)];
    let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let place = |shapes: &[Shape], file: &str| {
        shapes
            .iter()
            .map(|(name, _)| (name.to_string(), json!(file)))
            .collect::<Vec<_>>()
    };
    let map: serde_json::Map<_, _> = place(first, names[0])
        .into_iter()
        .chain(place(second, names[1]))
        .collect();
    let index = vec![json!({"metadata": {"total_size": 1}, "weight_map": map})];
    let mut words = words_of(&index);
    words.extend(
        [
            "F16",
            "BF16",
            "I8",
            "F32",
            "F64",
            "dtype",
            "shape",
            "data_offsets",
            "__metadata__",
        ]
        .map(String::from),
    );
    let config = tiny::config().to_string().into_bytes();
    Target {
        name: "weights",
        make: Box::new(move |rng| {
            let mut input = vec![("config.json".to_owned(), config.clone())];
            if rng.one_in(2) {
                let mut bytes = if rng.one_in(4) {
                    whole.clone()
                } else {
                    reheaded(rng, &whole, &words)
                };
                if rng.one_in(4) {
                    mutate::bytes(rng, &mut bytes);
                }
                input.push(("model.safetensors".into(), bytes));
            } else {
                let changed = rng.below(3);
                let right = index[0].to_string().into_bytes();
                input.push((
                    "model.safetensors.index.json".into(),
                    if changed == 0 {
                        wrong(rng, &index, &words)
                    } else {
                        right
                    },
                ));
                for (number, shard) in shards.iter().enumerate() {
                    let bytes = if changed == number + 1 {
                        reheaded(rng, shard, &words)
                    } else {
                        shard.clone()
                    };
                    input.push((names[number].into(), bytes));
                }
            }
            input
        }),
        run: Box::new(|input| {
            let source = MemorySource::new(input.clone());
            let config = block_on(checkpoint::read_config(&source))?;
            block_on(checkpoint::load_weights(
                &source,
                "",
                &config,
                topk_lm::weights::KeptAs::Stored,
                &mut CpuWeights::default(),
                &mut |_, _| {},
            ))?;
            block_on(checkpoint::summarize(&source, "", &config))?;
            Ok(())
        }),
    }
}
