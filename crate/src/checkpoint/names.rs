//! The weights of `weights.rs` that a model has, and by the architecture's table of names the stored tensors they are made
//! of, in the order in which executors get them.

use super::planned::{Columns, Layout, Planned};
use crate::config::{Config, LinearLayout, Norm, Positions, QkvTensors, Tensors};
use crate::weights::Weight;

/// A stored matrix without the ending of its name, its outputs, and their columns.
type Stored = (String, usize, Columns);

/// All weights but the head. `prefix` is the table's, or empty.
pub(super) fn planned(config: &Config, tensors: &Tensors, prefix: &str) -> Vec<Planned> {
    let d_model = config.d_model;
    let full = |name: &str| format!("{prefix}{name}");
    let mut all = vec![Planned::table(
        Weight::Embed,
        &full(&format!("{}.weight", tensors.embed)),
        config.d_vocab,
        d_model,
    )];
    if config.positions == Positions::Learned {
        let name = full(&format!("{}.weight", tensors.positions));
        all.push(Planned::table(Weight::Positions, &name, config.n_positions, d_model));
    }
    for layer in 0..config.n_layers {
        let name = |part: &str| format!("{prefix}{}.{layer}.{part}", tensors.block);
        all.extend(block_norms(config, tensors, layer, &name));
        let b = config.biases;
        let mlp_in = mlp_in(config, tensors, &name);
        let attn_out = vec![(name(tensors.attn_out), d_model, Columns::From(0))];
        let mlp_out = vec![(name(tensors.mlp_out), d_model, Columns::From(0))];
        let qkv = qkv(config, tensors, &name);
        for (weight, bias, has_bias, inputs, parts) in [
            (Weight::Qkv(layer), Weight::QkvBias(layer), b.qkv, d_model, qkv),
            (
                Weight::AttnOut(layer),
                Weight::AttnOutBias(layer),
                b.attn_out,
                config.d_query(),
                attn_out,
            ),
            (
                Weight::MlpIn(layer),
                Weight::MlpInBias(layer),
                b.mlp_in,
                d_model,
                mlp_in,
            ),
            (
                Weight::MlpOut(layer),
                Weight::MlpOutBias(layer),
                b.mlp_out,
                config.d_mlp,
                mlp_out,
            ),
        ] {
            let layout = match tensors.linear {
                LinearLayout::OutIn => Layout::OutIn,
                LinearLayout::InOut => Layout::InOut,
            };
            all.push(Planned::matrix(weight, layout, inputs, &parts));
            all.extend(has_bias.then(|| Planned::bias(bias, &parts)));
        }
    }
    let final_norm = full(tensors.final_norm);
    let (gain, bias) = (Weight::FinalNormGain, Weight::FinalNormBias);
    all.extend(norm(config, tensors, gain, bias, &final_norm));
    all
}

/// A norm of the stream: its gain, and the bias that a LayerNorm has.
fn norm(config: &Config, tensors: &Tensors, gain: Weight, bias: Weight, name: &str) -> Vec<Planned> {
    let mut all = vec![Planned::gain(
        gain,
        format!("{name}.weight"),
        config.d_model,
        tensors.gains_less_one,
    )];
    if config.norm == Norm::Layer {
        all.push(Planned::vector(bias, format!("{name}.bias"), config.d_model));
    }
    all
}

fn block_norms(config: &Config, tensors: &Tensors, layer: usize, name: &dyn Fn(&str) -> String) -> Vec<Planned> {
    let [first, second] = [tensors.norm1, tensors.norm2].map(name);
    let mut all = norm(
        config,
        tensors,
        Weight::Norm1Gain(layer),
        Weight::Norm1Bias(layer),
        &first,
    );
    all.extend(norm(
        config,
        tensors,
        Weight::Norm2Gain(layer),
        Weight::Norm2Bias(layer),
        &second,
    ));
    let gain = |weight, part: &str, width| Planned::gain(weight, name(part) + ".weight", width, tensors.gains_less_one);
    if config.post_norms {
        let [attn, mlp] = tensors.post_norms;
        all.push(gain(Weight::PostNorm1Gain(layer), attn, config.d_model));
        all.push(gain(Weight::PostNorm2Gain(layer), mlp, config.d_model));
    }
    if config.qk_norm {
        let [query, key] = tensors.qk_norms;
        for (weight, part) in [(Weight::QueryNormGain(layer), query), (Weight::KeyNormGain(layer), key)] {
            let columns = Columns::rope_pairs(config, 0);
            all.push(gain(weight, part, config.d_head).with_columns(columns));
        }
    }
    all
}

fn qkv(config: &Config, tensors: &Tensors, name: &dyn Fn(&str) -> String) -> Vec<Stored> {
    let (d_query, d_kv) = (config.d_query(), config.d_kv());
    match tensors.qkv {
        QkvTensors::Separate([query, key, value]) => vec![
            (name(query), d_query, Columns::rope_pairs(config, 0)),
            (name(key), d_kv, Columns::rope_pairs(config, d_query)),
            (name(value), d_kv, Columns::From(d_query + d_kv)),
        ],
        QkvTensors::Fused(part) => vec![(name(part), config.d_qkv(), Columns::From(0))],
        QkvTensors::FusedByHead(part) => {
            let columns = Columns::ByHead {
                d_head: config.d_head,
                n_heads: config.n_heads,
                dims: config.rotary_dims(),
            };
            vec![(name(part), config.d_qkv(), columns)]
        }
    }
}

fn mlp_in(config: &Config, tensors: &Tensors, name: &dyn Fn(&str) -> String) -> Vec<Stored> {
    let parts = tensors.mlp_in.iter().enumerate();
    parts
        .map(|(first, part)| {
            let columns = if config.mlp.gated {
                Columns::EveryOther { first }
            } else {
                Columns::From(0)
            };
            (name(part), config.d_mlp, columns)
        })
        .collect()
}
