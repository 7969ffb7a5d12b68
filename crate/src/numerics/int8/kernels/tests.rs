//! Every set of kernels that this machine can run, against sums made one by one.

use super::*;

/// Four pairs of inputs.
type Eight = [i32; 4];

/// The sums of two outputs.
type Two = [i32; 2];

type Dot = fn([&[i16]; 5], [&[i8]; 2]) -> [Two; 5];

/// Those of one kind of registers.
struct Kernels {
    name: &'static str,
    picked: fn(&mut [i32], &[i8], &[Four]),
    eight_rows: fn(&mut [i32], [&[i8]; 8], &[Eight]),
    dot: Dot,
    dot_one: fn(&[i16], &[i8]) -> i32,
    dot_each: fn(&[i16], &[i8], usize, &mut [f32]),
    four_packed: fn(&mut [i32], &[i8], [i32; 2]),
    four_nibbles: fn(&mut [i32], &[u8], [i32; 2]),
    eight_packed: fn(&mut [i32], [&[i8]; 2], &[Eight]),
}

/// What the module exports, as plain functions. The features must be there.
#[cfg(target_arch = "x86_64")]
macro_rules! of {
    ($set:ident) => {
        // SAFETY: the features are detected before.
        unsafe {
            Kernels {
                name: stringify!($set),
                picked: |sums, w, fours| $set::picked(sums, w, fours),
                eight_rows: |sums, w, x| $set::eight_rows(sums, w, x),
                dot: |x, w| $set::dot(x, w),
                dot_one: |x, w| $set::dot_one(x, w),
                dot_each: |x, w, stride, out| $set::dot_each(x, w, stride, out),
                four_packed: |sums, w, x| $set::four_packed(sums, w, x),
                four_nibbles: |sums, w, x| $set::four_nibbles(sums, w, x),
                eight_packed: |sums, w, x| $set::eight_packed(sums, w, x),
            }
        }
    };
}

fn sets() -> Vec<Kernels> {
    let mut sets = vec![Kernels {
        name: "what the engine calls",
        picked,
        eight_rows,
        dot,
        dot_one,
        dot_each,
        four_packed,
        four_nibbles,
        eight_packed,
    }];
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx2") {
            sets.push(of!(avx2));
        }
        if has_vnni() {
            sets.push(of!(avx512));
        }
    }
    sets
}

/// Numbers of all sizes, from a seed.
struct Numbers(u32);

impl Numbers {
    fn next(&mut self) -> i32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 as i32 >> 8
    }

    fn bytes(&mut self, n: usize) -> Vec<i8> {
        (0..n).map(|_| self.next() as i8).collect()
    }

    /// Inputs as `quantize` gives them.
    fn inputs(&mut self, n: usize) -> Vec<i16> {
        (0..n).map(|_| (self.next() % 16_384) as i16).collect()
    }

    fn sums(&mut self, n: usize) -> Vec<i32> {
        (0..n).map(|_| self.next() % 1000).collect()
    }
}

fn pairs<const N: usize>(x: &[i16]) -> [i32; N] {
    std::array::from_fn(|j| super::super::pair(x[2 * j], x[2 * j + 1]))
}

/// Σ x · w.
fn sum(x: &[i16], w: impl Iterator<Item = i8>) -> i32 {
    x.iter().zip(w).map(|(x, w)| i32::from(*x) * i32::from(w)).sum()
}

/// Widths around the registers' own, and some that none divides.
const WIDTHS: [usize; 11] = [1, 15, 16, 17, 31, 32, 33, 63, 64, 100, 257];

#[test]
fn sums_over_rows_of_weights() {
    for Kernels { name, eight_rows, .. } in sets() {
        for width in WIDTHS {
            let mut of = Numbers(7 + width as u32);
            let weights: Vec<Vec<i8>> = (0..8).map(|_| of.bytes(width)).collect();
            let rows: Vec<Vec<i16>> = (0..3).map(|_| of.inputs(8)).collect();
            let before = of.sums(3 * width);
            let expected = |r: usize, o: usize| before[r * width + o] + sum(&rows[r], weights.iter().map(|w| w[o]));
            let mut sums = before.clone();
            let x: Vec<[i32; 4]> = rows.iter().map(|x| pairs(x)).collect();
            eight_rows(&mut sums, std::array::from_fn(|j| &weights[j][..]), &x);
            let right = |(at, sum): (usize, &i32)| *sum == expected(at / width, at % width);
            assert!(sums.iter().enumerate().all(right), "{name}, {width}");
        }
    }
}

#[test]
fn sums_over_rows_that_are_picked() {
    for Kernels { name, picked, .. } in sets() {
        for width in WIDTHS {
            let mut of = Numbers(17 + width as u32);
            let stride = width + 5;
            let weights = of.bytes(40 * stride);
            for count in [0, 1, 2, 9] {
                let x = of.inputs(4 * count);
                let at: Vec<usize> = x.iter().map(|x| x.unsigned_abs() as usize % 40 * stride).collect();
                let fours: Vec<Four> = (0..count)
                    .map(|number| Four {
                        at: std::array::from_fn(|j| at[4 * number + j]),
                        x: pairs(&x[4 * number..]),
                    })
                    .collect();
                let mut sums = vec![99; width];
                picked(&mut sums, &weights, &fours);
                let right = |(o, found): (usize, &i32)| *found == sum(&x, at.iter().map(|at| weights[at + o]));
                assert!(sums.iter().enumerate().all(right), "{name}, {width}, {count}");
            }
        }
    }
}

#[test]
fn sums_over_inputs() {
    for Kernels { name, dot, dot_one, dot_each, .. } in sets() {
        for width in WIDTHS {
            let mut of = Numbers(11 + width as u32);
            let stride = width + 3;
            let weights = of.bytes(5 * stride);
            let row = |v: usize| &weights[v * stride..][..width];
            let inputs: [Vec<i16>; 5] = std::array::from_fn(|_| of.inputs(width));
            let expected = |r: usize, v: usize| sum(&inputs[r], row(v).iter().copied());
            let found = dot(std::array::from_fn(|r| &inputs[r][..]), [row(1), row(2)]);
            for (r, found) in found.into_iter().enumerate() {
                assert_eq!(found, [expected(r, 1), expected(r, 2)], "{name}, {width}");
                assert_eq!(dot_one(&inputs[r], row(3)), expected(r, 3), "{name}, {width}");
            }
            // An odd number of rows.
            let mut out = [f32::NAN; 5];
            dot_each(&inputs[0], &weights, stride, &mut out);
            assert_eq!(out, std::array::from_fn(|v| expected(0, v) as f32), "{name}, {width}");
        }
    }
}

#[test]
fn sums_over_packed_weights() {
    // Where weight `i` of four inputs lies for output `o` of all.
    let at = |i: usize, o: usize| o / OUTPUTS * BLOCK + i / 2 * 2 * OUTPUTS + o % OUTPUTS * 2 + i % 2;
    for Kernels { name, four_packed, four_nibbles, eight_packed, .. } in sets() {
        for width in [0, 16, 32, 48, 512] {
            let mut of = Numbers(13 + width as u32);
            let fours = [of.bytes(4 * width), of.bytes(4 * width)];
            let rows: Vec<Vec<i16>> = (0..3).map(|_| of.inputs(8)).collect();
            let before = of.sums(3 * width);
            let expected = |r: usize, o: usize, n: usize| {
                before[r * width + o] + sum(&rows[r][..n], (0..8).map(|i| fours[i / 4][at(i % 4, o)]))
            };
            let mut sums = before[..width].to_vec();
            four_packed(&mut sums, &fours[0], pairs(&rows[0]));
            assert!(sums.iter().enumerate().all(|(o, sum)| *sum == expected(0, o, 4)), "{name}, {width}");
            let mut sums = before.clone();
            let x: Vec<[i32; 4]> = rows.iter().map(|x| pairs(x)).collect();
            eight_packed(&mut sums, [&fours[0], &fours[1]], &x);
            let right = |(at, sum): (usize, &i32)| *sum == expected(at / width, at % width, 8);
            assert!(sums.iter().enumerate().all(right), "{name}, {width}");

            let nibbles: Vec<u8> = of.bytes(2 * width).iter().map(|b| *b as u8).collect();
            let nibble = |i: usize, o: usize| {
                let number = at(i, o) % BLOCK;
                let byte = nibbles[o / OUTPUTS * BLOCK / 2 + number % (BLOCK / 2)];
                (byte >> (4 * (number / (BLOCK / 2))) & 15) as i8
            };
            let mut sums = before[..width].to_vec();
            four_nibbles(&mut sums, &nibbles, pairs(&rows[0]));
            let right = |(o, found): (usize, &i32)| *found == before[o] + sum(&rows[0][..4], (0..4).map(|i| nibble(i, o)));
            assert!(sums.iter().enumerate().all(right), "{name}, {width}");
        }
    }
}
