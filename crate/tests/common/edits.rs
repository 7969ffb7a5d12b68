//! Random edits of golden models.

use proptest::prelude::*;
use topk_lm::edits::{Action, Edit, Positions, Propagate, Site};

/// Golden models with their blocks and width.
pub const MODELS: [(&str, usize, usize); 5] = [
    ("llama-gqa", 4, 48),
    ("gpt2", 4, 60),
    ("gemma3", 4, 48),
    ("gpt-neo", 4, 44),
    ("neox-parallel", 3, 64),
];

pub fn an_edit(n_layers: usize, d_model: usize) -> impl Strategy<Value = Edit> {
    let action = prop_oneof![
        Just(Action::Add),
        Just(Action::Clamp),
        Just(Action::Scale),
        Just(Action::Ablate)
    ];
    let site = prop_oneof![Just(Site::TopkOut), Just(Site::TopkIn)];
    let positions = prop_oneof![
        Just(Positions::All),
        Just(Positions::Prompt),
        Just(Positions::Generated),
        (0usize..8, 1usize..6).prop_map(|(from, length)| Positions::Range {
            from,
            to: from + length
        }),
    ];
    let propagate = prop_oneof![Just(Propagate::Layer), Just(Propagate::FromLayer)];
    (0..n_layers, 0..d_model, action, -3i32..4, site, positions, propagate).prop_map(
        |(layer, index, action, value, site, positions, propagate)| Edit {
            layer,
            sae: None,
            index,
            action,
            value: Some(f64::from(value)),
            site,
            positions,
            propagate,
        },
    )
}
