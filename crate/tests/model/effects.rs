//! What neurons do to a logit, set or ablated one at a time, against runs with such edits.

use topk_lm::checkpoint::FolderSource;
use topk_lm::edits::{Edit, Positions, Propagate, Site};
use topk_lm::pace::Cancel;
use topk_lm::session::{Model, SaeOptions, Setting};

use crate::common::{json, root};
use crate::session::{logits, model};

/// Every fifth effect against a run with that edit, which comes behind `edits`.
fn check_ablation(model: &Model, edits: &[Edit]) -> usize {
    let ids = [0u32, 9, 33, 71, 12];
    let target = 7;
    let ablation = pollster::block_on(model.ablate(&ids, target, edits, &Cancel::default(), &mut |_, _| {})).unwrap();
    let base = logits(model, &ids, edits, ids.len())[target as usize];
    assert_eq!(ablation.logit, base);
    for place in (0..ablation.effects.len()).step_by(5) {
        let last = Positions::Range {
            from: ids.len() - 1,
            to: ids.len(),
        };
        let (layer, index) = (ablation.layers[place] as usize, ablation.indices[place] as usize);
        let all = [edits, &[Edit::ablate(layer, index).positions(last)]].concat();
        let without = logits(model, &ids, &all, ids.len())[target as usize];
        assert_eq!(ablation.effects[place], base - without, "{layer} {index} {edits:?}");
    }
    ablation.effects.len()
}

/// Neurons of all blocks, out of order, some active and some not, each against a run with that edit, which comes behind `edits`.
fn check_each_set(model: &Model, edits: &[Edit]) {
    let ids = [0u32, 9, 33, 71, 12];
    let (target, last) = (7, ids.len() - 1);
    let at = |n: usize| Setting {
        layer: n * 5 % model.config().n_layers,
        index: n * 7 % model.config().d_model,
        value: n as f32 - 6.5,
    };
    let neurons: Vec<Setting> = (0..17).map(at).collect();
    let mut heard = Vec::new();
    let mut progress = |done: usize, total: usize| heard.push((done, total));
    let each =
        pollster::block_on(model.set_each(&ids, target, &neurons, edits, &Cancel::default(), &mut progress)).unwrap();
    assert_eq!((heard.first(), heard.last()), (Some(&(0, 17)), Some(&(17, 17))));
    let base = logits(model, &ids, edits, ids.len())[target as usize];
    assert_eq!((each.logit, each.effects.len()), (base, 17));
    for (Setting { layer, index, value }, effect) in neurons.iter().zip(&each.effects) {
        let here = Positions::Range {
            from: last,
            to: last + 1,
        };
        let all = [edits, &[Edit::clamp(*layer, *index, f64::from(*value)).positions(here)]].concat();
        let with = logits(model, &ids, &all, ids.len())[target as usize];
        assert_eq!(*effect, with - base, "{layer} {index} {edits:?}");
    }
    assert!(each.effects.iter().any(|effect| *effect > 0.0) && each.effects.iter().any(|effect| *effect < 0.0));
}

#[test]
fn each_set_is_what_a_run_with_that_edit_gives() {
    let model = model("llama-gqa");
    check_each_set(&model, &[]);
    check_each_set(
        &model,
        &[Edit::clamp(0, 3, 4.0).site(Site::TopkIn), Edit::add(1, 5, 2.0)],
    );
    check_each_set(&self::model("gemma2-dense"), &[]);
    // With an autoencoder at the end of a block, texts are computed whole.
    let folder = root().join("tests/goldens/saes/standard-resid-post");
    let spliced = self::model(json(&folder.join("golden.json"))["model"].as_str().unwrap());
    let source = FolderSource::new(&folder).unwrap();
    pollster::block_on(spliced.attach_sae(&source, &SaeOptions::default())).unwrap();
    check_each_set(&spliced, &[]);
}

#[test]
fn what_cannot_be_set_is_said() {
    let model = model("llama-gqa");
    let each = |ids: &[u32], target, neurons: &[Setting]| {
        pollster::block_on(model.set_each(ids, target, neurons, &[], &Cancel::default(), &mut |_, _| {}))
    };
    let (layers, width) = (model.config().n_layers, model.config().d_model);
    let setting = |layer, index, value| Setting { layer, index, value };
    for (wrong, said) in [
        (setting(layers, 0, 1.0), format!("1 at neuron {layers}.0 cannot be set")),
        (setting(0, width, 1.0), format!("1 at neuron 0.{width} cannot be set")),
        (setting(1, 2, f32::NAN), "NaN at neuron 1.2 cannot be set".to_owned()),
    ] {
        let error = each(&[0, 1], 7, &[setting(0, 0, 1.0), wrong]).unwrap_err().to_string();
        assert!(error.contains(&said), "{error}");
        assert!(
            error.contains(&format!("0.0 to {}.{}", layers - 1, width - 1)),
            "{error}"
        );
    }
    assert!(each(&[], 7, &[]).unwrap_err().to_string().contains("ids"));
    assert!(each(&[0], 99_999, &[])
        .unwrap_err()
        .to_string()
        .contains("target is 99999"));
    let nothing = each(&[0, 1], 7, &[]).unwrap();
    assert_eq!(
        (nothing.logit, nothing.effects.len()),
        (logits(&model, &[0, 1], &[], 2)[7], 0)
    );
}

#[test]
fn ablation_is_what_a_run_with_that_edit_gives() {
    let model = model("llama-gqa");
    let cut = model.config().topk.unwrap();
    let blocks = (0..model.config().n_layers)
        .filter(|layer| model.config().is_topk_block(*layer))
        .count();
    assert_eq!(check_ablation(&model, &[]), cut.k * blocks);
    let edits = [
        Edit::clamp(0, 3, 4.0).site(Site::TopkIn),
        Edit::add(1, 5, 2.0),
        Edit::clamp(blocks - 1, 7, -3.0).propagate(Propagate::FromLayer),
    ];
    assert!(check_ablation(&model, &edits) > 0);
    // What an autoencoder makes of a stream comes behind the edit; one within a block is in nobody's way.
    for sae in ["standard-resid-post", "jumprelu-mlp-out", "standard-hook-z"] {
        let folder = root().join("tests/goldens/saes").join(sae);
        let golden = json(&folder.join("golden.json"));
        let spliced = self::model(golden["model"].as_str().unwrap());
        let source = FolderSource::new(&folder).unwrap();
        pollster::block_on(spliced.attach_sae(&source, &SaeOptions::default())).unwrap();
        assert!(check_ablation(&spliced, &[]) > 0, "{sae}");
    }
}
