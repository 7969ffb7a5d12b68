//! Steps of several sequences: each dispatch does all of them, a row each with its own position, keys and values, edits and sampler. The kernels
//! are those of one sequence, and a workgroup does what it would do for that one: each gets what it would get alone, bit for bit.

use std::rc::Rc;

use super::cache::{self, GpuCache};
use super::engine::GpuEngine;
use super::slots::{JointFlight, Slot, Slots};
use super::staging::Staging;
use crate::error::{fail, Result};
use crate::exec::request::{all_captures, edits_of, Capture, DecodeRow, Drawn};
use crate::ops::buffers::IDS;
use crate::ops::def::{Params, Step, SEQUENCES};
use crate::ops::lm_head::LOGITS;
use crate::ops::pass::KvCache;
use crate::ops::sample::{self, MAX_STEPS, SAMPLING, SCRATCH_OF_EACH};
use crate::ops::sampling::gpu_words;
use crate::ops::span::{part, SPLIT_ROWS};
use crate::pace::now_ms;

/// Sequences that one submit does.
struct Group<'a> {
    /// By row, as in [`JointFlight`].
    slots: Vec<Option<u64>>,
    rows: Vec<DecodeRow<'a>>,
    /// Position, and where its keys and values begin, by row.
    places: Vec<[usize; 2]>,
    /// Whether something looks within their blocks, and into which parts their attention splits: rows that differ there take other kernels.
    kind: (bool, Option<usize>),
}

impl GpuEngine {
    /// How many sequences of so many positions can step together; 1 where this device cannot do it.
    pub fn rows_together(&self, positions: usize) -> usize {
        let (gpu, config, store) = (&self.core.gpu, &self.core.config, &self.core.store);
        if 4 * SCRATCH_OF_EACH.size(config, SEQUENCES) as u64 > gpu.max_binding() {
            return 1;
        }
        let slots = cache::most_positions(gpu, config) / positions.clamp(1, config.n_ctx);
        SEQUENCES.min(store.rows).min(store.rows_of(LOGITS)).min(slots).max(1)
    }

    /// Room for so many positions (the model's context at most) beside the sequences that step already.
    pub async fn slot(&self, positions: usize) -> Result<Slot> {
        let (gpu, config) = (&self.core.gpu, &self.core.config);
        let positions = positions.min(config.n_ctx);
        let there = self.core.slots.borrow().upgrade();
        let slots = there.unwrap_or_else(|| {
            let slots = Rc::new(Slots::new());
            self.core.slots.replace(Rc::downgrade(&slots));
            slots
        });
        loop {
            let begin = slots.gap(positions);
            let (end, room) = (begin + positions, slots.cache.borrow().positions());
            if end <= room {
                return Ok(slots.take(begin..end, KvCache::size(config, positions)));
            }
            let more = (2 * room).min(cache::most_positions(gpu, config));
            let (layers, guard) = cache::layers(gpu, config, end.max(more))?;
            guard.check(gpu).await?;
            // Another batch may have been at it in the meantime.
            slots.cache.borrow_mut().move_to(gpu, config, layers, end.max(more));
        }
    }

    /// Copies the first `length` positions of a cache into a slot.
    pub fn fill(&self, slot: &mut Slot, from: &mut GpuCache, length: usize) {
        let position = cache::position_bytes(&self.core.config);
        slot.unread.append(&mut from.unread);
        let to = slot.slots.cache.borrow();
        let pairs = from.layers.iter().zip(&to.layers);
        self.core.gpu.copies(pairs, slot.range.start as u64 * position, length as u64 * position);
    }

    /// Feeds the last token of each sequence and draws the next ones: `steps` at most, by row, or the steps that an earlier call has submitted
    /// already, and then none of a row that was not among them. Before it waits it submits `ahead` steps more, within `most` in all, where one
    /// submit does all rows: the next call gets those. `slots` are those of the rows. Also the milliseconds that the steps took, where that
    /// shows.
    pub async fn step_together(
        &self,
        slots: &mut [&mut Slot],
        rows: &[DecodeRow<'_>],
        [steps, ahead, most]: [usize; 3],
    ) -> Result<(Vec<Vec<Drawn>>, Option<f64>)> {
        let core = &*self.core;
        self.check()?;
        let Some(shared) = slots.first().map(|slot| slot.slots.clone()) else {
            return Ok((Vec::new(), None));
        };
        if rows.iter().any(|row| row.ids.is_empty()) {
            fail!(Argument, "decoding needs at least one id");
        }
        let mut unread = Vec::new();
        let flight = shared.under_way(slots).filter(|flight| {
            let mut rows = slots.iter().zip(rows);
            rows.any(|(slot, row)| flight.row_of(slot, row.ids.len() - 1).is_some())
        });
        let was_under_way = flight.is_some();
        let flights = match flight {
            Some(flight) => vec![flight],
            None => {
                slots.iter_mut().for_each(|slot| unread.append(&mut slot.unread));
                self.launch_groups(&shared, slots, rows, steps)?
            }
        };
        if let [flight] = &flights[..] {
            let all = slots.iter().zip(rows).all(|(slot, row)| flight.row_of(slot, row.ids.len() - 1).is_some());
            let ahead = ahead.min(MAX_STEPS).min(most.saturating_sub(flight.steps));
            // Others may have used the buffers since, or rows have come or gone: then only the host knows what belongs there, and not yet.
            if all && flight.slots.len() == rows.len() && flight.number == core.recordings.get() {
                if let Some(next) = self.launch_behind(&shared, flight, ahead)? {
                    shared.keep(next);
                }
            }
        }
        let settled_ms = if unread.is_empty() {
            None
        } else {
            self.settle(unread).await?;
            Some(now_ms())
        };
        let (mut all, mut ms) = (vec![Vec::new(); rows.len()], None);
        for flight in flights {
            let numbers: Vec<Option<usize>> = (0..flight.slots.len())
                .map(|row| slots.iter().zip(rows).position(|(slot, of)| flight.row_of(slot, of.ids.len() - 1) == Some(row)))
                .collect();
            let waiting_ms = now_ms();
            let read = flight.staging.read(&core.gpu, &core.staging).await;
            flight.guard.check(&core.gpu).await?;
            let read_ms = now_ms();
            // Steps that were done before anyone asked took nobody knows how long.
            ms = (!was_under_way || read_ms - waiting_ms >= 1.0).then_some(read_ms - settled_ms.unwrap_or(flight.at_ms));
            shared.began(core.recordings.get(), read_ms);
            let of_rows: Vec<Option<DecodeRow<'_>>> = numbers.iter().map(|number| number.map(|number| rows[number])).collect();
            let drawn = self.steps_of(read?, flight.steps, &flight.captures, flight.logits, &of_rows)?;
            for (number, drawn) in numbers.into_iter().zip(drawn) {
                if let Some(number) = number {
                    all[number] = drawn;
                }
            }
        }
        Ok((all, ms))
    }

    /// Submits steps of all rows from what the host knows, as many submits as there are kinds of rows.
    fn launch_groups(
        &self,
        shared: &Slots,
        slots: &[&mut Slot],
        rows: &[DecodeRow<'_>],
        steps: usize,
    ) -> Result<Vec<JointFlight>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        let mut steps = steps.clamp(1, MAX_STEPS);
        for (row, slot) in rows.iter().zip(slots) {
            let position = row.ids.len() - 1;
            let split = part(position + 1);
            while part(position + steps) != split {
                steps -= 1;
            }
            let kind = (row.captures.iter().any(|capture| capture.point.is_within_block()), split);
            let most = split.map_or(SEQUENCES, |_| SPLIT_ROWS);
            let open = groups.iter().position(|group| group.kind == kind && group.rows.len() < most);
            let open = open.unwrap_or_else(|| {
                groups.push(Group {
                    slots: Vec::new(),
                    rows: Vec::new(),
                    places: Vec::new(),
                    kind,
                });
                groups.len() - 1
            });
            let group = &mut groups[open];
            group.slots.push(Some(slot.number));
            group.rows.push(*row);
            group.places.push([position, slot.range.start]);
        }
        let launched = groups.into_iter().map(|group| {
            let at_ms = now_ms();
            let captures = all_captures(&group.rows);
            let logits = group.rows.iter().any(|row| row.logits);
            let first = Params::each(&group.places);
            let (staging, guard) = self.core.gpu.guarded("decoding", || {
                self.write_rows(&group.rows);
                self.record_rows(shared, first, steps, &captures, logits)
            });
            Ok(JointFlight {
                staging: staging?,
                guard,
                slots: group.slots,
                first,
                steps,
                split: group.kind.1,
                captures,
                logits,
                number: self.core.recordings.get(),
                at_ms,
            })
        });
        launched.collect()
    }

    /// Submits up to `steps` steps more of the same rows behind the engine's latest recording: the GPU has their ids and everything else.
    fn launch_behind(&self, shared: &Slots, flight: &JointFlight, mut steps: usize) -> Result<Option<JointFlight>> {
        for row in 0..flight.slots.len() {
            let position = flight.position(row) + flight.steps;
            while steps > 0 && part(position + steps) != flight.split {
                steps -= 1;
            }
        }
        if steps == 0 {
            return Ok(None);
        }
        let at_ms = now_ms();
        let first = Params {
            start: flight.first.start + flight.steps as u32,
            ..flight.first
        };
        let (staging, guard) = self.core.gpu.guarded("decoding", || {
            self.record_rows(shared, first, steps, &flight.captures, flight.logits)
        });
        Ok(Some(JointFlight {
            staging: staging?,
            guard,
            slots: flight.slots.clone(),
            first,
            steps,
            split: flight.split,
            captures: flight.captures.clone(),
            logits: flight.logits,
            number: self.core.recordings.get(),
            at_ms,
        }))
    }

    fn record_rows(
        &self,
        shared: &Slots,
        first: Params,
        steps: usize,
        captures: &[Capture],
        logits: bool,
    ) -> Result<Staging> {
        let sampler = Step {
            op: &sample::TOGETHER,
            at: self.program.sampler.at,
        };
        self.record_steps(&shared.cache.borrow(), first, steps, captures, logits, &sampler)
    }

    /// What the steps find: the ids to feed, how to draw, which ids occurred, the edits.
    fn write_rows(&self, rows: &[DecodeRow<'_>]) {
        let (gpu, store) = (&self.core.gpu, &self.core.store);
        let last: Vec<u32> = rows.iter().filter_map(|row| row.ids.last().copied()).collect();
        gpu.write(&store.get(IDS), bytemuck::cast_slice(&last));
        let settings: Vec<[u32; 8]> = rows.iter().map(|row| gpu_words(row.sampling)).collect();
        gpu.write(&store.get(SAMPLING), bytemuck::cast_slice(&settings));
        for (number, row) in rows.iter().enumerate() {
            self.write_seen(SCRATCH_OF_EACH, number, row);
        }
        self.write_state(&edits_of(self.core.config.n_layers, rows));
    }
}
