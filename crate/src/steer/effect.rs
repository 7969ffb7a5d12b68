//! How the next token depends on what is added to a neuron at all positions: a Jacobian by finite differences, and the Fisher matrix of the
//! next token's distribution. Twin: `Effect` of training/claims/linear.py.
//!
//! The Jacobian at a place (a position of a context) is kept for the tokens that matter there; p is theirs alone, so that it sums to 1.

use crate::edits::EditTable;
use crate::error::{fail, Result};
use crate::exec::cpu::{CpuEngine, Rest};
use crate::exec::request::{Batch, Capture, LogitRows};
use crate::features::threads::in_threads;
use crate::memory::zeroed;
use crate::ops::buffers::HIDDEN;
use crate::ops::def::Point;

/// Tokens of a context.
pub const LENGTH: usize = 32;
/// Positions of a context at which the next token is looked at: every fourth from the fifth on.
const FIRST: usize = 5;
const EVERY: usize = 4;
/// What is added to a neuron, as a share of this quantile of its positive values.
const STEP: f64 = 0.2;
const QUANTILE: f64 = 0.9;
/// Of the mean of F's diagonal.
const RIDGE: f64 = 1e-3;
/// The power of the mass by which places are weighted; `POWER` of claims.sets says why.
const WEIGHT: f64 = 0.75;
/// Tokens that matter at a place: of at least this probability, at most so many, and those of the concepts.
const LEAST: f64 = 1e-5;
const MOST: usize = 512;
/// Rows of a batch.
const ROWS: usize = 256;

/// A position of a context.
struct Place {
    /// Ascending.
    tokens: Vec<u32>,
    /// Their probabilities.
    p: Vec<f64>,
    /// ∂logit of each token by each neuron, `[d_model, tokens]`.
    jacobian: Vec<f32>,
    /// Mean over the tokens `[d_model]`.
    mean: Vec<f64>,
}

/// What is known of one block.
pub struct Effect {
    places: Vec<Place>,
    diagonal: Vec<f64>,
    ridge: f64,
}

impl Effect {
    /// Measures all neurons behind block `layer`. `tokens` (ascending) are kept everywhere; `show` hears how many neurons of how many are done.
    pub fn measure(
        engine: &CpuEngine,
        contexts: &[Vec<u32>],
        layer: usize,
        tokens: &[u32],
        threads: usize,
        show: &(impl Fn(usize, usize) + Sync),
    ) -> Result<Effect> {
        let d = engine.config().d_model;
        let streams = in_threads(
            threads,
            contexts.len(),
            || Ok(engine.new_cache()),
            |cache, number| stream(engine, cache, &contexts[number], layer),
            |_| {},
        )?;
        let steps = steps(&streams, d);
        let moved: Vec<usize> = (0..d).filter(|index| steps[*index] > 0.0).collect();
        let mut places = Vec::new();
        for (number, stream) in streams.iter().enumerate() {
            let length = stream.len() / d;
            let at: Vec<usize> = (FIRST..length).step_by(EVERY).collect();
            let parts: Vec<&[usize]> = moved.chunks((ROWS / length.max(1)).max(1)).collect();
            let mut rest = Rest::default();
            let before = pollster::block_on(engine.rest(&mut rest, layer, stream, length, &at))?;
            let mut of_context = before
                .chunks_exact(engine.config().d_vocab)
                .map(|logits| Place::new(logits, tokens, d))
                .collect::<Result<Vec<Place>>>()?;
            let before: Vec<&[f32]> = before.chunks_exact(engine.config().d_vocab).collect();
            let work = |rest: &mut Rest, job: usize| -> Result<Vec<Vec<f32>>> {
                let mut hidden = Vec::with_capacity(parts[job].len() * stream.len());
                for index in parts[job] {
                    let first = hidden.len();
                    hidden.extend_from_slice(stream);
                    let column = hidden[first..].iter_mut().skip(*index).step_by(d);
                    column.for_each(|value| *value += steps[*index]);
                }
                let after = pollster::block_on(engine.rest(rest, layer, &hidden, length, &at))?;
                let mut columns: Vec<Vec<f32>> = vec![Vec::new(); at.len()];
                let variants = after.chunks_exact(at.len().max(1) * engine.config().d_vocab);
                for (index, after) in parts[job].iter().zip(variants) {
                    let after = after.chunks_exact(engine.config().d_vocab);
                    for (((column, place), before), after) in
                        columns.iter_mut().zip(&of_context).zip(&before).zip(after)
                    {
                        let slope = |id: &u32| (after[*id as usize] - before[*id as usize]) / steps[*index];
                        column.extend(place.tokens.iter().map(slope));
                    }
                }
                Ok(columns)
            };
            let total = moved.len() * streams.len();
            let after = |done: usize| {
                show(
                    number * moved.len() + (done * moved.len()).div_ceil(parts.len().max(1)),
                    total,
                )
            };
            let columns = in_threads(threads, parts.len(), || Ok(Rest::default()), work, after)?;
            for (part, columns) in parts.iter().zip(columns) {
                for (place, columns) in of_context.iter_mut().zip(columns) {
                    let width = place.tokens.len();
                    for (index, column) in part.iter().zip(columns.chunks_exact(width)) {
                        place.jacobian[index * width..][..width].copy_from_slice(column);
                    }
                }
            }
            places.extend(of_context);
        }
        if places.is_empty() {
            fail!(
                Argument,
                "the contexts are too short: steer looks at position {FIRST} and every {EVERY}th behind it, but the model's context holds {}",
                engine.config().n_ctx
            );
        }
        Ok(Effect::new(places, d))
    }

    fn new(mut places: Vec<Place>, d: usize) -> Effect {
        let mut diagonal = vec![0.0; d];
        let count = places.len() as f64;
        for place in &mut places {
            place.mean = place.product(&place.p);
            for ((diagonal, row), mean) in diagonal.iter_mut().zip(place.rows()).zip(&place.mean) {
                let squares = row.iter().zip(&place.p).map(|(j, p)| {
                    let off = f64::from(*j) - mean;
                    p * off * off
                });
                *diagonal += squares.sum::<f64>() / count;
            }
        }
        let ridge = RIDGE * diagonal.iter().sum::<f64>() / d.max(1) as f64;
        diagonal.iter_mut().for_each(|x| *x += ridge);
        Effect {
            places,
            diagonal,
            ridge,
        }
    }

    /// Of the Fisher matrix, `[d_model]`.
    pub fn diagonal(&self) -> &[f64] {
        &self.diagonal
    }

    /// A column of the Fisher matrix, `[d_model]`: mean over places of Jᵀ (diag p − p pᵀ) J, and the ridge.
    pub fn column(&self, index: usize) -> Vec<f64> {
        let mut column = vec![0.0; self.diagonal.len()];
        let count = self.places.len() as f64;
        for place in &self.places {
            let width = place.tokens.len();
            let own = &place.jacobian[index * width..][..width];
            let off = own.iter().zip(&place.p);
            let weights: Vec<f64> = off.map(|(j, p)| p * (f64::from(*j) - place.mean[index])).collect();
            for (sum, x) in column.iter_mut().zip(place.product(&weights)) {
                *sum += x / count;
            }
        }
        column[index] += self.ridge;
        column
    }

    /// Gradient of the log of the tokens' mass `[d_model]`, mean over the places weighted by a power of the mass there ([`WEIGHT`]): where a word never
    /// fits, it need not come. `None` where none of them is ever probable.
    pub fn gain(&self, tokens: &[u32]) -> Option<Vec<f64>> {
        let mut gain = vec![0.0; self.diagonal.len()];
        let mut total = 0.0;
        for place in &self.places {
            let of = |(id, p): (&u32, &f64)| if tokens.contains(id) { *p } else { 0.0 };
            let mut weights: Vec<f64> = place.tokens.iter().zip(&place.p).map(of).collect();
            let mass: f64 = weights.iter().sum();
            if mass <= 0.0 {
                continue;
            }
            weights.iter_mut().for_each(|p| *p /= mass);
            let weight = mass.powf(WEIGHT);
            total += weight;
            for ((sum, x), mean) in gain.iter_mut().zip(place.product(&weights)).zip(&place.mean) {
                *sum += weight * (x - mean);
            }
        }
        gain.iter_mut().for_each(|x| *x /= total);
        (total > 0.0).then_some(gain)
    }
}

impl Place {
    fn new(logits: &[f32], tokens: &[u32], d: usize) -> Result<Place> {
        let (tokens, p) = kept(logits, tokens);
        let what = "the effect of the neurons on the next token; give fewer prompts";
        Ok(Place {
            jacobian: zeroed(d * tokens.len(), what)?,
            mean: Vec::new(),
            tokens,
            p,
        })
    }

    /// By neuron.
    fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.jacobian.chunks_exact(self.tokens.len())
    }

    /// Σ over tokens of weight · J, `[d_model]`.
    fn product(&self, weights: &[f64]) -> Vec<f64> {
        let dot = |row: &[f32]| row.iter().zip(weights).map(|(j, w)| f64::from(*j) * w).sum();
        self.rows().map(dot).collect()
    }
}

/// The tokens that matter, ascending, with their probabilities among themselves.
fn kept(logits: &[f32], always: &[u32]) -> (Vec<u32>, Vec<f64>) {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let masses: Vec<f64> = logits.iter().map(|logit| f64::from(logit - top).exp()).collect();
    let least = LEAST * masses.iter().sum::<f64>();
    let mass = |id: &u32| masses[*id as usize];
    let known = |id: &u32| always.binary_search(id).is_ok();
    let mut tokens: Vec<u32> = (0u32..logits.len() as u32)
        .filter(|id| known(id) || mass(id) >= least)
        .collect();
    tokens.sort_by(|a, b| known(b).cmp(&known(a)).then(mass(b).total_cmp(&mass(a))));
    tokens.truncate(MOST.max(always.len()));
    tokens.sort_unstable();
    let sum: f64 = tokens.iter().map(mass).sum();
    let p = tokens.iter().map(|id| mass(id) / sum).collect();
    (tokens, p)
}

/// The residual stream of a text behind a block, `[positions, d_model]`.
fn stream(engine: &CpuEngine, cache: &mut crate::exec::cpu::CpuCache, ids: &[u32], layer: usize) -> Result<Vec<f32>> {
    let edits = EditTable::none(engine.config().n_layers);
    let batch = Batch {
        captures: &[Capture::buffer(Point::end(layer), HIDDEN)],
        ..Batch::text(ids, &edits, LogitRows::None)
    };
    let output = pollster::block_on(engine.forward(cache, &batch))?;
    Ok(output.captured.into_iter().next().unwrap_or_default())
}

/// What is added to each neuron: a share of its 0.9 quantile where it is positive; of one that never is, a share of its standard deviation.
fn steps(streams: &[Vec<f32>], d: usize) -> Vec<f32> {
    (0..d)
        .map(|index| {
            let column = || streams.iter().flat_map(|stream| stream.iter().skip(index).step_by(d));
            let mut positive: Vec<f32> = column().copied().filter(|value| *value > 0.0).collect();
            positive.sort_by(f32::total_cmp);
            let scale = match positive.as_slice() {
                [] => deviation(column().map(|value| f64::from(*value))),
                sorted => quantile(sorted),
            };
            (STEP * scale) as f32
        })
        .collect()
}

/// Linear between the two nearest of ascending numbers.
fn quantile(sorted: &[f32]) -> f64 {
    let at = QUANTILE * (sorted.len() - 1) as f64;
    let of = |index: usize| f64::from(sorted[index.min(sorted.len() - 1)]);
    let below = at.floor() as usize;
    of(below) + at.fract() * (of(below + 1) - of(below))
}

fn deviation(numbers: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = numbers.clone().count();
    let mean = numbers.clone().sum::<f64>() / n.max(1) as f64;
    let squares: f64 = numbers.map(|x| (x - mean) * (x - mean)).sum();
    (squares / n.saturating_sub(1).max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likely_tokens_and_those_of_the_concepts_are_kept() {
        let logits = [0.0, -20.0, 1.0, -30.0];
        let (tokens, p) = kept(&logits, &[3]);
        assert_eq!(tokens, [0, 2, 3]);
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12 && p[2] > 0.0);
        // Of many, the most likely.
        let logits: Vec<f32> = (0..2000).map(|id| id as f32 * 1e-3).collect();
        let (tokens, _) = kept(&logits, &[1, 5]);
        assert_eq!(
            (tokens.len(), &tokens[..3], tokens[511]),
            (512, &[1, 5, 1490][..], 1999)
        );
    }

    #[test]
    fn steps_follow_the_values() {
        // Neuron 0 is positive at times, neuron 1 never, neuron 2 is always 0.
        let streams = vec![
            vec![1.0, -1.0, 0.0, 3.0, -3.0, 0.0],
            vec![-9.0, -1.0, 0.0, 2.0, -3.0, 0.0],
        ];
        let steps = steps(&streams, 3);
        assert!((f64::from(steps[0]) - 0.2 * 2.8).abs() < 1e-6);
        assert!((f64::from(steps[1]) - 0.2 * (4.0f64 / 3.0).sqrt()).abs() < 1e-6);
        assert_eq!(steps[2], 0.0);
    }
}
