//! Steps of several sequences: each dispatch does all of them, a row each with its own position, keys and values, edits and sampler. The kernels
//! are those of one sequence, and a workgroup does what it would do for that one: each gets what it would get alone, bit for bit.

use std::rc::Rc;

use super::cache::{self, GpuCache};
use super::context::Guard;
use super::engine::GpuEngine;
use super::slots::{Slot, Slots};
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

/// Sequences that one submit does.
struct Group<'a> {
    /// Their numbers among all.
    numbers: Vec<usize>,
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

    /// Feeds the last token of each sequence and draws the next ones: `steps` at most, by row. `slots` are those of the rows.
    pub async fn step_together(
        &self,
        slots: &mut [&mut Slot],
        rows: &[DecodeRow<'_>],
        steps: usize,
    ) -> Result<Vec<Vec<Drawn>>> {
        let core = &*self.core;
        core.gpu.check()?;
        let mut unread = Vec::new();
        let mut groups: Vec<Group<'_>> = Vec::new();
        let mut steps = steps.clamp(1, MAX_STEPS);
        for (number, (row, slot)) in rows.iter().zip(&mut *slots).enumerate() {
            let Some(position) = row.ids.len().checked_sub(1) else {
                fail!(Argument, "decoding needs at least one id")
            };
            unread.append(&mut slot.unread);
            let split = part(position + 1);
            while part(position + steps) != split {
                steps -= 1;
            }
            let kind = (row.captures.iter().any(|capture| capture.point.is_within_block()), split);
            let most = split.map_or(SEQUENCES, |_| SPLIT_ROWS);
            let open = groups.iter().position(|group| group.kind == kind && group.rows.len() < most);
            let open = open.unwrap_or_else(|| {
                groups.push(Group {
                    numbers: Vec::new(),
                    rows: Vec::new(),
                    places: Vec::new(),
                    kind,
                });
                groups.len() - 1
            });
            let group = &mut groups[open];
            group.numbers.push(number);
            group.rows.push(*row);
            group.places.push([position, slot.range.start]);
        }
        let Some(cache) = slots.first().map(|slot| slot.slots.clone()) else {
            return Ok(Vec::new());
        };
        let mut under_way = Vec::with_capacity(groups.len());
        for group in &groups {
            let captures = all_captures(&group.rows);
            let (staging, guard) = self.launch_group(&cache, group, &captures, steps);
            under_way.push((group, captures, staging?, guard));
        }
        self.settle(unread).await?;
        let mut all = vec![Vec::new(); rows.len()];
        for (group, captures, staging, guard) in under_way {
            let read = staging.read(&core.gpu, &core.staging).await;
            guard.check(&core.gpu).await?;
            let drawn = self.steps_of(read?, steps, &captures, &group.rows)?;
            for (number, drawn) in group.numbers.iter().zip(drawn) {
                all[*number] = drawn;
            }
        }
        Ok(all)
    }

    fn launch_group(
        &self,
        slots: &Slots,
        group: &Group<'_>,
        captures: &[Capture],
        steps: usize,
    ) -> (Result<Staging>, Guard) {
        let sampler = Step {
            op: &sample::TOGETHER,
            at: self.program.sampler.at,
        };
        self.core.gpu.guarded("decoding", || {
            self.write_rows(&group.rows);
            let logits = group.rows.iter().any(|row| row.logits);
            let first = Params::each(&group.places);
            self.record_steps(&slots.cache.borrow(), first, steps, captures, logits, &sampler)
        })
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
