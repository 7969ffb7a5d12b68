//! exp, tanh, erf and ln in plain Rust arithmetic, for the CPU kernels and the sampler. They call no libm: the same bits natively
//! and in WebAssembly, and loops over them vectorise. `shaders/parts/exp.wgsl` is the twin of [`exp`].
//!
//! Largest errors, found by a walk over the floats (tests below): exp 1 ulp, tanh 3 ulp, erf 4 ulp, ln 2 ulp.

use std::f32::consts::{FRAC_2_SQRT_PI, LOG2_E, SQRT_2};

/// 1.5·2^23: adding it to a float of magnitude below 2^22 rounds that to the nearest integer, found in the low bits of the sum.
const ROUNDER: f32 = 12_582_912.0;
/// ln 2 in two parts: the first has 15 significant bits, so that n·LN_2_HIGH is exact for |n| < 2^9.
const LN_2_HIGH: f32 = 0.693_145_75;
/// ln 2 − LN_2_HIGH.
const LN_2_LOW: f32 = 1.428_606_8e-6;
/// Below it exp rounds to 0, above `LARGEST` to infinity.
const SMALLEST: f32 = -104.0;
const LARGEST: f32 = 89.0;

/// 2^n for −126 ≤ n ≤ 127 (anything else only beside a NaN).
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// x = n·ln 2 + r with |r| ≤ ln 2 / 2; gives n and e^r − 1, by the Taylor series (the first term left out is below 2^-27).
#[inline(always)]
fn reduce(x: f32) -> (i32, f32) {
    let shifted = x * LOG2_E + ROUNDER;
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUNDER.to_bits() as i32);
    let rounded = shifted - ROUNDER;
    let r = (x - rounded * LN_2_HIGH) - rounded * LN_2_LOW;
    let mut series = 1.0 / 5040.0;
    for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
        series = series * r + factor;
    }
    (n, r + (r * r) * series)
}

/// e^x; 0 and infinity where that is what it rounds to, NaN for NaN.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let (n, less_one) = reduce(x.clamp(SMALLEST, LARGEST));
    // In two steps, since 2^n itself may lie outside the normal floats.
    let half = n >> 1;
    (1.0 + less_one) * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// Hyperbolic tangent; ±1 for large magnitudes, NaN for NaN.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    // With e = e^(2|x|) − 1, tanh |x| = e / (e + 2): nothing cancels for small x. From 9.02 on the result rounds to 1.
    let (n, less_one) = reduce(2.0 * x.abs().clamp(0.0, 10.0));
    let scale = power_of_two(n);
    let e = scale * less_one + (scale - 1.0);
    (e / (e + 2.0)).copysign(x)
}

/// −ln(1 − erf x) / x for 0 ≤ x ≤ 4, from the constant term on: a least-squares fit, weighted so that erf itself is off by at most
/// 1.4e-10 before rounding. `shaders/parts/mlp_in.wgsl` has the same.
const ERF: [f32; 10] = [
    FRAC_2_SQRT_PI,
    0.636_619_87,
    0.102_770_396,
    -0.019_113_183,
    -2.642_478_5e-4,
    1.814_616_6e-3,
    -7.526_962e-4,
    1.728_884_5e-4,
    -2.264_308_8e-5,
    1.318_818e-6,
];

/// Error function; ±1 for large magnitudes, NaN for NaN.
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    // From 4 on the result rounds to 1. e^y − 1 is put together as in `tanh`: nothing cancels for small x.
    let magnitude = x.abs().clamp(0.0, 4.0);
    let mut series = 0.0;
    for term in ERF.iter().rev() {
        series = series * magnitude + term;
    }
    let (n, less_one) = reduce(-(magnitude * series));
    let scale = power_of_two(n);
    let e = scale * less_one + (scale - 1.0);
    e.copysign(x)
}

/// Natural logarithm of a positive normal number.
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    let mut mantissa = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000);
    let mut exponent = (bits >> 23) as i32 - 127;
    if mantissa > SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    // ln m = 2·artanh(s) with s = (m − 1)/(m + 1), |s| < 0.172.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let q = s * s;
    let series = q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0))));
    let exponent = exponent as f32;
    exponent * LN_2_HIGH + (exponent * LN_2_LOW + (2.0 * s + 2.0 * s * series))
}

/// ln of a sum of exponentials, of at least one; by the system's libm, for figures that are printed.
#[cfg(feature = "cli")]
pub fn log_sum(exponents: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = exponents.clone().fold(f64::NEG_INFINITY, f64::max);
    most + exponents.map(|x| (x - most).exp()).sum::<f64>().ln()
}

/// x·sigmoid(x), the activation of Llama's MLP.
#[inline(always)]
pub fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// x becomes cap · tanh(x / cap), in place.
#[inline(always)]
pub fn softcap(numbers: &mut [f32], cap: f32) {
    for x in numbers {
        *x = cap * tanh(*x / cap);
    }
}

/// The largest of the numbers; those that are none count for nothing.
#[inline(always)]
pub fn largest(numbers: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let (parts, rest) = numbers.as_chunks::<16>();
    for part in parts {
        for (lane, s) in lanes.iter_mut().zip(part) {
            *lane = if *s > *lane { *s } else { *lane };
        }
    }
    let larger = |largest: f32, s: &f32| if *s > largest { *s } else { largest };
    rest.iter().fold(lanes.iter().fold(f32::NEG_INFINITY, larger), larger)
}

/// Scores → probabilities, in place. The sum is one chain in ascending order.
#[inline(always)]
pub fn softmax(scores: &mut [f32]) {
    let max = largest(scores);
    for s in scores.iter_mut() {
        *s = exp(*s - max);
    }
    let mut total = 0.0;
    for s in scores.iter() {
        total += *s;
    }
    for s in scores.iter_mut() {
        *s /= total;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Largest distance in ulp of the exact result, over every 997th float of [from, to].
    fn worst(from: f32, to: f32, ours: fn(f32) -> f32, exact: fn(f64) -> f64) -> f64 {
        let mut worst = 0.0f64;
        let (low, high) = (from.abs().min(to.abs()), from.abs().max(to.abs()));
        for bits in (low.to_bits()..=high.to_bits()).step_by(997) {
            let magnitude = f32::from_bits(bits);
            for x in [magnitude, -magnitude] {
                if x < from || x > to {
                    continue;
                }
                let exact = exact(f64::from(x));
                let nearest = (exact as f32).abs();
                let ulp = f64::from(f32::from_bits(nearest.to_bits() + 1)) - f64::from(nearest);
                worst = worst.max(((f64::from(ours(x)) - exact) / ulp).abs());
            }
        }
        worst
    }

    #[test]
    fn exp_is_good_to_an_ulp() {
        let error = worst(-103.0, 0.0, exp, f64::exp).max(worst(0.0, 88.7, exp, f64::exp));
        assert!(error < 1.0, "{error}");
    }

    #[test]
    fn exp_at_the_ends() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(-1e30), 0.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(88.8), f32::INFINITY);
        assert!(exp(88.7).is_finite());
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn tanh_is_good_to_three_ulp() {
        let error = worst(-10.0, 0.0, tanh, f64::tanh).max(worst(0.0, 10.0, tanh, f64::tanh));
        assert!(error < 3.0, "{error}");
        assert_eq!(tanh(f32::INFINITY), 1.0);
        assert_eq!(tanh(f32::NEG_INFINITY), -1.0);
        assert_eq!(tanh(-0.0).to_bits(), (-0.0f32).to_bits());
        assert!(tanh(f32::NAN).is_nan());
    }

    #[test]
    fn erf_is_good_to_four_ulp() {
        let error = worst(-5.0, 0.0, erf, exact_erf).max(worst(0.0, 5.0, erf, exact_erf));
        assert!(error < 4.0, "{error}");
        assert_eq!(erf(f32::INFINITY), 1.0);
        assert_eq!(erf(f32::NEG_INFINITY), -1.0);
        assert_eq!(erf(-0.0).to_bits(), (-0.0f32).to_bits());
        assert!(erf(f32::NAN).is_nan());
    }

    /// 2/√π · e^(−x²) · Σ 2^n x^(2n+1) / (1·3·…·(2n+1)), whose terms all have one sign.
    fn exact_erf(x: f64) -> f64 {
        let (mut term, mut sum, mut n) = (x, 0.0, 1.0);
        while term.abs() > 1e-18 * f64::abs(sum) {
            sum += term;
            term *= 2.0 * x * x / (2.0 * n + 1.0);
            n += 1.0;
        }
        std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
    }

    #[test]
    fn ln_is_good_to_two_ulp() {
        let error = worst(f32::MIN_POSITIVE, 1e30, ln, f64::ln);
        assert!(error < 2.0, "{error}");
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn constants_add_up_to_ln_2() {
        let sum = f64::from(LN_2_HIGH) + f64::from(LN_2_LOW);
        assert!((sum - std::f64::consts::LN_2).abs() < 1e-12);
        assert_eq!(LN_2_HIGH + LN_2_LOW, std::f32::consts::LN_2);
        assert_eq!(
            LN_2_HIGH.to_bits() & 0x1ff,
            0,
            "the product with a 9-bit n must be exact"
        );
    }
}
