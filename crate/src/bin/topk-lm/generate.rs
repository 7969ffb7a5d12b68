//! `topk-lm generate`: continues a prompt.

use clap::Args;
use serde_json::json;
use topk_lm::edits::Edit;
use topk_lm::error::Result;
use topk_lm::features::saes;
use topk_lm::pace::Cancel;
use topk_lm::session::{Finish, GenerateOptions};

use crate::common::{edit, load, print_line, print_text, remark, whole, ModelArgs, Prompt, SaeArgs, SamplingArgs};

/// Continue a prompt
#[derive(Args)]
pub struct GenerateArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    prompt: Prompt,
    /// Maximum number of new tokens [default: the model's, otherwise 64]
    #[arg(long, value_name = "N", value_parser = whole::<usize>)]
    max_tokens: Option<usize>,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// The same seed gives the same text [default: a random one, which is reported]
    #[arg(long, value_name = "S", value_parser = whole::<u64>)]
    seed: Option<u64>,
    /// Stop at any of these texts
    #[arg(long, value_name = "TEXT", num_args = 1..)]
    stop: Vec<String>,
    /// Continue past the end-of-text token
    #[arg(long)]
    ignore_eos: bool,
    #[command(flatten)]
    saes: SaeArgs,
    /// Edit a neuron: layer=4,index=17,action=clamp,value=8[,site=topk_in][,positions=generated][,propagate=from_layer], or a feature:
    /// sae=HOOK,index=17,action=clamp,value=8[,positions=generated]
    #[arg(long, value_name = "E", value_parser = edit)]
    edit: Vec<Edit>,
    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
}

pub fn run(args: &GenerateArgs) -> Result<()> {
    let model = load(&args.model)?;
    saes::attach(&model, &args.saes.saes)?;
    let prompt = args.prompt.ids(&model)?;
    let options = GenerateOptions {
        max_tokens: args.max_tokens,
        sampling: args.sampling.options(),
        seed: args.seed,
        stop: args.stop.clone(),
        ignore_eos: args.ignore_eos,
        edits: args.edit.clone(),
        ..GenerateOptions::default()
    };
    let mut generation = model.generate(&prompt, &options)?;
    let cancel = Cancel::default();
    let (mut ids, mut logprobs, mut text) = (Vec::new(), Vec::new(), String::new());
    let finish = loop {
        let generated = pollster::block_on(generation.next(&cancel))?;
        for step in &generated.steps {
            ids.push(step.id);
            logprobs.push(step.logprob);
            text.push_str(&step.text);
            if !args.json {
                let shown = if model.has_tokenizer() {
                    step.text.clone()
                } else {
                    format!("{} ", step.id)
                };
                print_text(&shown)?;
            }
        }
        if let Some(finish) = generated.finish {
            break finish;
        }
    };
    let sampling = options.sampling.resolve(model.defaults(), generation.seed());
    if !args.json {
        print_line("")?;
        if finish == Finish::Context {
            remark(&format!("(the context of {} tokens is full)", model.config().n_ctx));
        }
        if args.seed.is_none() && sampling.temperature != 0.0 {
            remark(&format!("(seed {})", generation.seed()));
        }
        return Ok(());
    }
    let backend = model.backend();
    let object = json!({
        "prompt_ids": prompt,
        "ids": ids,
        "text": text,
        "finish": finish.name(),
        "seed": generation.seed(),
        "sampling": {
            "temperature": plain(sampling.temperature), "top_k": sampling.top_k, "top_p": plain(sampling.top_p),
            "repetition_penalty": plain(sampling.repetition_penalty),
        },
        "topk_lm": env!("CARGO_PKG_VERSION"),
        "logprobs": logprobs,
        "backend": { "kind": backend.kind.name(), "adapter": backend.adapter, "reason": backend.reason },
    });
    print_line(&object.to_string())
}

/// As it was written: 0.7, not the f64 nearest to its f32.
fn plain(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(f64::from(x))
}
