//! The MLP's keys.

use super::fields::Fields;
use super::{Activation, Mlp};
use crate::error::{quoted, Result};

/// transformers' names of what the engine has.
const NAMES: &[(&str, Activation)] = &[
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("gelu", Activation::Gelu),
    ("gelu_python", Activation::Gelu),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_fast", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("gelu_python_tanh", Activation::GeluTanh),
    ("relu", Activation::Relu),
];

pub(super) fn gated(fields: &Fields, key: &str, default: Activation) -> Result<Mlp> {
    let activation = activation(fields, key, default)?;
    Ok(Mlp {
        gated: true,
        activation,
    })
}

pub(super) fn plain(fields: &Fields, key: &str, default: Activation) -> Result<Mlp> {
    let activation = activation(fields, key, default)?;
    Ok(Mlp {
        gated: false,
        activation,
    })
}

fn activation(fields: &Fields, key: &str, default: Activation) -> Result<Activation> {
    let Some(found) = fields.text(key)? else {
        return Ok(default);
    };
    match NAMES.iter().find(|(name, _)| *name == found) {
        Some((_, activation)) => Ok(*activation),
        None => fields.refuse(
            key,
            format!(
                "{found} is not supported; \"silu\", \"gelu\", \"gelu_new\", \"relu\" and their other names are",
                found = quoted(found)
            ),
        ),
    }
}
