//! What the subcommands share: model, prompt, output.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use serde_json::{json, Value};
use topk_lm::edits::Edit;
use topk_lm::error::{shortened, Code, Error, Result};
use topk_lm::features::saes::SaeSource;
use topk_lm::offline;
use topk_lm::session::{
    BackendChoice, CacheDtype, KeptAs, LoadOptions, Model, SaeOptions, SaeQuality, SamplingOptions,
};

/// `--backend`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// The GPU if there is a real one, otherwise the CPU
    #[default]
    Auto,
    Cpu,
    /// Fails if there is no adapter
    Gpu,
}

impl Backend {
    pub fn choice(self) -> BackendChoice {
        match self {
            Backend::Auto => BackendChoice::Auto,
            Backend::Cpu => BackendChoice::Cpu,
            Backend::Gpu => BackendChoice::Gpu,
        }
    }
}

/// `--backend` of a subcommand that computes on the CPU, or nothing: accepted as in others, without effect.
#[derive(Args)]
pub struct NoBackend {
    #[arg(long, value_enum, default_value_t, hide = true)]
    backend: Backend,
}

impl NoBackend {
    /// Of a subcommand that computes: it would not be on the GPU that was asked for.
    pub fn without_gpu(&self) -> Result<()> {
        match self.backend {
            Backend::Gpu => Err(Error::new(
                Code::Argument,
                "--backend gpu: this subcommand computes on the CPU alone; leave it out",
            )),
            _ => Ok(()),
        }
    }
}

/// `--dtype` of a model that is loaded.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum KeptDtype {
    /// As they are stored
    #[default]
    Stored,
    /// Rounded to f16
    F16,
}

impl KeptDtype {
    fn kept(self) -> KeptAs {
        match self {
            KeptDtype::Stored => KeptAs::Stored,
            KeptDtype::F16 => KeptAs::F16,
        }
    }
}

/// `--kv-cache`
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum KvCache {
    #[default]
    F32,
    /// Rounded to f16, in half the memory
    F16,
}

impl KvCache {
    pub fn dtype(self) -> CacheDtype {
        match self {
            KvCache::F32 => CacheDtype::F32,
            KvCache::F16 => CacheDtype::F16,
        }
    }
}

#[derive(Args)]
pub struct ModelArgs {
    /// Model folder in the Hugging Face layout
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    pub backend: Backend,
    /// Maximum positions in a sequence: fewer take less memory [default: the model's context]
    #[arg(long, value_name = "N", value_parser = counted)]
    pub max_context: Option<usize>,
    /// Precision in which matrices are kept in memory
    #[arg(long, value_enum, default_value_t)]
    pub dtype: KeptDtype,
    /// Precision in which keys and values are kept in memory
    #[arg(long, value_enum, default_value_t)]
    pub kv_cache: KvCache,
    /// Number of threads that compute on the CPU; the results are the same
    #[arg(long, value_name = "N", value_parser = threads, default_value_t = 1)]
    pub threads: usize,
}

/// More take memory and gain nothing.
const MOST_THREADS: usize = 1024;

#[derive(Args)]
pub struct ThreadArgs {
    /// Number of threads [default: one per processor]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,
}

impl ThreadArgs {
    pub fn number(&self) -> usize {
        self.threads.unwrap_or_else(offline::default_threads)
    }
}

pub fn threads(text: &str) -> std::result::Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=MOST_THREADS).contains(number));
    number.ok_or_else(|| format!("must be a whole number from 1 to {MOST_THREADS}"))
}

/// Of a flag that takes a whole number.
pub fn whole<N: FromStr>(text: &str) -> std::result::Result<N, String> {
    text.parse()
        .map_err(|_| "must be a whole number from 0 to 2^64 - 1".to_owned())
}

/// The same without 0.
pub fn counted(text: &str) -> std::result::Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "must be a whole number of at least 1".to_owned())
}

/// Of a flag that takes any number.
pub fn number<N: FromStr>(text: &str) -> std::result::Result<N, String> {
    text.parse().map_err(|_| "must be a number".to_owned())
}

/// One of the ids of `--ids`.
fn id(text: &str) -> std::result::Result<u32, String> {
    let id = text.trim().parse();
    id.map_err(|_| "must be token ids with commas between them, like 1,2,3".to_owned())
}

/// Of `--edit`. The line that clap makes of a message has the whole value already.
pub fn edit(text: &str) -> std::result::Result<Edit, String> {
    text.parse().map_err(|error: Error| {
        let message = error.to_string();
        let whole = format!("edit {}: ", shortened(text));
        message.strip_prefix(&whole).map(str::to_owned).unwrap_or(message)
    })
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Prompt {
    /// Text, encoded as tokenizer.json says
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// Token ids, for which no tokenizer.json is needed
    #[arg(long, value_name = "1,2,3", value_delimiter = ',', value_parser = id, allow_hyphen_values = true)]
    ids: Option<Vec<u32>>,
}

impl Prompt {
    pub fn ids(&self, model: &Model) -> Result<Vec<u32>> {
        match (&self.ids, &self.prompt) {
            (Some(ids), _) => Ok(ids.clone()),
            (None, text) => model.encode_prompt(text.as_deref().unwrap_or_default()),
        }
    }
}

/// How tokens are drawn.
#[derive(Args)]
pub struct SamplingArgs {
    /// 0 always takes the most likely token [default: the model's, otherwise 1]
    #[arg(long, value_name = "T", value_parser = number::<f32>)]
    temperature: Option<f32>,
    /// Sample from the K most likely tokens [default: the model's, otherwise all]
    #[arg(long, value_name = "K", value_parser = whole::<usize>)]
    top_k: Option<usize>,
    /// Sample from the smallest set of tokens whose probability reaches P [default: the model's, otherwise 1]
    #[arg(long, value_name = "P", value_parser = number::<f32>)]
    top_p: Option<f32>,
    /// Above 1, makes tokens that already occurred less likely [default: the model's, otherwise 1]
    #[arg(long, value_name = "R", value_parser = number::<f32>)]
    repetition_penalty: Option<f32>,
}

impl SamplingArgs {
    pub fn options(&self) -> SamplingOptions {
        SamplingOptions {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            repetition_penalty: self.repetition_penalty,
        }
    }
}

/// `--sae`
#[derive(Args)]
pub struct SaeArgs {
    /// Attach a sparse autoencoder in SAELens' layout (cfg.json, sae_weights.safetensors); may be given several times.
    /// DIR[,hook=blocks.2.hook_resid_post][,error=keep]: at another hook than the one cfg.json names; with its error term
    /// (default: drop)
    #[arg(long = "sae", value_name = "DIR", value_parser = sae)]
    pub saes: Vec<SaeSource>,
}

/// One autoencoder: its folder and how it is attached.
fn sae(text: &str) -> std::result::Result<SaeSource, String> {
    let mut parts = text.split(',');
    let folder = PathBuf::from(parts.next().unwrap_or_default());
    let mut options = SaeOptions::default();
    for part in parts {
        match part.split_once('=') {
            Some(("hook", hook)) => options.hook = Some(hook.to_owned()),
            Some(("error", "keep")) => options.error_term = true,
            Some(("error", "drop")) => options.error_term = false,
            _ => return Err(format!("{part:?} must be hook=NAME, error=keep or error=drop")),
        }
    }
    Ok((folder, options))
}

/// The same as JSON.
pub fn sae_json(quality: &SaeQuality) -> Value {
    let saes = quality
        .saes
        .iter()
        .map(|sae| json!({ "hook": sae.hook, "fvu": sae.fvu(), "mse": sae.mse(), "l0": sae.l0() }));
    json!({
        "base_loss": quality.base_loss, "spliced_loss": quality.spliced_loss, "tokens": quality.tokens,
        "saes": saes.collect::<Vec<_>>(),
    })
}

/// Lines that say how well the autoencoders stand for what they replace.
pub fn sae_lines(quality: &SaeQuality) -> Vec<String> {
    let mut lines = vec![format!(
        "loss {:.4} → {:.4} nats per token with the autoencoders spliced in ({} tokens)",
        quality.base_loss, quality.spliced_loss, quality.tokens
    )];
    lines.extend(quality.saes.iter().map(|sae| {
        format!(
            "{}: FVU {:.4}, MSE {:.4}, {:.1} features active per position",
            sae.hook,
            sae.fvu(),
            sae.mse(),
            sae.l0()
        )
    }));
    lines
}

/// Loads the model; an error names its folder.
pub fn load(args: &ModelArgs) -> Result<Model> {
    let options = LoadOptions {
        backend: args.backend.choice(),
        max_context: args.max_context,
        dtype: args.dtype.kept(),
        kv_cache: args.kv_cache.dtype(),
        threads: args.threads,
    };
    Model::open_with(&args.model, &options)
}

/// Prints a line to stderr; whether anybody reads it changes nothing.
pub fn remark(line: &str) {
    let mut stderr = std::io::stderr().lock();
    let line = shown(line, stderr.is_terminal());
    let _ = writeln!(stderr, "{line}");
}

/// Prints a line to stdout.
pub fn print_line(line: &str) -> Result<()> {
    print_text(&format!("{line}\n"))
}

/// The same without a line's end, at once. A reader that has gone (`| head`) has all that it wants: the program ends, and says nothing.
pub fn print_text(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let text = shown(text, stdout.is_terminal());
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Error::new(Code::Io, format!("stdout: {error}"))),
    }
}

/// The text as it is, for a program; for a terminal with what would command it escaped as in messages: a model's words may be anybody's.
fn shown(text: &str, terminal: bool) -> Cow<'_, str> {
    if !terminal || !text.contains(commands) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if commands(c) {
            // As JSON has it, too.
            shown.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    shown.into()
}

/// Whether a terminal would obey a character (C0, DEL, C1), or show what follows in another order.
fn commands(c: char) -> bool {
    let reorders = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    reorders || (c.is_control() && !matches!(c, '\n' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_terminal_gets_no_commands() {
        let hostile = "a\u{1b}]0;title\u{7}b\r\u{7f}\u{9b}31m\u{202e}c\u{2066}\0";
        assert_eq!(
            shown(hostile, true),
            r"a\u001b]0;title\u0007b\u000d\u007f\u009b31m\u202ec\u2066\u0000"
        );
        let plain = "\"One\"\n\tis 'two' \\ e\u{301}, שלום\u{200f}, 👩\u{200d}🔬, a\u{a0}b";
        assert_eq!(shown(plain, true), plain);
        for text in [hostile, plain] {
            assert_eq!(shown(text, false), text);
        }
    }
}
