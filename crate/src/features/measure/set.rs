//! One neuron after the other is set, and ablated where it is active, at the last position of each prompt: what becomes of the next token's
//! distribution. Only the blocks behind the neuron are computed.

use super::contrasts::{log_odds, Prompts};
use crate::error::Result;
use crate::exec::cpu::{Branches, CpuEngine, Prefix};

/// A prompt and what the model makes of it.
struct Base {
    prefix: Prefix,
    contrast: usize,
    log: Vec<f32>,
    probabilities: Vec<f32>,
    odds: f64,
}

/// What a thread works with.
pub struct Desk<'a> {
    engine: &'a CpuEngine,
    prompts: &'a Prompts,
    scratch: Branches,
    bases: Vec<Base>,
    log: Vec<f32>,
    probabilities: Vec<f32>,
}

/// A neuron to set, and to what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Handle {
    pub layer: usize,
    pub index: usize,
    pub value: f32,
}

/// What became of the distributions, summed over prompts of even and of odd number.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Of ln p, by token.
    pub log: [Vec<f32>; 2],
    /// What the token takes of the change: p after · change where it rises, p before · change where it falls.
    pub share: [Vec<f32>; 2],
    pub prompts: [usize; 2],
    /// Sum of KL(before ‖ after).
    pub kl: f64,
    /// Change of the log odds of each contrast: at each of its prompts.
    pub effects: Vec<Vec<f64>>,
    /// Where the neuron was active and has been ablated: the same, and the sum of KL.
    pub ablated: Vec<Vec<f64>>,
    pub ablated_kl: f64,
}

/// ln of the probabilities, and these.
pub fn softmax(logits: &[f32], log: &mut Vec<f32>, probabilities: &mut Vec<f32>) {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    probabilities.clear();
    probabilities.extend(logits.iter().map(|x| (x - most).exp()));
    let sum: f64 = probabilities.iter().map(|p| f64::from(*p)).sum();
    let (scale, shift) = ((1.0 / sum) as f32, most + sum.ln() as f32);
    probabilities.iter_mut().for_each(|p| *p *= scale);
    log.clear();
    log.extend(logits.iter().map(|x| x - shift));
}

impl<'a> Desk<'a> {
    pub fn new(engine: &'a CpuEngine, prompts: &'a Prompts) -> Result<Desk<'a>> {
        let mut scratch = Branches::default();
        let mut bases = Vec::new();
        for (contrast, ids) in &prompts.prompts {
            let prefix = pollster::block_on(engine.prefix(ids, &mut scratch))?;
            let (mut log, mut probabilities) = (Vec::new(), Vec::new());
            softmax(&prefix.logits, &mut log, &mut probabilities);
            bases.push(Base {
                odds: log_odds(&prompts.contrasts[*contrast], &probabilities),
                contrast: *contrast,
                prefix,
                log,
                probabilities,
            });
        }
        Ok(Desk {
            engine,
            prompts,
            scratch,
            bases,
            log: Vec::new(),
            probabilities: Vec::new(),
        })
    }

    /// Sets each neuron, all of one layer, at every `nth` prompt; `ablate`: and ablates it where it is active.
    pub fn change(&mut self, handles: &[Handle], nth: usize, ablate: bool) -> Result<Vec<Change>> {
        let (d_vocab, d_model) = (self.engine.config().d_vocab, self.engine.config().d_model);
        let contrasts = self.prompts.contrasts.len();
        let empty = || Change {
            log: [vec![0.0; d_vocab], vec![0.0; d_vocab]],
            share: [vec![0.0; d_vocab], vec![0.0; d_vocab]],
            effects: vec![Vec::new(); contrasts],
            ablated: vec![Vec::new(); contrasts],
            ..Change::default()
        };
        let mut changes: Vec<Change> = handles.iter().map(|_| empty()).collect();
        let Some(layer) = handles.first().map(|handle| handle.layer) else {
            return Ok(changes);
        };
        for (number, base) in self.bases.iter_mut().enumerate().step_by(nth) {
            let stream = base.prefix.hidden[layer].clone();
            let set = handles
                .iter()
                .enumerate()
                .map(|(slot, handle)| (slot, handle.index, Some(handle.value)));
            let active = handles
                .iter()
                .enumerate()
                .filter(|(_, handle)| ablate && stream[handle.index] != 0.0);
            let rows: Vec<(usize, usize, Option<f32>)> = set
                .chain(active.map(|(slot, handle)| (slot, handle.index, None)))
                .collect();
            for rows in rows.chunks(self.engine.max_rows()) {
                let mut hidden = Vec::with_capacity(rows.len() * d_model);
                for (_, index, value) in rows {
                    hidden.extend_from_slice(&stream);
                    let row = hidden.len() - d_model;
                    hidden[row + index] = value.unwrap_or(0.0);
                }
                let branches = self
                    .engine
                    .branches(&mut self.scratch, &mut base.prefix, layer, &hidden);
                let logits = pollster::block_on(branches)?;
                for ((slot, _, value), logits) in rows.iter().zip(logits.chunks_exact(d_vocab)) {
                    softmax(logits, &mut self.log, &mut self.probabilities);
                    let contrast = &self.prompts.contrasts[base.contrast];
                    let effect = log_odds(contrast, &self.probabilities) - base.odds;
                    let change = &mut changes[*slot];
                    if value.is_some() {
                        change.effects[base.contrast].push(effect);
                        let kl = change.add(
                            number % 2,
                            (&base.log, &base.probabilities),
                            (&self.log, &self.probabilities),
                        );
                        change.kl += kl;
                    } else {
                        change.ablated[base.contrast].push(effect);
                        change.ablated_kl += divergence(&base.probabilities, &base.log, &self.log);
                    }
                }
            }
        }
        Ok(changes)
    }
}

/// KL(before ‖ after).
fn divergence(probabilities: &[f32], before: &[f32], after: &[f32]) -> f64 {
    let terms = probabilities.iter().zip(before).zip(after);
    terms
        .map(|((p, before), after)| f64::from(p * (before - after)))
        .sum::<f64>()
        .max(0.0)
}

impl Change {
    /// KL(before ‖ after), mean over the prompts.
    pub fn mean_kl(&self) -> f64 {
        self.kl / (self.prompts[0] + self.prompts[1]).max(1) as f64
    }

    /// Adds a prompt; gives its divergence.
    fn add(&mut self, half: usize, before: (&[f32], &[f32]), after: (&[f32], &[f32])) -> f64 {
        self.prompts[half] += 1;
        let (log, share) = (&mut self.log[half], &mut self.share[half]);
        let sums = log.iter_mut().zip(share);
        let of = before.0.iter().zip(before.1).zip(after.0.iter().zip(after.1));
        for ((log, share), ((log_before, p_before), (log_after, p_after))) in sums.zip(of) {
            let change = log_after - log_before;
            *log += change;
            *share += change * if change > 0.0 { p_after } else { p_before };
        }
        divergence(before.1, before.0, after.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_of_logits() {
        let (mut log, mut probabilities) = (Vec::new(), Vec::new());
        softmax(&[1.0, 1.0 + 3f32.ln(), f32::NEG_INFINITY], &mut log, &mut probabilities);
        assert!((probabilities[0] - 0.25).abs() < 1e-6 && (log[1] - 0.75f32.ln()).abs() < 1e-6);
        assert_eq!(probabilities[2], 0.0);
    }

    #[test]
    fn a_change_is_summed_by_halves() {
        let before = [0.5f32, 0.25, 0.25];
        let after = [0.25f32, 0.5, 0.25];
        let logs = [before, after].map(|p| p.map(f32::ln));
        let mut change = Change {
            log: [vec![0.0; 3], vec![0.0; 3]],
            share: [vec![0.0; 3], vec![0.0; 3]],
            ..Change::default()
        };
        let kl = change.add(1, (&logs[0], &before), (&logs[1], &after));
        let ln2 = 2f32.ln();
        assert!((kl - 0.25 * f64::from(ln2)).abs() < 1e-6);
        assert_eq!(change.prompts, [0, 1]);
        assert!((change.share[1][1] - 0.5 * ln2).abs() < 1e-6 && (change.share[1][0] + 0.5 * ln2).abs() < 1e-6);
        assert_eq!(change.log[0], [0.0; 3]);
    }
}
