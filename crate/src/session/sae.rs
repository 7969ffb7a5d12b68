//! Sparse autoencoders attached to a loaded model.

use std::rc::Rc;

use super::run::RunOptions;
use super::{Model, IDS};
use crate::checkpoint::read_sae;
use crate::config::{Config, Sae};
use crate::error::{fail, Result};
use crate::exec::request::LogitRows;
use crate::hooks::splice;
use crate::ops::def::Step;
use crate::ops::sae;
use crate::ops::sampling::logprob;
use crate::pace::{give_way, Cancel};
use crate::source::Source;
use crate::weights::Weight;

/// How an autoencoder is attached.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SaeOptions {
    /// At which hook; `None`: the one that its cfg.json names.
    pub hook: Option<String>,
    /// Whether what the autoencoder leaves over is added to what it puts in the hook's place: the model then computes what it
    /// does without it, but for edits of features.
    pub error_term: bool,
}

/// How well attached autoencoders stand for what they replace, over one text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SaeQuality {
    /// Mean −ln p of the tokens behind the first, without any autoencoder.
    pub base_loss: f64,
    /// The same with all of them spliced in, without error terms.
    pub spliced_loss: f64,
    /// Tokens that have a loss.
    pub tokens: usize,
    /// Of each, in the order in which they were attached.
    pub saes: Vec<Reconstruction>,
}

/// One autoencoder's part of it, as sums, so that [those of several texts add up](SaeQuality::add).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reconstruction {
    /// Where it is attached.
    pub hook: String,
    /// Σ (x − x̂)² over positions and numbers.
    pub squared_error: f64,
    /// Σ (x − x̄)² over the same.
    pub variance: f64,
    /// x̄, the mean over the positions, `[d_in]`.
    pub mean: Vec<f64>,
    /// Numbers summed.
    pub numbers: usize,
    /// Features that are not 0, over all positions.
    pub active: usize,
    /// Positions summed.
    pub positions: usize,
}

impl SaeQuality {
    /// Adds what the same autoencoders do over another text; both then count as one.
    pub fn add(&mut self, other: &SaeQuality) {
        let (ours, theirs) = (self.tokens as f64, other.tokens as f64);
        let mean = |a: f64, b: f64| (a * ours + b * theirs) / (ours + theirs).max(1.0);
        self.base_loss = mean(self.base_loss, other.base_loss);
        self.spliced_loss = mean(self.spliced_loss, other.spliced_loss);
        self.tokens += other.tokens;
        if self.saes.is_empty() {
            self.saes.clone_from(&other.saes);
            return;
        }
        for (ours, theirs) in self.saes.iter_mut().zip(&other.saes) {
            ours.add(theirs);
        }
    }
}

impl Reconstruction {
    /// Squares around the mean of both parts are those around each one's own, and what lies between the two (Chan, Golub and `LeVeque` 1979).
    fn add(&mut self, other: &Reconstruction) {
        let (ours, theirs) = (self.positions as f64, other.positions as f64);
        let both = (ours + theirs).max(1.0);
        self.squared_error += other.squared_error;
        self.variance += other.variance;
        for (mean, other) in self.mean.iter_mut().zip(&other.mean) {
            let apart = other - *mean;
            self.variance += apart * apart * ours * theirs / both;
            *mean += apart * theirs / both;
        }
        self.numbers += other.numbers;
        self.active += other.active;
        self.positions += other.positions;
    }

    /// Fraction of variance unexplained.
    pub fn fvu(&self) -> f64 {
        self.squared_error / self.variance
    }

    /// Mean squared error.
    pub fn mse(&self) -> f64 {
        self.squared_error / self.numbers.max(1) as f64
    }

    /// Mean number of active features at a position.
    pub fn l0(&self) -> f64 {
        self.active as f64 / self.positions.max(1) as f64
    }
}

impl Model {
    /// Attaches a sparse autoencoder in SAELens' layout (`cfg.json`, `sae_weights.safetensors`) at one hook: `blocks.{i}.` with
    /// `hook_resid_pre`, `hook_resid_mid`, `hook_resid_post`, `hook_mlp_out` or `attn.hook_z`. Calls from now on run through it; its
    /// hooks are `….hook_sae_input`, `….hook_sae_acts_post`, `….hook_sae_recons`, `….hook_sae_error`. One for each hook; loading
    /// another checkpoint detaches all.
    pub async fn attach_sae(&self, source: &dyn Source, options: &SaeOptions) -> Result<Sae> {
        self.attach_sae_unless(source, options, &Cancel::default()).await
    }

    /// [`Model::attach_sae`], unless it is cancelled: then nothing is attached.
    pub async fn attach_sae_unless(&self, source: &dyn Source, options: &SaeOptions, cancel: &Cancel) -> Result<Sae> {
        let (mut sae, weights) = read_sae(source, options.hook.as_deref()).await?;
        sae.error_term = options.error_term;
        let engine = self.engine()?;
        let mut config = engine.config().clone();
        let (point, target) = splice(&config, &sae.hook)?;
        if target.width(&config) != sae.d_in {
            fail!(
                Config,
                "cfg.json: d_in is {}, but {} has {} numbers",
                sae.d_in,
                sae.hook,
                target.width(&config)
            );
        }
        let taken = config
            .saes
            .iter()
            .find(|other| splice(&config, &other.hook).is_ok_and(|(place, buffer)| (place, buffer) == (point, target)));
        if let Some(other) = taken {
            fail!(
                Argument,
                "an autoencoder is attached at {} already; detach it first",
                other.hook
            );
        }
        let number = config.saes.len();
        config.saes.push(sae.clone());
        let added = weights
            .into_iter()
            .map(|(part, tensor)| (Weight::Sae(number, part), tensor))
            .collect();
        let with = engine.with_saes(&config, &inserted(&config)?, added).await?;
        give_way().await; // to what the caller has said meanwhile
        cancel.check()?;
        self.replace_engine(&engine, Rc::new(with))?;
        Ok(sae)
    }

    /// Takes all autoencoders out again.
    pub async fn detach_saes(&self) -> Result<()> {
        let engine = self.engine()?;
        let config = Config {
            saes: Vec::new(),
            ..engine.config().clone()
        };
        let without = engine.with_saes(&config, &[], Vec::new()).await?;
        self.replace_engine(&engine, Rc::new(without))
    }

    /// The autoencoders attached, in the order in which they were.
    pub fn saes(&self) -> Result<Vec<Sae>> {
        Ok(self.engine()?.config().saes.clone())
    }

    /// Reconstruction errors over `ids` and the loss with the attached autoencoders spliced in (their error terms left out),
    /// beside the loss without them. Two tokens at least: the first has no loss, and alone no variance.
    pub async fn sae_quality(&self, ids: &[u32], cancel: &Cancel) -> Result<SaeQuality> {
        self.check_ids(ids)?;
        if ids.len() < 2 {
            fail!(Argument, "{IDS} holds one token; a loss needs at least two");
        }
        let attached = self.engine()?;
        let mut config = attached.config().clone();
        if config.saes.is_empty() {
            fail!(Argument, "no autoencoder is attached; attach one first");
        }
        let (bare, spliced) = {
            config.saes.iter_mut().for_each(|sae| sae.error_term = false);
            let spliced = attached.with_saes(&config, &inserted(&config)?, Vec::new()).await?;
            config.saes.clear();
            (attached.with_saes(&config, &[], Vec::new()).await?, spliced)
        };
        let saes = spliced.config().saes.clone();
        let hooks = saes
            .iter()
            .flat_map(|sae| ["", ".hook_sae_input", ".hook_sae_acts_post"].map(|end| format!("{}{end}", sae.hook)));
        let options = RunOptions {
            logits: LogitRows::All,
            hooks: hooks.collect(),
            ..RunOptions::default()
        };
        let plain = RunOptions {
            logits: LogitRows::All,
            ..RunOptions::default()
        };
        let base = self.run_on(&Rc::new(bare), ids, &plain, cancel).await?;
        let run = self.run_on(&Rc::new(spliced), ids, &options, cancel).await?;
        let d_vocab = self.config().d_vocab;
        let reconstructions = saes.iter().map(|sae| {
            let data = |end: &str| {
                let hook = run.hooks.get(&format!("{}{end}", sae.hook));
                hook.map_or(&[][..], |array| &array.data)
            };
            reconstruction(
                &sae.hook,
                data(".hook_sae_input"),
                data(""),
                sae.d_in,
                data(".hook_sae_acts_post"),
            )
        });
        Ok(SaeQuality {
            base_loss: loss(&base.logits.data, ids, d_vocab),
            spliced_loss: loss(&run.logits.data, ids, d_vocab),
            tokens: ids.len() - 1,
            saes: reconstructions.collect(),
        })
    }
}

/// The steps of all autoencoders of a configuration.
fn inserted(config: &Config) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for (number, sae) in config.saes.iter().enumerate() {
        let (point, target) = splice(config, &sae.hook)?;
        steps.extend(sae::steps(config, number, target, point));
    }
    Ok(steps)
}

/// Mean −ln p of the ids behind the first.
fn loss(logits: &[f32], ids: &[u32], d_vocab: usize) -> f64 {
    let rows = logits.chunks_exact(d_vocab).zip(ids.iter().skip(1));
    let losses: Vec<f64> = rows.map(|(row, next)| -f64::from(logprob(row, *next))).collect();
    losses.iter().sum::<f64>() / losses.len() as f64
}

fn reconstruction(hook: &str, x: &[f32], out: &[f32], d: usize, acts: &[f32]) -> Reconstruction {
    let positions = x.len() / d.max(1);
    let mut mean = vec![0f64; d];
    for row in x.chunks_exact(d) {
        row.iter()
            .zip(&mut mean)
            .for_each(|(x, mean)| *mean += f64::from(*x) / positions as f64);
    }
    let squares = |a: f64, b: f64| (a - b) * (a - b);
    let centred = x.chunks_exact(d).flat_map(|row| row.iter().zip(&mean));
    Reconstruction {
        hook: hook.to_owned(),
        squared_error: x
            .iter()
            .zip(out)
            .map(|(x, out)| squares(f64::from(*x), f64::from(*out)))
            .sum(),
        variance: centred.map(|(x, mean)| squares(f64::from(*x), *mean)).sum(),
        mean,
        numbers: x.len(),
        active: acts.iter().filter(|value| **value != 0.0).count(),
        positions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_texts_are_as_unlike_their_mean_as_one() {
        let numbers = |seed: u32, count: u32| -> Vec<f32> { (0..count).map(|i| ((i * seed) % 17) as f32 - 3.0).collect() };
        let (x, out, acts) = (numbers(5, 24), numbers(11, 24), numbers(7, 48));
        let of = |from: usize, to: usize| {
            let part = |all: &[f32], d: usize| all[from * d..to * d].to_vec();
            reconstruction("at", &part(&x, 3), &part(&out, 3), 3, &part(&acts, 6))
        };
        let quality = |sums: Reconstruction, tokens: usize| SaeQuality {
            base_loss: tokens as f64,
            tokens,
            saes: vec![sums],
            ..SaeQuality::default()
        };
        let (whole, mut sum) = (of(0, 8), SaeQuality::default());
        for (from, to) in [(0, 2), (2, 7), (7, 8)] {
            sum.add(&quality(of(from, to), to - from));
        }
        let sums = &sum.saes[0];
        assert!((sums.variance - whole.variance).abs() < 1e-9 * whole.variance);
        assert!(sums.mean.iter().zip(&whole.mean).all(|(a, b)| (a - b).abs() < 1e-9));
        assert_eq!(sums.squared_error, whole.squared_error);
        assert_eq!((sums.numbers, sums.active, sums.positions), (whole.numbers, whole.active, whole.positions));
        assert!((sum.base_loss - (4.0 + 25.0 + 1.0) / 8.0).abs() < 1e-12 && sum.tokens == 8);
    }
}
