use super::*;
use crate::numerics::stored::{Bf16, F16};

fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// Weights of every kind that is floating-point, each with the same values in f32.
fn weights(n: usize, seed: u32) -> Vec<(Numbers, Vec<f32>)> {
    let numbers = numbers(n, seed);
    // Some of f16's subnormals among them.
    let small = |(i, x): (usize, &f32)| if i % 5 == 0 { x * 1e-6 } else { *x };
    let f16 = numbers.iter().enumerate().map(|x| half::f16::from_f32(small(x)).to_bits());
    let bf16 = numbers.iter().map(|x| half::bf16::from_f32(*x).to_bits());
    let all = [
        Numbers::F32(numbers.clone()),
        Numbers::from_f16(f16.map(F16).collect()),
        Numbers::Bf16(bf16.map(Bf16).collect()),
    ];
    let widened = |stored: Numbers| {
        let mut wide = vec![0.0; n];
        stored.widen(0, 0, &mut wide);
        (stored, wide)
    };
    all.into_iter().map(widened).collect()
}

#[test]
fn a_row_does_not_depend_on_the_rows_beside_it() {
    for (rows, inputs, stride) in [(1, 1, 2), (4, 7, 18), (7, 33, 50), (9, 64, 16)] {
        let x = numbers(rows * inputs, 1);
        for (w, values) in weights(inputs * stride, 2) {
            let mut together = vec![0.0; rows * stride];
            matmul(&x, inputs, &w, stride, &mut together);
            for r in 0..rows {
                let x = &x[r * inputs..][..inputs];
                let mut alone = vec![0.0; stride];
                matmul(x, inputs, &w, stride, &mut alone);
                assert_eq!(alone, together[r * stride..][..stride]);
                let exact: f64 = (0..inputs)
                    .map(|i| f64::from(x[i]) * f64::from(values[i * stride + 1]))
                    .sum();
                assert!((exact - f64::from(alone[1])).abs() < 1e-5 * inputs as f64);
            }
        }
    }
}

#[test]
fn half_precision_changes_no_bit() {
    let (rows, inputs, stride) = (6, 37, 50);
    // The last row has numbers that leave f32's range when f16's unit is multiplied in.
    let mut x = numbers(rows * inputs, 9);
    x[(rows - 1) * inputs..].iter_mut().for_each(|x| *x *= 1e9);
    for (w, values) in weights(inputs * stride, 10) {
        let wide = Numbers::F32(values);
        let indices: Vec<u32> = (0..inputs as u32).collect();
        for rows in [1, 3, 4, 6] {
            let x = &x[(6 - rows) * inputs..];
            let (mut ours, mut expected) = (vec![0.0; rows * stride], vec![0.0; rows * stride]);
            matmul(x, inputs, &w, stride, &mut ours);
            matmul(x, inputs, &wide, stride, &mut expected);
            assert_eq!(ours, expected);
            matmul_fours_or_less(x, inputs, &w, stride, &mut ours);
            assert_eq!(ours, expected);
            gather(&indices, &x[..inputs], &w, stride, &mut ours[..stride]);
            gather(&indices, &x[..inputs], &wide, stride, &mut expected[..stride]);
            assert_eq!(ours, expected);
            // As a table: rows of `stride` numbers, of which the first `inputs` count.
            let (of, n) = (3..29, rows * 26);
            dots(x, inputs, &w, of.clone(), stride, &mut ours[..n]);
            dots(x, inputs, &wide, of, stride, &mut expected[..n]);
            assert_eq!(ours[..n], expected[..n]);
        }
    }
}

/// [`matmul`] as a machine without AVX-512 has it.
fn matmul_fours_or_less(x: &[f32], inputs: usize, w: &Numbers, stride: usize, out: &mut [f32]) {
    fn of<S: Stored>(x: &[f32], inputs: usize, w: &[S], stride: usize, out: &mut [f32]) {
        let whole = x.len() / inputs / ROWS * ROWS;
        fours_portable(&x[..whole * inputs], inputs, w, stride, &mut out[..whole * stride]);
        let rest = x[whole * inputs..].chunks_exact(inputs);
        for (x, out) in rest.zip(out[whole * stride..].chunks_exact_mut(stride)) {
            let mut folded = Vec::new();
            let (x, back) = fold::<S>(x, &mut folded);
            one_row_portable(x, w, stride, out);
            times(out, back);
        }
    }
    match w {
        Numbers::F32(w) => of(x, inputs, w, stride, out),
        Numbers::F16(w) => of(x, inputs, w, stride, out),
        Numbers::Bf16(w) => of(x, inputs, w, stride, out),
        _ => unreachable!("packed ones have their own tests"),
    }
}

#[test]
fn wide_registers_change_no_bit() {
    for (rows, inputs, stride, outputs) in [(1, 16, 16, 1), (4, 37, 38, 6), (9, 52, 52, 19), (3, 5, 6, 2)] {
        let x = numbers(rows * inputs, 7);
        for (w, values) in weights(outputs * stride, 8) {
            let mut ours = vec![0.0; rows * outputs];
            dots(&x, inputs, &w, 0..outputs, stride, &mut ours);
            for (x, ours) in x.chunks_exact(inputs).zip(ours.chunks_exact(outputs)) {
                let mut portable = vec![0.0; outputs];
                dots_portable(x, &values, stride, &mut portable);
                assert_eq!(ours, portable);
            }
        }
    }
}

#[test]
fn a_sparse_row_equals_the_dense_one() {
    let (inputs, stride) = (37, 22);
    let indices = [0u32, 5, 6, 30, 36];
    let values = numbers(indices.len(), 4);
    let mut x = vec![0.0; inputs];
    for (i, v) in indices.iter().zip(&values) {
        x[*i as usize] = *v;
    }
    for (w, _) in weights(inputs * stride, 3) {
        let (mut dense, mut sparse) = (vec![0.0; stride], vec![1.0; stride]);
        matmul(&x, inputs, &w, stride, &mut dense);
        gather(&indices, &values, &w, stride, &mut sparse);
        assert_eq!(dense, sparse);
    }
}

#[test]
fn blocks_change_no_bit() {
    for (rows, inputs, stride) in [(1, 1, 2), (4, 7, 18), (7, 33, 50), (9, 64, 16), (3, 38, 34)] {
        // The last row has numbers that leave f32's range when f16's unit is multiplied in.
        let mut x = numbers(rows * inputs, 5);
        x[(rows - 1) * inputs..].iter_mut().for_each(|x| *x *= 1e9);
        for (w, values) in weights(inputs * stride, 6) {
            let packed = match &w {
                Numbers::F16(w) => Numbers::F16Blocks(blocks::Blocks::new(w, stride, "a matrix").unwrap()),
                Numbers::Bf16(w) => Numbers::Bf16Blocks(blocks::Blocks::new(w, stride, "a matrix").unwrap()),
                _ => continue,
            };
            assert_eq!((packed.count(), packed.widened(stride)), (w.count(), values));
            let (mut ours, mut expected) = (vec![1.0; rows * stride], vec![0.0; rows * stride]);
            matmul(&x, inputs, &packed, stride, &mut ours);
            matmul(&x, inputs, &w, stride, &mut expected);
            assert_eq!(ours, expected, "{rows} x {inputs} x {stride}");
            let indices: Vec<u32> = (0..inputs as u32).step_by(3).collect();
            let values = numbers(indices.len(), 13);
            gather(&indices, &values, &packed, stride, &mut ours[..stride]);
            gather(&indices, &values, &w, stride, &mut expected[..stride]);
            assert_eq!(ours[..stride], expected[..stride]);
        }
    }
}
