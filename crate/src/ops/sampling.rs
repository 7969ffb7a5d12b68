//! How the next token is drawn from a row of logits. The GPU's twin is `shaders/sample.wgsl`; both compute the following
//! in the same steps, so that they draw the same token wherever their exponentials round alike.
//!
//! 1. *Penalty* (Hugging Face's rule): the logit of every id that occurred, in the prompt or since, is multiplied by the penalty
//!    where it is below zero and by 1/penalty where it is not.
//! 2. *Temperature*: x_i = (l_i − max l) · (1/temperature); the same order and softmax as l_i/temperature, but nothing overflows.
//!    At temperature 0 the first id in the ranking is taken: argmax, the lowest id at a tie. Both reciprocals are rounded
//!    to f32 here, on the host, because a GPU's division is not exact while its multiplication is.
//! 3. *Mass*: W_i = floor(e^x_i · 2^40), an integer, so that sums are exact in any order. The largest logit has 2^40.
//! 4. *top-k*: the first `top_k` ids in the ranking of `order.rs` stay.
//! 5. *top-p*: of these, in that order, the smallest prefix whose mass is at least ceil(P·total / 2^24), where total is the mass
//!    of all that stayed and P = ceil(top_p · 2^24); at least one.
//! 6. *Draw*: u is the upper 24 bits of word 0 of Philox4x32-10 with key = seed (low word, high word) and counter = (position
//!    of the new token, 0, 0, 0). The token is the first, in the ranking, whose inclusive prefix mass is greater than
//!    floor(u·kept / 2^24), where kept is the mass of the prefix of step 5.
//!
//! The log-probability reported is the model's own: of the raw logits, at temperature 1, from sums of the same kind of mass.

use crate::config::{REPETITION_PENALTY, TEMPERATURE, TOP_P};
use crate::error::{fail, Result};
use crate::numerics::dispatch::dispatch;
use crate::numerics::math;
use crate::numerics::order::{packed, packed_index, Select};

/// e^0 as a mass.
const ONE: f32 = (1u64 << 40) as f32;
/// Buckets of [`find`]: the upper bits of a packed word.
const BUCKET_BITS: u32 = 12;

/// How the next token is drawn; the module says in which order.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// 0 is argmax, the lowest id at a tie.
    pub temperature: f32,
    /// 0: no limit.
    pub top_k: usize,
    /// 1: no limit.
    pub top_p: f32,
    /// 1: none. Hugging Face's rule over prompt and new tokens.
    pub repetition_penalty: f32,
    pub seed: u64,
}

/// Refuses settings outside their ranges, naming the field.
pub fn check(sampling: &Sampling) -> Result<()> {
    let Sampling {
        temperature,
        top_p,
        repetition_penalty,
        ..
    } = *sampling;
    for (setting, value) in [
        (TEMPERATURE, temperature),
        (TOP_P, top_p),
        (REPETITION_PENALTY, repetition_penalty),
    ] {
        if let Some(fault) = setting.fault(value) {
            fail!(Argument, "{} {fault}", setting.name);
        }
    }
    Ok(())
}

/// The numbers that both samplers work with.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Settings {
    /// 0 stands for temperature 0.
    inverse_temperature: f32,
    penalty: f32,
    inverse_penalty: f32,
    /// `u32::MAX`: no limit.
    top_k: u32,
    /// P of step 5; 2^24: no limit.
    top_p: u32,
    seed: u64,
}

impl Settings {
    fn new(sampling: &Sampling) -> Settings {
        let inverse = |x: f32| (1.0 / x).clamp(f32::MIN_POSITIVE, f32::MAX);
        Settings {
            inverse_temperature: if sampling.temperature == 0.0 {
                0.0
            } else {
                inverse(sampling.temperature)
            },
            penalty: sampling.repetition_penalty,
            inverse_penalty: inverse(sampling.repetition_penalty),
            top_k: match u32::try_from(sampling.top_k) {
                Ok(0) | Err(_) => u32::MAX,
                Ok(k) => k,
            },
            top_p: (sampling.top_p.clamp(0.0, 1.0) * (1u32 << 24) as f32).ceil() as u32,
            seed: sampling.seed,
        }
    }
}

/// How the CPU twin draws, and what it drew.
#[derive(Clone, Copy, Debug)]
pub struct Draw<'a> {
    pub sampling: &'a Sampling,
    /// Of the logits that were made last.
    pub row: usize,
    /// `[d_vocab]`: which ids occurred so far.
    pub seen: &'a [bool],
    /// Absolute position of the token to draw.
    pub position: u32,
    /// Its id and log-probability, once the operation has run.
    pub drawn: Option<(u32, f32)>,
}

/// The settings as `shaders/sample.wgsl` reads them: 1/temperature (0: argmax), penalty, 1/penalty, top_k, P, seed low, seed high, 0.
pub fn gpu_words(sampling: &Sampling) -> [u32; 8] {
    let s = Settings::new(sampling);
    [
        s.inverse_temperature.to_bits(),
        s.penalty.to_bits(),
        s.inverse_penalty.to_bits(),
        s.top_k,
        s.top_p,
        s.seed as u32,
        (s.seed >> 32) as u32,
        0,
    ]
}

/// Draws the token of absolute position `position`. `logits` and `seen` are `[d_vocab]`; `seen` tells which ids occurred so far.
/// Gives the id and the natural logarithm of the model's own probability of it. `Code::NonFinite` where a logit is not finite.
pub fn sample(logits: &[f32], seen: &[bool], sampling: &Sampling, position: u32) -> Result<(u32, f32)> {
    let id = draw(logits, seen, sampling, position)?;
    Ok((id, logprob(logits, id)))
}

/// [`sample`] without the probability.
pub fn draw(logits: &[f32], seen: &[bool], sampling: &Sampling, position: u32) -> Result<u32> {
    if logits.is_empty() || logits.len() != seen.len() || logits.len() >= 1 << 23 {
        fail!(
            Argument,
            "logits and seen have {} and {} entries, but must have one for every id",
            logits.len(),
            seen.len()
        );
    }
    if !logits.iter().fold(true, |finite, l| finite & l.is_finite()) {
        fail!(
            NonFinite,
            "the logits at position {} are not finite",
            position.wrapping_sub(1)
        );
    }
    Ok(draw_finite(logits, seen, Settings::new(sampling), position))
}

dispatch!(
    /// Steps 1 to 6.
    draw_finite, draw_portable, (logits: &[f32], seen: &[bool], settings: Settings, position: u32) -> u32
);

#[inline(always)]
fn draw_portable(logits: &[f32], seen: &[bool], settings: Settings, position: u32) -> u32 {
    let mut own = Vec::new();
    let mut penalised = logits;
    // A penalty of 1 leaves every finite logit as it is.
    if settings.penalty != 1.0 {
        own.extend(logits.iter().zip(seen).map(|(&logit, &seen)| settings.penalise(logit, seen)));
        penalised = &own;
    }
    let first = best(penalised);
    if settings.inverse_temperature == 0.0 {
        first
    } else {
        settings.draw(penalised, penalised[first as usize], position)
    }
}

/// ln of the probability of `id` under the softmax of `logits` (all finite).
pub fn logprob(logits: &[f32], id: u32) -> f32 {
    logprobs(logits)(id)
}

/// The same for many ids of one row, whose sum is made once.
pub fn logprobs(logits: &[f32]) -> impl Fn(u32) -> f32 + '_ {
    let (max, ln_total) = normalizer(logits);
    move |id| {
        let at = logits.get(id as usize).copied().unwrap_or(f32::NEG_INFINITY);
        (at - max) - ln_total
    }
}

dispatch!(
    /// The largest of `logits`, and ln of the sum of e^(l − largest).
    normalizer, normalizer_portable, (logits: &[f32]) -> (f32, f32)
);

#[inline(always)]
fn normalizer_portable(logits: &[f32]) -> (f32, f32) {
    let max = math::largest(logits);
    let mut total = 0;
    // A loop, since the code of adapters would be compiled without the registers at hand.
    for logits in logits.chunks(EXACT) {
        total += total_mass(logits, max);
    }
    (max, math::ln(total as f32 / ONE))
}

/// The first entry in the ranking.
#[inline(always)]
fn best(values: &[f32]) -> u32 {
    let max = math::largest(values);
    values.iter().position(|&value| value == max).unwrap_or(0) as u32
}

/// Step 3, of x ≤ 0.
#[inline(always)]
fn mass(x: f32) -> u64 {
    (math::exp(x) * ONE) as u64
}

/// Masses whose sum an f64 holds exactly: 2^13 · 2^40 = 2^53.
const EXACT: usize = 1 << 13;

/// The sum of the masses of [`EXACT`] logits at most. In f64, since not every machine has vectors of 64-bit integers.
#[inline(always)]
fn total_mass(logits: &[f32], max: f32) -> u64 {
    let (parts, rest) = logits.as_chunks::<16>();
    let mut lanes = [0f64; 16];
    for part in parts {
        for (lane, logit) in lanes.iter_mut().zip(part) {
            *lane += f64::from(math::exp(logit - max) * ONE).floor();
        }
    }
    lanes.iter().sum::<f64>() as u64 + rest.iter().map(|logit| mass(logit - max)).sum::<u64>()
}

impl Settings {
    /// Step 1; what overflows becomes the largest finite number.
    #[inline(always)]
    fn penalise(&self, logit: f32, seen: bool) -> f32 {
        let factor = if logit < 0.0 {
            self.penalty
        } else {
            self.inverse_penalty
        };
        if seen {
            (logit * factor).clamp(f32::MIN, f32::MAX)
        } else {
            logit
        }
    }

    /// Steps 2 to 6, of penalised logits whose largest is `max`.
    #[inline(always)]
    fn draw(&self, penalised: &[f32], max: f32, position: u32) -> u32 {
        // Not collected: that code would be compiled without the registers at hand.
        let (mut words, mut masses) = (vec![0; penalised.len()], vec![0; penalised.len()]);
        for (((word, mass_of), i), logit) in words.iter_mut().zip(&mut masses).zip(0u32..).zip(penalised) {
            *word = packed(logit.to_bits(), i, Select::Value);
            *mass_of = mass((logit - max) * self.inverse_temperature);
        }
        let kept = |last: u64| {
            words
                .iter()
                .zip(&masses)
                .map(|(&word, &mass)| if word >= last { mass } else { 0 })
                .sum()
        };
        // Everything from the word `last` on, in the ranking, is cut off so far.
        let mut last = 0;
        if (self.top_k as usize) < words.len() {
            last = find(&words, |_| 1, last, u64::from(self.top_k) - 1);
        }
        if self.top_p < 1 << 24 {
            let needed = share(kept(last), self.top_p, true).max(1);
            last = find(&words, |i| masses[i], last, needed - 1);
        }
        let x = philox(self.seed, [position, 0, 0, 0])[0];
        let target = share(kept(last), x >> 8, false);
        packed_index(find(&words, |i| masses[i], last, target))
    }
}

/// total·numerator / 2^24, rounded down or up.
fn share(total: u64, numerator: u32, up: bool) -> u64 {
    let product = u128::from(total) * u128::from(numerator);
    let rounding = if up { (1 << 24) - 1 } else { 0 };
    ((product + rounding) >> 24) as u64
}

/// Of the words that are at least `last`, in descending order: the first at which the sum of the measures, its own included, is
/// greater than `target`. Sorts only the bucket in which that happens.
#[inline(always)]
fn find(words: &[u64], measure: impl Fn(usize) -> u64, last: u64, target: u64) -> u64 {
    let bucket_of = |word: u64| (word >> (64 - BUCKET_BITS)) as usize;
    let mut sums = vec![0u64; 1 << BUCKET_BITS];
    for (i, &word) in words.iter().enumerate() {
        if word >= last {
            sums[bucket_of(word)] += measure(i);
        }
    }
    let mut before = 0;
    let found = (0..sums.len()).rev().find(|&bucket| {
        let within = before + sums[bucket] > target;
        before += if within { 0 } else { sums[bucket] };
        within
    });
    let mut candidates: Vec<(u64, u64)> = words
        .iter()
        .enumerate()
        .filter(|(_, &word)| word >= last && Some(bucket_of(word)) == found)
        .map(|(i, &word)| (word, measure(i)))
        .collect();
    candidates.sort_unstable_by(|a, b| b.cmp(a));
    let hit = candidates.iter().find(|(_, measure)| {
        before += measure;
        before > target
    });
    hit.map_or(last, |&(word, _)| word)
}

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
pub fn philox(seed: u64, counter: [u32; 4]) -> [u32; 4] {
    let (mut low, mut high) = (seed as u32, (seed >> 32) as u32);
    let [mut a, mut b, mut c, mut d] = counter;
    for _ in 0..10 {
        let first = u64::from(a) * 0xd251_1f53;
        let second = u64::from(c) * 0xcd9e_8d57;
        (a, b, c, d) = (
            (second >> 32) as u32 ^ b ^ low,
            second as u32,
            (first >> 32) as u32 ^ d ^ high,
            first as u32,
        );
        low = low.wrapping_add(0x9e37_79b9);
        high = high.wrapping_add(0xbb67_ae85);
    }
    [a, b, c, d]
}

#[cfg(test)]
mod tests;
