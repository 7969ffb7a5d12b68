use super::super::bands::{Bands, Finder};
use super::super::labels::tests::facts;
use super::super::peaks::{Peak, Peaks, Rank};
use super::*;

/// 400 documents of `<s>` and 20 words in turns; the neuron is active at tokens 1 and 2, and more weakly at token 3 of two documents in eight.
fn corpus() -> (Facts, Vec<Vec<u32>>, Vec<Point>) {
    corpus_of(400, 20)
}

fn corpus_of(count: u64, words: u64) -> (Facts, Vec<Vec<u32>>, Vec<Point>) {
    corpus_of_sizes(&vec![words; count as usize], [" dog", " cat"])
}

/// A document of each size, and the texts of tokens 1 and 2.
fn corpus_of_sizes(sizes: &[u64], texts: [&str; 2]) -> (Facts, Vec<Vec<u32>>, Vec<Point>) {
    let texts = ["<s>", texts[0], texts[1], " bird", " saw", " the", ".", " a", " big"];
    let facts = facts(&texts, &[&[1, 2]]);
    let documents: Vec<Vec<u32>> = (0u64..)
        .zip(sizes)
        .map(|(d, words)| {
            std::iter::once(0)
                .chain((0..*words).map(|i| 1 + (mix(d * 64 + i) % 8) as u32))
                .collect()
        })
        .collect();
    let (mut bands, mut peaks) = (Bands::default(), Peaks::default());
    for (document, ids) in (0u32..).zip(&documents) {
        for (position, id) in (0u32..).zip(ids) {
            let hash = mix(u64::from(document) << 32 | u64::from(position));
            let value = match id {
                1 => 4.0,
                2 => 2.0,
                3 if document % 8 < 2 => 0.5,
                _ => continue,
            } * (1.0 + (hash >> 40) as f32 / 1e8);
            let peak = Peak {
                value,
                document,
                position,
            };
            bands.add_all(&mut Finder::default(), std::iter::once((hash, peak)));
            peaks.offer(Rank::Value, peak, None);
        }
    }
    let points = bands.points(Rank::Value, &peaks.peaks);
    (facts, documents, points)
}

/// The parts as one.
fn of<'a>(facts: &'a Facts, documents: &'a [Vec<u32>], lexicon: &'a Lexicon) -> Corpus<'a> {
    Corpus {
        facts,
        documents,
        lexicon,
    }
}

/// Its label would else be made from all of its activations and scored on none.
#[test]
fn a_document_alone_has_halves_too() {
    let (facts, documents, points) = corpus_of(1, 240);
    let lexicon = Lexicon::new(&facts, &documents);
    let corpus = of(&facts, &documents, &lexicon);
    let reads = Reads::new(&corpus, &points).unwrap();
    assert_eq!(reads.label.rule, Rule::Tokens(vec![1, 2, 3]));
    assert!(reads.stable && reads.f1 > 0.8, "{}", reads.f1);
}

#[test]
fn halves_are_about_equal_in_any_order() {
    for sizes in [
        [1, 20].repeat(200),
        [[1; 200], [20; 200]].concat(),
        [vec![1; 100], vec![2000]].concat(),
    ] {
        let (facts, documents, points) = corpus_of_sizes(&sizes, [" dog", " cat"]);
        let lexicon = Lexicon::new(&facts, &documents);
        let corpus = of(&facts, &documents, &lexicon);
        let [a, b] = [0, 1].map(|half| lexicon.positions(Some(half)));
        assert!(a.abs_diff(b) <= 20, "{a} {b}");
        let rule = Rule::Tokens(vec![1, 2]);
        assert_eq!(
            lexicon.holds(&rule, None),
            lexicon.holds(&rule, Some(0)) + lexicon.holds(&rule, Some(1))
        );
        let f1 = Reads::new(&corpus, &points).unwrap().f1;
        assert!(f1 > 0.85, "{f1}");
    }
}

#[test]
fn a_word_is_told_by_any_of_its_forms() {
    // The neuron is active at the form that is not the first one of the vocabulary.
    let (facts, documents, mut points) = corpus_of_sizes(&[20; 400], ["Dog", " dog"]);
    points.retain(|point| documents[point.peak.document as usize][point.peak.position as usize] == 2);
    let lexicon = Lexicon::new(&facts, &documents);
    let corpus = of(&facts, &documents, &lexicon);
    let reads = Reads::new(&corpus, &points).unwrap();
    let at = &reads.shares[SHARES.len()];
    assert_eq!(at.label.text, "“dog”");
    assert_eq!(at.label.rule, Rule::Word(1));
    // It holds at the other form, too, where this neuron is silent.
    assert!((at.f1 - 2.0 / 3.0).abs() < 0.05, "{}", at.f1);
}

#[test]
fn labels_at_shares_and_their_scores() {
    let (facts, documents, points) = corpus();
    let lexicon = Lexicon::new(&facts, &documents);
    let corpus = of(&facts, &documents, &lexicon);
    let reads = Reads::new(&corpus, &points).unwrap();
    let labels: Vec<&str> = reads.shares.iter().map(|at| at.label.text.as_str()).collect();
    // 0.1 % of 2,250 activations are 3: too few to say.
    assert_eq!(&labels[..3], ["rare: dog", "“dog”", "“dog”"]);
    assert_eq!(reads.entropies()[..2], [None, Some(0.0)]);
    // Of all activations drawn by value, two thirds are of the dog.
    assert_eq!(reads.shares[3].n(), TOP);
    // The label with the best F1 is both, which is also what the best tokens are.
    assert_eq!(reads.label.rule, Rule::Tokens(vec![1, 2]));
    assert!(reads.stable);
    let active = weight(&points);
    let of_both = (lexicon.count(1, None) + lexicon.count(2, None)) as f64;
    assert!(
        (reads.score.recall - of_both / active).abs() < 0.02,
        "{:?}",
        reads.score
    );
    assert!(reads.score.precision > 0.99 && reads.f1 > 0.9);
    assert!(reads.score.explained > reads.score.recall);
    // Never active outside the rule, and never silent inside: only what the rule leaves out is missing.
    assert!((reads.score.detection - (1.0 + reads.score.recall) / 2.0).abs() < 0.01);
    // The same label for a neuron at other places says nothing.
    let wrong = corpus.score(&Rule::Word(4), &points, None);
    assert_eq!((wrong.recall, wrong.precision), (0.0, 0.0));
    assert!(wrong.detection < 0.5);
}

#[test]
fn a_neuron_of_many_tokens_is_labeled_by_few() {
    let texts: Vec<String> = std::iter::once("<s>".into())
        .chain((1..60).map(|i| format!(" w{i}")))
        .collect();
    let facts = facts(&texts.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    let documents: Vec<Vec<u32>> = (0..400)
        .map(|d| {
            std::iter::once(0)
                .chain((0..20).map(|i| 1 + (mix(d * 64 + i) % 59) as u32))
                .collect()
        })
        .collect();
    let lexicon = Lexicon::new(&facts, &documents);
    let corpus = of(&facts, &documents, &lexicon);
    // Active at 40 of the 59 words.
    let points: Vec<Point> = (0u32..)
        .zip(&documents)
        .flat_map(|(document, ids)| (0u32..).zip(ids).map(move |(position, id)| (document, position, *id)))
        .filter(|(.., id)| (1..=40).contains(id))
        .map(|(document, position, _)| Point {
            peak: Peak {
                value: 1.0,
                document,
                position,
            },
            weight: 1.0,
        })
        .collect();
    let Rule::Tokens(ids) = corpus.best_tokens(&points, None).rule else {
        panic!("tokens");
    };
    assert_eq!(ids.len(), MOST);
}

#[test]
fn tokens_that_cover_most_come_before_rare_ones() {
    // Word 1 is common and the neuron is active at four fifths of it, weakly; 2 and 3 are forms of one word; the others are rare and sure.
    let texts: Vec<String> = ["<s>", " the", " Dog", " dog"]
        .into_iter()
        .map(String::from)
        .chain((4..40).map(|i| format!(" w{i}")))
        .collect();
    let facts = facts(&texts.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    let mut documents: Vec<Vec<u32>> = (0..100).map(|d| vec![0, 1, 1, 1, 1, 1, 2, 3, 4 + d % 36]).collect();
    documents.extend((0..100).map(|_| vec![0, 38, 39, 38, 39, 38, 39, 38, 39]));
    let lexicon = Lexicon::new(&facts, &documents);
    let corpus = of(&facts, &documents, &lexicon);
    let points: Vec<Point> = (0u32..100)
        .flat_map(|document| {
            (1u32..9)
                .filter(|position| *position != 5)
                .map(move |position| (document, position))
        })
        .filter(|(document, position)| documents[*document as usize][*position as usize] < 38)
        .map(|(document, position)| Point {
            peak: Peak {
                value: if position < 6 { 1.0 } else { 5.0 },
                document,
                position,
            },
            weight: 1.0,
        })
        .collect();
    let label = corpus.best_tokens(&points, None);
    let Rule::Tokens(ids) = &label.rule else {
        panic!("tokens")
    };
    assert_eq!(ids.len(), MOST);
    assert!([1, 2, 3].iter().all(|id| ids.contains(id)), "{ids:?}");
    // 12 tokens, of which three are shown and one is a form of these.
    assert_eq!(label.text, "Dog, the, w4 +9");
    let half = Rule::Tokens((4..16).collect());
    assert!(corpus.score(&label.rule, &points, None).f1() > 3.0 * corpus.score(&half, &points, None).f1());
}

#[test]
fn few_activations_say_nothing() {
    let (facts, documents, points) = corpus();
    let lexicon = Lexicon::new(&facts, &documents);
    let corpus = of(&facts, &documents, &lexicon);
    let few: Vec<Point> = points
        .iter()
        .take(5)
        .map(|point| Point { weight: 1.0, ..*point })
        .collect();
    assert!(Reads::new(&corpus, &few).is_none());
}

#[test]
fn a_neuron_of_the_beginning() {
    let (facts, documents, _) = corpus();
    let lexicon = Lexicon::new(&facts, &documents);
    let corpus = of(&facts, &documents, &lexicon);
    let at = |document, position| Point {
        peak: Peak {
            value: 1.0,
            document,
            position,
        },
        weight: 1.0,
    };
    let points: Vec<Point> = (0..400).flat_map(|d| (1..5).map(move |p| at(d, p))).collect();
    let reads = Reads::new(&corpus, &points).unwrap();
    assert_eq!(reads.label.text, "start of the text");
    assert_eq!((reads.f1, reads.score.precision), (1.0, 1.0));
    assert_eq!(reads.places[0], Some(5.0));
}
