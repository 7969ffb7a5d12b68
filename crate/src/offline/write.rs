//! `topk-lm write`: documents written by a model.
//!
//! Document i equals what `generate` gives on the CPU for its prompt with the seed [`seed_of`]`(S, i)`, but for a last token beyond the context,
//! which `analyze` could not read. It depends on nothing else: not on threads, on the documents beside it, or on the machine. An interrupted
//! run continues after the last document of `FILE.part`, whose first line identifies the run.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use serde_json::json;

pub use super::writer::{seed_of, WriteOptions};
use super::{files, writer, OfflineModel, Progress};
use crate::edits::EditTable;
use crate::error::{fail, Result};
use crate::exec::cpu::CpuEngine;
use crate::ops::sampling;

/// Most sequences that one thread writes side by side.
const SIDE_BY_SIDE: usize = 64;
/// Memory for the caches of one thread.
const CACHE_BYTES: usize = 512 << 20;
/// Largest part file that can be resumed.
const MAX_PART: u64 = 4 << 30;

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub documents: usize,
    /// Tokens of all documents, prompts included.
    pub tokens: u64,
    /// Documents from an earlier run.
    pub resumed: usize,
}

/// Writes `path`, one `{"ids": […]}` per line: prompt, new tokens, and the eos if one ended them.
pub fn write(model: &OfflineModel, options: &WriteOptions, path: &Path) -> Result<Written> {
    sampling::check(&options.sampling)?;
    if files::is_special(path) {
        fail!(
            Argument,
            "{} is a device, a pipe or a link, but --out must be a plain file: an interrupted run continues from one beside it",
            path.display()
        );
    }
    check_prompts(model.config.n_ctx, &options.prompts)?;
    let heading = heading(model, options)?;
    let part = files::beside(path, ".part");
    let mut lines = resume(&part, &heading, options.documents)?;
    let resumed = lines.len();
    let unwritable = |error| files::io_error(&part, "written", &error);
    let mut file = {
        // A line that an interruption cut short is dropped.
        let kept: String = std::iter::once(&heading)
            .chain(&lines)
            .map(|line| format!("{line}\n"))
            .collect();
        files::write_whole(&part, kept.as_bytes())?;
        OpenOptions::new().append(true).open(&part).map_err(unwritable)?
    };
    let mut progress = Progress::new("documents");
    let mut early: BTreeMap<usize, String> = BTreeMap::new();
    let none = EditTable::none(model.config.n_layers);
    let (engine, eos) = (&model.engine, model.eos_token_ids());
    run(engine, eos, (options, &none), resumed, &mut |index, ids| {
        early.insert(index, json!({ "ids": ids }).to_string());
        while let Some(line) = early.remove(&lines.len()) {
            file.write_all(format!("{line}\n").as_bytes()).map_err(unwritable)?;
            lines.push(line);
        }
        progress.show((lines.len() + early.len()) as u64, options.documents as u64, "");
        Ok(())
    })?;
    drop(progress);
    let tokens = lines.iter().map(|line| line.matches(',').count() as u64 + 1).sum();
    files::write_whole(
        path,
        lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>()
            .as_bytes(),
    )?;
    fs::remove_file(&part).map_err(|error| files::io_error(&part, "removed", &error))?;
    Ok(Written {
        documents: lines.len(),
        tokens,
        resumed,
    })
}

/// Documents as [`write`] makes them, with edits of every row, in memory.
pub fn texts(engine: &CpuEngine, eos: &[u32], options: &WriteOptions, edits: &EditTable) -> Result<Vec<Vec<u32>>> {
    check_prompts(engine.config().n_ctx, &options.prompts)?;
    let mut texts = vec![Vec::new(); options.documents];
    run(engine, eos, (options, edits), 0, &mut |index, ids| {
        texts[index] = ids;
        Ok(())
    })?;
    Ok(texts)
}

fn check_prompts(n_ctx: usize, prompts: &[Vec<u32>]) -> Result<()> {
    if prompts.is_empty() || prompts.iter().any(Vec::is_empty) {
        fail!(Argument, "every prompt needs at least one token");
    }
    if let Some(prompt) = prompts.iter().find(|prompt| prompt.len() > n_ctx) {
        fail!(
            Context,
            "a prompt has {} tokens, but the model's context holds {n_ctx}",
            prompt.len()
        );
    }
    Ok(())
}

/// Identifies the run that a part file belongs to; its first line.
fn heading(model: &OfflineModel, options: &WriteOptions) -> Result<String> {
    let mut prompts = files::Hash::default();
    for prompt in &options.prompts {
        prompts.bytes(bytemuck::cast_slice(prompt));
    }
    let s = &options.sampling;
    Ok(json!({
        "format": 1,
        "model": model.fingerprint("")?,
        "eos": model.eos_token_ids(),
        "documents": options.documents,
        "max_tokens": options.max_tokens,
        "prompts": prompts.hex(),
        "seed": s.seed,
        "sampling": [s.temperature, s.top_k as f32, s.top_p, s.repetition_penalty],
    })
    .to_string())
}

/// The complete document lines of a part file; none if there is no file.
fn resume(part: &Path, heading: &str, documents: usize) -> Result<Vec<String>> {
    if !part.exists() {
        return Ok(Vec::new());
    }
    let bytes = files::read_whole(part, MAX_PART)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let mut lines = bytes[..whole].split(|byte| *byte == b'\n').map(String::from_utf8_lossy);
    if lines.next().as_deref() != Some(heading) {
        fail!(
            Argument,
            "{} belongs to another run (another model or other settings); delete it, or choose another --out",
            part.display()
        );
    }
    let whole = |line: &str| line.starts_with("{\"ids\":[") && line.ends_with("]}");
    Ok(lines
        .take_while(|line| whole(line))
        .take(documents)
        .map(Into::into)
        .collect())
}

/// Writes the documents from `first` on, in threads; calls `done` for each on the caller's thread, in no fixed order.
fn run(
    engine: &CpuEngine,
    eos: &[u32],
    (options, edits): (&WriteOptions, &EditTable),
    first: usize,
    done: &mut dyn FnMut(usize, Vec<u32>) -> Result<()>,
) -> Result<()> {
    let (queue, stop) = (AtomicUsize::new(first), AtomicBool::new(false));
    let positions = options
        .prompts
        .iter()
        .map(|prompt| prompt.len().saturating_add(options.max_tokens))
        .fold(0, usize::max)
        .min(engine.config().n_ctx);
    let bytes = engine.cache_bytes(positions);
    let sequences = (CACHE_BYTES / bytes.max(1)).clamp(1, SIDE_BY_SIDE);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..options.threads.max(1) {
            let (sender, queue, stop) = (sender.clone(), &queue, &stop);
            scope.spawn(move || {
                // The receiver disappears only after an error.
                let mut send = |index, ids| drop(sender.send(Ok((index, ids))));
                let mut next = || {
                    let index = queue.fetch_add(1, Ordering::Relaxed);
                    (index < options.documents && !stop.load(Ordering::Relaxed)).then_some(index)
                };
                let sizes = (sequences, positions);
                if let Err(error) = writer::write(engine, eos, (options, edits), sizes, &mut next, &mut send) {
                    drop(sender.send(Err(error)));
                }
            });
        }
        drop(sender);
        let mut result = Ok(());
        for message in receiver {
            result = message.and_then(|(index, ids)| done(index, ids));
            if result.is_err() {
                stop.store(true, Ordering::Relaxed);
                break;
            }
        }
        result
    })
}
