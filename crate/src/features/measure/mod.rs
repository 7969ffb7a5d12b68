//! `analyze --writes`: what each neuron *writes*, measured: it is set to its strong activation (and to four times that), and ablated where it is active,
//! behind fixed prompts, and the next token's distribution is compared. docs/statistics.md has the definitions.

mod contrasts;
mod report;
mod set;
mod switches;
mod texts;

pub use self::contrasts::Contrast;
use self::contrasts::Prompts;
use self::set::{Change, Desk, Handle};
pub use self::switches::Switch;
use self::texts::Writer;
use super::control::Control;
use super::facts::Facts;
use super::peaks::mix;
use super::threads::in_threads;
use crate::error::{fail, Result};
use crate::exec::cpu::CpuEngine;
use crate::offline::{documents, OfflineModel, Progress};

/// Share of a neuron's activations that its strong activation leaves above it.
pub const STRONG: f64 = 0.01;
/// The second strength, as a multiple of the first; it is tried at every sixth prompt.
const STRONGER: f32 = 4.0;
const EVERY: usize = 6;
/// Random neurons of a layer that every neuron of it is compared with.
const CONTROLS: usize = 100;
/// Tokens up and down.
const TOKENS: usize = 10;
/// Neurons in one batch.
const CHUNK: usize = 48;

/// What a neuron writes.
#[derive(Clone, Debug)]
pub struct Written {
    /// The strong activation, to which it was set.
    pub value: f32,
    /// Nats by which the next token's distribution moves: KL(before ‖ after), mean over prompts; and at the second strength.
    pub kl: f64,
    pub kl_stronger: f64,
    /// Tokens that take most of the change, each with the mean change of ln p.
    pub up: Vec<(u32, f64)>,
    pub down: Vec<(u32, f64)>,
    pub up_stronger: Vec<(u32, f64)>,
    /// Mean change of ln p of the tokens that take most at one half of the prompts, at the other half; and the largest for the same tokens
    /// among the random neurons of the layer.
    pub gain: f64,
    pub control: f64,
    /// Whether both halves of the prompts give the same tokens.
    pub stable: bool,
    /// Prompts at which it was active and has been ablated, and the mean KL there.
    pub ablated: usize,
    pub ablated_kl: Option<f64>,
    /// Change of the log odds of each contrast when set: mean, and whether all prompts agree about the sign.
    pub effects: Vec<(f64, bool)>,
    /// Where it was ablated.
    pub ablations: Vec<Option<f64>>,
    /// The largest value at which text stays readable, with its surprise over the model's own.
    pub steer: Option<(f32, f64)>,
    /// What it does when set to that.
    pub steered: Option<Steered>,
}

/// What a neuron does when set to the largest value at which text stays readable.
#[derive(Clone, Debug)]
pub struct Steered {
    /// As [`Written::effects`].
    pub effects: Vec<(f64, bool)>,
    /// As [`Written::kl`].
    pub kl: f64,
}

/// All that was measured.
pub struct Measured {
    pub contrasts: Vec<Contrast>,
    /// By layer of the analysis, then index; `None` for a neuron with too few activations.
    pub layers: Vec<Vec<Option<Written>>>,
    /// By layer, then contrast: what the random neurons do.
    pub controls: Vec<Vec<Control>>,
    /// How many random neurons of a layer there are at least.
    pub random: usize,
    pub switches: Vec<Switch>,
    /// Prompts, and nats per token of the model's own greedy texts.
    pub prompts: usize,
    pub own: f64,
}

/// Measures every neuron that has a value, which are given by layer and index.
pub fn measure(
    model: &OfflineModel,
    facts: &Facts,
    values: &[Vec<Option<f32>>],
    threads: usize,
    notice: &mut dyn FnMut(&str),
) -> Result<Measured> {
    let prompts = prompts(model, facts, notice)?;
    let engine = &model.engine;
    let mut layers = Vec::new();
    let mut controls = Vec::new();
    let mut drawn_of_each = CONTROLS;
    // The same among those whose texts stay readable, each at its largest value at which they do.
    let mut reading = Vec::new();
    let progress = std::sync::Mutex::new(Progress::new("neurons"));
    let total: usize = values.iter().flatten().flatten().count();
    let mut before = 0;
    for (layer, values) in facts.layers.iter().zip(values) {
        let mut handles: Vec<Handle> = (0..)
            .zip(values)
            .filter_map(|(index, value)| {
                Some(Handle {
                    layer: *layer,
                    index,
                    value: (*value)?,
                })
            })
            .collect();
        // In a random order, so that the first are the random neurons.
        handles.sort_by_key(|handle| mix(mix((handle.layer as u64) << 32 | handle.index as u64) ^ 0xc0));
        let show = |done: usize| {
            if let Ok(mut progress) = progress.lock() {
                progress.show((before + done).min(total) as u64, total as u64, " set and ablated");
            }
        };
        let written = measure_layer(engine, &prompts, &handles, threads, &show)?;
        let random = written.len().min(CONTROLS);
        drawn_of_each = drawn_of_each.min(random);
        let contrasts = prompts.contrasts.len();
        let drawn = || handles[..random].iter().map(|handle| handle.index);
        controls.push(controls_of(
            drawn().zip(written[..random].iter().map(|one| &one.effects)),
            contrasts,
        ));
        let steers = steers(engine, &prompts, &facts.special, &handles, &written, threads)?;
        let steered = steered(engine, &prompts, &handles, &steers, threads)?;
        let reads = drawn().zip(&steered[..random]);
        reading.push(controls_of(
            reads.filter_map(|(index, one)| Some((index, &one.as_ref()?.effects))),
            contrasts,
        ));
        let mut of_layer: Vec<Option<Written>> = vec![None; values.len()];
        for (((handle, mut one), steer), steered) in handles.iter().zip(written).zip(steers).zip(steered) {
            one.steer = steer;
            one.steered = steered;
            of_layer[handle.index] = Some(one);
        }
        layers.push(of_layer);
        before += handles.len();
    }
    drop(progress);
    let own = Writer::new(engine, &prompts, &facts.special)?.own;
    let switches = switches::find(engine, &prompts, facts, &layers, &reading)?;
    Ok(Measured {
        prompts: prompts.prompts.len(),
        contrasts: prompts.contrasts,
        layers,
        controls,
        random: drawn_of_each,
        switches,
        own,
    })
}

/// Whether there is something to measure at all.
pub fn check(model: &OfflineModel, facts: &Facts) -> Result<()> {
    prompts(model, facts, &mut |_| ()).map(drop)
}

/// The prompts in the model's tokens.
fn prompts(model: &OfflineModel, facts: &Facts, notice: &mut dyn FnMut(&str)) -> Result<Prompts> {
    let (Some(texts), Some(tokenizer)) = (&facts.texts, model.tokenizer.as_deref()) else {
        fail!(
            Argument,
            "--writes sets neurons behind prompts of text, but the model has no tokenizer.json"
        );
    };
    let encode = |text: &str| documents::encode(text, &model.config, Some(tokenizer), &|| "contrasts.json".to_owned());
    let prompts = contrasts::read(texts, &encode)?;
    let all = prompts.prompts.iter().map(|(_, ids)| ids).chain(&prompts.texts);
    let longest = all.map(Vec::len).max().unwrap_or(0) + texts::LENGTH;
    if longest > model.config.n_ctx {
        fail!(
            Argument,
            "--writes needs a context of {longest} tokens, but the model's is {}",
            model.config.n_ctx
        );
    }
    if prompts.contrasts.is_empty() {
        fail!(
            Argument,
            "--writes has no contrast that the model's tokens can tell apart"
        );
    }
    if !prompts.left_out.is_empty() {
        notice(&format!(
            "contrasts without a token of their own were left out: {}",
            prompts.left_out.join("; ")
        ));
    }
    Ok(prompts)
}

/// The neurons of one layer, the random ones first.
fn measure_layer(
    engine: &CpuEngine,
    prompts: &Prompts,
    handles: &[Handle],
    threads: usize,
    show: &(impl Fn(usize) + Sync),
) -> Result<Vec<Written>> {
    let (random, others) = handles.split_at(handles.len().min(CONTROLS));
    let changes = |handles: &[Handle], desk: &mut Desk<'_>| -> Result<Vec<(Change, Change)>> {
        let stronger: Vec<Handle> = handles
            .iter()
            .map(|handle| Handle {
                value: handle.value * STRONGER,
                ..*handle
            })
            .collect();
        let at_once = desk.change(handles, 1, true)?;
        Ok(at_once.into_iter().zip(desk.change(&stronger, EVERY, false)?).collect())
    };
    let begin = || Desk::new(engine, prompts);
    let parts: Vec<&[Handle]> = random.chunks(CHUNK).collect();
    let first = in_threads(
        threads,
        parts.len(),
        begin,
        |desk, job| changes(parts[job], desk),
        |done| show(done * CHUNK),
    )?;
    let first: Vec<(Change, Change)> = first.into_iter().flatten().collect();
    let controls: Vec<Vec<f32>> = first.iter().map(|(change, _)| change.log[1].clone()).collect();
    let mut written: Vec<Written> = first
        .iter()
        .zip(random)
        .enumerate()
        .map(|(number, (change, handle))| Written::new(handle, change, &controls, Some(number)))
        .collect();
    drop(first);
    let parts: Vec<&[Handle]> = others.chunks(CHUNK).collect();
    let work = |desk: &mut Desk<'_>, job: usize| -> Result<Vec<Written>> {
        let handles: &[Handle] = parts[job];
        let changes = changes(handles, desk)?;
        Ok(handles
            .iter()
            .zip(&changes)
            .map(|(handle, change)| Written::new(handle, change, &controls, None))
            .collect())
    };
    let rest = in_threads(threads, parts.len(), begin, work, |done| {
        show(random.len() + done * CHUNK)
    })?;
    written.extend(rest.into_iter().flatten());
    Ok(written)
}

/// The largest value at which text stays readable, of each.
fn steers(
    engine: &CpuEngine,
    prompts: &Prompts,
    special: &[u32],
    handles: &[Handle],
    written: &[Written],
    threads: usize,
) -> Result<Vec<Option<(f32, f64)>>> {
    let moved: Vec<(Handle, f64)> = handles
        .iter()
        .zip(written)
        .map(|(handle, one)| (*handle, one.kl_stronger))
        .collect();
    let parts: Vec<&[(Handle, f64)]> = moved.chunks(10).collect();
    let begin = || Writer::new(engine, prompts, special);
    let found = in_threads(
        threads,
        parts.len(),
        begin,
        |writer, job| writer.strongest(parts[job]),
        |_| {},
    )?;
    Ok(found.into_iter().flatten().collect())
}

/// The effects of each neuron at the largest value at which text stays readable, and the mean KL.
fn steered(
    engine: &CpuEngine,
    prompts: &Prompts,
    handles: &[Handle],
    steers: &[Option<(f32, f64)>],
    threads: usize,
) -> Result<Vec<Option<Steered>>> {
    let set: Vec<Handle> = handles
        .iter()
        .zip(steers)
        .filter_map(|(handle, steer)| steer.map(|(value, _)| Handle { value, ..*handle }))
        .collect();
    let parts: Vec<&[Handle]> = set.chunks(CHUNK).collect();
    let begin = || Desk::new(engine, prompts);
    let changes = in_threads(
        threads,
        parts.len(),
        begin,
        |desk, job| {
            let changes = desk.change(parts[job], 1, false)?;
            let of = |change: &Change| Steered {
                effects: effects(change),
                kl: change.mean_kl(),
            };
            Ok(changes.iter().map(of).collect::<Vec<_>>())
        },
        |_| {},
    )?;
    let mut found = changes.into_iter().flatten();
    Ok(steers.iter().map(|steer| steer.and_then(|_| found.next())).collect())
}

/// Of each contrast, what the neurons of these indices do.
fn controls_of<'a>(
    neurons: impl Iterator<Item = (usize, &'a Vec<(f64, bool)>)> + Clone,
    contrasts: usize,
) -> Vec<Control> {
    let of = |contrast: usize| Control::of(neurons.clone().map(|(index, effects)| (index, effects[contrast].0)));
    (0..contrasts).map(of).collect()
}

/// Of each contrast, the mean effect and whether all prompts agree about its sign.
fn effects(change: &Change) -> Vec<(f64, bool)> {
    let of = |effects: &Vec<f64>| {
        let one_sign = effects.iter().all(|e| *e > 0.0) || effects.iter().all(|e| *e < 0.0);
        (mean(effects).unwrap_or(0.0), one_sign)
    };
    change.effects.iter().map(of).collect()
}

/// The tokens that take most of a change, up or down, with the change of ln p.
fn tokens(change: &Change, halves: &[usize], sign: f32) -> Vec<(u32, f64)> {
    let prompts = halves.iter().map(|half| change.prompts[*half]).sum::<usize>().max(1) as f64;
    let sum = |of: &[Vec<f32>; 2], id: usize| halves.iter().map(|half| of[*half][id]).sum::<f32>();
    // What prompts disagree about is left out: tokens that take a share one way, but go the other way on the whole.
    let mut ids: Vec<(f32, u32)> = (0..change.share[0].len())
        .filter(|id| sign * sum(&change.log, *id) > 0.0)
        .map(|id| (sign * sum(&change.share, id), id as u32))
        .filter(|(share, _)| *share > 0.0)
        .collect();
    ids.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let first = ids.into_iter().take(TOKENS);
    first
        .map(|(_, id)| (id, f64::from(sum(&change.log, id as usize)) / prompts))
        .collect()
}

fn mean(numbers: &[f64]) -> Option<f64> {
    (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
}

impl Written {
    /// `itself`: its number among the random neurons.
    fn new(
        handle: &Handle,
        (change, stronger): &(Change, Change),
        controls: &[Vec<f32>],
        itself: Option<usize>,
    ) -> Written {
        let chosen = tokens(change, &[0], 1.0);
        let prompts = change.prompts[1].max(1) as f64;
        let gain_of = |log: &[f32]| {
            let sum: f64 = chosen.iter().map(|(id, _)| f64::from(log[*id as usize])).sum();
            sum / prompts / chosen.len().max(1) as f64
        };
        let others = controls
            .iter()
            .enumerate()
            .filter(|(number, _)| Some(*number) != itself);
        let up = tokens(change, &[0, 1], 1.0);
        let halves = [0, 1].map(|half| tokens(change, &[half], 1.0));
        let common = |(id, _): &&(u32, f64)| halves.iter().all(|half| half.iter().any(|(other, _)| other == id));
        let ablated: usize = change.ablated.iter().map(Vec::len).sum();
        Written {
            value: handle.value,
            kl: change.mean_kl(),
            kl_stronger: stronger.mean_kl(),
            down: tokens(change, &[0, 1], -1.0),
            up_stronger: tokens(stronger, &[0, 1], 1.0),
            gain: gain_of(&change.log[1]),
            control: others.map(|(_, log)| gain_of(log)).fold(0.0, f64::max),
            stable: up.iter().take(3).filter(common).count() >= 2,
            up,
            ablated,
            ablated_kl: (ablated > 0).then(|| change.ablated_kl / ablated as f64),
            effects: effects(change),
            ablations: change.ablated.iter().map(|effects| mean(effects)).collect(),
            steer: None,
            steered: None,
        }
    }

    /// How many times as much as the best of the random neurons.
    pub fn specificity(&self) -> f64 {
        self.gain.max(0.0) / self.control.max(1e-3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains_are_measured_where_the_tokens_were_not_chosen() {
        let mut change = Change {
            log: [vec![3.0, 0.0, -1.0, 0.0], vec![2.0, 0.0, -1.0, 1.0]],
            share: [vec![0.9, 0.0, -0.3, 0.0], vec![0.5, 0.0, -0.4, 0.9]],
            prompts: [1, 1],
            kl: 1.0,
            effects: vec![vec![1.0, 3.0], vec![1.0, -1.0]],
            ablated: vec![vec![-2.0], vec![]],
            ablated_kl: 0.5,
        };
        let handle = Handle {
            layer: 0,
            index: 3,
            value: 2.5,
        };
        let controls = vec![vec![2.0, 0.0, -1.0, 1.0], vec![0.5, 9.0, 0.0, 9.0]];
        let one = Written::new(&handle, &(change.clone(), change.clone()), &controls, Some(0));
        // Token 0 was chosen at the first half; at the second it gained 2 nats, 4 times the other random neuron's half.
        assert_eq!((one.gain, one.control, one.specificity()), (2.0, 0.5, 4.0));
        assert_eq!(one.up, [(0, 2.5), (3, 0.5)]);
        assert_eq!(one.down, [(2, -1.0)]);
        assert!(!one.stable && (one.kl, one.ablated_kl) == (0.5, Some(0.5)));
        assert_eq!(one.effects, [(2.0, true), (0.0, false)]);
        assert_eq!(one.ablations, [Some(-2.0), None]);
        (change.share[0][3], change.log[0][3]) = (0.2, 0.1);
        assert!(Written::new(&handle, &(change.clone(), change), &controls, None).stable);
    }
}
