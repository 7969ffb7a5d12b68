//! What was measured as JSON: the `writes` of a record, `contrasts.json`, `switches.json`. crate/src/features/README.md lists the fields.

use serde_json::{json, Value};

use super::{Measured, Written};
use crate::features::facts::Facts;
use crate::features::json::{maybe, number};
use crate::features::FORMAT;

impl Written {
    /// The `writes` of a record.
    pub fn json(&self, label: &str) -> Value {
        let pairs = |list: &[(u32, f64)]| list.iter().map(|(id, x)| json!([id, number(*x)])).collect::<Vec<_>>();
        let mut strongest: Vec<usize> = (0..self.effects.len()).collect();
        strongest.sort_by(|a, b| self.effects[*b].0.abs().total_cmp(&self.effects[*a].0.abs()));
        let contrasts: Vec<Value> = strongest
            .into_iter()
            .take(5)
            .map(|n| json!([n, number(self.effects[n].0), maybe(self.ablations[n])]))
            .collect();
        json!({
            "label": label, "value": number(f64::from(self.value)), "kl": number(self.kl), "kl_stronger": number(self.kl_stronger),
            "up": pairs(&self.up), "down": pairs(&self.down), "up_stronger": pairs(&self.up_stronger), "gain": number(self.gain),
            "control": number(self.control), "specificity": number(self.specificity()), "stable": self.stable,
            "ablated": { "prompts": self.ablated, "kl": maybe(self.ablated_kl) },
            "steer": self.steer.map(|(value, surprise)| json!({ "value": number(f64::from(value)), "surprise": number(surprise) })),
            "contrasts": contrasts,
        })
    }
}

impl Measured {
    /// `contrasts.json`: the contrasts, what random neurons do to them, and the neurons that do most.
    pub fn contrasts_json(&self, facts: &Facts) -> Value {
        let text = |ids: &[u32]| ids.iter().map(|id| facts.text(*id)).collect::<Vec<_>>();
        let contrasts = self.contrasts.iter().enumerate().map(|(n, contrast)| {
            let mut all: Vec<(f64, usize, usize, Option<f64>)> = Vec::new();
            for (layer, neurons) in facts.layers.iter().zip(&self.layers) {
                let known = neurons.iter().enumerate().filter_map(|(index, one)| Some((index, one.as_ref()?)));
                all.extend(known.map(|(index, one)| (one.effects[n].0, *layer, index, one.ablations[n])));
            }
            all.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
            let neurons: Vec<Value> = all
                .into_iter()
                .take(20)
                .map(|(effect, layer, index, ablated)| json!([layer, index, number(effect), maybe(ablated)]))
                .collect();
            let controls: Vec<Value> = self.controls.iter().map(|of_layer| number(of_layer[n].largest())).collect();
            json!({
                "name": contrast.name, "kind": contrast.kind, "a": text(&contrast.sides[0]), "b": text(&contrast.sides[1]),
                "controls": controls, "neurons": neurons,
            })
        });
        json!({
            "format": FORMAT, "layers": facts.layers, "prompts": self.prompts, "random": self.random,
            "surprise": number(self.own), "contrasts": contrasts.collect::<Vec<_>>(),
        })
    }

    /// `switches.json`
    pub fn switches_json(&self, facts: &Facts) -> Value {
        let switches: Vec<Value> = self
            .switches
            .iter()
            .map(|switch| switch.json(&self.contrasts, facts))
            .collect();
        json!({ "format": FORMAT, "model": facts.model, "switches": switches })
    }
}
