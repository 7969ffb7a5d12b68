//! `topk-lm run`: one forward pass, saved as safetensors.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use topk_lm::checkpoint::{safetensors_about, OutputTensor};
use topk_lm::edits::Edit;
use topk_lm::error::{Code, Error, Result};
use topk_lm::exec::request::LogitRows;
use topk_lm::features::saes;
use topk_lm::offline::files;
use topk_lm::pace::Cancel;
use topk_lm::session::RunOptions;

use crate::common::{edit, load, print_line, sae_lines, whole, ModelArgs, Prompt, SaeArgs};

/// Run one forward pass and save logits and hooks as safetensors
#[derive(Args)]
pub struct RunArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    prompt: Prompt,
    /// How many positions edits treat as the prompt [default: all]
    #[arg(long, value_name = "P", value_parser = whole::<usize>)]
    prompt_len: Option<usize>,
    /// Save a hook, for example blocks.0.hook_topk_out
    #[arg(long, value_name = "NAME")]
    hook: Vec<String>,
    #[command(flatten)]
    saes: SaeArgs,
    /// Edit a neuron: layer=4,index=17,action=clamp,value=8[,site=topk_in][,positions=3..7][,propagate=from_layer], or a feature:
    /// sae=HOOK,index=17,action=clamp,value=8[,positions=3..7]
    #[arg(long, value_name = "E", value_parser = edit)]
    edit: Vec<Edit>,
    /// Output file: "logits" f32 [T, V] and each hook under its name; ids and edits in its metadata
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
}

pub fn run(args: &RunArgs) -> Result<()> {
    let model = load(&args.model)?;
    saes::attach(&model, &args.saes.saes)?;
    let ids = args.prompt.ids(&model)?;
    let options = RunOptions {
        hooks: args.hook.clone(),
        edits: args.edit.clone(),
        prompt_length: args.prompt_len,
        logits: LogitRows::All,
        swaps: false,
    };
    if is_of_model(&args.out, &args.model.model) {
        let message = format!(
            "--out {} would take the place of a file of the model; choose another",
            args.out.display()
        );
        return Err(Error::new(Code::Argument, message));
    }
    let output = pollster::block_on(model.run(&ids, &options, &Cancel::default()))?;
    let lines = if !args.saes.saes.is_empty() && ids.len() > 1 {
        sae_lines(&pollster::block_on(model.sae_quality(&ids, &Cancel::default()))?)
    } else {
        Vec::new()
    };
    let mut tensors = vec![OutputTensor::f32("logits", &output.logits.shape, &output.logits.data)];
    tensors.extend(
        output
            .hooks
            .iter()
            .map(|(name, hook)| OutputTensor::f32(name, &hook.shape, &hook.data)),
    );
    // What a reader of the file would have to guess; safetensors allows texts alone.
    let about = json!({
        "topk_lm": env!("CARGO_PKG_VERSION"), "ids": json!(ids).to_string(), "edits": json!(args.edit).to_string(),
        "backend": model.backend().kind.name(),
    });
    // Before any line: a reader of those may be gone.
    files::replace(&args.out, &safetensors_about(&tensors, about)?)?;
    lines.iter().try_for_each(|line| print_line(line))
}

/// Whether a path leads to a file which the model is loaded from; either may be a link, as all are in Hugging Face's cache.
fn is_of_model(out: &Path, folder: &Path) -> bool {
    let Ok(file) = out.canonicalize() else {
        return false; // it does not exist yet
    };
    let is_read = |name: &str| {
        name.starts_with("model.")
            || name.starts_with("model-")
            || ["config.json", "generation_config.json", "tokenizer.json"].contains(&name)
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| is_read(&entry.file_name().to_string_lossy()))
        .any(|entry| entry.path().canonicalize().is_ok_and(|path| path == file))
}
