//! A concept: a name, the words that count as it, and the tokens that begin them. Twin: `token_ids` of training/claims/effect.py.

use std::str::FromStr;

use crate::error::{fail, quoted, Result};
use crate::tokenizer::Tokenizer;

/// Most words of a concept.
const MOST_WORDS: usize = 500;

/// Words that a reader would take as one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concept {
    pub name: String,
    pub words: Vec<String>,
}

impl FromStr for Concept {
    type Err = String;

    /// `water,lake,sea`, named after the first word; or `NAME=water,lake,sea`.
    fn from_str(text: &str) -> std::result::Result<Concept, String> {
        let (name, list) = match text.split_once('=') {
            Some((name, list)) => (Some(name.trim()), list),
            None => (None, text),
        };
        let words: Vec<String> = list.split(',').map(|word| word.trim().to_owned()).collect();
        if words.iter().any(|word| !word.contains(char::is_alphanumeric)) || name == Some("") {
            return Err("must be words with commas between them, water,lake,sea, or NAME=water,lake,sea".to_owned());
        }
        if words.len() > MOST_WORDS {
            return Err(format!("has {} words, but may have {MOST_WORDS}", words.len()));
        }
        let name = name.unwrap_or(&words[0]).to_owned();
        Ok(Concept { name, words })
    }
}

impl Concept {
    /// Tokens that are one of the words as a whole, after a space, small or capital; where no word is one token, the tokens that begin them.
    /// Ascending. And the words that have none.
    pub fn tokens(&self, tokenizer: &Tokenizer) -> Result<(Vec<u32>, Vec<String>)> {
        let (mut whole, mut first, mut without) = (Vec::new(), Vec::new(), Vec::new());
        for word in &self.words {
            let before = whole.len();
            for form in [word.clone(), capitalized(word)] {
                let ids = tokenizer.encode_alone(&format!(" {form}"))?;
                let Some(id) = ids.first().filter(|id| begins(&form, **id, tokenizer)) else {
                    continue;
                };
                if ids.len() == 1 {
                    whole.push(*id);
                }
                first.push(*id);
            }
            if whole.len() == before {
                without.push(word.clone());
            }
        }
        let mut tokens = if whole.is_empty() { first } else { whole };
        if tokens.is_empty() {
            fail!(
                Argument,
                "--words {}: no token of the model begins any of these words",
                quoted(self.words.join(","))
            );
        }
        tokens.sort_unstable();
        tokens.dedup();
        Ok((tokens, without))
    }

    /// How many of the words stand in a text as whole words, in any case.
    pub fn count(&self, text: &str) -> usize {
        let text = pieces(text);
        let words: Vec<Vec<String>> = self.words.iter().map(|word| pieces(word)).collect();
        let starts = |at: usize| words.iter().any(|word| text[at..].starts_with(word));
        (0..text.len()).filter(|at| starts(*at)).count()
    }
}

/// The token, unknown words' among them, says something of the word.
fn begins(word: &str, id: u32, tokenizer: &Tokenizer) -> bool {
    let Ok(texts) = tokenizer.tokens(&[id]) else {
        return false;
    };
    let token = texts.concat().trim().to_lowercase();
    !token.is_empty() && word.to_lowercase().starts_with(&token)
}

/// As Python's `str.capitalize`.
fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters.flat_map(char::to_lowercase)).collect()
}

/// Runs of letters, digits and underscores, in small letters.
fn pieces(text: &str) -> Vec<String> {
    let within = |c: char| c.is_alphanumeric() || c == '_';
    let runs = text.split(|c| !within(c)).filter(|run| !run.is_empty());
    runs.map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_concept_is_read_from_text() {
        let concept: Concept = "water, lake ,Sea".parse().unwrap();
        assert_eq!((concept.name.as_str(), concept.words.len()), ("water", 3));
        assert_eq!("the sea=sea,wave".parse::<Concept>().unwrap().name, "the sea");
        for bad in ["", "water,,sea", "=sea", "name=", "a,!"] {
            assert!(bad.parse::<Concept>().unwrap_err().contains("commas"), "{bad}");
        }
    }

    #[test]
    fn words_count_as_wholes_in_any_case() {
        let concept: Concept = "sea,ice cream".parse().unwrap();
        assert_eq!(concept.count("The SEA, a seal and the sea's ice-cream; ice. Seas"), 3);
        assert_eq!(concept.count(""), 0);
        assert_eq!(capitalized("élan VITAL"), "Élan vital");
    }
}
