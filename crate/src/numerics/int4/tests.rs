use half::f16;

use super::*;
use crate::numerics::gemm;
use crate::numerics::numbers::Numbers;

fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// A matrix and its numbers in f32, written down independently of its layout.
fn weights(inputs: usize, stride: usize, group: usize, seed: u32) -> (Int4, Vec<f32>) {
    let q: Vec<u8> = numbers(inputs * stride, seed).iter().map(|x| (8.0 * (x + 1.0)) as u8 & 15).collect();
    let bytes: Vec<u8> = q.chunks(2).map(|q| q[0] | q[1] << 4).collect();
    let groups = inputs.div_ceil(group);
    let scales: Vec<f16> = numbers(groups * stride, seed + 1).iter().map(|x| f16::from_f32(0.01 * x)).collect();
    let zeros: Vec<u32> = numbers(groups * stride, seed + 2).iter().map(|x| (8.4 * (x + 1.0)) as u32).collect();
    let words = scales.iter().zip(&zeros).map(|(scale, zero)| u32::from(scale.to_bits()) | zero << 16).collect();
    let wide = (0..inputs * stride).map(|at| {
        let of = at / stride / group * stride + at % stride;
        (f32::from(q[at]) - zeros[of] as f32) * scales[of].to_f32()
    });
    (Int4::new(words, &bytes, stride, group, "a matrix").unwrap(), wide.collect())
}

/// `[rows, inputs, stride, group]`: odd ones, more inputs than a group has, more outputs than are made at once, more rows than go together.
const SHAPES: [[usize; 4]; 8] = [
    [1, 1, 2, 8],
    [4, 7, 18, 8],
    [7, 33, 50, 32],
    [9, 64, 16, 64],
    [5, 2100, 34, 128],
    [3, 12, 530, 8],
    [26, 40, 8, 32],
    [2, 2048, 4, 1024],
];

#[test]
fn numbers_are_what_they_mean() {
    for [_, inputs, stride, group] in SHAPES {
        let (w, wide) = weights(inputs, stride, group, 9);
        assert_eq!(w.to_f32(), wide, "{inputs} x {stride}");
        let mut row = vec![0.0; stride];
        let last = (inputs - 1) * stride;
        Numbers::Int4(w).widen(last, inputs - 1, &mut row);
        assert_eq!(row, wide[last..]);
    }
}

#[test]
fn products_are_near_the_exact_ones_and_do_not_depend_on_their_neighbors() {
    for [rows, inputs, stride, group] in SHAPES {
        let (x, (w, wide)) = (numbers(rows * inputs, 1), weights(inputs, stride, group, 2));
        let w = Numbers::Int4(w);
        let mut together = vec![1.0; rows * stride];
        gemm::matmul(&x, inputs, &w, stride, &mut together);
        for (x, together) in x.chunks_exact(inputs).zip(together.chunks_exact(stride)) {
            let mut alone = vec![1.0; stride];
            gemm::matmul(x, inputs, &w, stride, &mut alone);
            assert_eq!(alone, together);
            for (o, found) in alone.iter().enumerate() {
                let exact: f64 = (0..inputs).map(|i| f64::from(x[i]) * f64::from(wide[i * stride + o])).sum();
                // Half a unit of 1/16383 each, of weights up to 0.16.
                let bound = inputs as f64 * 0.5 / 16_383.0 * 0.16 + 1e-5;
                assert!((exact - f64::from(*found)).abs() <= bound, "{exact} {found}");
            }
        }
    }
}

#[test]
fn a_sparse_row_equals_the_dense_one() {
    let (inputs, stride) = (2100, 22);
    let indices = [0u32, 5, 6, 30, 1023, 1024, 2099];
    let values = numbers(indices.len(), 4);
    let mut x = vec![0.0; inputs];
    for (i, v) in indices.iter().zip(&values) {
        x[*i as usize] = *v;
    }
    let w = Numbers::Int4(weights(inputs, stride, 32, 3).0);
    let (mut dense, mut sparse) = (vec![0.0; stride], vec![1.0; stride]);
    gemm::matmul(&x, inputs, &w, stride, &mut dense);
    gemm::gather(&indices, &values, &w, stride, &mut sparse);
    assert_eq!(dense, sparse);
}

#[test]
fn the_largest_products_fit() {
    // Once all products are as large as they get, once all that the zeros make of them.
    for (q, zero) in [(0xffu8, 0u32), (0, 16)] {
        for sign in [1.0, -1.0] {
            let (inputs, stride) = (LARGEST_GROUP, 18);
            let x = vec![sign * 3.0; inputs];
            let words = vec![u32::from(f16::from_f32(0.5).to_bits()) | zero << 16; stride];
            let w = Int4::new(words, &vec![q; inputs * stride / 2], stride, inputs, "a matrix").unwrap();
            let expected = sign * 3.0 * 0.5 * ((q & 15) as f32 - zero as f32) * inputs as f32;
            let mut out = vec![0.0; 4 * stride];
            matmul(&x.repeat(4), inputs, &w, &mut out);
            assert!(out.iter().all(|found| (found / expected - 1.0).abs() < 1e-6), "{expected} {out:?}");
        }
    }
}

#[test]
fn rows_of_zeros_and_rows_that_are_not_finite() {
    let (w, _) = weights(16, 4, 8, 7);
    let mut out = vec![1.0; 4];
    matmul(&[0.0; 16], 16, &w, &mut out);
    assert_eq!(out, [0.0; 4]);
    for bad in [f32::NAN, f32::INFINITY] {
        let mut x = [1.0; 16];
        x[5] = bad;
        matmul(&x, 16, &w, &mut out);
        assert!(out.iter().all(|x| x.is_nan()));
    }
}
