//! An autoencoder's folder.

use pollster::block_on;
use topk_lm::checkpoint::{self, MemorySource};

use super::{reheaded, seeds, words_of, wrong, Target};
use crate::common::tiny::safetensors;

pub fn target() -> Target {
    let seeds = seeds("tests/goldens/saes", "cfg.json");
    let mut small = seeds.clone();
    for cfg in &mut small {
        for (key, value) in [("d_in", 4), ("d_sae", 6)] {
            if let Some(size) = cfg.get_mut(key) {
                *size = value.into();
            }
        }
    }
    let words = words_of(&seeds);
    let file_of = safetensors(&[
        ("W_dec", &[6, 4]),
        ("W_enc", &[4, 6]),
        ("b_dec", &[4]),
        ("b_enc", &[6]),
        ("threshold", &[6]),
    ]);
    Target {
        name: "sae",
        make: Box::new(move |rng| {
            let cfg = if rng.one_in(2) {
                wrong(rng, &small, &words)
            } else {
                rng.of(&small).to_string().into_bytes()
            };
            let weights = if rng.one_in(2) {
                reheaded(rng, &file_of, &words)
            } else {
                file_of.clone()
            };
            vec![("cfg.json".into(), cfg), ("sae_weights.safetensors".into(), weights)]
        }),
        run: Box::new(|input| {
            block_on(checkpoint::read_sae(&MemorySource::new(input.clone()), None))?;
            Ok(())
        }),
    }
}
