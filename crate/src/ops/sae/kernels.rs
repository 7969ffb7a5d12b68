//! The kernels of `shaders/sae_*.wgsl` and how they are dispatched.

use super::{acts, adds_decoder_bias, clean, error, input, of, pre, recons, rest, scale};
use crate::config::{Normalize, Sae, SaeKind};
use crate::edits::EditTable;
use crate::ops::buffers::STATUS;
use crate::ops::def::{flag, stride, weight_type, Dispatch, Kernel, KernelContext, PlanContext, Resource};
use crate::ops::tuning::tuning;
use crate::weights::{SaePart, Weight};

/// Outputs of a workgroup where each thread makes one.
const COLUMNS: usize = 64;

fn normalize(sae: &Sae) -> f64 {
    match sae.normalize {
        Normalize::None => 0.0,
        Normalize::LayerNorm => 1.0,
        Normalize::ConstantNorm => 2.0,
    }
}

/// What `shaders/parts/sae_input.wgsl` has to know.
fn input_constants(sae: &Sae) -> Vec<(&'static str, f64)> {
    vec![
        ("d_in", sae.d_in as f64),
        ("d_sae", sae.d_sae as f64),
        ("normalize_input", normalize(sae)),
        ("subtract_bias", flag(sae.subtract_decoder_bias)),
    ]
}

pub fn encode(cx: &KernelContext<'_>) -> Vec<Kernel> {
    let (Some(sae), n) = (of(cx.config, cx.step), cx.step.instance) else {
        return Vec::new();
    };
    let at = |part| (cx.step.op.vectors)(cx.config, cx.step).at(Weight::Sae(n, part));
    let mut constants = input_constants(sae);
    constants.extend([
        ("weight_type", weight_type(cx.dtype)),
        ("stride", stride(sae.d_sae)),
        ("bias_at", at(SaePart::EncoderBias)),
        ("decoder_bias_at", at(SaePart::DecoderBias)),
        ("norms_at", at(SaePart::DecoderNorm)),
        ("decoder_norm", flag(sae.decoder_norm)),
    ]);
    vec![Kernel {
        file: "sae_encode.wgsl",
        constants,
        binds: vec![
            ("source", Resource::Buffer(cx.step.input)),
            ("weights", Resource::Weight(Weight::Sae(n, SaePart::Encoder))),
            ("vectors", Resource::Vectors),
            ("scales", Resource::Buffer(scale(n))),
            ("kept", Resource::Buffer(input(sae, n))),
            ("pre", Resource::Buffer(pre(sae, n))),
        ],
    }]
}

/// 64 features of a row for each workgroup.
pub fn plan_encode(plan: &PlanContext<'_>, out: &mut Vec<Dispatch>) {
    let width = of(plan.config, plan.step).map_or(0, |sae| sae.d_sae);
    out.push(Dispatch::new(
        plan.params,
        [width.div_ceil(COLUMNS), plan.rows.len(), 1],
    ));
}

pub fn pursue(cx: &KernelContext<'_>) -> Vec<Kernel> {
    let (Some(sae), n) = (of(cx.config, cx.step), cx.step.instance) else {
        return Vec::new();
    };
    let SaeKind::Pursuit {
        iterations,
        residual,
        stop_on_duplicate,
    } = sae.kind
    else {
        return Vec::new();
    };
    let mut constants = input_constants(sae);
    constants.extend([
        ("weight_type", weight_type(cx.dtype)),
        ("stride", stride(sae.d_in)),
        ("decoder_bias_at", 0.0),
        ("iterations", iterations as f64),
        ("residual", f64::from(residual)),
        ("stop_on_duplicate", flag(stop_on_duplicate)),
    ]);
    vec![Kernel {
        file: "sae_pursue.wgsl",
        constants,
        binds: vec![
            ("source", Resource::Buffer(cx.step.input)),
            ("weights", Resource::Weight(Weight::Sae(n, SaePart::Decoder))),
            ("vectors", Resource::Vectors),
            ("scales", Resource::Buffer(scale(n))),
            ("kept", Resource::Buffer(input(sae, n))),
            ("clean", Resource::Buffer(clean(sae, n))),
            ("rest", Resource::Buffer(rest(sae, n))),
        ],
    }]
}

/// A workgroup for each row.
pub fn plan_rows(plan: &PlanContext<'_>, out: &mut Vec<Dispatch>) {
    out.push(Dispatch::new(plan.params, [plan.rows.len(), 1, 1]));
}

/// The same. aux2: how far the list of the autoencoder's edits is behind that of its layer.
pub fn plan_activate(plan: &PlanContext<'_>, out: &mut Vec<Dispatch>) {
    let (layer, list) = (plan.step.layer, EditTable::list_of_sae(plan.config, plan.step.instance));
    let params = plan.params.layer(layer).aux([0, 0, list - layer]);
    out.push(Dispatch::new(params, [plan.rows.len(), 1, 1]));
}

pub fn activate(cx: &KernelContext<'_>) -> Vec<Kernel> {
    let (Some(sae), n) = (of(cx.config, cx.step), cx.step.instance) else {
        return Vec::new();
    };
    let (kind, k) = match sae.kind {
        SaeKind::Relu => (0.0, 1),
        SaeKind::JumpRelu => (1.0, 1),
        SaeKind::TopK { k } => (2.0, k),
        SaeKind::Pursuit { .. } => (3.0, 1),
    };
    vec![Kernel {
        file: "sae_activate.wgsl",
        constants: vec![
            ("d_model", sae.d_sae as f64),
            ("threads", tuning(cx.profile).threads_for(sae.d_sae) as f64),
            ("kind", kind),
            ("k", k as f64),
        ],
        binds: vec![
            ("pre", Resource::Buffer(pre(sae, n))),
            ("thresholds", Resource::Vectors),
            ("edits", Resource::Edits),
            ("clean", Resource::Buffer(clean(sae, n))),
            ("hidden", Resource::Buffer(acts(sae, n))),
            ("status", Resource::Buffer(STATUS)),
        ],
    }]
}

pub fn decode(cx: &KernelContext<'_>) -> Vec<Kernel> {
    let (Some(sae), n) = (of(cx.config, cx.step), cx.step.instance) else {
        return Vec::new();
    };
    let at = |part| (cx.step.op.vectors)(cx.config, cx.step).at(Weight::Sae(n, part));
    vec![Kernel {
        file: "sae_decode.wgsl",
        constants: vec![
            ("d_in", sae.d_in as f64),
            ("d_sae", sae.d_sae as f64),
            ("weight_type", weight_type(cx.dtype)),
            ("stride", stride(sae.d_in)),
            ("decoder_bias_at", at(SaePart::DecoderBias)),
            ("norms_at", at(SaePart::DecoderNorm)),
            ("add_bias", flag(adds_decoder_bias(sae))),
            ("decoder_norm", flag(sae.decoder_norm)),
            ("error_term", flag(sae.error_term)),
        ],
        binds: vec![
            ("acts", Resource::Buffer(acts(sae, n))),
            ("weights", Resource::Weight(Weight::Sae(n, SaePart::Decoder))),
            ("vectors", Resource::Vectors),
            ("clean", Resource::Buffer(clean(sae, n))),
            ("scales", Resource::Buffer(scale(n))),
            ("recons", Resource::Buffer(recons(sae, n))),
            ("left", Resource::Buffer(error(sae, n))),
            ("replaced", Resource::Buffer(cx.step.input)),
        ],
    }]
}

/// 64 columns of a row for each workgroup.
pub fn plan_decode(plan: &PlanContext<'_>, out: &mut Vec<Dispatch>) {
    let width = of(plan.config, plan.step).map_or(0, |sae| sae.d_in);
    out.push(Dispatch::new(
        plan.params.layer(plan.step.layer),
        [width.div_ceil(COLUMNS), plan.rows.len(), 1],
    ));
}
