//! Greedy texts with a neuron set from the last position of the prompt on, and how much they surprise the same model without the edit.

use super::contrasts::Prompts;
use super::set::{softmax, Handle};
use crate::edits::{Action, EditTable, ResolvedEdit, Site};
use crate::error::Result;
use crate::exec::cpu::{BatchedDecode, Branches, CpuEngine, Prefix, TokenInput};
use crate::features::READS;

/// New tokens of a text.
pub const LENGTH: usize = 12;
/// Strengths tried, as multiples of the neuron's strong activation: this one, times two four levels on, and so up to the last.
const WEAKEST: f64 = 0.25;
const LEVELS: usize = 21;
/// The level of four times the strong activation.
const FOUR_TIMES: usize = 16;
/// A neuron that, at four times its strong activation, moves the next token's distribution by less than this is not tried at lower ones, nats.
const STILL: f64 = 0.02;

/// Texts side by side in one batch: each takes two sequences.
const TEXTS: usize = 30;

/// Powers of two come out exact.
fn multiple(level: usize) -> f64 {
    WEAKEST * 2f64.powf(level as f64 / 4.0)
}

/// What a thread works with.
pub struct Writer<'a> {
    engine: &'a CpuEngine,
    special: &'a [u32],
    prefixes: Vec<Prefix>,
    batched: BatchedDecode,
    /// The surprise of the model's own greedy texts, nats per token.
    pub own: f64,
}

/// A text: its new tokens, and the nats per token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text {
    pub ids: Vec<u32>,
    pub surprise: f64,
}

impl Text {
    /// Whether a token comes three times in a row.
    fn stutters(&self) -> bool {
        self.ids.windows(3).any(|ids| ids[0] == ids[1] && ids[1] == ids[2])
    }
}

impl<'a> Writer<'a> {
    pub fn new(engine: &'a CpuEngine, prompts: &Prompts, special: &'a [u32]) -> Result<Writer<'a>> {
        let mut scratch = Branches::default();
        let prefix = |ids: &Vec<u32>| pollster::block_on(engine.prefix(ids, &mut scratch));
        let prefixes: Vec<Prefix> = prompts.texts.iter().map(prefix).collect::<Result<_>>()?;
        let most = prompts.texts.iter().map(Vec::len).max().unwrap_or(0);
        let mut writer = Writer {
            engine,
            special,
            prefixes,
            batched: engine.batched(2 * TEXTS, most + LENGTH)?,
            own: 0.0,
        };
        let plain: Vec<(usize, Option<Handle>)> = (0..writer.prefixes.len()).map(|text| (text, None)).collect();
        let texts = writer.write(&plain)?;
        writer.own = mean(&texts);
        Ok(writer)
    }

    /// Continues prompts, each with its edit.
    fn write(&mut self, jobs: &[(usize, Option<Handle>)]) -> Result<Vec<Text>> {
        let all: Vec<(&Prefix, Option<Handle>)> = jobs
            .iter()
            .map(|(text, handle)| (&self.prefixes[*text], *handle))
            .collect();
        let mut texts = Vec::new();
        for jobs in all.chunks(TEXTS) {
            texts.extend(write(self.engine, &mut self.batched, self.special, jobs)?);
        }
        Ok(texts)
    }

    /// For each neuron, set to multiples of its value: the largest at which its texts stay readable, with their surprise over the model's own; `moved`: how
    /// far the distribution moves at four times the value.
    pub fn strongest(&mut self, handles: &[(Handle, f64)]) -> Result<Vec<Option<(f32, f64)>>> {
        // The largest level known to read, and the smallest known not to.
        let mut bounds: Vec<(Option<usize>, usize)> = handles
            .iter()
            .map(|(_, moved)| ((*moved < STILL).then_some(FOUR_TIMES), LEVELS))
            .collect();
        let mut found: Vec<Option<(f32, f64)>> = vec![None; handles.len()];
        let at = |handle: &Handle, level: usize| Handle {
            value: (f64::from(handle.value) * multiple(level)) as f32,
            ..*handle
        };
        for (found, ((handle, _), (reads, _))) in found.iter_mut().zip(handles.iter().zip(&bounds)) {
            *found = reads.map(|level| (at(handle, level).value, 1.0));
        }
        loop {
            let next: Vec<(usize, usize)> = bounds
                .iter()
                .enumerate()
                .filter_map(|(n, (reads, not))| {
                    let least = reads.map_or(0, |level| level + 1);
                    (least < *not).then_some((n, (least + not) / 2))
                })
                .collect();
            if next.is_empty() {
                return Ok(found);
            }
            let count = self.prefixes.len();
            let jobs: Vec<(usize, Option<Handle>)> = next
                .iter()
                .flat_map(|(n, level)| (0..count).map(|text| (text, Some(at(&handles[*n].0, *level)))))
                .collect();
            let texts = self.write(&jobs)?;
            for ((n, level), texts) in next.iter().zip(texts.chunks(count)) {
                let surprise = mean(texts) / self.own;
                if surprise <= READS && !texts.iter().any(Text::stutters) {
                    bounds[*n].0 = Some(*level);
                    found[*n] = Some((at(&handles[*n].0, *level).value, surprise));
                } else {
                    bounds[*n].1 = *level;
                }
            }
        }
    }
}

fn mean(texts: &[Text]) -> f64 {
    texts.iter().map(|text| text.surprise).sum::<f64>() / texts.len().max(1) as f64
}

/// Continues each prefix greedily, with the neuron set from its last position on. Special tokens are not taken.
pub fn write(
    engine: &CpuEngine,
    batched: &mut BatchedDecode,
    special: &[u32],
    jobs: &[(&Prefix, Option<Handle>)],
) -> Result<Vec<Text>> {
    let config = engine.config();
    let n = jobs.len();
    let mut table = EditTable::none(config.n_layers);
    for (row, (prefix, handle)) in jobs.iter().enumerate() {
        // The second half of the sequences has the same tokens and no edit.
        engine.begin(batched, row, prefix);
        engine.begin(batched, n + row, prefix);
        if let Some(handle) = handle {
            let edit = ResolvedEdit {
                index: handle.index as u32,
                action: Action::Clamp,
                value: handle.value,
                site: Site::TopkOut,
                from: prefix.ids.len() as u32 - 1,
                to: u32::MAX,
                row: row as u32,
            };
            table.push(handle.layer, edit);
        }
    }
    let mut texts = vec![Text::default(); n];
    let (mut log, mut probabilities) = (Vec::new(), Vec::new());
    for step in 0..LENGTH {
        let fed: Vec<TokenInput> = (0..2 * n)
            .map(|sequence| {
                let (prefix, text) = (jobs[sequence % n].0, &texts[sequence % n]);
                let last = prefix.ids.len() - 1;
                TokenInput {
                    sequence,
                    id: text.ids.last().copied().unwrap_or(prefix.ids[last]),
                    position: last + step,
                }
            })
            .collect();
        let logits = pollster::block_on(engine.step_edited(batched, &fed, &table))?;
        let (edited, plain) = logits.split_at(n * config.d_vocab);
        let rows = edited
            .chunks_exact(config.d_vocab)
            .zip(plain.chunks_exact(config.d_vocab));
        for (text, (edited, plain)) in texts.iter_mut().zip(rows) {
            let ids = (0u32..)
                .zip(edited)
                .filter(|(id, _)| special.binary_search(id).is_err());
            let best = ids.reduce(|best, next| if next.1 > best.1 { next } else { best });
            let Some((id, _)) = best else { continue };
            softmax(plain, &mut log, &mut probabilities);
            text.ids.push(id);
            text.surprise -= f64::from(log[id as usize]) / LENGTH as f64;
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_double_every_four() {
        assert_eq!([0, 8, FOUR_TIMES, LEVELS - 1].map(multiple), [0.25, 1.0, 4.0, 8.0]);
    }

    #[test]
    fn three_times_the_same_is_a_stutter() {
        let text = |ids: &[u32]| Text {
            ids: ids.to_vec(),
            surprise: 0.0,
        };
        assert!(text(&[1, 2, 2, 2]).stutters());
        assert!(!text(&[1, 2, 2, 1, 2]).stutters());
    }
}
