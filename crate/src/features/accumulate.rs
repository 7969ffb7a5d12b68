//! What is kept of each neuron of a layer while documents pass: a fixed amount, however long the corpus.
//!
//! Everything merges exactly, so that merged shards equal one pass byte for byte: counters are integers; maxima, top activations and
//! the random draw do not depend on order; a document's sum is f64, and those sums are added as integers in units of 2^-64.

use super::bands::{Bands, Finder, Point};
use super::histogram::Histogram;
use super::peaks::{hash, mix, Peak, Peaks, Rank, Sample, Window};
use super::{AFTER, BEFORE, WINDOW};
use crate::ops::pass::ActiveRows;

/// The residual stream behind one block, of one document.
pub enum Activations {
    /// Of a TopK block: its active entries.
    Active(ActiveRows),
    /// `[positions, width]`
    Dense { rows: Vec<f32>, width: usize },
}

impl Activations {
    fn positions(&self) -> usize {
        match self {
            Activations::Active(rows) => rows.start.len().saturating_sub(1),
            Activations::Dense { rows, width } => rows.len() / width,
        }
    }

    fn value(&self, position: usize, index: usize) -> f32 {
        match self {
            Activations::Active(rows) => {
                let (indices, values) = rows.row(position);
                let found = indices.binary_search(&(index as u32));
                found.map_or(0.0, |place| values[place])
            }
            Activations::Dense { rows, width } => rows[position * width + index],
        }
    }

    /// The neuron's values around a position; see [`window_start`].
    fn window(&self, index: usize, position: u32) -> Window {
        let first = window_start(position) as usize;
        let last = (position as usize + AFTER).min(self.positions().saturating_sub(1));
        let mut window = [0.0; WINDOW];
        for (value, at) in window.iter_mut().zip(first..=last) {
            *value = self.value(at, index);
        }
        window
    }
}

/// A document of those that are added together.
pub struct Added<'a> {
    pub number: u32,
    pub counted: &'a [bool],
    pub activations: &'a Activations,
}

/// A position that counts.
struct Place {
    /// Which of the documents that are added.
    of: usize,
    document: u32,
    position: u32,
    mix: u64,
}

/// A nonzero value of a neuron: the number of its place, and the value.
type Entry = (u32, f32);

/// Neurons of a dense layer whose values are sorted out together: a cache line.
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
    /// The mix of each neuron.
    seeds: Vec<u64>,
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
        }
    }

    /// Adds the activations of documents at the positions that count. What is kept of all neurons is far more than a cache holds, so the
    /// neurons come one after the other, each with all of its activations.
    pub fn add(&mut self, documents: &[Added<'_>]) {
        let mut places = Vec::new();
        for (of, added) in documents.iter().enumerate() {
            let counted = added.counted.iter().zip(0u32..).filter(|(counted, _)| **counted);
            places.extend(counted.map(|(_, position)| Place {
                of,
                document: added.number,
                position,
                mix: mix(u64::from(added.number) << 32 | u64::from(position)),
            }));
        }
        let mut finder = Finder::default();
        // The active entries of TopK blocks, by neuron.
        let mut starts = vec![0usize; self.d_model + 1];
        let row = |place: &Place| match documents[place.of].activations {
            Activations::Active(rows) => rows.row(place.position as usize),
            Activations::Dense { .. } => (&[][..], &[][..]),
        };
        for index in places.iter().flat_map(|place| row(place).0) {
            starts[*index as usize + 1] += 1;
        }
        for i in 0..self.d_model {
            starts[i + 1] += starts[i];
        }
        let mut sorted: Vec<Entry> = vec![(0, 0.0); starts[self.d_model]];
        let mut next = starts.clone();
        for (number, place) in (0u32..).zip(&places) {
            let (indices, values) = row(place);
            for (index, value) in indices.iter().zip(values) {
                let slot = &mut next[*index as usize];
                sorted[*slot] = (number, *value);
                *slot += 1;
            }
        }
        for index in 0..self.d_model {
            self.note(
                index,
                &sorted[starts[index]..starts[index + 1]],
                &places,
                documents,
                &mut finder,
            );
        }
        let is_dense = |added: &Added<'_>| matches!(added.activations, Activations::Dense { .. });
        if !documents.iter().any(is_dense) {
            return;
        }
        // The nonzero values of dense ones.
        let mut columns: [Vec<Entry>; TOGETHER] = Default::default();
        for first in (0..self.d_model).step_by(TOGETHER) {
            let block = first..(first + TOGETHER).min(self.d_model);
            for (number, place) in (0u32..).zip(&places) {
                let Activations::Dense { rows, width } = documents[place.of].activations else {
                    continue;
                };
                let row = &rows[place.position as usize * width..][..*width];
                for (column, value) in columns.iter_mut().zip(&row[block.clone()]) {
                    if *value != 0.0 {
                        column.push((number, *value));
                    }
                }
            }
            for (index, column) in block.zip(&mut columns) {
                self.note(index, column, &places, documents, &mut finder);
                column.clear();
            }
        }
    }

    /// Adds activations of one neuron, ascending by place.
    fn note(
        &mut self,
        index: usize,
        entries: &[Entry],
        places: &[Place],
        documents: &[Added<'_>],
        finder: &mut Finder,
    ) {
        let Some((first, _)) = entries.first() else { return };
        self.active[index] += entries.len() as u64;
        let (mut document, mut of_document) = (places[*first as usize].of, 0.0);
        let (mut max, mut min) = (self.max[index], self.min[index]);
        let mut sum = self.sum[index];
        let by_size = self.ranks == [Rank::Magnitude];
        for (place, value) in entries {
            let of = places[*place as usize].of;
            if of != document {
                sum = sum.saturating_add((of_document * UNIT) as i128);
                (document, of_document) = (of, 0.0);
            }
            of_document += f64::from(if by_size { value.abs() } else { *value });
            max = max.max(*value);
            min = min.min(*value);
        }
        self.sum[index] = sum.saturating_add((of_document * UNIT) as i128);
        (self.max[index], self.min[index]) = (max, min);
        let peak = |place: &Place, value: f32| Peak {
            value,
            document: place.document,
            position: place.position,
        };
        let window = |place: &Place| documents[place.of].activations.window(index, place.position);
        if self.full {
            let histogram = &mut self.histograms[index];
            entries.iter().for_each(|(_, value)| histogram.add(*value));
            let (seed, sample, limit) = (self.seeds[index], &mut self.samples[index], &mut self.limits[index]);
            let hashed = entries.iter().map(|(place, value)| {
                let place = &places[*place as usize];
                let (hash, peak) = (hash(seed, place.mix), peak(place, *value));
                if hash <= *limit {
                    *limit = sample.offer(hash, peak, window(place));
                }
                (hash, peak)
            });
            self.bands[index].add_all(finder, hashed);
        }
        for tail in 0..self.ranks.len() {
            let (rank, slot) = (self.ranks[tail], tail * self.d_model + index);
            for (place, value) in entries {
                if rank.key(*value) >= self.floors[slot] {
                    let place = &places[*place as usize];
                    let window = self.full.then(|| window(place));
                    self.floors[slot] = self.peaks[slot].offer(rank, peak(place, *value), window);
                }
            }
        }
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

    /// Mean of the active values, of their magnitudes where the model selects by these; 0 if there are none.
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
