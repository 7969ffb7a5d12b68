//! How strong: the largest strength at which the texts stay readable. `at_surprise` of training/claims/scoring.py finds where the surprise reaches its
//! limit likewise, but takes no notice of loops, and has no least strength.

use super::texts::Texts;
use crate::error::Result;

/// Strengths tried, ascending. Strength a is predicted to cost a² nats a token.
const STRENGTHS: [f64; 8] = [0.15, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0];
/// One text in so many may loop beside those that do without edits.
const LOOPS: usize = 10;

/// Where the surprise first reaches `limit` times that of `plain`, between the strengths tried; where too many texts loop, the one before,
/// or the smallest.
pub fn strongest(plain: &Texts, limit: f64, write: &dyn Fn(f64) -> Result<Texts>) -> Result<f64> {
    let (mut last, mut before) = (0.0, 1.0f64);
    for strength in STRENGTHS {
        let texts = write(strength)?;
        let ratio = texts.surprise / plain.surprise;
        if ratio > limit {
            return Ok(last + (strength - last) * (limit - before) / (ratio - before));
        }
        if !reads(plain, &texts) {
            break;
        }
        (last, before) = (strength, ratio.max(before));
    }
    Ok(last.max(STRENGTHS[0]))
}

/// Whether few enough texts loop.
pub fn reads(plain: &Texts, texts: &Texts) -> bool {
    texts.loops <= plain.loops + texts.texts.len() / LOOPS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(surprise: f64, loops: usize) -> Texts {
        Texts {
            texts: vec![String::new(); 20],
            surprise,
            loops,
            ..Texts::default()
        }
    }

    #[test]
    fn the_strength_is_where_the_surprise_reaches_the_limit() {
        let plain = texts(2.0, 0);
        let found = |limit: f64, loops_from: f64| {
            let write = |a: f64| Ok(texts(2.0 * (1.0 + a), if a >= loops_from { 3 } else { 2 }));
            strongest(&plain, limit, &write)
        };
        assert!((found(1.6, 9.0).unwrap() - 0.6).abs() < 1e-9);
        assert!((found(1.1, 9.0).unwrap() - 0.1).abs() < 1e-9);
        assert_eq!(found(9.0, 9.0).unwrap(), 2.0);
        assert_eq!(found(1.6, 0.5).unwrap(), 0.35);
        assert_eq!(found(1.6, 0.1).unwrap(), 0.15);
        // A dip does not count.
        let write = |a: f64| Ok(texts(if a < 0.2 { 2.4 } else { 2.2 + 0.1 * a }, 0));
        assert_eq!(strongest(&plain, 1.25, &write).unwrap(), 2.0);
    }
}
