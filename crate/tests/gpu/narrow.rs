//! Weights of 8 and 4 bits on the GPU give what the same numbers give on the CPU in f32.

use half::f16;
use pollster::block_on;
use topk_lm::config::Config;
use topk_lm::edits::EditTable;
use topk_lm::exec::request::{Batch, Capture, LogitRows};
use topk_lm::ops::buffers::HIDDEN;
use topk_lm::ops::def::{Point, Rows, Stage};
use topk_lm::ops::mlp_out::MLP_OUT;
use topk_lm::ops::tuning::Profile;
use topk_lm::weights::{Dtype, Tensor, Weight};

use crate::cases::{device, difference, gpt2, llama, load_cpu, load_gpu, topk, weights};
use crate::common::soak;

/// A weight in 8 bits, and what that means in f32. Scales differ from column to column, of a table from row to row.
fn rounded(which: Weight, tensor: &Tensor) -> [Tensor; 2] {
    let Tensor { rows, cols, stride, .. } = *tensor;
    let values = tensor.to_f32();
    let count = if which.is_table() { rows } else { stride };
    let of = |row: usize, column: usize| if which.is_table() { row } else { column };
    let mut scales = vec![0f32; count];
    let each = |row: usize| (0..stride).map(move |column| (row, column));
    for (row, column) in (0..rows).flat_map(each) {
        let scale = &mut scales[of(row, column)];
        *scale = scale.max(values[row * stride + column].abs() / 127.0);
    }
    let (mut bytes, mut wide) = (Vec::new(), Vec::new());
    for (row, column) in (0..rows).flat_map(each) {
        let scale = scales[of(row, column)];
        let q = if scale > 0.0 {
            (values[row * stride + column] / scale).round() as i8
        } else {
            0
        };
        bytes.push(q as u8);
        wide.extend((f32::from(q) * scale).to_le_bytes());
    }
    [(Dtype::I8, bytes, scales), (Dtype::F32, wide, Vec::new())].map(|(dtype, data, scales)| Tensor {
        rows,
        cols,
        stride,
        dtype,
        data,
        scales,
    })
}

/// The same in 4 bits, with zeros of all kinds; tables in 8.
fn rounded_to_4(which: Weight, tensor: &Tensor, group: usize) -> [Tensor; 2] {
    if which.is_table() {
        return rounded(which, tensor);
    }
    let Tensor { rows, cols, stride, .. } = *tensor;
    let values = tensor.to_f32();
    let dtype = Dtype::I4 { group };
    let (mut words, mut of) = (Vec::new(), Vec::new());
    for first in (0..rows).step_by(group) {
        for column in 0..stride {
            let numbers = (first..rows.min(first + group)).map(|row| values[row * stride + column]);
            let (low, high) = numbers.fold((0f32, 0f32), |(low, high), x| (low.min(x), high.max(x)));
            let scale = f16::from_f32((high - low) / 15.0);
            let zero = (-low / scale.to_f32().max(1e-9)).round().min(16.0);
            of.push((scale.to_f32(), zero));
            words.extend((u32::from(scale.to_bits()) | (zero as u32) << 16).to_le_bytes());
        }
    }
    let (mut numbers, mut wide) = (Vec::new(), Vec::new());
    for (at, x) in values.iter().enumerate() {
        let (scale, zero) = of[at / stride / group * stride + at % stride];
        let q = (x / scale.max(1e-9) + zero).round().clamp(0.0, 15.0);
        wide.extend(((q - zero) * scale).to_le_bytes());
        numbers.push(q as u8);
    }
    words.extend(numbers.chunks(2).map(|q| q[0] | q[1] << 4));
    [(dtype, words), (Dtype::F32, wide)].map(|(dtype, data)| Tensor {
        rows,
        cols,
        stride,
        dtype,
        data,
        scales: Vec::new(),
    })
}

#[test]
fn eight_bits_are_what_they_mean() {
    are_what_they_mean(|_, which, tensor| rounded(which, tensor));
}

#[test]
fn four_bits_are_what_they_mean() {
    // Outside of `npm run soak` each model has groups of one size; those of either kind of adapter have both sizes.
    for (turn, groups) in [(0, [16, 1024]), (1, [1024, 16])] {
        if turn == 0 || soak() {
            are_what_they_mean(|number, which, tensor| rounded_to_4(which, tensor, groups[number / 2 % 2]));
        }
    }
}

/// `rounded`: of the model with a number, a weight's name and the weight.
fn are_what_they_mean(rounded: impl Fn(usize, Weight, &Tensor) -> [Tensor; 2]) {
    let Some(gpu) = device() else { return };
    let base = Config {
        topk: topk(9),
        n_layers: 3,
        n_nontopk: 1,
        ..llama()
    };
    let odd = Config {
        d_model: 61,
        d_mlp: 33,
        d_vocab: 4001,
        tie_word_embeddings: false,
        ..base.clone()
    };
    let split = Config {
        d_model: 220,
        topk: topk(20),
        ..base.clone()
    };
    // All rows are read 16 bytes at a time: in fused kernels, and where a row is longer than the head keeps at once.
    let even = Config {
        d_model: 96,
        d_mlp: 48,
        topk: topk(20),
        ..base.clone()
    };
    let long = Config {
        d_model: 2144,
        n_layers: 2,
        ..even.clone()
    };
    for (number, config) in [long, base, odd, gpt2(), split, even].into_iter().enumerate() {
        if number > 0 {
            // The tables of the odd one are split into shards.
            gpu.limit_binding(128 << 10);
        }
        let mut pair = [Vec::new(), Vec::new()];
        for (which, tensor) in weights(&config, Dtype::F32, 81 + number as u64) {
            if which.is_vector() {
                pair.iter_mut().for_each(|all| all.push((which, tensor.clone())));
            } else {
                for (all, tensor) in pair.iter_mut().zip(rounded(number, which, &tensor)) {
                    all.push((which, tensor));
                }
            }
        }
        // Kernels of either kind of adapter.
        gpu.assume([Profile::Fallback, Profile::Gpu][number % 2]);
        let [narrow, wide] = &pair;
        let (narrow, wide) = (load_gpu(&gpu, &config, narrow), load_cpu(&config, wide));
        let edits = EditTable::none(config.n_layers);
        let inside = [
            Capture::buffer(Point::of(0, Stage::MlpOut), MLP_OUT),
            Capture::buffer(Point::end(1), HIDDEN),
        ];
        let (mut a, mut b) = (narrow.new_cache().unwrap(), wide.new_cache());
        let mut start = 0;
        for (rows, captures) in [
            (70, &inside[1..]),
            (1, &inside[..]),
            (3, &inside[1..]),
            (12, &inside[..]),
            (9, &inside[..]),
            (17, &inside[..]),
            (33, &inside[..]),
        ] {
            // Products of many rows are made for each model, a second's work or two: two of the models take them all.
            if rows > 12 && start > 0 && !([2, 5].contains(&number) || soak()) {
                continue;
            }
            let ids: Vec<u32> = (0..rows).map(|i| (i * 31 + 7) as u32 % config.d_vocab as u32).collect();
            let batch = Batch {
                ids: &ids,
                start,
                rows: Rows::Sequence,
                edits: &edits,
                captures,
                logits: LogitRows::All,
            };
            let got = block_on(narrow.forward(&mut a, &batch)).unwrap();
            let expected = block_on(wide.forward(&mut b, &batch)).unwrap();
            let captured = expected.captured.iter().zip(&got.captured);
            for (expected, got) in captured.chain([(&expected.logits, &got.logits)]) {
                let off = difference(expected, got);
                // Scales multiply sums, which rounds otherwise, the more so the longer they are.
                let bound = if config.d_model > 1024 { 6e-6 } else { 3e-6 };
                assert!(off < bound, "model {number}, {rows} rows from {start}: {off}");
            }
            start += rows;
        }
    }
}
