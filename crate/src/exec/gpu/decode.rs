//! Runs of sampled steps: the drawn ids stay on the GPU, so that several steps go into one submit.

use super::cache::{Flight, GpuCache};
use super::engine::GpuEngine;
use super::record::Recorder;
use super::staging::Staging;
use crate::error::{fail, Result};
use crate::exec::request::{BatchOutput, Capture, Decode, DecodeRow, Drawn};
use crate::ops::buffers::{Buffer, IDS, STATUS};
use crate::ops::def::{Params, Rows, Step};
use crate::ops::lm_head::LOGITS;
use crate::ops::pattern::fitted;
use crate::ops::sample::{MAX_STEPS, RESULTS, SAMPLING, SCRATCH};
use crate::ops::sampling::gpu_words;
use crate::pace::now_ms;

impl GpuEngine {
    /// Feeds a token, draws the next, and so on; see [`Decode`]. Up to [`MAX_STEPS`] go into one submit.
    #[cfg(feature = "internals")]
    pub async fn decode(&self, cache: &mut GpuCache, decode: &Decode<'_>) -> Result<Vec<Drawn>> {
        Ok(self.decode_ahead(cache, decode, [0, decode.steps]).await?.0)
    }

    /// Feeds a token, draws the next, and so on, or gives the steps that an earlier call has submitted already. Before it waits for them it submits `ahead` steps more, within `most`
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
        // What is under way may be more than is asked for, and `ahead` begins behind it.
        let under_way = cache.flight.as_ref().filter(|flight| flight.start + 1 == decode.ids.len());
        let steps = under_way.map_or(0, |flight| flight.steps).max(decode.steps);
        self.ready(cache, (decode.ids.len() + steps + ahead).saturating_sub(1)).await?;
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
            let mut drawn = self.steps_of(read?, n, decode.captures, decode.logits, &[Some(decode.row())])?.pop().unwrap_or_default();
            ids.extend(drawn.iter().map(|step| step.id));
            steps.append(&mut drawn);
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
            let first = Params::batch(1, start, Rows::Sequence);
            self.record_steps(cache, first, steps, decode.captures, decode.logits, &self.program.sampler)
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
        self.write_seen(SCRATCH, 0, &DecodeRow { ids, ..decode.row() });
        self.write_state(decode.edits);
    }

    /// Records steps, the first with these parameters. Regions: per step its captures and logits, then the results, then the status.
    pub(super) fn record_steps(
        &self,
        cache: &GpuCache,
        first: Params,
        steps: usize,
        captures: &[Capture],
        logits: bool,
        sampler: &Step,
    ) -> Result<Staging> {
        let core = &*self.core;
        let (gpu, rows) = (&core.gpu, first.rows as usize);
        let mut staging = Staging::default();
        let per_step = captures.len() + usize::from(logits);
        for step in 0..steps {
            for capture in captures {
                staging.region(gpu, self.capture_words(capture, first.at_step(step)))?;
            }
            if logits {
                staging.region(gpu, rows * core.config.d_vocab)?;
            }
        }
        let results = staging.region(gpu, 2 * rows * steps)?;
        let status = staging.region(gpu, 1)?;
        staging.allocate(gpu, &core.staging);
        let mut recorder = Recorder::new(gpu, &core.uniforms);
        for step in 0..steps {
            let params = first.at_step(step);
            let region = step * per_step;
            self.record_program(&mut recorder, cache, params, captures, &staging, region)?;
            let head = &self.program.head;
            self.record_probe(&mut recorder, cache, head, params, 0..rows, None, |r, at, words| {
                if logits {
                    staging.copy(r, region + captures.len(), at, &core.store.get(LOGITS), words);
                }
            })?;
            self.record_step(&mut recorder, cache, sampler, params, 0..rows, None, false)?;
        }
        staging.copy(&mut recorder, results, 0, &core.store.get(RESULTS), 2 * rows * steps);
        staging.copy(&mut recorder, status, 0, &core.store.get(STATUS), 1);
        core.submitted(recorder, &mut staging);
        Ok(staging)
    }

    /// What the regions of [`GpuEngine::record_steps`] hold, by row and step; of a row that is gone the tokens alone.
    pub(super) fn steps_of(
        &self,
        words: Vec<Vec<u32>>,
        steps: usize,
        captures: &[Capture],
        logits: bool,
        rows: &[Option<DecodeRow<'_>>],
    ) -> Result<Vec<Vec<Drawn>>> {
        let mut words = words.into_iter();
        let mut all = vec![Vec::with_capacity(steps); rows.len()];
        for step in 0..steps {
            let regions = captures.len() + usize::from(logits);
            let made: Vec<Vec<f32>> = words.by_ref().take(regions).map(bytemuck::cast_vec).collect();
            for (number, (row, drawn)) in rows.iter().zip(&mut all).enumerate() {
                let part = |region: usize| {
                    let made = made.get(region).map_or(&[][..], Vec::as_slice);
                    let width = made.len() / rows.len();
                    made[number * width..][..width].to_vec()
                };
                let at = |own| captures.iter().position(|capture| capture == own).unwrap_or(regions);
                let mut output = BatchOutput::default();
                if let Some(row) = row {
                    for own in row.captures {
                        let part = part(at(own));
                        let end = part.len() / self.core.config.n_heads;
                        // As long as it would be alone.
                        output.captured.push(match own.is_pattern() && rows.len() > 1 {
                            true => fitted(part, end, row.ids.len() + step)?,
                            false => part,
                        });
                    }
                    output.logits = if row.logits { part(captures.len()) } else { Vec::new() };
                }
                drawn.push(Drawn {
                    output,
                    ..Drawn::default()
                });
            }
        }
        let results = words.next().unwrap_or_default();
        self.check_status(words.next())?;
        for (slot, result) in results.chunks_exact(2).enumerate() {
            let id = result[0];
            if id as usize >= self.core.config.d_vocab {
                fail!(Device, "the GPU drew the id {id}, which the vocabulary does not have");
            }
            if let Some(drawn) = all[slot % rows.len()].get_mut(slot / rows.len()) {
                (drawn.id, drawn.logprob) = (id, f32::from_bits(result[1]));
            }
        }
        Ok(all)
    }

    /// Which ids occurred in a row, where that counts, into a sampler's `scratch`.
    pub(super) fn write_seen(&self, scratch: Buffer, number: usize, row: &DecodeRow<'_>) {
        if row.sampling.repetition_penalty == 1.0 {
            return;
        }
        let d_vocab = self.core.config.d_vocab;
        let mut seen = vec![0u32; d_vocab];
        for id in row.ids {
            if let Some(seen) = seen.get_mut(*id as usize) {
                *seen = 1;
            }
        }
        let at = 4 * (3 * number + 2) * d_vocab;
        let scratch = self.core.store.get(scratch);
        self.core.gpu.write_at(&scratch, at as u64, bytemuck::cast_slice(&seen));
    }
}
