//! The definition of each statistic, once. A Python twin is tested against the same vectors: `tests/entropy_vectors.json`.
//!
//! * **Token entropy** of a neuron: p = shares of the token *types* among the input tokens at its N ≤ 100 highest positions (special
//!   tokens and position 0 left out); H = −Σ p log2 p, in bits. 2^H reads as "effective tokens".
//! * **Semantic entropy**: the same over clusters of tokens. **Next-token entropy**: the same over the tokens that follow.
//! * **Distance** of two such distributions p, q: the Jensen–Shannon distance in base 2, √(H(m) − (H(p) + H(q))/2) with
//!   m = (p + q)/2: 0 for equal ones, 1 for those without a common token. An empty one is at distance 1 from any other.
//! * **Similarity** = 1 − distance.
//! * **Emergence**: the first step from which on every step's distance to the final distribution is at most a limit.

use std::collections::BTreeMap;

/// (id, how often), most frequent first, then by id.
pub type Counts = Vec<(u32, u32)>;

/// How often each id comes.
pub fn count(ids: impl IntoIterator<Item = u32>) -> Counts {
    let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
    for id in ids {
        *counts.entry(id).or_default() += 1;
    }
    let mut counts: Counts = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    counts
}

/// All counts together.
pub fn total(counts: &[(u32, u32)]) -> u32 {
    counts.iter().map(|(_, n)| n).sum()
}

/// −Σ p log2 p in bits; 0 of nothing.
pub fn entropy(counts: &[(u32, u32)]) -> f64 {
    let total = f64::from(total(counts));
    let bits: f64 = counts.iter().map(|(_, n)| term(f64::from(*n) / total)).sum();
    bits.max(0.0)
}

/// −p log2 p
fn term(p: f64) -> f64 {
    if p > 0.0 {
        -p * p.log2()
    } else {
        0.0
    }
}

/// The Jensen–Shannon distance in base 2, from 0 to 1.
pub fn distance(a: &[(u32, u32)], b: &[(u32, u32)]) -> f64 {
    let (total_a, total_b) = (f64::from(total(a)), f64::from(total(b)));
    if total_a == 0.0 || total_b == 0.0 {
        return if total_a == total_b { 0.0 } else { 1.0 };
    }
    let mut shares: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for (id, n) in a {
        shares.entry(*id).or_default().0 = f64::from(*n) / total_a;
    }
    for (id, n) in b {
        shares.entry(*id).or_default().1 = f64::from(*n) / total_b;
    }
    let divergence: f64 = shares
        .values()
        .map(|(p, q)| term((p + q) / 2.0) - (term(*p) + term(*q)) / 2.0)
        .sum();
    divergence.clamp(0.0, 1.0).sqrt()
}

/// The first of `steps` from which on all `distances` are at most `limit`.
pub fn emergence(steps: &[u64], distances: &[f64], limit: f64) -> Option<u64> {
    let beyond = distances.iter().rposition(|distance| *distance > limit);
    steps.get(beyond.map_or(0, |last| last + 1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn vectors() -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/entropy_vectors.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    fn ids(value: &Value) -> Vec<u32> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_u64().unwrap() as u32)
            .collect()
    }

    fn near(a: f64, expected: &Value) {
        assert!((a - expected.as_f64().unwrap()).abs() < 1e-12, "{a} {expected}");
    }

    #[test]
    fn entropies_worked_out_by_hand() {
        for case in vectors()["entropy"].as_array().unwrap() {
            let counts = count(ids(&case["tokens"]));
            near(entropy(&counts), &case["bits"]);
            let expected: Vec<Vec<u32>> = case["counts"].as_array().unwrap().iter().map(ids).collect();
            let counts: Vec<Vec<u32>> = counts.iter().map(|(id, n)| vec![*id, *n]).collect();
            assert_eq!(counts, expected);
        }
    }

    #[test]
    fn distances_worked_out_by_hand() {
        for case in vectors()["distance"].as_array().unwrap() {
            let (a, b) = (count(ids(&case["a"])), count(ids(&case["b"])));
            near(distance(&a, &b), &case["distance"]);
            near(distance(&b, &a), &case["distance"]);
        }
    }

    #[test]
    fn emergence_is_where_it_stays() {
        for case in vectors()["emergence"].as_array().unwrap() {
            let steps: Vec<u64> = ids(&case["steps"]).into_iter().map(u64::from).collect();
            let distances: Vec<f64> = case["distances"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_f64)
                .collect();
            let found = emergence(&steps, &distances, case["limit"].as_f64().unwrap());
            assert_eq!(found, case["step"].as_u64());
        }
    }
}
