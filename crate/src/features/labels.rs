//! A short label for what a neuron reads, by the first rule that fits; and the rule itself, which can be scored ([`Rule`]).
//!
//! | rule | label |
//! |---|---|
//! | no active position | `dead` |
//! | fewer than 20 | `rare: a, b, c` |
//! | one word (its forms with space or capital counted together) has 60 % of the tokens | `“dog”` |
//! | 70 % are punctuation and line breaks, or numbers | `punctuation: ., !` |
//! | one cluster has 60 % | `dog, dogs, puppy` |
//! | 70 % are names, pieces inside of words, or words of one ending | `names: Lily, Tom`, `words in -ing: …` |
//! | one token follows, or precedes, in 60 % | `before “to”`, `after “the”` |
//! | otherwise | `mixed: a, b, c`, and the rule is these three tokens |
//!
//! A token that lies inside of words is shown as a piece of one: `…ing`.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::kinds::{class_name, class_of, is_piece, show, word, CLASSES};
use super::rules::Rule;
use super::statistics::{total, Counts};
use super::RARE_BELOW;

/// What the rules look at, from some of a neuron's activations.
pub struct Evidence<'a> {
    pub tokens: &'a Counts,
    pub before: &'a Counts,
    pub after: &'a Counts,
}

/// A label and what it claims.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    pub text: String,
    pub rule: Rule,
}

impl Label {
    fn new(text: impl Into<String>, rule: Rule) -> Label {
        Label {
            text: text.into(),
            rule,
        }
    }
}

const MOST: f64 = 0.6;
const CLASS: f64 = 0.7;

/// The label.
pub fn label(evidence: &Evidence<'_>, facts: &Facts) -> Label {
    let n = total(evidence.tokens);
    if n == 0 {
        return Label::new("dead", Rule::Never);
    }
    let ids = || evidence.tokens.iter().map(|(id, _)| *id);
    let tops = || listed(facts, &mut ids());
    if (n as usize) < RARE_BELOW {
        return Label::new(format!("rare: {}", tops()), first_tokens(&mut ids()));
    }
    let share = |count: u32| f64::from(count) / f64::from(n);
    // The text of each token, and its count.
    let texts: Vec<(String, u32)> = evidence
        .tokens
        .iter()
        .map(|(id, count)| (facts.text(*id), *count))
        .collect();
    let mut words: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for ((text, count), id) in texts.iter().zip(ids()) {
        words.entry(word(text)).or_insert((id, 0)).1 += count;
    }
    if let Some((text, _)) = texts.iter().find(|(text, _)| share(words[&word(text)].1) >= MOST) {
        let rule = Rule::Word(words[&word(text)].0);
        return Label::new(format!("“{}”", shown(facts, text)), rule);
    }
    let of_class = |class: usize| {
        let of: u32 = texts
            .iter()
            .filter(|(text, _)| class_of(class, text))
            .map(|(_, count)| count)
            .sum();
        (share(of) >= CLASS).then(|| {
            let shown = listed(facts, &mut ids().filter(|id| class_of(class, &facts.text(*id))));
            Label::new(format!("{}: {shown}", class_name(class)), Rule::Class(class))
        })
    };
    if let Some(label) = (0..2).find_map(of_class) {
        return label;
    }
    let mut clusters: BTreeMap<u32, u32> = BTreeMap::new();
    for (id, count) in evidence.tokens {
        if let Some(cluster) = facts.cluster_of(*id) {
            *clusters.entry(cluster).or_default() += count;
        }
    }
    if let Some((cluster, _)) = clusters.iter().find(|(_, count)| share(**count) >= MOST) {
        let shown = listed(facts, &mut ids().filter(|id| facts.cluster_of(*id) == Some(*cluster)));
        return Label::new(shown, Rule::Cluster(*cluster));
    }
    if let Some(label) = (2..CLASSES).find_map(of_class) {
        return label;
    }
    for (counts, side, rule) in [
        (evidence.after, "before", Rule::Next as fn(u32) -> Rule),
        (evidence.before, "after", Rule::Previous),
    ] {
        if let Some((id, _)) = counts.first().filter(|(_, count)| share(*count) >= MOST) {
            return Label::new(format!("{side} “{}”: {}", show(&facts.text(*id)), tops()), rule(*id));
        }
    }
    Label::new(format!("mixed: {}", tops()), first_tokens(&mut ids()))
}

/// The rule of the tokens that a label shows.
fn first_tokens(ids: &mut dyn Iterator<Item = u32>) -> Rule {
    let mut shown: Vec<u32> = ids.take(SHOWN).collect();
    shown.sort_unstable();
    Rule::Tokens(shown)
}

/// Tokens in a label.
pub const SHOWN: usize = 3;

/// The first three tokens as a label shows them.
pub fn listed(facts: &Facts, ids: &mut dyn Iterator<Item = u32>) -> String {
    let shown = ids.take(SHOWN).map(|id| shown(facts, &facts.text(id)));
    shown.collect::<Vec<_>>().join(", ")
}

/// A token as a label shows it: a piece of a word as such.
fn shown(facts: &Facts, text: &str) -> String {
    let piece = if facts.texts.is_some() && is_piece(text) {
        "…"
    } else {
        ""
    };
    format!("{piece}{}", show(text))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::features::cluster::Clusters;
    use crate::features::facts::CorpusFacts;

    /// Facts of a model with these tokens, each its own cluster but for those named together.
    pub fn facts(texts: &[&str], together: &[&[u32]]) -> Facts {
        let mut cluster: Vec<u32> = (0..texts.len() as u32).collect();
        for group in together {
            group.iter().for_each(|id| cluster[*id as usize] = group[0]);
        }
        Facts {
            format: super::super::FORMAT,
            model: "m".into(),
            dense: false,
            d_model: 1,
            d_vocab: texts.len(),
            layers: vec![0],
            topk_k: Some(1),
            by_magnitude: false,
            step: None,
            steps: vec![],
            corpus: CorpusFacts {
                files: vec![],
                documents: 1,
                sha256: String::new(),
            },
            special: vec![0],
            texts: Some(texts.iter().map(|text| (*text).to_owned()).collect()),
            promoted: vec![vec![]],
            suppressed: vec![vec![]],
            clusters: Some(Clusters {
                threshold: 0.5,
                source: ".".into(),
                cluster,
            }),
            weights: vec![],
            backend: None,
        }
    }

    #[test]
    fn the_first_rule_that_fits() {
        let texts = [
            "<s>", " dog", "Dog", " cat", " puppy", ".", "!", "\n", " Lily", " Tom", "The", "ing", "er", " running",
            " played", " to", " a",
        ];
        let facts = facts(&texts, &[&[1, 4], &[13, 14, 15]]);
        let none: Counts = vec![];
        let check = |tokens: &[(u32, u32)], after: &[(u32, u32)], text: &str, rule: Rule| {
            let evidence = Evidence {
                tokens: &tokens.to_vec(),
                before: &none,
                after: &after.to_vec(),
            };
            assert_eq!(label(&evidence, &facts), Label::new(text, rule));
        };
        check(&[], &[], "dead", Rule::Never);
        check(&[(1, 5), (3, 2)], &[], "rare: dog, cat", Rule::Tokens(vec![1, 3]));
        check(&[(1, 40), (2, 30), (3, 30)], &[], "“dog”", Rule::Word(1));
        check(&[(1, 40), (4, 30), (3, 30)], &[], "dog, puppy", Rule::Cluster(1));
        check(&[(5, 50), (6, 30), (3, 20)], &[], "punctuation: ., !", Rule::Class(0));
        check(&[(5, 50), (7, 50)], &[], "punctuation: ., line break", Rule::Class(0));
        check(&[(8, 50), (9, 30), (10, 20)], &[], "names: Lily, Tom", Rule::Class(2));
        check(&[(11, 50), (12, 50)], &[], "inside of words: …ing, …er", Rule::Class(3));
        check(&[(7, 100)], &[], "“line break”", Rule::Word(7));
        let after = [(15, 80), (16, 20)];
        check(&[(1, 50), (3, 50)], &after, "before “to”: dog, cat", Rule::Next(15));
        check(&[(1, 50), (3, 50)], &[], "mixed: dog, cat", Rule::Tokens(vec![1, 3]));
    }
}
