//! `topk-lm info --against`: what two forms of one model say of the same text, to see what a rounding of its weights costs.

use std::path::Path;

use super::documents::{self, Part};
use crate::checkpoint::FolderSource;
use crate::error::{fail, Result};
use crate::exec::request::LogitRows;
use crate::numerics::math::log_sum;
use crate::session::{BackendChoice, LoadOptions, Model, RunOptions};

/// Two models over one text.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Compared {
    /// Positions whose next token was predicted.
    pub tokens: usize,
    /// Bytes of text that these next tokens make.
    pub bytes: usize,
    /// Bits a byte of the first model, and of the other.
    pub bits_per_byte: [f64; 2],
    /// Share of positions at which the most likely next token is the same.
    pub top1_agreement: f64,
    /// Mean divergence of the first model's next tokens from those of the other, KL(other ‖ first) in bits a token.
    pub divergence: f64,
}

/// Both models read the documents of the file `text` ([`documents`]) on the CPU, each in pieces of the shorter context of the two, each piece begun by
/// the model's BOS if it has one; at most `most` tokens. Special tokens are read, but not predicted: they are no bytes of a text. `options` are those of
/// the first; the other is loaded as it is.
///
/// # Errors
/// `tokenizer` where there is none; `io` where the text cannot be read; `argument` where the two do not have the same tokens, or the text has none to predict.
pub fn compare(model: &Path, options: &LoadOptions, other: &Path, text: &Path, most: usize) -> Result<Compared> {
    let content = documents::text_of(text)?;
    let plain = LoadOptions {
        backend: BackendChoice::Cpu,
        ..LoadOptions::default()
    };
    let name = text.display().to_string();
    documents::refuse_json(&name, &content)?;
    let parts = documents::parts(&name, &content);
    let (first, read) = opened(model, options, &name, &parts)?;
    let (second, of_other) = opened(other, &plain, &name, &parts)?;
    let models = [first, second];
    if read != of_other || models[0].config().d_vocab != models[1].config().d_vocab {
        fail!(
            Argument,
            "{} and {} do not have the same tokens; compare forms of one model",
            model.display(),
            other.display()
        );
    }
    let context = models[0].config().n_ctx.min(models[1].config().n_ctx);
    let bos = models[0].config().bos_token_id;
    let mut compared = Compared::default();
    let (mut nats, mut same, mut divergence) = ([0f64; 2], 0usize, 0f64);
    let special = models[0].tokenizer()?.special_ids();
    let size = context.saturating_sub(bos.iter().count()).max(1);
    let mut left = most;
    let pieces = read.iter().flat_map(|ids| ids.chunks(size));
    for piece in pieces {
        let piece = &piece[..piece.len().min(left)];
        left -= piece.len();
        if piece.is_empty() {
            break;
        }
        let input: Vec<u32> = bos.into_iter().chain(piece.iter().copied()).collect();
        let options = RunOptions {
            logits: LogitRows::All,
            ..RunOptions::default()
        };
        let [first, second] = [
            models[0].run_now(&input, &options)?,
            models[1].run_now(&input, &options)?,
        ];
        let width = first.logits.data.len() / input.len();
        let rows = first
            .logits
            .data
            .chunks_exact(width)
            .zip(second.logits.data.chunks_exact(width));
        for ((a, b), next) in rows.zip(&input[1..]) {
            if special.contains(next) {
                continue;
            }
            let (a, b) = (log_probs(a), log_probs(b));
            nats[0] -= a[*next as usize];
            nats[1] -= b[*next as usize];
            same += usize::from(largest(&a) == largest(&b));
            divergence += b.iter().zip(&a).map(|(b, a)| b.exp() * (b - a)).sum::<f64>();
            compared.tokens += 1;
        }
        compared.bytes += models[0].tokenizer()?.decode(&input[1..], true)?.len();
    }
    if compared.tokens == 0 || compared.bytes == 0 {
        fail!(
            Argument,
            "{} has no token whose next one could be predicted; give a longer text",
            text.display()
        );
    }
    let bits = std::f64::consts::LN_2;
    compared.bits_per_byte = nats.map(|nats| nats / bits / compared.bytes as f64);
    compared.top1_agreement = same as f64 / compared.tokens as f64;
    compared.divergence = divergence / bits / compared.tokens as f64;
    Ok(compared)
}

/// A model and its ids of each document, without a BOS in front; what is wrong with either names the folder.
fn opened(folder: &Path, options: &LoadOptions, name: &str, parts: &[Part<'_>]) -> Result<(Model, Vec<Vec<u32>>)> {
    let model = Model::open_with(folder, options)?;
    let read = || {
        if !model.has_tokenizer() {
            fail!(Tokenizer, "tokenizer.json is missing, which reads the text");
        }
        let bos = model.config().bos_token_id;
        let ids = |part: &Part<'_>| -> Result<Vec<u32>> {
            let mut ids = part.ids(name, model.config(), Some(model.tokenizer()?))?;
            if bos.is_some() && ids.first() == bos.as_ref() {
                ids.remove(0);
            }
            Ok(ids)
        };
        parts.iter().map(ids).collect::<Result<Vec<_>>>()
    };
    let source = FolderSource::new(folder)?;
    let read = read().map_err(|error| source.named(error))?;
    Ok((model, read))
}

/// Of a row of logits.
fn log_probs(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let below = logits.iter().map(|x| f64::from(x - largest));
    let total = log_sum(below.clone());
    below.map(|x| x - total).collect()
}

/// The first of the largest.
fn largest(numbers: &[f64]) -> usize {
    (1..numbers.len()).fold(0, |best, at| if numbers[at] > numbers[best] { at } else { best })
}
