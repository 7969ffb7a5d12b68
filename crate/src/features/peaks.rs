//! The top activations of a neuron, and a fair draw of its active positions. Both keep the same ones in whatever order they arrive.

use super::{SAMPLE, TOP, WINDOW};

/// The neuron's values around a position, as far as the document goes.
pub type Window = [f32; WINDOW];

/// One activation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Peak {
    pub value: f32,
    pub document: u32,
    pub position: u32,
}

/// How activations are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    Value,
    /// The most negative first.
    Negative,
    Magnitude,
}

impl Rank {
    #[inline(always)]
    pub fn key(self, value: f32) -> f32 {
        match self {
            Rank::Value => value,
            Rank::Negative => -value,
            Rank::Magnitude => value.abs(),
        }
    }

    /// Whether `a` ranks before `b`: by value, then document, then position.
    pub fn before(self, a: &Peak, b: &Peak) -> bool {
        let (key_a, key_b) = (self.key(a.value), self.key(b.value));
        key_a > key_b || (key_a == key_b && (a.document, a.position) < (b.document, b.position))
    }
}

/// The first [`TOP`] activations offered, each with its window if windows are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Peaks {
    pub peaks: Vec<Peak>,
    pub windows: Vec<Window>,
}

impl Peaks {
    /// Offers an activation; returns the key that the next one has to reach.
    pub fn offer(&mut self, rank: Rank, peak: Peak, window: Option<Window>) -> f32 {
        if self.peaks.len() < TOP {
            self.peaks.push(peak);
            self.windows.extend(window);
        } else {
            let last = self.last(rank);
            if rank.before(&peak, &self.peaks[last]) {
                self.peaks[last] = peak;
                if let (Some(window), Some(slot)) = (window, self.windows.get_mut(last)) {
                    *slot = window;
                }
            }
        }
        self.floor(rank)
    }

    /// The key below which nothing is kept.
    pub fn floor(&self, rank: Rank) -> f32 {
        if self.peaks.len() < TOP {
            f32::NEG_INFINITY
        } else {
            rank.key(self.peaks[self.last(rank)].value)
        }
    }

    fn last(&self, rank: Rank) -> usize {
        let later = |a: usize, b: usize| {
            if rank.before(&self.peaks[a], &self.peaks[b]) {
                b
            } else {
                a
            }
        };
        (0..self.peaks.len()).reduce(later).unwrap_or(0)
    }

    pub fn merge(&mut self, rank: Rank, other: &Peaks) {
        for (i, peak) in other.peaks.iter().enumerate() {
            self.offer(rank, *peak, other.windows.get(i).copied());
        }
    }

    /// By rank.
    pub fn sorted(&self, rank: Rank) -> Vec<(Peak, Option<Window>)> {
        let mut order: Vec<usize> = (0..self.peaks.len()).collect();
        order.sort_by(|a, b| {
            let (a, b) = (&self.peaks[*a], &self.peaks[*b]);
            if rank.before(a, b) {
                std::cmp::Ordering::Less
            } else {
                std::cmp::Ordering::Greater
            }
        });
        order
            .into_iter()
            .map(|i| (self.peaks[i], self.windows.get(i).copied()))
            .collect()
    }
}

/// The [`SAMPLE`] activations with the smallest hashes, in ascending order of (hash, document, position).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    pub drawn: Vec<(u64, Peak, Window)>,
}

impl Sample {
    /// Offers an activation; returns the hash that the next one must not exceed.
    pub fn offer(&mut self, hash: u64, peak: Peak, window: Window) -> u64 {
        let order = |hash: u64, peak: &Peak| (hash, peak.document, peak.position);
        let position = self
            .drawn
            .partition_point(|(h, p, _)| order(*h, p) < order(hash, &peak));
        self.drawn.insert(position, (hash, peak, window));
        self.drawn.truncate(SAMPLE);
        self.limit()
    }

    pub fn limit(&self) -> u64 {
        match self.drawn.last() {
            Some((hash, ..)) if self.drawn.len() == SAMPLE => *hash,
            _ => u64::MAX,
        }
    }

    pub fn merge(&mut self, other: &Sample) {
        for (hash, peak, window) in &other.drawn {
            self.offer(*hash, *peak, *window);
        }
    }
}

/// Sebastiano Vigna's SplitMix64 finalizer.
pub fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The hash of a neuron at a position, from the [`mix`] of each: uniform over positions for every neuron.
#[inline(always)]
pub fn hash(neuron: u64, position: u64) -> u64 {
    let x = (neuron ^ position).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^ (x >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peak(i: u32) -> Peak {
        Peak {
            value: ((i * 37) % 101) as f32 - 50.0,
            document: i / 10,
            position: i % 10,
        }
    }

    #[test]
    fn the_first_hundred_in_any_order() {
        for rank in [Rank::Value, Rank::Negative, Rank::Magnitude] {
            let fill = |all: &mut dyn Iterator<Item = u32>| {
                let mut peaks = Peaks::default();
                for i in all {
                    peaks.offer(rank, peak(i), None);
                }
                peaks
            };
            let mut expected: Vec<Peak> = (0..1000).map(peak).collect();
            expected.sort_by(|a, b| {
                rank.key(b.value)
                    .total_cmp(&rank.key(a.value))
                    .then((a.document, a.position).cmp(&(b.document, b.position)))
            });
            expected.truncate(TOP);
            let mut merged = fill(&mut (400..1000));
            merged.merge(rank, &fill(&mut (0..400)));
            for found in [fill(&mut (0..1000)), fill(&mut (0..1000).rev()), merged] {
                let found: Vec<Peak> = found.sorted(rank).into_iter().map(|(peak, _)| peak).collect();
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn a_draw_is_fair_and_does_not_depend_on_the_order() {
        let neuron = mix(5);
        let offer = |sample: &mut Sample, i: u32| {
            sample.offer(hash(neuron, mix(u64::from(i))), peak(i), [0.0; WINDOW]);
        };
        let (mut forward, mut backward) = (Sample::default(), Sample::default());
        (0..1000).for_each(|i| offer(&mut forward, i));
        (0..1000).rev().for_each(|i| offer(&mut backward, i));
        assert_eq!(forward, backward);
        assert_eq!(forward.drawn.len(), SAMPLE);
        // Of many neurons, each position is drawn about equally often: 2000 · 32 / 100 = 640, σ = 21.
        let mut times = [0; 100];
        for neuron in 0..2000 {
            let mut sample = Sample::default();
            for i in 0..100 {
                sample.offer(
                    hash(mix(!neuron), mix(i)),
                    Peak {
                        position: i as u32,
                        ..Peak::default()
                    },
                    [0.0; WINDOW],
                );
            }
            sample
                .drawn
                .iter()
                .for_each(|(_, peak, _)| times[peak.position as usize] += 1);
        }
        assert!(times.iter().all(|n| (540..740).contains(n)), "{times:?}");
    }
}
