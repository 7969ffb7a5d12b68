//! An autoencoder's folder.

use pollster::block_on;
use topk_lm::checkpoint::{self, safetensors_bytes, MemorySource, OutputTensor};

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
    let files = [file_of, in_8bit()];
    Target {
        name: "sae",
        make: Box::new(move |rng| {
            let cfg = if rng.one_in(2) {
                wrong(rng, &small, &words)
            } else {
                rng.of(&small).to_string().into_bytes()
            };
            let file = rng.of(&files).clone();
            let weights = if rng.one_in(2) {
                reheaded(rng, &file, &words)
            } else {
                file
            };
            vec![("cfg.json".into(), cfg), ("sae_weights.safetensors".into(), weights)]
        }),
        run: Box::new(|input| {
            block_on(checkpoint::read_sae(&MemorySource::new(input.clone()), None))?;
            Ok(())
        }),
    }
}

/// The same tensors, its matrices in 8 bits beside their scales.
fn in_8bit() -> Vec<u8> {
    let (numbers, eight) = ([0.5f32; 6], vec![3u8; 24]);
    let matrix = |name: &str, shape: &[usize]| OutputTensor {
        name: name.to_owned(),
        dtype: "I8",
        shape: shape.to_vec(),
        data: eight.clone().into(),
    };
    let vector = |name, length: usize| OutputTensor::f32(name, &[length], &numbers[..length]);
    let tensors = [
        matrix("W_dec", &[6, 4]),
        vector("W_dec.scale", 6),
        matrix("W_enc", &[4, 6]),
        vector("W_enc.scale", 4),
        vector("b_dec", 4),
        vector("b_enc", 6),
        vector("threshold", 6),
    ];
    safetensors_bytes(&tensors).unwrap()
}
