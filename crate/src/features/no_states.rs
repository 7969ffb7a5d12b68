//! Stands in for `states` without the feature `cli`: the same name, of which there is never a value.

use std::convert::Infallible;

use serde_json::Value;

use super::facts::Facts;

/// The states of stories, which only the command reads.
pub struct States(Infallible);

impl States {
    pub fn of(&self, _: usize, _: usize) -> Option<(&str, f64, f64)> {
        match self.0 {}
    }

    pub fn json(&self, _: usize, _: usize) -> Value {
        match self.0 {}
    }

    pub fn summary(&self, _: &Facts) -> Value {
        match self.0 {}
    }
}
