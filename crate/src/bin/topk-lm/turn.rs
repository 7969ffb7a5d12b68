//! `topk-lm turn`: the neurons that turn one word, or any of some, into another.

use std::path::PathBuf;

use clap::Args;
use serde_json::{json, Value};
use topk_lm::error::Result;
use topk_lm::offline::Progress;
use topk_lm::turn;

use crate::common::{load, print_line, remark, whole, ModelArgs};

/// Find the neurons that turn one next word into another
///
/// Each neuron is set in turn, to the largest value at which its texts stay readable, after a prompt and at places of texts that continue it where
/// both sides fit. Those that turn the first into the second at all of them, further than the best of 100 random neurons of their layer, are
/// printed as edits at the last position of the prompt, largest effect first.
#[derive(Args)]
pub struct TurnArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The word that would come next, or up to 8 words separated by commas
    #[arg(long, value_name = "WORD")]
    from: String,
    /// The word to make likely instead, or up to 8 words separated by commas
    #[arg(long, value_name = "WORD")]
    to: String,
    /// Prompt after which a word of either side could follow
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: String,
    /// Places in texts that continue the prompt, at most 8
    #[arg(long, value_name = "N", value_parser = whole::<usize>, default_value_t = 4)]
    places: usize,
    /// Neurons to print
    #[arg(long, value_name = "N", value_parser = whole::<usize>, default_value_t = 8)]
    most: usize,
    /// Statistics that `topk-lm analyze` wrote, which say how strongly each neuron can be set [default: features/ in the model's folder]
    #[arg(long, value_name = "DIR")]
    features: Option<PathBuf>,
}

pub fn run(args: &TurnArgs) -> Result<()> {
    let model = load(&args.model)?;
    let features = args
        .features
        .clone()
        .unwrap_or_else(|| args.model.model.join("features"));
    let neurons = turn::settable(&features, &model)?;
    let ids: Vec<u32> = (0..model.config().d_vocab as u32).collect();
    let tokenizer = model.tokenizer()?;
    let vocabulary = tokenizer.tokens(&ids)?;
    let sides = turn::sides(&vocabulary, &args.from, &args.to)?;
    let prompt = model.encode_prompt(&args.prompt)?;
    let places = turn::places(&model, &prompt, &sides, args.places)?;
    let mut progress = Progress::new("runs");
    let mut heard = |done: usize, total: usize| progress.show(done as u64, total as u64, " with one neuron set");
    let found = turn::turning(&model, &neurons, &places, &sides, &mut heard)?;
    drop(progress);
    let wherever = match places.len() {
        1 => "after the prompt".to_owned(),
        many => format!("at each of {many} places"),
    };
    remark(&format!(
        "{} of {} neurons turn “{}” into “{}” {wherever}, further than the best of {} random ones of their layer",
        found.len(),
        neurons.len(),
        args.from,
        args.to,
        turn::compared(&neurons)
    ));
    let shown: Vec<Value> = found
        .iter()
        .take(args.most)
        .map(|one| {
            let neuron = one.neuron;
            json!({
                "layer": neuron.layer, "index": neuron.index, "action": "clamp", "value": neuron.value,
                "positions": { "from": prompt.len() - 1, "to": prompt.len() },
                "effect": one.effect, "times": one.times,
            })
        })
        .collect();
    let texts = places.iter().map(|ids| tokenizer.decode(ids, true));
    // One word is a string, several are a list.
    let [from, to] = sides.each_ref().map(|ids| {
        let mut words = ids.iter().map(|id| json!(vocabulary[*id as usize]));
        match ids.len() {
            1 => words.next().unwrap_or_default(),
            _ => words.collect(),
        }
    });
    let object = json!({
        "from": from, "to": to, "neurons": neurons.len(), "found": found.len(),
        "random": turn::compared(&neurons), "places": texts.collect::<Result<Vec<_>>>()?, "place_ids": places, "turning": shown,
    });
    print_line(&object.to_string())
}
