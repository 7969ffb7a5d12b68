//! `topk-lm steer`: a topic as a short signed list of neurons.

use std::path::PathBuf;

use clap::Args;
use topk_lm::error::Result;
use topk_lm::offline::files;
use topk_lm::steer::{self, Concept, Found, Recipe, SteerOptions};

use crate::common::{number, print_text, remark, whole, NoBackend, ThreadArgs};

/// Find the few neurons that make texts use given words
///
/// They are neurons of one block, each with a value to add, so that texts stay readable. Prints edits as `generate --edit` and JavaScript take them,
/// with what they do to fresh texts.
#[derive(Args)]
pub struct SteerArgs {
    /// Model folder in the Hugging Face layout, with a tokenizer.json
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Words that count as the topic: water,lake,sea, or NAME=water,lake,sea; may be given several times, which costs little more
    #[arg(long, value_name = "WORDS", required = true)]
    words: Vec<Concept>,
    /// Neurons of the list, at most 64
    #[arg(long, value_name = "N", value_parser = whole::<usize>, default_value_t = 8)]
    size: usize,
    /// The block after which the neurons are [default: the last TopK block; of a dense model the block before the last]
    #[arg(long, value_name = "L", value_parser = whole::<usize>)]
    layer: Option<usize>,
    /// A beginning of texts that this is for; may be given several times [default: openings of stories]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: Vec<String>,
    /// The same from a file: .jsonl with {"ids": [...]} or {"text": "..."} per line, or text with <|endoftext|> lines between prompts
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    prompts: Option<PathBuf>,
    /// Largest surprise of the texts, as a multiple of that of unedited ones
    #[arg(long, value_name = "R", value_parser = number::<f64>, default_value_t = 1.25)]
    surprise: f64,
    /// Model whose surprise counts, with the same tokenizer, for example the dense twin [default: the model, unedited]
    #[arg(long, value_name = "DIR")]
    judge: Option<PathBuf>,
    /// Also report lists of 1, 2, 4, 8, 16 and 32 neurons
    #[arg(long)]
    curve: bool,
    /// Write the recipes into this list (recipes.json), in the place of those of the same topic, instead of stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    threads: ThreadArgs,
    #[command(flatten)]
    backend: NoBackend,
}

pub fn run(args: &SteerArgs) -> Result<()> {
    args.backend.without_gpu()?;
    let options = SteerOptions {
        model: args.model.clone(),
        concepts: args.words.clone(),
        size: args.size,
        layer: args.layer,
        prompts: args.prompt.clone(),
        prompts_file: args.prompts.clone(),
        surprise: args.surprise,
        judge: args.judge.clone(),
        curve: args.curve,
        threads: args.threads.number(),
    };
    // A list that cannot be read is found out before minutes of work.
    steer::into_list(args.out.as_deref(), &[])?;
    let found = steer::steer(&options)?;
    let recipes: Vec<Recipe> = found.iter().map(|found| found.recipe.clone()).collect();
    let all = |file| steer::into_list(file, &recipes);
    match &args.out {
        None => print_text(&all(None)?)?,
        Some(file) => {
            let saved = all(Some(file)).and_then(|list| files::write_named(file, list.as_bytes()));
            if saved.is_err() {
                print_text(&all(None)?)?; // what took minutes is not lost with a full disk
                return saved;
            }
        }
    }
    // Only now: what fails says so in one line.
    for found in &found {
        summary(found, args.curve).iter().for_each(|line| remark(line));
    }
    Ok(())
}

/// For a reader.
fn summary(found: &Found, curve: bool) -> Vec<String> {
    let Recipe {
        concept,
        edits,
        base_rate,
        steered_rate,
        success,
        nll_ratio,
        judge,
        tokens,
        ..
    } = &found.recipe;
    let layer = edits.first().map_or(0, |edit| edit.layer);
    let neurons = edits
        .iter()
        .map(|edit| format!("{} {:+}", edit.index, edit.value.unwrap_or_default()));
    let mut lines = vec![
        format!("{concept}: {} neurons of block {layer}: {}", edits.len(), neurons.collect::<Vec<_>>().join(", ")),
        format!(
            "  {base_rate:.2} → {steered_rate:.2} words per text of {tokens} tokens, at least two in {:.0} % of the texts; {nll_ratio:.2} times the surprise ({judge})",
            100.0 * success
        ),
    ];
    if curve {
        lines.extend(found.curve.iter().map(|of| {
            format!(
                "  {:>2} neurons: {:.2} words, {:.2} times the surprise",
                of.edits.len(),
                of.steered_rate,
                of.nll_ratio
            )
        }));
    }
    if !found.only_counted.is_empty() {
        lines.push(format!(
            "  counted, but no token of their own: {}",
            found.only_counted.join(", ")
        ));
    }
    let [without, with] = found.samples.each_ref().map(|text| text.replace('\n', " "));
    lines.extend([format!("  without: {without}"), format!("  with:    {with}")]);
    lines
}
