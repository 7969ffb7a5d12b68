//! Runs of sampled steps: the drawn ids stay on the GPU, so that several steps go into one submit.

use super::cache::{Flight, GpuCache};
use super::engine::GpuEngine;
use super::record::Recorder;
use super::staging::Staging;
use crate::error::{fail, Result};
use crate::exec::request::{BatchOutput, Decode, Drawn};
use crate::ops::buffers::{IDS, STATUS};
use crate::ops::def::{Params, Rows};
use crate::ops::lm_head::LOGITS;
use crate::ops::sample::{MAX_STEPS, RESULTS, SAMPLING, SCRATCH};
use crate::ops::sampling::gpu_words;
use crate::pace::now_ms;

impl GpuEngine {
    /// Feeds a token, draws the next, and so on; see [`Decode`]. Up to [`MAX_STEPS`] go into one submit.
    pub async fn decode(&self, cache: &mut GpuCache, decode: &Decode<'_>) -> Result<Vec<Drawn>> {
        Ok(self.decode_ahead(cache, decode, [0, decode.steps]).await?.0)
    }

    /// The same, or the steps that an earlier call has submitted already. Before it waits for them it submits `ahead` steps more, within `most`
    /// in all, so that the GPU has work while the host reads: the next call with the same settings gets those. Also the milliseconds
    /// that the steps took, where that shows.
    pub async fn decode_ahead(
        &self,
        cache: &mut GpuCache,
        decode: &Decode<'_>,
        [ahead, most]: [usize; 2],
    ) -> Result<(Vec<Drawn>, Option<f64>)> {
        let core = &*self.core;
        let ahead = ahead.min(MAX_STEPS);
        self.ready(cache, (decode.ids.len() + decode.steps + ahead).saturating_sub(1)).await?;
        let mut ids = decode.ids.to_vec();
        let mut steps = Vec::with_capacity(decode.steps);
        let mut ms = None;
        while steps.len() < decode.steps {
            let Some(start) = ids.len().checked_sub(1) else {
                fail!(Argument, "decoding needs at least one id")
            };
            let flight = cache.flight.take().filter(|flight| flight.start == start);
            let was_under_way = flight.is_some();
            let flight = match flight {
                Some(flight) => flight,
                None => self.launch(cache, decode, start, MAX_STEPS.min(decode.steps - steps.len()), Some(&ids))?,
            };
            let Flight {
                staging,
                guard,
                steps: n,
                number,
                mut at_ms,
                ..
            } = flight;
            let done = steps.len() + n;
            let ahead = ahead.min(most.saturating_sub(done));
            // Others may have used the buffers since: then only the host knows what belongs there, and it does not know it yet.
            if done >= decode.steps && ahead > 0 && number == core.recordings.get() {
                cache.flight = Some(self.launch(cache, decode, start + n, ahead, None)?);
            }
            if !cache.unread.is_empty() {
                self.settle(std::mem::take(&mut cache.unread)).await?;
                at_ms = now_ms();
            }
            let waiting_ms = now_ms();
            let read = staging.read(&core.gpu, &core.staging).await;
            guard.check(&core.gpu).await?;
            let read_ms = now_ms();
            // Steps that were done before anyone asked took nobody knows how long.
            ms = (!was_under_way || read_ms - waiting_ms >= 1.0).then_some(read_ms - at_ms);
            if let Some(flight) = &mut cache.flight {
                flight.at_ms = read_ms;
            }
            let mut words = read?.into_iter();
            let first = steps.len();
            for _ in 0..n {
                let captured = words.by_ref().take(decode.captures.len());
                let captured = captured.map(bytemuck::cast_vec).collect();
                let logits = if decode.logits {
                    bytemuck::cast_vec(words.next().unwrap_or_default())
                } else {
                    Vec::new()
                };
                steps.push(Drawn {
                    output: BatchOutput { captured, logits },
                    ..Drawn::default()
                });
            }
            let results = words.next().unwrap_or_default();
            self.check_status(words.next())?;
            for (step, result) in steps[first..].iter_mut().zip(results.chunks_exact(2)) {
                (step.id, step.logprob) = (result[0], f32::from_bits(result[1]));
                if step.id as usize >= self.core.config.d_vocab {
                    fail!(
                        Device,
                        "the GPU drew the id {}, which the vocabulary does not have",
                        step.id
                    );
                }
                ids.push(step.id);
            }
        }
        Ok((steps, ms))
    }

    /// Submits steps from position `start` on. `ids`: all up to there; `None` behind the engine's latest recording, which drew the one at
    /// `start`: the GPU has it, and the state.
    fn launch(
        &self,
        cache: &GpuCache,
        decode: &Decode<'_>,
        start: usize,
        steps: usize,
        ids: Option<&[u32]>,
    ) -> Result<Flight> {
        let core = &*self.core;
        let at_ms = now_ms();
        let (staging, guard) = core.gpu.guarded("decoding", || {
            if let Some(ids) = ids {
                self.write_decode(decode, ids);
            }
            self.record_decode(cache, decode, start, steps)
        });
        Ok(Flight {
            staging: staging?,
            guard,
            start,
            steps,
            number: core.recordings.get(),
            at_ms,
        })
    }

    /// What the steps find: the id to feed, how to draw, which ids occurred, the edits.
    fn write_decode(&self, decode: &Decode<'_>, ids: &[u32]) {
        let (gpu, store) = (&self.core.gpu, &self.core.store);
        if let Some((last, before)) = ids.split_last() {
            gpu.write_at(&store.get(IDS), 4 * before.len() as u64, bytemuck::bytes_of(last));
        }
        gpu.write(&store.get(SAMPLING), bytemuck::cast_slice(&gpu_words(decode.sampling)));
        if decode.sampling.repetition_penalty != 1.0 {
            self.write_seen(ids);
        }
        self.write_state(decode.edits);
    }

    /// Regions: per step its captures and logits, then the results, then the status.
    fn record_decode(&self, cache: &GpuCache, decode: &Decode<'_>, start: usize, steps: usize) -> Result<Staging> {
        let core = &*self.core;
        let gpu = &core.gpu;
        let mut staging = Staging::default();
        let per_step = decode.captures.len() + usize::from(decode.logits);
        for _ in 0..steps {
            for capture in decode.captures {
                staging.region(gpu, self.capture_words(capture, 1))?;
            }
            if decode.logits {
                staging.region(gpu, self.core.config.d_vocab)?;
            }
        }
        let results = staging.region(gpu, 2 * steps)?;
        let status = staging.region(gpu, 1)?;
        staging.allocate(gpu, &core.staging);
        let mut recorder = Recorder::new(gpu, &core.uniforms);
        for step in 0..steps {
            let params = Params {
                step: step as u32,
                ..Params::batch(1, start + step, Rows::Sequence)
            };
            let first = step * per_step;
            self.record_program(&mut recorder, cache, params, decode.captures, &staging, first)?;
            self.record_probe(
                &mut recorder,
                cache,
                &self.program.head,
                params,
                0..1,
                None,
                |r, at, words| {
                    if decode.logits {
                        staging.copy(r, first + decode.captures.len(), at, &core.store.get(LOGITS), words);
                    }
                },
            )?;
            self.record_step(&mut recorder, cache, &self.program.sampler, params, 0..1, None, false)?;
        }
        staging.copy(&mut recorder, results, 0, &core.store.get(RESULTS), 2 * steps);
        staging.copy(&mut recorder, status, 0, &core.store.get(STATUS), 1);
        core.submitted(recorder, &mut staging);
        Ok(staging)
    }

    fn write_seen(&self, ids: &[u32]) {
        let mut seen = vec![0u32; self.core.config.d_vocab];
        for id in ids {
            if let Some(seen) = seen.get_mut(*id as usize) {
                *seen = 1;
            }
        }
        let scratch = self.core.store.get(SCRATCH);
        self.core
            .gpu
            .write_at(&scratch, 8 * seen.len() as u64, bytemuck::cast_slice(&seen));
    }
}
