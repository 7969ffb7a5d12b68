//! What is kept of each neuron of a layer while documents pass: a fixed amount, however long the corpus.
//!
//! Everything merges exactly, so that merged shards equal one pass byte for byte: counters are integers; maxima, top activations and
//! the random draw do not depend on order; a document's sum is f64, and those sums are added as integers in units of 2^-64.

use super::bands::{Bands, Point};
use super::histogram::Histogram;
use super::peaks::{hash, mix, Peak, Peaks, Rank, Sample, Window};
use super::{AFTER, BEFORE, WINDOW};
use crate::ops::pass::ActiveRows;

/// The residual stream behind one block, of one document.
pub struct Activations {
    /// `[positions, d_model]`
    pub dense: Vec<f32>,
    /// Its active entries, if this is a TopK block.
    pub active: Option<ActiveRows>,
}

/// Neurons of a dense layer that are counted together.
const TOGETHER: usize = 16;

/// Unit of the sums.
const UNIT: f64 = (1u128 << 64) as f64;

/// The neurons of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerStatistics {
    pub layer: usize,
    pub d_model: usize,
    /// How activations are ranked: one way, or two if both tails count.
    pub ranks: Vec<Rank>,
    /// Whether to keep examples and histograms too.
    pub full: bool,
    pub active: Vec<u64>,
    /// In units of 2^-64.
    pub sum: Vec<i128>,
    pub max: Vec<f32>,
    pub min: Vec<f32>,
    /// `[ranks, d_model]`
    pub peaks: Vec<Peaks>,
    pub floors: Vec<f32>,
    pub histograms: Vec<Histogram>,
    pub bands: Vec<Bands>,
    pub samples: Vec<Sample>,
    pub limits: Vec<u64>,
    /// Scratch: the mix of each neuron, and the sums of the current document.
    seeds: Vec<u64>,
    of_document: Vec<f64>,
}

impl LayerStatistics {
    pub fn new(layer: usize, d_model: usize, ranks: &[Rank], full: bool) -> Self {
        let kept = if full { d_model } else { 0 };
        LayerStatistics {
            layer,
            d_model,
            ranks: ranks.to_vec(),
            full,
            active: vec![0; d_model],
            sum: vec![0; d_model],
            max: vec![f32::NEG_INFINITY; d_model],
            min: vec![f32::INFINITY; d_model],
            peaks: vec![Peaks::default(); ranks.len() * d_model],
            floors: vec![f32::NEG_INFINITY; ranks.len() * d_model],
            histograms: vec![Histogram::default(); kept],
            bands: vec![Bands::default(); kept],
            samples: vec![Sample::default(); kept],
            limits: vec![u64::MAX; kept],
            seeds: (0..d_model as u64).map(|i| mix(!((layer as u64) << 32 | i))).collect(),
            of_document: vec![0.0; d_model],
        }
    }

    /// Adds the activations of a document at the positions that count.
    pub fn add(&mut self, document: u32, counted: &[bool], activations: &Activations) {
        let place = |position: usize| {
            let position = position as u32;
            (document, position, mix(u64::from(document) << 32 | u64::from(position)))
        };
        let counted = counted.iter().enumerate().filter(|(_, counted)| **counted);
        let places: Vec<(u32, u32, u64)> = counted.map(|(position, _)| place(position)).collect();
        match &activations.active {
            Some(active) => {
                for at in places {
                    let (indices, values) = active.row(at.1 as usize);
                    for (index, value) in indices.iter().zip(values) {
                        self.note(*index as usize, *value, at, activations);
                    }
                }
            }
            // What is kept of all neurons is far more than a cache holds: a few neurons at all positions, then the next few.
            None => {
                for first in (0..self.d_model).step_by(TOGETHER) {
                    let block = first..(first + TOGETHER).min(self.d_model);
                    for at in &places {
                        let row = &activations.dense[at.1 as usize * self.d_model..][..self.d_model];
                        for (index, value) in block.clone().zip(&row[block.clone()]) {
                            if *value != 0.0 {
                                self.note(index, *value, *at, activations);
                            }
                        }
                    }
                }
            }
        }
        for (sum, of_document) in self.sum.iter_mut().zip(&mut self.of_document) {
            *sum = sum.saturating_add((*of_document * UNIT) as i128);
            *of_document = 0.0;
        }
    }

    /// Adds one activation. `at`: document, position, and the mix of both.
    #[inline(always)]
    fn note(&mut self, index: usize, value: f32, at: (u32, u32, u64), activations: &Activations) {
        self.active[index] += 1;
        self.of_document[index] += f64::from(value);
        self.max[index] = self.max[index].max(value);
        self.min[index] = self.min[index].min(value);
        let peak = || Peak {
            value,
            document: at.0,
            position: at.1,
        };
        if self.full {
            self.histograms[index].add(value);
            let hash = hash(self.seeds[index], at.2);
            self.bands[index].add(hash, peak());
            if hash <= self.limits[index] {
                let window = self.window(index, at.1, activations);
                self.limits[index] = self.samples[index].offer(hash, peak(), window);
            }
        }
        for tail in 0..self.ranks.len() {
            let (rank, slot) = (self.ranks[tail], tail * self.d_model + index);
            if rank.key(value) >= self.floors[slot] {
                let window = self.full.then(|| self.window(index, at.1, activations));
                self.floors[slot] = self.peaks[slot].offer(rank, peak(), window);
            }
        }
    }

    /// The neuron's values around a position; see [`window_start`].
    fn window(&self, index: usize, position: u32, activations: &Activations) -> Window {
        let mut window = [0.0; WINDOW];
        let first = window_start(position) as usize;
        let rows = activations.dense.chunks_exact(self.d_model).skip(first);
        let count = position as usize + 1 + AFTER - first;
        for (value, row) in window.iter_mut().zip(rows.take(count)) {
            *value = row[index];
        }
        window
    }

    /// Adds the statistics of another part of the corpus.
    pub fn merge(&mut self, other: &LayerStatistics) {
        for i in 0..self.d_model {
            self.active[i] += other.active[i];
            self.sum[i] = self.sum[i].saturating_add(other.sum[i]);
            self.max[i] = self.max[i].max(other.max[i]);
            self.min[i] = self.min[i].min(other.min[i]);
        }
        for (tail, rank) in self.ranks.iter().enumerate() {
            for i in tail * self.d_model..(tail + 1) * self.d_model {
                self.peaks[i].merge(*rank, &other.peaks[i]);
                self.floors[i] = self.peaks[i].floor(*rank);
            }
        }
        for (histogram, other) in self.histograms.iter_mut().zip(&other.histograms) {
            histogram.merge(other);
        }
        for (bands, other) in self.bands.iter_mut().zip(&other.bands) {
            bands.merge(other);
        }
        for ((sample, other), limit) in self.samples.iter_mut().zip(&other.samples).zip(&mut self.limits) {
            sample.merge(other);
            *limit = sample.limit();
        }
    }

    /// Restores floors and limits from the lists, after reading from a file.
    pub fn settle(&mut self) {
        for (tail, rank) in self.ranks.iter().enumerate() {
            for i in tail * self.d_model..(tail + 1) * self.d_model {
                self.floors[i] = self.peaks[i].floor(*rank);
            }
        }
        for (limit, sample) in self.limits.iter_mut().zip(&self.samples) {
            *limit = sample.limit();
        }
    }

    /// The activations of a tail that were kept, with how many each stands for, strongest first.
    pub fn points(&self, tail: usize, index: usize) -> Vec<Point> {
        self.bands[index].points(self.ranks[tail], &self.peaks[tail * self.d_model + index].peaks)
    }

    /// Mean of the active values; 0 if there are none.
    pub fn mean(&self, index: usize) -> f64 {
        self.sum[index] as f64 / UNIT / (self.active[index].max(1) as f64)
    }
}

/// The first position of the window around `position`.
pub fn window_start(position: u32) -> u32 {
    position.saturating_sub(BEFORE as u32)
}

/// All layers of one set of weights, over a range of documents.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    pub layers: Vec<LayerStatistics>,
    /// The documents counted: `from..to` of the corpus.
    pub from: u64,
    pub to: u64,
    /// Tokens, and how many of them count.
    pub tokens: u64,
    pub positions: u64,
}

impl Statistics {
    pub fn new(layers: &[usize], d_model: usize, ranks: &[Rank], full: bool, from: u64) -> Self {
        Statistics {
            layers: layers
                .iter()
                .map(|layer| LayerStatistics::new(*layer, d_model, ranks, full))
                .collect(),
            from,
            to: from,
            tokens: 0,
            positions: 0,
        }
    }

    /// Goes on behind these documents, which every layer has added.
    pub fn pass(&mut self, documents: &[Vec<u32>], counted: &[Vec<bool>]) {
        self.to += documents.len() as u64;
        self.tokens += documents.iter().map(|document| document.len() as u64).sum::<u64>();
        self.positions += counted.iter().flatten().filter(|counted| **counted).count() as u64;
    }

    /// Appends the next range.
    pub fn merge(&mut self, other: &Statistics) {
        for (layer, other) in self.layers.iter_mut().zip(&other.layers) {
            layer.merge(other);
        }
        self.to = other.to;
        self.tokens += other.tokens;
        self.positions += other.positions;
    }
}
