//! The ranking of TopK, in Rust. Its twins: `shaders/parts/order.wgsl` (WGSL),
//! `tests/goldens/topk.py` (Python); all three are tested against `tests/goldens/topk_vectors.json`.
//!
//! Entries are ordered by selection key descending (the value, or its magnitude), then index ascending.
//! −0 equals +0, every NaN equals every other and counts as larger than +inf. Keys are integers, so no
//! comparison ever depends on how a device treats NaN or subnormals.

use serde::{Deserialize, Serialize};

use super::dispatch::dispatch;

/// What an entry is chosen by (`topk_select` in `config.json`): the largest come first, equal ones by ascending index. −0 equals +0, and NaN is
/// larger than +∞.
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
        if reach == k {
            return middle;
        }
        // Without a branch that would be guessed wrong every other time.
        (low, high) = if reach > k { (middle, high) } else { (low, middle - 1) };
    }
    low
}

/// A key that the first `k` reach, and not many others: the k-th of the largest of some more groups, since each of `k` groups has an entry
/// that reaches it. 0 where that would not leave out much.
#[inline(always)]
fn bound(keys: &[u32], k: usize) -> u32 {
    /// Groups for each of the first, and the least length of a group; there are whole registers of groups.
    const SPARE: usize = 2;
    const LEAST: usize = 4;
    const CHUNK: usize = 16;
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
    let (mut found, mut indices) = (Vec::with_capacity(2 * k), Vec::with_capacity(2 * k));
    let (parts, rest) = keys.as_chunks::<MASKED>();
    for (number, part) in parts.iter().enumerate() {
        // One loop for many: each end of a loop is guessed wrong.
        let mut left = reaching(part, bound);
        while left != 0 {
            let index = left.trailing_zeros() as usize;
            found.push(part[index]);
            indices.push((number * MASKED + index) as u32);
            left &= left - 1;
        }
    }
    for (index, key) in (parts.len() * MASKED..).zip(rest) {
        if *key >= bound {
            found.push(*key);
            indices.push(index as u32);
        }
    }
    cut(&found, &indices, k)
}

/// Keys that are compared together.
const MASKED: usize = 64;

/// Which keys reach the bound, a bit each.
#[inline(always)]
fn reaching(keys: &[u32; MASKED], bound: u32) -> u64 {
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    {
        use std::arch::wasm32::{i16x8_narrow_i32x4, i8x16_bitmask, i8x16_narrow_i16x8, u32x4, u32x4_ge, u32x4_splat};
        let mut mask = 0;
        for sixteen in keys.as_chunks::<16>().0.iter().rev() {
            let four = |j: usize| u32x4_ge(u32x4(sixteen[j], sixteen[j + 1], sixteen[j + 2], sixteen[j + 3]), u32x4_splat(bound));
            let bytes = i8x16_narrow_i16x8(i16x8_narrow_i32x4(four(0), four(4)), i16x8_narrow_i32x4(four(8), four(12)));
            mask = mask << 16 | u64::from(i8x16_bitmask(bytes));
        }
        mask
    }
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    (0..).zip(keys).fold(0, |mask, (bit, key)| mask | u64::from(*key >= bound) << bit)
}

/// The first `k` of some entries, given and returned by index. At least `k` of them.
#[inline(always)]
fn cut(keys: &[u32], indices: &[u32], k: usize) -> Vec<u64> {
    let least = kth(keys, k);
    // Of those that are equal to the last one, the first by index.
    let mut equal = k - keys.iter().filter(|key| **key > least).count();
    let (mut words, mut count) = (vec![0; k + 1], 0);
    for (key, index) in keys.iter().zip(indices) {
        let last = *key == least && equal > 0;
        words[count] = u64::from(*key) << 32 | u64::from(!*index);
        count += usize::from(*key > least || last);
        equal -= usize::from(last);
    }
    words.truncate(k);
    words
}

/// The lowest `count` of the words, in any order.
fn lowest(words: &[u64], count: usize) -> Vec<u64> {
    let (first, rest) = words.split_at(count);
    let mut lowest = first.to_vec();
    let highest_of = |lowest: &[u64]| (0..count).max_by_key(|at| lowest[*at]);
    let mut highest = highest_of(&lowest);
    for word in rest {
        if let Some(at) = highest.filter(|at| *word < lowest[*at]) {
            lowest[at] = *word;
            highest = highest_of(&lowest);
        }
    }
    lowest
}

/// What `changes` (index and new value, each index once, ascending) change about the first `k` entries of `row`: the indices of those that are no
/// longer among them, and of those that now are, ascending. From one ranking, since each change lets at most one other entry in.
pub fn swapped(row: &[f32], changes: &[(u32, f32)], k: usize, select: Select) -> [Vec<u32>; 2] {
    const EVICTED: usize = 0;
    const ADMITTED: usize = 1;
    let k = k.min(row.len());
    if k == 0 {
        return [Vec::new(), Vec::new()];
    }
    let words = first_words(row, k + changes.len(), select);
    let is_changed = |index: u32| changes.binary_search_by_key(&index, |change| change.0).is_ok();
    let others = words.iter().copied().filter(|word| !is_changed(packed_index(*word)));
    let changed = changes.iter().map(|(index, value)| packed(value.to_bits(), *index, select));
    let after: Vec<u64> = others.chain(changed).collect();
    // Of either, those that are not among the first. Without these and the changes both are the same.
    let [out_before, out_after] = [&words, &after].map(|words| lowest(words, words.len() - k));
    let has = |words: &[u64], index: u32| words.iter().any(|word| packed_index(*word) == index);
    let mut lists = [Vec::new(), Vec::new()];
    let mut add = |list: usize, index: u32| {
        let at = lists[list].partition_point(|other| *other < index);
        lists[list].insert(at, index);
    };
    for (list, a, b) in [(EVICTED, &out_after, &out_before), (ADMITTED, &out_before, &out_after)] {
        for index in a.iter().map(|word| packed_index(*word)) {
            if !is_changed(index) && !has(b, index) {
                add(list, index);
            }
        }
    }
    for (index, _) in changes {
        let was = has(&words, *index) && !has(&out_before, *index);
        let is = !has(&out_after, *index);
        if was != is {
            add(if was { EVICTED } else { ADMITTED }, *index);
        }
    }
    lists
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
    use proptest::strategy::Strategy;

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

    proptest::proptest! {
        /// Rows with ties, zeros of both signs and NaN, against ranking both rows anew.
        #[test]
        fn swaps_are_those_of_two_rankings(
            row in proptest::collection::vec(proptest::prop_oneof![
                8 => (-6i32..6).prop_map(|v| v as f32 / 2.0),
                8 => -3.0f32..3.0,
                1 => proptest::sample::select(vec![-0.0, NAN, INF, -INF]),
            ], 1..500),
            changes in proptest::collection::btree_map(0u32..500, proptest::prop_oneof![(-6i32..6).prop_map(|v| v as f32 / 2.0), -4.0f32..4.0], 0..20),
            k in 0usize..80,
            abs: bool,
        ) {
            let select = if abs { Select::Abs } else { Select::Value };
            let changes: Vec<(u32, f32)> = changes.into_iter().filter(|(index, _)| (*index as usize) < row.len()).collect();
            let mut changed = row.clone();
            for (index, value) in &changes {
                changed[*index as usize] = *value;
            }
            let kept = |row: &[f32]| -> Vec<u32> {
                let mut all: Vec<u64> = (0u32..).zip(row).map(|(i, v)| packed(v.to_bits(), i, select)).collect();
                all.sort_unstable_by(|a, b| b.cmp(a));
                let mut kept: Vec<u32> = all.iter().take(k).map(|word| packed_index(*word)).collect();
                kept.sort_unstable();
                kept
            };
            let (before, after) = (kept(&row), kept(&changed));
            let without = |a: &[u32], b: &[u32]| -> Vec<u32> { a.iter().copied().filter(|i| !b.contains(i)).collect() };
            assert_eq!(swapped(&row, &changes, k, select), [without(&before, &after), without(&after, &before)]);
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
