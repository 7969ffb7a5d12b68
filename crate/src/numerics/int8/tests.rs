use super::packed::Packed;
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

fn weights(n: usize, scales: usize, seed: u32) -> Int8 {
    Int8 {
        numbers: numbers(n, seed).iter().map(|x| (x * 128.0) as i8).collect(),
        scales: numbers(scales, seed + 1).iter().map(|x| 0.01 * (x + 2.0)).collect(),
    }
}

/// Shapes `[rows, inputs, stride]`: odd ones, one of more inputs than a part has, one of more outputs than are made at once, one of more
/// rows than go together.
const SHAPES: [[usize; 3]; 7] = [
    [1, 1, 2],
    [4, 7, 18],
    [7, 33, 50],
    [9, 64, 16],
    [5, 2100, 34],
    [3, 12, 530],
    [26, 9, 8],
];

#[test]
fn products_are_near_the_exact_ones_and_do_not_depend_on_their_neighbors() {
    for [rows, inputs, stride] in SHAPES {
        let (x, w) = (numbers(rows * inputs, 1), weights(inputs * stride, stride, 2));
        let mut together = vec![0.0; rows * stride];
        matmul(&x, inputs, &w, stride, &mut together);
        for r in 0..rows {
            let x = &x[r * inputs..][..inputs];
            let mut alone = vec![0.0; stride];
            matmul(x, inputs, &w, stride, &mut alone);
            assert_eq!(alone, together[r * stride..][..stride]);
            for (o, found) in alone.iter().enumerate() {
                let exact: f64 = (0..inputs)
                    .map(|i| f64::from(x[i]) * f64::from(w.numbers[i * stride + o]) * f64::from(w.scales[o]))
                    .sum();
                // Half a unit of 1/16383 each, of weights up to 128 · 0.03.
                let bound = inputs as f64 * 0.5 / 16_383.0 * 3.84 + 1e-5;
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
    let w = weights(inputs * stride, stride, 3);
    let (mut dense, mut sparse) = (vec![0.0; stride], vec![1.0; stride]);
    matmul(&x, inputs, &w, stride, &mut dense);
    gather(&indices, &values, &w, stride, &mut sparse);
    assert_eq!(dense, sparse);
}

#[test]
fn the_largest_products_fit() {
    for sign in [1.0, -1.0] {
        let (inputs, stride) = (PART, 18);
        let x = vec![sign * 3.0; inputs];
        let w = Int8 {
            numbers: vec![-128; inputs * stride],
            scales: vec![1.0; inputs.max(stride)],
        };
        let expected = -sign * 3.0 * 128.0 * PART as f32;
        let near = |found: &[f32]| found.iter().all(|found| (found / expected - 1.0).abs() < 1e-6);
        let mut out = vec![0.0; 4 * stride];
        matmul(&x, inputs, &w, stride, &mut out[..stride]);
        assert!(near(&out[..stride]), "{out:?}");
        matmul(&x.repeat(4), inputs, &w, stride, &mut out);
        assert!(near(&out), "{out:?}");
        gemm::dots(&x, inputs, &Numbers::Int8(w), 0..stride, inputs, &mut out[..stride]);
        assert!(near(&out[..stride]), "{out:?}");
    }
}

#[test]
fn rows_of_a_table_have_their_own_scales() {
    for [rows, inputs, outputs] in SHAPES {
        let stride = inputs + inputs % 2;
        let (x, w) = (numbers(rows * inputs, 5), weights(outputs * stride, outputs, 6));
        let table = Numbers::Int8(w.clone());
        let mut out = vec![0.0; rows * (outputs - 1)];
        gemm::dots(&x, inputs, &table, 1..outputs, stride, &mut out);
        for (x, out) in x.chunks_exact(inputs).zip(out.chunks_exact(outputs - 1)) {
            for (v, found) in (1..outputs).zip(out) {
                let mut row = vec![0.0; inputs];
                table.widen(v * stride, v, &mut row);
                let exact: f64 = x.iter().zip(&row).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                let bound = inputs as f64 * 0.5 / 16_383.0 * 3.84 + 1e-5;
                assert!((exact - f64::from(*found)).abs() <= bound);
            }
        }
    }
}

#[test]
fn rows_of_zeros_and_rows_that_are_not_finite() {
    let w = weights(6 * 4, 4, 7);
    let mut out = vec![1.0; 4];
    for (x, expected) in [([0.0; 6], 0.0), ([1e-40; 6], 0.0)] {
        matmul(&x, 6, &w, 4, &mut out);
        assert_eq!(out, [expected; 4]);
    }
    for bad in [f32::NAN, f32::INFINITY] {
        for at in [0, 5] {
            let mut x = [1.0; 6];
            x[at] = bad;
            matmul(&x, 6, &w, 4, &mut out);
            assert!(out.iter().all(|x| x.is_nan()));
        }
    }
}

#[test]
fn packed_weights_give_the_same_bits() {
    for [rows, inputs, stride] in SHAPES {
        let (x, w) = (numbers(rows * inputs, 11), weights(inputs * stride, stride, 12));
        let packed = Packed::new(&w, stride, "a matrix").unwrap();
        let back = packed.unpacked();
        assert_eq!((&back.numbers, &back.scales), (&w.numbers, &w.scales));
        let (w, packed) = (Numbers::Int8(w), Numbers::Packed(packed));
        assert_eq!(packed.count(), w.count());
        let (mut ours, mut expected) = (vec![1.0; rows * stride], vec![0.0; rows * stride]);
        gemm::matmul(&x, inputs, &w, stride, &mut expected);
        gemm::matmul(&x, inputs, &packed, stride, &mut ours);
        assert_eq!(ours, expected, "{rows} x {inputs} x {stride}");
        // Every third input of one row.
        let indices: Vec<u32> = (0..inputs as u32).step_by(3).collect();
        let values = numbers(indices.len(), 13);
        gemm::gather(&indices, &values, &w, stride, &mut expected[..stride]);
        gemm::gather(&indices, &values, &packed, stride, &mut ours[..stride]);
        assert_eq!(ours[..stride], expected[..stride]);
    }
}
