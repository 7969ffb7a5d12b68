//! How a neuron's activations are spread over their values: for each band of values a count and a fair draw. Whatever the corpus, that is a
//! fixed amount; and like everything that is kept, it does not depend on the order in which documents come.
//!
//! A band is an eighth of an octave (f32 bits without the lowest 20), so that the strongest 0.1 % of the activations are drawn as finely as the
//! strongest 10 %. A drawn activation stands for `count / drawn` of its band; the top activations, which are all kept, for themselves.

use super::peaks::{Peak, Rank};

/// Activations drawn of one band.
pub const DRAWN: usize = 64;
const SHIFT: u32 = 20;

/// One band: how many activations are in it, and those with the smallest hashes, ascending by (hash, document, position).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Band {
    pub key: u16,
    pub count: u64,
    pub drawn: Vec<(u32, Peak)>,
}

impl Band {
    fn key(value: f32) -> u16 {
        (value.to_bits() >> SHIFT) as u16
    }

    fn offer(&mut self, hash: u32, peak: Peak) {
        let full = self.drawn.len() == DRAWN;
        if full && self.drawn.last().is_some_and(|(last, _)| hash > *last) {
            return;
        }
        let order = (hash, peak.document, peak.position);
        let place = self
            .drawn
            .partition_point(|(hash, peak)| (*hash, peak.document, peak.position) < order);
        self.drawn.insert(place, (hash, peak));
        self.drawn.truncate(DRAWN);
    }
}

/// The bands of one neuron, ascending by key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bands {
    pub bands: Vec<Band>,
}

/// Where the band of each key is, for one neuron at a time: scratch of [`Bands::add_all`].
pub struct Finder {
    places: Vec<u16>,
}

impl Default for Finder {
    fn default() -> Self {
        Finder {
            places: vec![u16::MAX; 1 << (32 - SHIFT)],
        }
    }
}

impl Finder {
    fn enter(&mut self, bands: &[Band]) {
        for (place, band) in (0u16..).zip(bands) {
            self.places[usize::from(band.key)] = place;
        }
    }

    fn leave(&mut self, bands: &[Band]) {
        bands
            .iter()
            .for_each(|band| self.places[usize::from(band.key)] = u16::MAX);
    }

    /// Beyond all bands where there is none.
    fn place(&self, key: u16) -> usize {
        usize::from(self.places[usize::from(key)])
    }
}

/// An activation that stands for `weight` of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub peak: Peak,
    pub weight: f64,
}

impl Bands {
    /// The band of a key.
    fn of(&mut self, key: u16) -> &mut Band {
        let place = match self.bands.binary_search_by_key(&key, |band| band.key) {
            Ok(place) => place,
            Err(place) => {
                let band = Band { key, ..Band::default() };
                self.bands.insert(place, band);
                place
            }
        };
        &mut self.bands[place]
    }

    /// Adds activations, each with its hash of (neuron, position).
    pub fn add_all(&mut self, finder: &mut Finder, activations: impl Iterator<Item = (u64, Peak)>) {
        finder.enter(&self.bands);
        for (hash, peak) in activations {
            let key = Band::key(peak.value);
            if self.bands.get(finder.place(key)).is_none() {
                self.of(key);
                finder.enter(&self.bands);
            }
            if let Some(band) = self.bands.get_mut(finder.place(key)) {
                band.count += 1;
                band.offer((hash >> 32) as u32, peak);
            }
        }
        finder.leave(&self.bands);
    }

    pub fn merge(&mut self, other: &Bands) {
        for from in &other.bands {
            let band = self.of(from.key);
            band.count = band.count.saturating_add(from.count);
            from.drawn.iter().for_each(|(hash, peak)| band.offer(*hash, *peak));
        }
    }

    /// The activations that rank above 0, strongest first: `top`, the first of all of them, as they are, and what was drawn of the others.
    pub fn points(&self, rank: Rank, top: &[Peak]) -> Vec<Point> {
        let last = top
            .iter()
            .copied()
            .reduce(|a, b| if rank.before(&a, &b) { b } else { a });
        let in_top = |peak: &Peak| last.is_some_and(|last| !rank.before(&last, peak));
        let of = |peak: &Peak| Band::key(peak.value);
        let mut points: Vec<Point> = top
            .iter()
            .map(|peak| Point {
                peak: *peak,
                weight: 1.0,
            })
            .collect();
        for band in &self.bands {
            let drawn = || band.drawn.iter().map(|(_, peak)| peak).filter(|peak| !in_top(peak));
            let others = band
                .count
                .saturating_sub(top.iter().filter(|peak| of(peak) == band.key).count() as u64);
            let weight = others as f64 / drawn().count().max(1) as f64;
            points.extend(drawn().map(|peak| Point { peak: *peak, weight }));
        }
        points.retain(|point| rank.key(point.peak.value) > 0.0 && point.weight > 0.0);
        points.sort_by(|a, b| match rank.before(&a.peak, &b.peak) {
            true => std::cmp::Ordering::Less,
            false => std::cmp::Ordering::Greater,
        });
        points
    }
}

/// How many activations the points stand for.
pub fn weight(points: &[Point]) -> f64 {
    points.iter().map(|point| point.weight).sum()
}

/// The strongest `share` of the activations, of points that come strongest first.
pub fn strongest(points: &[Point], share: f64) -> &[Point] {
    let limit = share * weight(points);
    let mut before = 0.0;
    let count = points.iter().take_while(|point| {
        let taken = before < limit;
        before += point.weight;
        taken
    });
    &points[..count.count()]
}

/// The value that a share of the activations, strongest first, reaches; 0 of nothing.
#[cfg(any(feature = "cli", test))]
pub fn quantile(points: &[Point], share: f64) -> f64 {
    strongest(points, share)
        .last()
        .map_or(0.0, |point| f64::from(point.peak.value))
}

#[cfg(test)]
mod tests {
    use super::super::peaks::{hash, mix};
    use super::*;

    /// Activation `i` of 20,000, its value between 0 and 10, most of them small.
    fn activation(i: u32) -> (u64, Peak) {
        let u = f64::from((mix(u64::from(i)) >> 40) as u32) / f64::from(1u32 << 24);
        let peak = Peak {
            value: (10.0 * u * u * u) as f32,
            document: i / 100,
            position: i % 100,
        };
        (hash(mix(7), mix(u64::from(i) << 20)), peak)
    }

    fn fill(all: impl Iterator<Item = u32>) -> Bands {
        let mut bands = Bands::default();
        bands.add_all(&mut Finder::default(), all.map(activation));
        bands
    }

    #[test]
    fn the_order_does_not_matter_and_parts_merge() {
        let whole = fill(0..20_000);
        let mut merged = fill(9_000..20_000);
        merged.merge(&fill(0..9_000));
        assert_eq!(whole, fill((0..20_000).rev()));
        assert_eq!(whole, merged);
        assert!(whole.bands.iter().all(|band| band.drawn.len() <= DRAWN));
    }

    #[test]
    fn points_stand_for_all_activations() {
        let points = fill(0..20_000).points(Rank::Value, &[]);
        assert!(points.len() < 8_000);
        assert!((weight(&points) - 20_000.0).abs() < 1e-6);
        // The value at a share s is 10 · (1 − s)³.
        for share in [0.001, 0.01, 0.1, 0.5] {
            let expected = 10.0 * (1.0_f64 - share).powi(3);
            let found = quantile(&points, share);
            assert!(
                (found - expected).abs() < 0.04 * expected,
                "{share}: {found} {expected}"
            );
        }
        let mut all: Vec<Peak> = (0..20_000).map(|i| activation(i).1).collect();
        all.sort_by(|a, b| b.value.total_cmp(&a.value));
        let points = fill(0..20_000).points(Rank::Value, &all[..100]);
        assert!((weight(&points) - 20_000.0).abs() < 1e-6);
        let top: Vec<Peak> = strongest(&points, 0.005).iter().map(|point| point.peak).collect();
        assert_eq!(top, all[..100]);
        assert_eq!(quantile(&[], 0.1), 0.0);
    }

    #[test]
    fn a_tail_has_only_its_own_sign() {
        let mut bands = Bands::default();
        for (i, value) in [3.0, -2.0, 1.0, -4.0].into_iter().enumerate() {
            let peak = Peak {
                value,
                document: 0,
                position: i as u32,
            };
            bands.add_all(&mut Finder::default(), std::iter::once((i as u64, peak)));
        }
        let values = |rank| -> Vec<f32> { bands.points(rank, &[]).iter().map(|point| point.peak.value).collect() };
        assert_eq!(values(Rank::Value), [3.0, 1.0]);
        assert_eq!(values(Rank::Negative), [-4.0, -2.0]);
        assert_eq!(values(Rank::Magnitude), [-4.0, 3.0, -2.0, 1.0]);
    }
}
