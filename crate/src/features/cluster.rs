//! One fixed clustering of the tokens, for semantic entropy: the dense twin's input embedding, centered and scaled to unit length;
//! average linkage of the distance 1 − cosine; cut at the threshold whose clusters agree best with `words.txt` (by the F1 of pairs of
//! words on the same line; the smaller threshold at a tie).

use std::collections::BTreeMap;

use kodama::{linkage, Dendrogram, Method};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::exec::cpu::CpuEngine;
use crate::numerics::gemm;
use crate::weights::Weight;

/// The threshold without a tokenizer, when there are no words to choose by.
const DEFAULT_THRESHOLD: f64 = 0.6;
/// Largest vocabulary: all pairwise distances are in memory.
const MOST_TOKENS: usize = 16_384;

/// The cluster of every token; clusters are numbered by their first tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clusters {
    pub threshold: f64,
    /// The model whose embedding it is, relative to the one analyzed; "." for its own.
    pub source: String,
    pub cluster: Vec<u32>,
}

/// Clusters the tokens of a model by its own embedding; `None` if they are too many.
pub fn of_embedding(engine: &CpuEngine, texts: Option<&[String]>, source: &str) -> Result<Option<Clusters>> {
    let config = engine.config();
    if config.d_vocab > MOST_TOKENS {
        return Ok(None);
    }
    let embedding = engine.weights().get(Weight::Embed)?;
    let rows = embedding.to_f32();
    Ok(Some(cluster(&rows, embedding.stride, config.d_model, texts, source)))
}

/// Clusters the rows of `embedding` (`[tokens, d]`, each `stride` long). `texts` holds the text of each token.
fn cluster(embedding: &[f32], stride: usize, d: usize, texts: Option<&[String]>, source: &str) -> Clusters {
    let unit = unit_rows(embedding, stride, d);
    let n = unit.len() / d;
    let mut distances = distances(&unit, n, d);
    let tree = linkage(&mut distances, n, Method::Average);
    let words = texts.map(words).unwrap_or_default();
    let pairs: usize = words.values().filter(|group| group.len() > 1).map(Vec::len).sum();
    let mut best = (f64::NEG_INFINITY, DEFAULT_THRESHOLD);
    if pairs > 0 {
        for step in 1..40 {
            let threshold = f64::from(step) * 0.025;
            let score = agreement(&cut(&tree, n, threshold), &words);
            if score > best.0 {
                best = (score, threshold);
            }
        }
    }
    Clusters {
        threshold: best.1,
        source: source.to_owned(),
        cluster: cut(&tree, n, best.1),
    }
}

/// Rows minus their mean, scaled to length 1.
fn unit_rows(embedding: &[f32], stride: usize, d: usize) -> Vec<f32> {
    let rows = || embedding.chunks_exact(stride).map(|row| &row[..d]);
    let n = rows().len().max(1) as f64;
    let mut mean = vec![0f64; d];
    for row in rows() {
        mean.iter_mut()
            .zip(row)
            .for_each(|(mean, x)| *mean += f64::from(*x) / n);
    }
    let mut unit = Vec::with_capacity(embedding.len());
    for row in rows() {
        let centered: Vec<f64> = row.iter().zip(&mean).map(|(x, mean)| f64::from(*x) - mean).collect();
        let length = centered
            .iter()
            .map(|x| x * x)
            .sum::<f64>()
            .sqrt()
            .max(f64::MIN_POSITIVE);
        unit.extend(centered.iter().map(|x| (x / length) as f32));
    }
    unit
}

/// 1 − cosine of all pairs i < j, row by row.
fn distances(unit: &[f32], n: usize, d: usize) -> Vec<f32> {
    const ROWS: usize = 64;
    let mut distances = Vec::with_capacity(n * n.saturating_sub(1) / 2);
    let mut cosines = vec![0.0; ROWS * n];
    for (block, rows) in unit.chunks(ROWS * d).enumerate() {
        let cosines = &mut cosines[..rows.len() / d * n];
        gemm::dots_of_rows(rows, d, unit, d, cosines);
        for (r, cosines) in cosines.chunks_exact(n).enumerate() {
            distances.extend(
                cosines[block * ROWS + r + 1..]
                    .iter()
                    .map(|cosine| (1.0 - cosine).max(0.0)),
            );
        }
    }
    distances
}

/// The clusters at `threshold`.
fn cut(tree: &Dendrogram<f32>, n: usize, threshold: f64) -> Vec<u32> {
    let mut parent: Vec<usize> = (0..n + tree.steps().len()).collect();
    for (step, new) in tree.steps().iter().zip(n..) {
        if f64::from(step.dissimilarity) <= threshold {
            parent[step.cluster1] = new;
            parent[step.cluster2] = new;
        }
    }
    let mut numbers = BTreeMap::new();
    (0..n)
        .map(|token| {
            let mut root = token;
            while parent[root] != root {
                root = parent[root];
            }
            let next = numbers.len() as u32;
            *numbers.entry(root).or_insert(next)
        })
        .collect()
}

/// The tokens of each line of `words.txt`, as " word", the form inside a text.
fn words(texts: &[String]) -> BTreeMap<usize, Vec<usize>> {
    let ids: BTreeMap<&str, usize> = texts.iter().map(String::as_str).zip(0..).collect();
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let lines = include_str!("words.txt").lines().filter(|line| !line.starts_with('#'));
    for (group, line) in lines.enumerate() {
        for word in line.split_whitespace() {
            if let Some(id) = ids.get(format!(" {word}").as_str()) {
                groups.entry(group).or_default().push(*id);
            }
        }
    }
    groups
}

/// F1 of the pairs in one cluster against the pairs on one line.
fn agreement(cluster: &[u32], words: &BTreeMap<usize, Vec<usize>>) -> f64 {
    let all: Vec<(usize, u32)> = words
        .iter()
        .flat_map(|(group, ids)| ids.iter().map(|id| (*group, cluster[*id])))
        .collect();
    let (mut both, mut either) = (0u32, 0u32);
    for (i, a) in all.iter().enumerate() {
        for b in &all[i + 1..] {
            let (line, cluster) = (a.0 == b.0, a.1 == b.1);
            both += u32::from(line && cluster);
            either += u32::from(line) + u32::from(cluster);
        }
    }
    f64::from(2 * both) / f64::from(either.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_tokens_share_a_cluster() {
        // Two pairs of near directions and one alone, in the plane; stride 3, the third number is padding.
        let angles = [0.0f32, 0.1, 2.0, 2.1, 4.2];
        let rows: Vec<f32> = angles.iter().flat_map(|a| [a.cos(), a.sin(), 9.0]).collect();
        let texts: Vec<String> = [" dog", " dogs", " cat", " cats", "?"].map(str::to_owned).to_vec();
        let clusters = cluster(&rows, 3, 2, Some(&texts), ".");
        assert_eq!(clusters.cluster, [0, 0, 1, 1, 2]);
        assert!(clusters.threshold < 0.6);
        assert_eq!(cluster(&rows, 3, 2, None, ".").threshold, DEFAULT_THRESHOLD);
    }

    #[test]
    fn agreement_is_the_f1_of_pairs() {
        let words = BTreeMap::from([(0, vec![0, 1, 2]), (1, vec![3, 4])]);
        assert_eq!(agreement(&[0, 0, 0, 1, 1], &words), 1.0);
        assert_eq!(agreement(&[0, 1, 2, 3, 4], &words), 0.0);
        // One of four pairs found, and one that is none.
        assert_eq!(agreement(&[0, 0, 1, 1, 2], &words), 2.0 / 6.0);
    }
}
