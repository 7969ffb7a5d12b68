//! Everything the files say about one neuron.

use serde_json::{json, Value};

use super::accumulate::{LayerStatistics, Statistics};
use super::facts::{Effects, Facts};
use super::json::{maybe, number};
use super::labels::{label, listed, Evidence};
use super::measure::{Measured, Written};
use super::peaks::{Peak, Rank, Window};
use super::reads::{Corpus, Reads};
use super::rules::Lexicon;
use super::states::States;
use super::statistics::{count, distance, emergence, entropy, total, Counts};
use super::{EMERGENCE_JS, RARE_BELOW};

/// What records are made from.
pub struct Ground<'a> {
    pub facts: &'a Facts,
    /// All documents of the corpus.
    pub documents: &'a [Vec<u32>],
    /// Statistics of the final weights, and of the checkpoints.
    pub last: &'a Statistics,
    pub steps: &'a [Statistics],
    pub lexicon: &'a Lexicon,
    pub more: &'a More,
}

/// What was found out beyond counting.
#[derive(Default)]
pub struct More {
    pub measured: Option<Measured>,
    pub states: Option<States>,
}

impl Ground<'_> {
    /// How many neurons there are, and the number of one among them: where it stands in a column.
    pub fn neurons(&self) -> usize {
        self.facts.layers.len() * self.facts.d_model
    }

    pub fn neuron(&self, slot: usize, index: usize) -> usize {
        slot * self.facts.d_model + index
    }

    fn corpus(&self) -> Corpus<'_> {
        Corpus {
            facts: self.facts,
            documents: self.documents,
            lexicon: self.lexicon,
        }
    }
}

/// One neuron under one set of weights, by its better tail.
pub struct Neuron {
    pub tail: usize,
    pub peaks: Vec<(Peak, Option<Window>)>,
    pub tokens: Counts,
    pub entropy: f64,
}

impl Neuron {
    /// Takes the tail with the lower token entropy, the first at a tie; or `tail`, if given.
    pub fn new(documents: &[Vec<u32>], layer: &LayerStatistics, index: usize, tail: Option<usize>) -> Neuron {
        let of = |tail: usize| {
            let rank = layer.ranks[tail];
            let peaks = layer.peaks[tail * layer.d_model + index].sorted(rank);
            let tokens = count(peaks.iter().filter_map(|(peak, _)| token(documents, peak, 0)));
            Neuron {
                tail,
                peaks,
                entropy: entropy(&tokens),
                tokens,
            }
        };
        match tail {
            Some(tail) => of(tail),
            None => (1..layer.ranks.len()).map(of).fold(
                of(0),
                |best, other| {
                    if other.entropy < best.entropy {
                        other
                    } else {
                        best
                    }
                },
            ),
        }
    }

    pub fn n(&self) -> usize {
        self.peaks.len()
    }

    /// Whether there are too few positions to say what it means.
    pub fn is_rare(&self) -> bool {
        self.n() < RARE_BELOW
    }

    pub fn max(&self) -> Option<f64> {
        self.peaks.first().map(|(peak, _)| f64::from(peak.value))
    }

    /// The token entropy; `None` without activations.
    pub fn token_entropy(&self) -> Option<f64> {
        (self.n() > 0).then_some(self.entropy)
    }
}

/// The token `offset` positions after an activation, if the document has one there.
fn token(documents: &[Vec<u32>], peak: &Peak, offset: i64) -> Option<u32> {
    let position = i64::from(peak.position) + offset;
    documents
        .get(peak.document as usize)?
        .get(usize::try_from(position).ok()?)
        .copied()
}

/// A neuron with its other layers and its history.
pub struct Record<'a> {
    /// Number of the layer among those analyzed.
    pub slot: usize,
    pub layer: usize,
    pub index: usize,
    pub density: f64,
    pub mean: Option<f64>,
    /// ±1 for a dense model.
    pub sign: Option<i32>,
    pub neuron: Neuron,
    pub next: Counts,
    pub clusters: Option<Counts>,
    pub label: String,
    /// `None` if it is rare.
    pub reads: Option<Reads>,
    /// F1 of its label as a detector of another neuron of the layer.
    pub shuffled: Option<f64>,
    /// With a label, empty if it writes nothing that random neurons of its layer do not write.
    pub writes: Option<(&'a Written, String)>,
    pub emergence: Option<u64>,
    /// Distance to the final top tokens at each checkpoint.
    pub distances: Vec<f64>,
    /// (layer, similarity) for each layer, including its own; rare ones have none.
    pub layers: Vec<(usize, Option<f64>)>,
}

/// The records of one index in all layers, in order.
pub fn records<'a>(ground: &Ground<'a>, index: usize) -> Vec<Record<'a>> {
    let facts = ground.facts;
    let neurons: Vec<Neuron> = ground
        .last
        .layers
        .iter()
        .map(|layer| Neuron::new(ground.documents, layer, index, None))
        .collect();
    let similarities: Vec<Vec<(usize, Option<f64>)>> = neurons
        .iter()
        .map(|one| {
            let others = neurons.iter().zip(&facts.layers);
            others
                .map(|(other, layer)| {
                    let clear = !one.is_rare() && !other.is_rare();
                    (*layer, clear.then(|| 1.0 - distance(&one.tokens, &other.tokens)))
                })
                .collect()
        })
        .collect();
    let slots = ground.last.layers.iter().enumerate();
    slots
        .zip(neurons)
        .zip(similarities)
        .map(|(((slot, layer), neuron), layers)| record(ground, slot, layer, index, neuron, layers))
        .collect()
}

fn record<'a>(
    ground: &Ground<'a>,
    slot: usize,
    layer: &LayerStatistics,
    index: usize,
    neuron: Neuron,
    layers: Vec<(usize, Option<f64>)>,
) -> Record<'a> {
    let facts = ground.facts;
    let around = |offset| {
        count(
            neuron
                .peaks
                .iter()
                .filter_map(|(peak, _)| token(ground.documents, peak, offset)),
        )
    };
    let (before, next) = (around(-1), around(1));
    let clusters = clusters(facts, &neuron.tokens);
    let negative = layer.ranks[neuron.tail] == Rank::Negative;
    let evidence = Evidence {
        tokens: &neuron.tokens,
        before: &before,
        after: &next,
    };
    let corpus = ground.corpus();
    let reads = Reads::new(&corpus, &layer.points(neuron.tail, index));
    let other = (index + layer.d_model / 2) % layer.d_model;
    let shuffled = reads.as_ref().map(|reads| {
        corpus
            .score(&reads.label.rule, &layer.points(neuron.tail, other), None)
            .f1()
    });
    let written = ground
        .more
        .measured
        .as_ref()
        .and_then(|all| all.layers[slot][index].as_ref());
    let writes = written.map(|one| {
        let specific = one.specificity() >= 1.0;
        let shown = if specific {
            listed(facts, &mut one.up.iter().map(|(id, _)| *id))
        } else {
            String::new()
        };
        (one, shown)
    });
    let distances: Vec<f64> = ground
        .steps
        .iter()
        .map(|step| {
            let then = Neuron::new(ground.documents, &step.layers[slot], index, Some(neuron.tail));
            distance(&then.tokens, &neuron.tokens)
        })
        .collect();
    let found = (!neuron.is_rare() && !distances.is_empty()).then(|| {
        let steps: Vec<u64> = facts.steps.iter().copied().chain(facts.step).collect();
        let all: Vec<f64> = distances.iter().copied().chain([0.0]).collect();
        emergence(&steps, &all, EMERGENCE_JS)
    });
    Record {
        slot,
        layer: layer.layer,
        index,
        density: layer.active[index] as f64 / ground.last.positions.max(1) as f64,
        mean: (layer.active[index] > 0).then(|| layer.mean(index)),
        sign: facts.dense.then_some(if negative { -1 } else { 1 }),
        label: match &reads {
            Some(reads) => named(reads, writes.as_ref()),
            None => label(&evidence, facts).text,
        },
        writes,
        reads,
        shuffled,
        next,
        clusters,
        emergence: found.flatten(),
        distances,
        layers,
        neuron,
    }
}

/// What a neuron reads and writes, each with a question mark where half of the text, or of the prompts, would give another.
fn named(reads: &Reads, writes: Option<&(&Written, String)>) -> String {
    let mark = |stable: bool| if stable { "" } else { "?" };
    let read = format!("{}{}", reads.label.text, mark(reads.stable));
    match writes {
        None => read,
        Some((_, written)) if written.is_empty() => format!("reads {read}"),
        Some((one, written)) => format!("reads {read} · writes {written}{}", mark(one.stable)),
    }
}

/// The same counts over clusters of tokens; `None` without a clustering.
pub fn clusters(facts: &Facts, tokens: &Counts) -> Option<Counts> {
    facts.clusters.as_ref()?;
    let ids = tokens.iter().flat_map(|(id, n)| std::iter::repeat_n(*id, *n as usize));
    Some(count(ids.filter_map(|id| facts.cluster_of(id))))
}

/// The entropy of counts over clusters; `None` if there are none.
pub fn semantic_entropy(clusters: Option<&Counts>) -> Option<f64> {
    clusters
        .filter(|counts| !counts.is_empty())
        .map(|counts| entropy(counts))
}

/// Promoted and suppressed tokens of an index; for the negative tail they are swapped and their signs reversed.
pub fn effects(facts: &Facts, index: usize, negative: bool) -> (Effects, Effects) {
    let (promoted, suppressed) = (&facts.promoted[index], &facts.suppressed[index]);
    if negative {
        let turned = |list: &[(u32, f64)]| list.iter().map(|(id, effect)| (*id, -effect)).collect();
        (turned(suppressed), turned(promoted))
    } else {
        (promoted.clone(), suppressed.clone())
    }
}

impl Record<'_> {
    pub fn semantic_entropy(&self) -> Option<f64> {
        semantic_entropy(self.clusters.as_ref())
    }

    pub fn next_entropy(&self) -> Option<f64> {
        (!self.next.is_empty()).then(|| entropy(&self.next))
    }

    pub fn effects(&self, facts: &Facts) -> (Effects, Effects) {
        effects(facts, self.index, self.sign == Some(-1))
    }

    /// Mean similarity to the other layers that are not rare.
    pub fn similarity(&self) -> Option<f64> {
        let others = self.layers.iter().filter(|(layer, _)| *layer != self.layer);
        let known: Vec<f64> = others.filter_map(|(_, similarity)| *similarity).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    }

    /// (smallest, largest, counts in 20 equal bins) of the active values.
    pub fn histogram(&self, layer: &LayerStatistics) -> (f64, f64, Vec<u64>) {
        let (min, max) = (f64::from(layer.min[self.index]), f64::from(layer.max[self.index]));
        let (from, to) = match (layer.active[self.index], self.sign) {
            (0, _) => (0.0, 0.0),
            (_, Some(_)) => (min, max),
            (_, None) => (min.min(0.0), max.max(0.0)),
        };
        (from, to, layer.histograms[self.index].bins(from, to, 20))
    }

    /// The object in a file of `layer{L}/`, with the `examples` of `examples.rs`.
    pub fn json(&self, ground: &Ground<'_>, layer: &LayerStatistics, examples: Value) -> Value {
        let pairs = |counts: &[(u32, u32)], most: usize| -> Vec<Value> {
            counts.iter().take(most).map(|(id, n)| json!([id, n])).collect()
        };
        let effects_json = |list: Effects| -> Vec<Value> {
            list.into_iter()
                .map(|(id, effect)| json!([id, number(effect)]))
                .collect()
        };
        let (promoted, suppressed) = self.effects(ground.facts);
        let (from, to, counts) = self.histogram(layer);
        let mut histogram = json!({ "max": number(to), "counts": counts });
        if from < 0.0 || self.sign.is_some() {
            histogram["min"] = number(from);
        }
        let layers = self.layers.iter();
        let layers: Vec<Value> = layers
            .map(|(layer, similarity)| json!([layer, maybe(*similarity)]))
            .collect();
        let mut object = json!({
            "index": self.index,
            "density": number(self.density),
            "max": maybe(self.neuron.max()),
            "mean": maybe(self.mean),
            "n": self.neuron.n(),
            "token_entropy": maybe(self.neuron.token_entropy()),
            "semantic_entropy": maybe(self.semantic_entropy()),
            "next_entropy": maybe(self.next_entropy()),
            "label": self.label,
            "reads": self.reads.as_ref().map(Reads::json),
            "writes": self.writes.as_ref().map(|(one, label)| one.json(label)),
            "emergence": self.emergence,
            "histogram": histogram,
            "tokens": pairs(&self.neuron.tokens, 20),
            "clusters": pairs(self.clusters.as_deref().unwrap_or_default(), 10),
            "next_tokens": pairs(&self.next, 10),
            "promoted": effects_json(promoted),
            "suppressed": effects_json(suppressed),
            "layers": layers,
            "examples": examples,
        });
        if let Some(states) = &ground.more.states {
            object["states"] = states.json(self.slot, self.index);
        }
        if let Some(sign) = self.sign {
            object["tail"] = json!(sign);
        }
        debug_assert_eq!(total(&self.neuron.tokens) as usize, self.neuron.n());
        object
    }
}
