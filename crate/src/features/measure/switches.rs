//! Switches and what comes near them: one neuron that turns one contrast, far more than random neurons do, while text stays readable.

use serde_json::{json, Value};

use super::contrasts::{Contrast, Prompts};
use super::set::Handle;
use super::texts::{write, Text, LENGTH};
use super::Written;
use crate::error::Result;
use crate::exec::cpu::{Branches, CpuEngine, Prefix};
use crate::features::control::Control;
use crate::features::facts::Facts;
use crate::features::json::number;

/// What is listed does so many times as much as the best of the random neurons of its layer.
const LISTED: f64 = 1.5;
/// And a switch so many times.
const SWITCH: f64 = 3.0;
/// And at least this, nats of log odds.
const LEAST: f64 = 0.5;
/// Most switches of a contrast and a direction.
const MOST: usize = 3;

/// One of them.
#[derive(Clone, Debug)]
pub struct Switch {
    handle: Handle,
    contrast: usize,
    effect: f64,
    control: f64,
    kl: f64,
    /// Largest value at which text stays readable, with its surprise.
    steer: (f32, f64),
    prompt: Vec<u32>,
    before: Vec<u32>,
    after: Vec<u32>,
}

/// All that turn a contrast, by contrast, the strongest first.
pub fn find(
    engine: &CpuEngine,
    prompts: &Prompts,
    facts: &Facts,
    layers: &[Vec<Option<Written>>],
    controls: &[Vec<Control>],
) -> Result<Vec<Switch>> {
    let mut switches = Vec::new();
    for contrast in 0..prompts.contrasts.len() {
        let mut found = Vec::new();
        for ((layer, neurons), controls) in facts.layers.iter().zip(layers).zip(controls) {
            for (index, one) in neurons.iter().enumerate() {
                let Some(one) = one else { continue };
                let (Some(steer), Some(steered)) = (one.steer, &one.steered) else {
                    continue;
                };
                let (effect, agree) = steered.effects[contrast];
                let control = controls[contrast].beside(index);
                if agree && effect.abs() >= LEAST.max(LISTED * control) {
                    let handle = Handle {
                        layer: *layer,
                        index,
                        value: steer.0,
                    };
                    found.push(Switch {
                        handle,
                        contrast,
                        effect,
                        control,
                        kl: steered.kl,
                        steer,
                        prompt: Vec::new(),
                        before: Vec::new(),
                        after: Vec::new(),
                    });
                }
            }
        }
        found.sort_by(|a, b| (b.effect.abs() / b.control).total_cmp(&(a.effect.abs() / a.control)));
        let (up, down): (Vec<Switch>, Vec<Switch>) = found.into_iter().partition(|switch| switch.effect > 0.0);
        switches.extend(up.into_iter().take(MOST).chain(down.into_iter().take(MOST)));
    }
    let mut scratch = Branches::default();
    let longest = prompts.prompts.iter().map(|(_, ids)| ids.len()).max().unwrap_or(0);
    let mut batched = engine.batched(12, longest + LENGTH)?;
    for switch in &mut switches {
        let mut prefixes: Vec<Prefix> = Vec::new();
        for (_, ids) in prompts
            .prompts
            .iter()
            .filter(|(contrast, _)| *contrast == switch.contrast)
        {
            prefixes.push(pollster::block_on(engine.prefix(ids, &mut scratch))?);
        }
        let jobs: Vec<(&Prefix, Option<Handle>)> = prefixes
            .iter()
            .flat_map(|prefix| [(prefix, None), (prefix, Some(switch.handle))])
            .collect();
        let texts = write(engine, &mut batched, &facts.special, &jobs)?;
        // The first prompt behind which the next token goes from the one side to the other; else behind which it changes; else whose text does.
        let pairs = || prefixes.iter().zip(texts.chunks_exact(2));
        let [from, to] = prompts.contrasts[switch.contrast].turned(switch.effect);
        let is_of = |text: &Text, side: &[u32]| text.ids.first().is_some_and(|id| side.contains(id));
        let turns = pairs().find(|(_, pair)| is_of(&pair[0], from) && is_of(&pair[1], to));
        let shown = turns
            .or_else(|| pairs().find(|(_, pair)| pair[0].ids.first() != pair[1].ids.first()))
            .or_else(|| pairs().find(|(_, pair)| pair[0].ids != pair[1].ids))
            .or_else(|| pairs().next());
        if let Some((prefix, pair)) = shown {
            switch.prompt.clone_from(&prefix.ids);
            switch.before.clone_from(&pair[0].ids);
            switch.after.clone_from(&pair[1].ids);
        }
    }
    Ok(switches)
}

impl Switch {
    pub fn json(&self, contrasts: &[Contrast], facts: &Facts) -> Value {
        let contrast = &contrasts[self.contrast];
        let text = |ids: &[u32]| {
            let known = ids.iter().filter(|id| facts.special.binary_search(id).is_err());
            known.map(|id| facts.text(*id)).collect::<String>()
        };
        let times = self.effect.abs() / self.control.max(1e-9);
        let [from, to] = contrast.turned(self.effect).map(|side| {
            side.first()
                .map_or(String::new(), |id| facts.text(*id).trim().to_owned())
        });
        json!({
            "layer": self.handle.layer, "index": self.handle.index, "name": format!("{from} → {to}"),
            "contrast": contrast.name, "kind": contrast.kind, "value": number(f64::from(self.handle.value)),
            "effect": number(self.effect), "control": number(self.control), "times": number(times), "switch": times >= SWITCH,
            "kl": number(self.kl), "steer": { "value": number(f64::from(self.steer.0)), "surprise": number(self.steer.1) },
            "prompt": text(&self.prompt).trim_start(), "before": text(&self.before), "after": text(&self.after),
        })
    }
}
