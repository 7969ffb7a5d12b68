//! What a label claims, as a rule that holds or does not hold at a position, and how often it holds in the corpus. With both, a label can be
//! scored like any detector.

use std::collections::BTreeMap;

use super::corpus::counted;
use super::facts::Facts;
use super::kinds::{class_of, word, CLASSES};
use super::places::{places, Marks, Place, PLACES};

/// A detector of positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Holds nowhere.
    Never,
    /// The token is a form of this word: a token of [`Lexicon::word_of`].
    Word(u32),
    /// The token is of this class.
    Class(usize),
    /// The token is in this cluster.
    Cluster(u32),
    /// The token is one of these, ascending.
    Tokens(Vec<u32>),
    Next(u32),
    Previous(u32),
    Place(Place),
}

/// How often each thing that a rule asks for is in each half of the corpus, over the positions that count.
pub struct Lexicon {
    /// For each token the first one with the same letters.
    words: Vec<u32>,
    /// For each token its classes, as bits.
    classes: Vec<u16>,
    /// The bits of each position's places, by document, and [`SECOND`].
    places: Vec<Vec<u8>>,
    halves: [Tally; 2],
}

/// A half of the corpus, or `None` for all of it.
pub type Half = Option<usize>;

/// The bit of a position that belongs to the second half.
const SECOND: u8 = 1 << 7;
const _: () = assert!(PLACES.len() < 8);
/// Positions side by side that belong to one half, where a document has most of the text.
const STRETCH: usize = 16;

/// The counts of one half.
struct Tally {
    positions: u64,
    here: Vec<u64>,
    next: Vec<u64>,
    previous: Vec<u64>,
    by_word: Vec<u64>,
    by_class: [u64; CLASSES],
    by_cluster: BTreeMap<u32, u64>,
    by_place: [u64; PLACES.len()],
}

impl Tally {
    fn new(n: usize) -> Tally {
        Tally {
            positions: 0,
            here: vec![0; n],
            next: vec![0; n],
            previous: vec![0; n],
            by_word: vec![0; n],
            by_class: [0; CLASSES],
            by_cluster: BTreeMap::new(),
            by_place: [0; PLACES.len()],
        }
    }

    fn holds(&self, rule: &Rule) -> u64 {
        match rule {
            Rule::Never => 0,
            Rule::Word(word) => self.by_word[*word as usize],
            Rule::Class(class) => self.by_class[*class],
            Rule::Cluster(cluster) => self.by_cluster.get(cluster).copied().unwrap_or(0),
            Rule::Tokens(ids) => ids.iter().map(|id| self.here[*id as usize]).sum(),
            Rule::Next(id) => self.next[*id as usize],
            Rule::Previous(id) => self.previous[*id as usize],
            Rule::Place(place) => PLACES
                .iter()
                .zip(self.by_place)
                .filter(|(p, _)| *p == place)
                .map(|(_, n)| n)
                .sum(),
        }
    }
}

impl Lexicon {
    pub fn new(facts: &Facts, documents: &[Vec<u32>]) -> Lexicon {
        let n = facts.d_vocab;
        let texts: Vec<String> = (0..n as u32).map(|id| facts.text(id)).collect();
        let mut first: BTreeMap<String, u32> = BTreeMap::new();
        let words = (0u32..)
            .zip(&texts)
            .map(|(id, text)| *first.entry(word(text)).or_insert(id));
        let words: Vec<u32> = words.collect();
        let marks: Option<Vec<Marks>> = facts
            .texts
            .as_ref()
            .map(|_| texts.iter().map(|text| Marks::of(text)).collect());
        let bits = |text: &String| {
            (0..CLASSES)
                .filter(|class| class_of(*class, text))
                .fold(0, |bits, class| bits | 1 << class)
        };
        let mut lexicon = Lexicon {
            words,
            classes: texts.iter().map(bits).collect(),
            places: documents
                .iter()
                .map(|document| places(document, marks.as_deref()))
                .collect(),
            halves: [Tally::new(n), Tally::new(n)],
        };
        lexicon.count_all(facts, documents);
        lexicon
    }

    /// Gives each document, or each stretch of it, to the half that has fewer positions so far, and counts.
    fn count_all(&mut self, facts: &Facts, documents: &[Vec<u32>]) {
        let size = |document: &Vec<u32>| {
            counted(document, &facts.special)
                .iter()
                .filter(|counts| **counts)
                .count()
        };
        let (all, largest) = documents
            .iter()
            .map(size)
            .fold((0, 0), |(all, largest), n| (all + n, largest.max(n)));
        let piece = if 2 * largest > all { STRETCH } else { usize::MAX };
        for (document, places) in documents.iter().zip(&mut self.places) {
            let mut half = 0;
            for (at, counts) in counted(document, &facts.special).into_iter().enumerate() {
                if at % piece == 0 {
                    half = usize::from(self.halves[1].positions < self.halves[0].positions);
                }
                if half == 1 {
                    places[at] |= SECOND;
                }
                if !counts {
                    continue;
                }
                let tally = &mut self.halves[half];
                tally.positions += 1;
                tally.here[document[at] as usize] += 1;
                tally.previous[document[at - 1] as usize] += 1;
                if let Some(next) = document.get(at + 1) {
                    tally.next[*next as usize] += 1;
                }
                for (count, place) in tally.by_place.iter_mut().zip(PLACES) {
                    *count += u64::from(places[at] & place.bit() != 0);
                }
            }
        }
        for tally in &mut self.halves {
            for (id, count) in tally.here.iter().enumerate() {
                tally.by_word[self.words[id] as usize] += count;
                for (class, of_class) in tally.by_class.iter_mut().enumerate() {
                    *of_class += count * u64::from(self.classes[id] >> class & 1);
                }
                if let Some(cluster) = facts.cluster_of(id as u32) {
                    *tally.by_cluster.entry(cluster).or_default() += count;
                }
            }
        }
    }

    fn sum(&self, half: Half, of: impl Fn(&Tally) -> u64) -> u64 {
        let one = |(n, tally)| {
            if half.is_none_or(|half| half == n) {
                of(tally)
            } else {
                0
            }
        };
        self.halves.iter().enumerate().map(one).sum()
    }

    /// How many positions count.
    pub fn positions(&self, half: Half) -> u64 {
        self.sum(half, |tally| tally.positions)
    }

    /// How often a token is at a position that counts.
    pub fn count(&self, id: u32, half: Half) -> u64 {
        self.sum(half, |tally| tally.here[id as usize])
    }

    /// At how many positions the rule holds.
    pub fn holds(&self, rule: &Rule, half: Half) -> u64 {
        self.sum(half, |tally| tally.holds(rule))
    }

    /// The token that stands for the word of which this one is a form.
    pub fn word_of(&self, id: u32) -> u32 {
        self.words[id as usize]
    }

    /// The half that a position belongs to.
    pub fn half_of(&self, document: usize, position: usize) -> usize {
        usize::from(self.places_at(document, position) & SECOND != 0)
    }

    /// The bits of the places of a position.
    fn places_at(&self, document: usize, position: usize) -> u8 {
        let places = self.places.get(document).and_then(|places| places.get(position));
        places.copied().unwrap_or(0)
    }

    /// Whether the rule holds at a position of a document, which is number `number`.
    pub fn fits(&self, rule: &Rule, facts: &Facts, document: &[u32], number: usize, position: usize) -> bool {
        let Some(&id) = document.get(position) else {
            return false;
        };
        match rule {
            Rule::Never => false,
            Rule::Word(word) => self.words[id as usize] == *word,
            Rule::Class(class) => self.classes[id as usize] >> class & 1 == 1,
            Rule::Cluster(cluster) => facts.cluster_of(id) == Some(*cluster),
            Rule::Tokens(ids) => ids.binary_search(&id).is_ok(),
            Rule::Next(next) => document.get(position + 1) == Some(next),
            Rule::Previous(previous) => position > 0 && document[position - 1] == *previous,
            Rule::Place(place) => self.places_at(number, position) & place.bit() != 0,
        }
    }
}
