//! Makes the files of `features/` from the statistics of a whole corpus; `README.md` beside this file describes them. Where they go is the
//! caller's affair.

use serde_json::{json, Map, Value};

use super::accumulate::Statistics;
use super::beginnings::beginnings;
use super::examples;
use super::facts::Facts;
use super::json::{column, maybe, number};
use super::reads::{Reads, SHARES};
use super::record::{records, Ground, More, Record};
use super::rules::Lexicon;
use super::statistics::count;
use super::steps::{all_steps, StepColumns};
use super::{EMERGENCE_JS, FORMAT, PER_FILE, RARE_BELOW, TOP};
use crate::error::{fail, Result};
use crate::pace::pause;

/// Tokens per neuron in the index.
const SHOWN: usize = 3;

/// The statistics of a whole corpus.
pub struct Whole {
    pub facts: Facts,
    pub documents: Vec<Vec<u32>>,
    pub last: Statistics,
    pub steps: Vec<Statistics>,
}

impl Whole {
    fn ground<'a>(&'a self, lexicon: &'a Lexicon, more: &'a More) -> Ground<'a> {
        Ground {
            lexicon,
            more,
            facts: &self.facts,
            documents: &self.documents,
            last: &self.last,
            steps: &self.steps,
        }
    }
}

/// Takes a file: its path below `features/`, and what it holds.
pub type Put<'a> = &'a mut dyn FnMut(&str, Vec<u8>) -> Result<()>;
/// Hears of every record, with the number of its layer.
pub type Each<'a> = &'a mut dyn FnMut(&Ground<'_>, usize, &Record<'_>);

/// Makes the files, `index.json` last.
pub async fn write(whole: &Whole, more: &More, each: Each<'_>, put: Put<'_>) -> Result<()> {
    let lexicon = Lexicon::new(&whole.facts, &whole.documents);
    let ground = whole.ground(&lexicon, more);
    let (facts, d_model) = (ground.facts, ground.facts.d_model);
    let mut index = Index::default();
    let mut steps = StepColumns::default();
    for start in (0..d_model).step_by(PER_FILE) {
        let mut files: Vec<(Vec<Value>, Vec<Value>)> = vec![Default::default(); facts.layers.len()];
        for i in start..(start + PER_FILE).min(d_model) {
            for (slot, record) in records(&ground, i).iter().enumerate() {
                let layer = &ground.last.layers[slot];
                let examples = examples::json(&ground, layer, record);
                files[slot].0.push(record.json(&ground, layer, examples));
                index.add(&ground, slot, record);
                if !ground.steps.is_empty() {
                    files[slot].1.push(steps.add(&ground, slot, record));
                }
                each(&ground, slot, record);
            }
            pause().await;
        }
        for (layer, (neurons, of_steps)) in facts.layers.iter().zip(files) {
            let name = format!("layer{layer}/{start}.json");
            let object = |neurons| json!({ "format": FORMAT, "layer": layer, "start": start, "neurons": neurons });
            save(put, &name, &object(neurons))?;
            if !ground.steps.is_empty() {
                save(put, &format!("steps/{name}"), &object(of_steps))?;
            }
        }
    }
    if !ground.steps.is_empty() {
        save(put, "steps/columns.json", &steps.json(&ground))?;
    }
    if let Some(clusters) = &facts.clusters {
        let object = json!({
            "format": FORMAT, "threshold": number(clusters.threshold), "source": clusters.source, "cluster": clusters.cluster,
            "linkage": "average",
        });
        save(put, "clusters.json", &object)?;
    }
    if let Some(states) = &more.states {
        save(put, "states.json", &states.summary(facts))?;
    }
    if let Some(measured) = &more.measured {
        save(put, "contrasts.json", &measured.contrasts_json(facts))?;
        save(put, "switches.json", &measured.switches_json(facts))?;
    }
    // Written last: if it exists, so do all the others.
    save(put, "index.json", &index.json(&ground))
}

fn save(put: Put<'_>, path: &str, value: &Value) -> Result<()> {
    match serde_json::to_vec(value) {
        Ok(bytes) => put(path, bytes),
        Err(error) => fail!(Io, "{path} cannot be put together: {error}"),
    }
}

/// Clusters per neuron in the index.
const CLUSTERS: usize = 3;

/// The columns over all neurons.
#[derive(Default)]
struct Index {
    columns: Vec<(&'static str, Vec<Value>)>,
    /// F1 of the labels, of each on another neuron too, and how many are stable.
    f1: Vec<f64>,
    shuffled: Vec<f64>,
    stable: usize,
}

impl Index {
    fn add(&mut self, ground: &Ground<'_>, slot: usize, record: &Record<'_>) {
        let ids = |list: &[(u32, f64)]| list.iter().take(SHOWN).map(|(id, _)| *id).collect::<Vec<_>>();
        let (promoted, suppressed) = record.effects(ground.facts);
        let top: Vec<u32> = record.neuron.tokens.iter().take(SHOWN).map(|(id, _)| *id).collect();
        let reads: Option<&Reads> = record.reads.as_ref();
        let writes = record.writes.as_ref().map(|(one, _)| *one);
        let state = ground
            .more
            .states
            .as_ref()
            .and_then(|states| states.of(slot, record.index));
        // Each column, and whether this analysis has it.
        let (always, dense) = (true, ground.facts.dense);
        let (measured, stated) = (ground.more.measured.is_some(), ground.more.states.is_some());
        let values = [
            ("density", always, number(record.density)),
            ("max", always, maybe(record.neuron.max())),
            ("mean", always, maybe(record.mean)),
            ("tail", dense, json!(record.sign)),
            ("n", always, json!(record.neuron.n())),
            ("token_entropy", always, maybe(record.neuron.token_entropy())),
            ("semantic_entropy", always, maybe(record.semantic_entropy())),
            ("next_entropy", always, maybe(record.next_entropy())),
            ("top_tokens", always, json!(top)),
            ("promoted", always, json!(ids(&promoted))),
            ("suppressed", always, json!(ids(&suppressed))),
            ("label", always, json!(record.label)),
            ("emergence", always, json!(record.emergence)),
            ("similarity", always, maybe(record.similarity())),
            ("reads", always, json!(reads.map(|reads| &reads.label.text))),
            ("reads_f1", always, maybe(reads.map(|reads| reads.f1))),
            ("recall", always, maybe(reads.map(|reads| reads.score.recall))),
            ("precision", always, maybe(reads.map(|reads| reads.score.precision))),
            ("explained", always, maybe(reads.map(|reads| reads.score.explained))),
            ("detection", always, maybe(reads.map(|reads| reads.score.detection))),
            ("stable", always, json!(reads.map(|reads| reads.stable))),
            (
                "share_entropy",
                always,
                reads.map_or(Value::Null, |reads| reads.entropies().into_iter().map(maybe).collect()),
            ),
            ("clusters", always, json!(clusters_of(ground, record))),
            (
                "writes",
                measured,
                json!(record.writes.as_ref().map(|(_, label)| label)),
            ),
            ("writes_up", measured, json!(writes.map(|one| ids(&one.up)))),
            ("writes_down", measured, json!(writes.map(|one| ids(&one.down)))),
            ("kl", measured, maybe(writes.map(|one| one.kl))),
            ("specificity", measured, maybe(writes.map(|one| one.specificity()))),
            ("strong", measured, maybe(writes.map(|one| f64::from(one.value)))),
            (
                "steer",
                measured,
                maybe(writes.and_then(|one| one.steer).map(|(value, _)| f64::from(value))),
            ),
            ("state", stated, json!(state.map(|(name, ..)| name))),
            ("state_f1", stated, maybe(state.map(|(_, f1, _)| f1))),
            ("state_shuffled", stated, maybe(state.map(|(.., chance)| chance))),
        ];
        if let Some(reads) = reads {
            self.f1.push(reads.f1);
            self.shuffled.extend(record.shuffled);
            self.stable += usize::from(reads.stable);
        }
        let (neurons, neuron) = (ground.neurons(), ground.neuron(slot, record.index));
        for (name, _, value) in values.into_iter().filter(|(_, is_in, _)| *is_in) {
            column(&mut self.columns, name, || vec![Value::Null; neurons])[neuron] = value;
        }
    }

    fn json(self, ground: &Ground<'_>) -> Value {
        let facts = ground.facts;
        let reads = json!({
            "shares": SHARES, "n": TOP, "neurons": self.f1.len(), "f1": maybe(median(&self.f1)),
            "f1_shuffled": maybe(median(&self.shuffled)), "stable": self.stable,
        });
        let columns = self.columns.into_iter();
        let columns: Map<String, Value> = columns.map(|(name, column)| (name.to_owned(), column.into())).collect();
        let clusters = facts.clusters.as_ref().map(|clusters| {
            json!({
                "file": "clusters.json", "threshold": number(clusters.threshold),
                "count": clusters.cluster.iter().max().map_or(0, |last| last + 1), "source": clusters.source,
            })
        });
        let beginnings = facts.texts.as_ref().map(|texts| beginnings(texts, ground.documents));
        json!({
            "format": FORMAT,
            "topk_lm": env!("CARGO_PKG_VERSION"),
            "beginnings": beginnings.unwrap_or_default(),
            "model": facts.model,
            "kind": if facts.dense { "dense" } else { "topk" },
            "d_model": facts.d_model,
            "layers": facts.layers,
            "topk_k": facts.topk_k,
            "step": facts.step,
            "corpus": {
                "files": facts.corpus.files, "documents": facts.corpus.documents, "tokens": ground.last.tokens,
                "positions": ground.last.positions, "sha256": facts.corpus.sha256,
            },
            "entropy": { "n": TOP, "rare_below": RARE_BELOW },
            "reads": reads,
            "clusters": clusters,
            "shards": { "per_file": PER_FILE, "path": "layer{layer}/{start}.json" },
            "columns": columns,
            "emergence_js": EMERGENCE_JS,
            "steps": all_steps(ground),
        })
    }
}

/// The clusters that have most of the tokens read at a tenth of the activations, and written.
fn clusters_of(ground: &Ground<'_>, record: &Record<'_>) -> Vec<u32> {
    let read = record
        .reads
        .iter()
        .flat_map(|reads| &reads.shares[SHARES.len() - 1].tokens);
    let written = record.writes.iter().flat_map(|(one, _)| &one.up);
    let ids = read.flat_map(|(id, n)| std::iter::repeat_n(*id, *n as usize));
    let all = ids.chain(written.flat_map(|(id, _)| std::iter::repeat_n(*id, TOP / 10)));
    let counts = count(all.filter_map(|id| ground.facts.cluster_of(id)));
    counts.into_iter().take(CLUSTERS).map(|(cluster, _)| cluster).collect()
}

/// The middle number, the mean of both if there are two; `None` of none.
fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        _ if sorted.is_empty() => None,
        0 => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
        _ => Some(sorted[middle]),
    }
}
