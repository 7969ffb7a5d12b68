//! Tokens that begin a longer word: “kn” of “knew”. Labels name tokens as they are; `index.json` lists these texts, so that a reader can mark
//! them (`kn…`), as labels mark pieces inside of words (`…ing`).

use std::collections::BTreeMap;

use super::kinds::{is_piece, show};

/// The least occurrences that say something.
const SEEN: u64 = 5;

/// The texts, as labels show them, of tokens that a piece of the same word follows in at least half of their occurrences. `texts`: of each
/// token. Ascending.
pub fn beginnings(texts: &[String], documents: &[Vec<u32>]) -> Vec<String> {
    let text = |id: &u32| texts.get(*id as usize).map_or("", String::as_str);
    // By text: occurrences, and those that a piece follows.
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut seen: Vec<(u64, u64)> = vec![(0, 0); texts.len()];
    for document in documents {
        for (at, id) in document.iter().enumerate() {
            if let Some((all, followed)) = seen.get_mut(*id as usize) {
                *all += 1;
                *followed += u64::from(document.get(at + 1).is_some_and(|next| is_piece(text(next))));
            }
        }
    }
    for (text, (all, followed)) in texts.iter().zip(seen) {
        let letters = text.trim_matches(' ');
        if !is_piece(text) && !letters.is_empty() && letters.chars().all(char::is_alphabetic) {
            let count = counts.entry(show(text)).or_default();
            *count = (count.0 + all, count.1 + followed);
        }
    }
    let begins = |(all, followed): &(u64, u64)| *all >= SEEN && followed * 2 >= *all;
    let texts = counts.into_iter().filter(|(_, count)| begins(count));
    texts.map(|(text, _)| text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_mostly_followed_by_a_piece() {
        let texts = ["<s>", " kn", "ew", " cat", "s", " ", "Kn", " rare", "."].map(str::to_owned);
        let knew = vec![0, 1, 2, 8];
        let cat = vec![0, 3, 8];
        let cats = vec![0, 3, 4, 8];
        let of = |documents: &[Vec<u32>]| beginnings(&texts, documents);
        assert_eq!(of(&vec![knew.clone(); 5]), ["kn"]);
        assert!(of(&vec![knew.clone(); 4]).is_empty(), "four say nothing");
        assert!(
            of(&[vec![cat; 6], vec![cats; 5]].concat()).is_empty(),
            "a word that also has a plural"
        );
        assert_eq!(
            of(&vec![vec![0, 6, 2, 4]; 9]),
            ["Kn"],
            "the piece inside of the word is none"
        );
        assert!(of(&vec![vec![0, 5, 2]; 9]).is_empty(), "a space is no word");
        assert!(of(&[]).is_empty());
        assert!(of(&vec![vec![1, 99]; 9]).is_empty(), "ids without a text");
    }
}
