//! Runs of sampled steps: the drawn ids stay on the GPU, so that several steps go into one submit.

use super::cache::GpuCache;
use super::capture::Columns;
use super::engine::GpuEngine;
use super::record::{Params, Recorder};
use super::scratch::MAX_STEPS;
use super::staging::Staging;
use crate::engine::{BatchOutput, Decode, Rows, Step};
use crate::error::{fail, Result};
use crate::pace::now_ms;
use crate::sampling;

/// A submit of several decode steps should not take longer, so that an abort takes effect soon.
const SUBMIT_MS: f64 = 80.0;

impl GpuEngine {
    /// Decode steps that fit one submit of at most 100 ms, by what the latest took.
    pub fn steps_per_submit(&self) -> usize {
        match self.step_ms.get() {
            0.0 => 1,
            ms => ((SUBMIT_MS / ms) as usize).clamp(1, MAX_STEPS),
        }
    }

    /// Feeds a token, draws the next, and so on; see [`Decode`]. Several steps go into one submit.
    pub async fn decode(&self, cache: &mut GpuCache, decode: &Decode<'_>) -> Result<Vec<Step>> {
        self.ready(cache).await?;
        let mut ids = decode.ids.to_vec();
        let mut steps = Vec::with_capacity(decode.steps);
        while steps.len() < decode.steps {
            let n = self.steps_per_submit().min(decode.steps - steps.len());
            let begin = now_ms();
            let (staging, guard) = self
                .gpu
                .guarded("decoding", || self.record_decode(cache, decode, &ids, n));
            let staging = staging?;
            let read = staging.read(&self.gpu, &self.staging).await;
            guard.check(&self.gpu).await?;
            let mut words = read?.into_iter();
            let first = steps.len();
            for _ in 0..n {
                let captured = decode
                    .captures
                    .iter()
                    .zip(words.by_ref())
                    .map(|(c, words)| self.captured(*c, words))
                    .collect();
                let logits = if decode.logits {
                    bytemuck::cast_vec(words.next().unwrap_or_default())
                } else {
                    Vec::new()
                };
                steps.push(Step {
                    output: BatchOutput { captured, logits },
                    ..Step::default()
                });
            }
            let results = words.next().unwrap_or_default();
            self.check_status(words.next())?;
            for (step, result) in steps[first..].iter_mut().zip(results.chunks_exact(2)) {
                (step.id, step.logprob) = (result[0], f32::from_bits(result[1]));
                if step.id as usize >= self.config.d_vocab {
                    fail!(
                        Device,
                        "the GPU drew the id {}, which the vocabulary does not have",
                        step.id
                    );
                }
                ids.push(step.id);
            }
            self.pace((now_ms() - begin) / n as f64);
        }
        Ok(steps)
    }

    /// Regions: per step its captures and logits, then the results, then the status.
    fn record_decode(&self, cache: &GpuCache, decode: &Decode<'_>, ids: &[u32], steps: usize) -> Result<Staging> {
        let (gpu, s) = (&self.gpu, &self.scratch);
        let Some((last, start)) = ids.last().zip(ids.len().checked_sub(1)) else {
            fail!(Argument, "decoding needs at least one id")
        };
        let mut staging = Staging::default();
        let per_step = decode.captures.len() + usize::from(decode.logits);
        for _ in 0..steps {
            for capture in decode.captures {
                staging.region(gpu, self.capture_words(*capture, 1))?;
            }
            if decode.logits {
                staging.region(gpu, self.config.d_vocab)?;
            }
        }
        let results = staging.region(gpu, 2 * steps)?;
        let status = staging.region(gpu, 1)?;
        staging.allocate(gpu, &self.staging);
        gpu.write_at(&s.ids, 4 * start as u64, bytemuck::bytes_of(last));
        gpu.write(&s.sampling, bytemuck::cast_slice(&sampling::gpu_words(decode.sampling)));
        if decode.sampling.repetition_penalty != 1.0 {
            self.write_seen(ids);
        }
        self.write_state(decode.edits);
        let mut recorder = Recorder::new(gpu, &self.uniforms);
        for step in 0..steps {
            let params = Params {
                step: step as u32,
                ..Params::batch(1, start + step, Rows::Sequence)
            };
            self.record_program(&mut recorder, cache, params, decode.captures, |r, index, capture| {
                self.record_capture(r, cache, params, capture, &staging, step * per_step + index)
            })?;
            self.record_head(&mut recorder, params, 0..1, Columns::All, |r, at, words| {
                if decode.logits {
                    staging.copy(r, step * per_step + decode.captures.len(), at, &s.logits, words);
                }
            });
            recorder.dispatch(&self.sample, &self.sample_group, params, [1, 1, 1]);
        }
        staging.copy(&mut recorder, results, 0, &s.results, 2 * steps);
        staging.copy(&mut recorder, status, 0, &s.status, 1);
        self.dispatches.set(recorder.submit());
        Ok(staging)
    }

    fn write_seen(&self, ids: &[u32]) {
        let mut seen = vec![0u32; self.config.d_vocab];
        for id in ids {
            if let Some(seen) = seen.get_mut(*id as usize) {
                *seen = 1;
            }
        }
        self.gpu.write(&self.scratch.seen, bytemuck::cast_slice(&seen));
    }

    fn pace(&self, ms: f64) {
        let before = self.step_ms.get();
        self.step_ms.set(if before == 0.0 { ms } else { 0.5 * (before + ms) });
    }
}
