//! Stands in for `measure` without the feature `cli`: the same names, of which there is never a value.

use std::convert::Infallible;

use serde_json::Value;

use super::facts::Facts;

/// What a neuron writes, which only the command measures.
pub struct Written {
    pub up: Vec<(u32, f64)>,
    pub down: Vec<(u32, f64)>,
    pub value: f32,
    pub kl: f64,
    pub stable: bool,
    pub steer: Option<(f32, f64)>,
    never: Infallible,
}

/// All that was measured.
pub struct Measured {
    pub layers: Vec<Vec<Option<Written>>>,
    never: Infallible,
}

impl Written {
    pub fn specificity(&self) -> f64 {
        match self.never {}
    }

    pub fn json(&self, _: &str) -> Value {
        match self.never {}
    }
}

impl Measured {
    pub fn contrasts_json(&self, _: &Facts) -> Value {
        match self.never {}
    }

    pub fn switches_json(&self, _: &Facts) -> Value {
        match self.never {}
    }
}
