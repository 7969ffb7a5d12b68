//! The ranking of TopK, in Rust. Its twins: `shaders/parts/order.wgsl` (WGSL),
//! `tests/goldens/topk.py` (Python); all three are tested against `tests/goldens/topk_vectors.json`.
//!
//! Entries are ordered by selection key descending (the value, or its magnitude), then index ascending.
//! −0 equals +0, every NaN equals every other and counts as larger than +inf. Keys are integers, so no
//! comparison ever depends on how a device treats NaN or subnormals.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::dispatch::dispatch;

/// What an entry is chosen by (`topk_select` in `config.json`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Select {
    /// The signed value.
    #[default]
    Value,
    /// The magnitude; the signed value is kept.
    Abs,
}

/// What happens to the kept entries (`topk_post` in `config.json`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Post {
    /// Nothing.
    #[default]
    Identity,
    /// Kept entries below zero become 0; they still count towards k.
    Relu,
}

const SIGN: u32 = 0x8000_0000;
const INFINITY: u32 = 0x7f80_0000;

/// Order-preserving key of the bits of an f32: a larger key comes first. Never 0, which is free for padding.
#[inline]
pub fn key(bits: u32, select: Select) -> u32 {
    let magnitude = bits & !SIGN;
    if magnitude > INFINITY {
        return u32::MAX; // every NaN
    }
    if magnitude == 0 {
        return SIGN; // −0 folds into +0
    }
    if bits & SIGN != 0 && select == Select::Value {
        !bits
    } else {
        magnitude | SIGN
    }
}

/// Key and index packed so that a *larger* word comes first in the ranking.
#[inline]
pub fn packed(bits: u32, index: u32, select: Select) -> u64 {
    (u64::from(key(bits, select)) << 32) | u64::from(!index)
}

/// The index in a packed word.
#[inline]
pub fn packed_index(word: u64) -> u32 {
    !(word as u32)
}

/// The largest number that `k` of the keys reach; `k` is at most how many there are, and not 0. Counting is faster than ranking: no step
/// depends on a single comparison.
#[inline(always)]
fn kth(keys: &[u32], k: usize) -> u32 {
    let (mut low, mut high) = keys.iter().fold((u32::MAX, 0), |(low, high), key| (low.min(*key), high.max(*key)));
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        let reach = keys.iter().map(|key| u32::from(*key >= middle)).sum::<u32>() as usize;
        match reach.cmp(&k) {
            Ordering::Equal => return middle,
            Ordering::Greater => low = middle,
            Ordering::Less => high = middle - 1,
        }
    }
    low
}

/// A key that the first `k` reach, and not many others: the k-th of the largest of some more groups, since each of `k` groups has an entry
/// that reaches it. 0 where that would not leave out much.
#[inline(always)]
fn bound(keys: &[u32], k: usize) -> u32 {
    /// Groups for each of the first, and the least length of a group.
    const SPARE: usize = 2;
    const LEAST: usize = 4;
    let groups = (SPARE * k).next_multiple_of(CHUNK);
    if keys.len() < LEAST * groups {
        return 0;
    }
    // The entries of a group lie as far apart as there are groups.
    let (first, rest) = keys.split_at(groups);
    let mut largest = first.to_vec();
    for keys in rest.chunks(groups) {
        for (largest, key) in largest.iter_mut().zip(keys) {
            *largest = (*largest).max(*key);
        }
    }
    kth(&largest, k)
}

/// Keys that are looked at together.
const CHUNK: usize = 16;

dispatch!(
    /// The first `k` entries of `row` in the ranking as packed words, by index (`k` is cut to the row's length).
    first_words, first_portable, (row: &[f32], k: usize, select: Select) -> Vec<u64>
);

#[inline(always)]
fn first_portable(row: &[f32], k: usize, select: Select) -> Vec<u64> {
    let k = k.min(row.len());
    if k == 0 {
        return Vec::new();
    }
    let keys: Vec<u32> = row.iter().map(|value| key(value.to_bits(), select)).collect();
    let bound = bound(&keys, k);
    // Keys that reach the bound and their indices: each key is written, and left there if it does.
    let (mut found, mut indices, mut count) = (vec![0; 2 * k + CHUNK], vec![0; 2 * k + CHUNK], 0);
    for (number, keys) in keys.chunks(CHUNK).enumerate() {
        if keys.iter().fold(0, |most, key| most.max(*key)) < bound {
            continue;
        }
        if found.len() < count + CHUNK {
            found.resize(2 * found.len(), 0);
            indices.resize(2 * indices.len(), 0);
        }
        for (index, key) in (number * CHUNK..).zip(keys) {
            found[count] = *key;
            indices[count] = index as u32;
            count += usize::from(*key >= bound);
        }
    }
    let (found, indices) = (&found[..count], &indices[..count]);
    let least = kth(found, k);
    // Of those that are equal to the last one, the first by index.
    let mut equal = k - found.iter().filter(|key| **key > least).count();
    let (mut words, mut count) = (vec![0; k + 1], 0);
    for (key, index) in found.iter().zip(indices) {
        let last = *key == least && equal > 0;
        words[count] = u64::from(*key) << 32 | u64::from(!*index);
        count += usize::from(*key > least || last);
        equal -= usize::from(last);
    }
    words.truncate(k);
    words
}

/// Indices of the first `k` entries of `row`, ascending.
pub fn first(row: &[f32], k: usize, select: Select) -> impl Iterator<Item = u32> {
    first_words(row, k, select).into_iter().map(packed_index)
}

/// Indices of the first `k` entries of `row` in the ranking, in that order (`k` is cut to the row's length).
pub fn topk_indices(row: &[f32], k: usize, select: Select) -> Vec<u32> {
    let mut words = first_words(row, k, select);
    words.sort_unstable_by(|a, b| b.cmp(a));
    words.into_iter().map(packed_index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: f32 = f32::INFINITY;
    const NAN: f32 = f32::NAN;

    #[test]
    fn ready_made_cases() {
        let cases: &[(&[f32], usize, &[u32])] = &[
            (&[0., 0., 0., 0.], 3, &[0, 1, 2]),
            (&[NAN, INF, 1e4, 0., -1e4, -INF], 4, &[0, 1, 2, 3]),
            (&[0.5, -INF, NAN, -INF, INF], 3, &[2, 4, 0]),
            (&[-INF, -INF, 0.5], 3, &[2, 0, 1]),
            (&[10., -8., -7., -4., -5., -6.], 4, &[0, 3, 4, 5]),
            (&[-0.0, 0.0, -0.0], 2, &[0, 1]),
        ];
        for (row, k, expected) in cases {
            assert_eq!(&topk_indices(row, *k, Select::Value), expected);
        }
        assert_eq!(topk_indices(&[1., -3., 2., 3.], 3, Select::Abs), [1, 3, 2]);
    }

    /// Rows long enough for blocks, with ties, and with the first all in one block.
    #[test]
    fn long_rows_are_ranked_as_by_sorting_all() {
        let mut state = 1u32;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        for len in [255, 1024, 1500] {
            for distinct in [2, 40, 1 << 24] {
                for sorted in [false, true] {
                    let mut row: Vec<f32> = (0..len).map(|_| (random() % distinct) as f32 - distinct as f32 / 3.0).collect();
                    row[len / 2] = NAN;
                    if sorted {
                        row.sort_by(f32::total_cmp);
                    }
                    for select in [Select::Value, Select::Abs] {
                        let mut all: Vec<u64> = (0u32..).zip(&row).map(|(i, v)| packed(v.to_bits(), i, select)).collect();
                        all.sort_unstable_by(|a, b| b.cmp(a));
                        for k in [1, 5, 48, len / 4, len] {
                            let expected: Vec<u32> = all[..k].iter().map(|word| packed_index(*word)).collect();
                            assert_eq!(topk_indices(&row, k, select), expected, "{len} {distinct} {k}");
                            let mut expected = expected;
                            expected.sort_unstable();
                            let same: Vec<u32> = first(&row, k, select).collect();
                            assert_eq!(same, expected, "{len} {distinct} {k}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn no_key_is_the_padding_key() {
        for bits in [0, SIGN, 1, SIGN | 1, INFINITY, SIGN | INFINITY, u32::MAX] {
            assert_ne!(key(bits, Select::Value), 0);
            assert_ne!(key(bits, Select::Abs), 0);
        }
    }
}
