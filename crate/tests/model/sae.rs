//! Sparse autoencoders attached to golden models, against SAELens' arithmetic in `tests/goldens/saes`: activations, reconstructions,
//! errors, what takes the hook's place, logits and losses, with and without the error term, with and without edits.

use crate::common::{golden_models, ids, json, largest_difference, load, load_on, root, Tensors};
use pollster::block_on;
use serde_json::Value;
use topk_lm::checkpoint::{FolderSource, MemorySource};
use topk_lm::edits::Edit;
use topk_lm::error::Code;
use topk_lm::exec::request::LogitRows;
use topk_lm::pace::{beside, Cancel};
use topk_lm::session::{BackendChoice, GenerateOptions, Model, RunOptions, SaeOptions, SamplingOptions};
use topk_lm::source::{LocalFuture, Source};

fn folder(name: &str) -> std::path::PathBuf {
    root().join("tests/goldens/saes").join(name)
}

fn attach(model: &Model, name: &str, error_term: bool) -> topk_lm::error::Result<topk_lm::config::Sae> {
    let source = FolderSource::new(folder(name)).unwrap();
    let options = SaeOptions { hook: None, error_term };
    block_on(model.attach_sae(&source, &options))
}

fn names(golden: &Value) -> Vec<String> {
    let list = golden["saes"].as_array().unwrap();
    list.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// Every run of every golden on one backend.
fn check(choice: BackendChoice, near: f32) {
    let mut checked = 0;
    let mut worst = 0f32;
    for entry in std::fs::read_dir(folder("")).unwrap().flatten() {
        let golden = json(&entry.path().join("golden.json"));
        let tensors = Tensors::open(&entry.path().join("golden.safetensors")).all();
        let model = root()
            .join("tests/goldens/models")
            .join(golden["model"].as_str().unwrap());
        let Some(model) = load_on(&model, choice) else { return };
        for run in golden["runs"].as_array().unwrap() {
            block_on(model.detach_saes()).unwrap();
            for name in names(&golden) {
                attach(&model, &name, run["error_term"].as_bool().unwrap()).unwrap();
            }
            let prefix = format!("{}/", run["name"].as_str().unwrap());
            let expected = tensors
                .iter()
                .filter_map(|(name, tensor)| Some((name.strip_prefix(&prefix)?, tensor)));
            let expected: Vec<_> = expected.collect();
            let options = RunOptions {
                hooks: expected
                    .iter()
                    .map(|(name, _)| (*name).to_owned())
                    .filter(|name| name != "logits")
                    .collect(),
                edits: serde_json::from_value::<Vec<Edit>>(run["edits"].clone()).unwrap(),
                prompt_length: Some(run["prompt_len"].as_u64().unwrap() as usize),
                logits: LogitRows::All,
                ..RunOptions::default()
            };
            let ids = ids(&run["ids"]);
            let output = block_on(model.run(&ids, &options, &Cancel::default())).unwrap();
            for (name, (shape, numbers)) in expected {
                let got = if name == "logits" {
                    &output.logits
                } else {
                    &output.hooks[name]
                };
                let what = format!("{} {prefix}{name}", entry.path().display());
                assert_eq!(got.shape, *shape, "{what}");
                let size = numbers.iter().fold(1f32, |m, v| m.max(v.abs()));
                let off = largest_difference(&got.data, numbers) / size;
                assert!(off < near, "{what}: {off} from the golden");
                worst = worst.max(off);
                checked += 1;
            }
            if run["name"] == "spliced" {
                let quality = block_on(model.sae_quality(&ids, &Cancel::default())).unwrap();
                let is_near = |a: f64, b: &Value| (a - b.as_f64().unwrap()).abs() < f64::from(near) * a.abs().max(1.0);
                assert!(is_near(quality.base_loss, &golden["base_loss"]));
                assert!(is_near(quality.spliced_loss, &run["loss"]));
                for sae in &quality.saes {
                    assert!(is_near(sae.fvu(), &golden["fvu"][&sae.hook]), "{}", sae.hook);
                    assert!(is_near(sae.mse(), &golden["mse"][&sae.hook]), "{}", sae.hook);
                }
            }
        }
    }
    assert!(checked > 100, "only {checked} arrays were compared");
    println!("{checked} arrays, at most {worst:e} from SAELens' arithmetic");
}

#[test]
fn goldens_on_the_cpu() {
    check(BackendChoice::Cpu, 1e-4);
}

#[test]
fn goldens_on_the_gpu() {
    check(BackendChoice::Gpu, 1e-3);
}

/// With its error term an autoencoder without edits changes no bit; detached, the model is what it was.
#[test]
fn the_error_term_changes_nothing_by_itself() {
    let model = load(&root().join("tests/goldens/models/llama-gqa"), BackendChoice::Cpu).unwrap();
    let run = || {
        let options = RunOptions {
            logits: LogitRows::All,
            ..RunOptions::default()
        };
        block_on(model.run(&[3, 1, 4, 1, 5], &options, &Cancel::default()))
            .unwrap()
            .logits
    };
    let before = run();
    attach(&model, "standard-hook-z", true).unwrap();
    assert_eq!(run(), before);
    block_on(model.detach_saes()).unwrap();
    attach(&model, "standard-hook-z", false).unwrap();
    assert_ne!(run(), before);
    block_on(model.detach_saes()).unwrap();
    assert_eq!(run(), before);
}

/// Generation runs through autoencoders and edits of their features, and cached equals uncached.
#[test]
fn generation_follows_the_features() {
    let model = load(&root().join("tests/goldens/models/llama-gqa"), BackendChoice::Cpu).unwrap();
    attach(&model, "standard-resid-post", false).unwrap();
    let edits: Vec<Edit> = ["sae=blocks.1.hook_resid_post,index=3,action=clamp,value=9"]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    let generate = |edits: &[Edit]| {
        let options = GenerateOptions {
            sampling: SamplingOptions::at(0.0),
            max_tokens: Some(8),
            ignore_eos: true,
            edits: edits.to_vec(),
            ..GenerateOptions::default()
        };
        let mut generation = model.generate(&[2, 7, 1], &options).unwrap();
        let (mut ids, mut finish) = (vec![2, 7, 1], None);
        while finish.is_none() {
            let some = block_on(generation.next(&Cancel::default())).unwrap();
            ids.extend(some.steps.iter().map(|step| step.id));
            finish = some.finish;
        }
        ids
    };
    let edited = generate(&edits);
    assert_ne!(generate(&[]), edited);
    let options = RunOptions {
        edits,
        prompt_length: Some(3),
        logits: LogitRows::All,
        ..RunOptions::default()
    };
    let whole = block_on(model.run(&edited, &options, &Cancel::default()))
        .unwrap()
        .logits;
    for (row, next) in whole.data.chunks_exact(whole.shape[1]).zip(&edited[1..]).skip(2) {
        let best = topk_lm::numerics::order::topk_indices(row, 1, Default::default())[0];
        assert_eq!(best, *next);
    }
}

/// A folder whose last file is read while its caller gives up.
struct GivenUp(FolderSource, Cancel);

impl Source for GivenUp {
    fn size(&self, path: &str) -> Option<u64> {
        self.0.size(path)
    }

    fn read<'a>(&'a self, path: &'a str, offset: u64, length: usize) -> LocalFuture<'a, topk_lm::Result<Vec<u8>>> {
        if path == "sae_weights.safetensors" {
            self.1.cancel();
        }
        self.0.read(path, offset, length)
    }
}

#[test]
fn what_was_given_up_is_not_attached() {
    let model = load(&root().join("tests/goldens/models/llama-gqa"), BackendChoice::Cpu).unwrap();
    let cancel = Cancel::default();
    let source = GivenUp(
        FolderSource::new(folder("standard-resid-post")).unwrap(),
        cancel.clone(),
    );
    let attached = block_on(model.attach_sae_unless(&source, &SaeOptions::default(), &cancel));
    assert_eq!(attached.unwrap_err().code(), Code::Aborted);
    assert_eq!(model.saes().unwrap(), []);
    attach(&model, "standard-resid-post", false).unwrap();
    assert_eq!(model.saes().unwrap().len(), 1);
}

/// The calls begin on the same engine; what the first to end has attached is still there after the second.
#[test]
fn of_two_calls_at_once_one_counts() {
    let model = load(&root().join("tests/goldens/models/llama-gqa"), BackendChoice::Cpu).unwrap();
    let sources = ["standard-resid-post", "standard-hook-z"].map(|name| FolderSource::new(folder(name)).unwrap());
    let options = SaeOptions::default();
    let attach = |at: usize| Box::pin(model.attach_sae(&sources[at], &options));
    let (second, first) = block_on(beside(attach(1), attach(0))).unwrap();
    assert_eq!(model.saes().unwrap(), [first]);
    let second = second.unwrap_err();
    assert_eq!(second.code(), Code::Argument);
    assert!(second.to_string().contains("call again"), "{second}");
    let error = block_on(beside(Box::pin(model.detach_saes()), attach(1))).unwrap_err();
    assert_eq!(error.code(), Code::Argument);
    assert_eq!(model.saes().unwrap(), []);
}

/// Behind a block with an autoencoder stands what that makes of the stream; what is ablated is what the block has cut.
#[test]
fn ablation_is_of_the_neurons_in_front_of_an_autoencoder() {
    let model = load(&root().join("tests/goldens/models/llama-gqa"), BackendChoice::Cpu).unwrap();
    attach(&model, "standard-resid-post", false).unwrap();
    let (ids, target, layer) = ([3, 1, 4, 1, 5], 9, 1);
    let run = |edits: Vec<Edit>| {
        let options = RunOptions {
            hooks: vec!["blocks.1.hook_resid_post.hook_sae_input".into()],
            edits,
            ..RunOptions::default()
        };
        let output = block_on(model.run(&ids, &options, &Cancel::default())).unwrap();
        let row = output.hooks["blocks.1.hook_resid_post.hook_sae_input"].data.clone();
        (row, output.logits.data[target])
    };
    let (input, logit) = run(Vec::new());
    let cut = &input[input.len() - model.config().d_model..];
    let found = block_on(model.ablate(&ids, target as u32, &[], &Cancel::default(), &mut |_, _| {})).unwrap();
    let all = found
        .layers
        .iter()
        .zip(&found.indices)
        .zip(found.values.iter().zip(&found.effects));
    let own: Vec<_> = all.filter(|((of, _), _)| **of == layer).collect();
    let active: Vec<(usize, f32)> = cut
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, value)| *value != 0.0)
        .collect();
    assert!(!active.is_empty() && active.len() <= 9);
    assert_eq!(
        own.iter()
            .map(|((_, index), (value, _))| (**index as usize, **value))
            .collect::<Vec<_>>(),
        active
    );
    for ((_, index), (_, effect)) in own {
        let last = topk_lm::Positions::Range {
            from: ids.len() - 1,
            to: ids.len(),
        };
        let (_, without) = run(vec![Edit::ablate(layer as usize, *index as usize).positions(last)]);
        assert!((logit - without - effect).abs() < 1e-4, "{index}: {effect}");
    }
}

fn refused_hook(model: &Model, hook: &str) -> topk_lm::Error {
    let options = RunOptions {
        hooks: vec![hook.into()],
        ..RunOptions::default()
    };
    block_on(model.run(&[1], &options, &Cancel::default())).unwrap_err()
}

/// The files of an autoencoder, for rows of one length.
fn rescaled(name: &str) -> MemorySource {
    let [cfg, weights] =
        ["cfg.json", "sae_weights.safetensors"].map(|file| std::fs::read(folder(name).join(file)).unwrap());
    let cfg = String::from_utf8(cfg).unwrap();
    let cfg = cfg.replace(
        r#""normalize_activations": "none""#,
        r#""normalize_activations": "constant_norm_rescale""#,
    );
    MemorySource::new([("cfg.json", cfg.into_bytes()), ("sae_weights.safetensors", weights)])
}

/// Features beyond f32 by edits, and those of a row of zeros, which cannot be given a length: the layer is that of the hook.
#[test]
fn features_that_are_not_finite_name_their_layer() {
    for choice in [BackendChoice::Cpu, BackendChoice::Gpu] {
        for (name, hook, layer) in [
            ("standard-resid-post", None, 1),
            ("topk-rescaled", None, 3),
            ("pursuit-mlp-out", Some("blocks.3.hook_resid_post"), 3),
        ] {
            let of = if hook.is_some() { "gpt2" } else { "llama-gqa" };
            let Some(model) = load_on(&root().join("tests/goldens/models").join(of), choice) else {
                return;
            };
            let options = SaeOptions {
                hook: hook.map(str::to_owned),
                error_term: true,
            };
            let sae = block_on(model.attach_sae(&rescaled(name), &options)).unwrap();
            let huge = [Edit::clamp(0, 0, 3e38), Edit::add(0, 0, 3e38)].map(|edit| edit.sae(&*sae.hook));
            let zeros = (0..sae.d_in).map(|index| Edit::ablate(layer, index)).collect();
            for edits in [huge.to_vec(), zeros] {
                let options = RunOptions {
                    edits,
                    ..RunOptions::default()
                };
                let error = block_on(model.run(&[3, 1, 4], &options, &Cancel::default())).unwrap_err();
                assert_eq!(error.code(), Code::NonFinite, "{name}");
                assert!(
                    error.to_string().contains(&format!("layer {layer}")),
                    "{name}, {choice:?}: {error}"
                );
            }
        }
    }
}

/// The files of a matching pursuit in one step, one row of whose decoder is so long that its score of most inputs is no finite number.
fn steep() -> MemorySource {
    let [cfg, mut weights] = ["cfg.json", "sae_weights.safetensors"]
        .map(|file| std::fs::read(folder("pursuit-mlp-out").join(file)).unwrap());
    let header = 8 + u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
    let info: Value = serde_json::from_slice(&weights[8..header]).unwrap();
    let d_in = info["W_dec"]["shape"][1].as_u64().unwrap() as usize;
    for (tensor, numbers) in [("W_dec", [-3e38f32, 3e38]), ("b_dec", [0.0; 2])] {
        let first = header + info[tensor]["data_offsets"][0].as_u64().unwrap() as usize;
        let row = &mut weights[first..][..4 * d_in];
        row.fill(0);
        row[..4].copy_from_slice(&numbers[0].to_le_bytes());
        row[4..8].copy_from_slice(&numbers[1].to_le_bytes());
    }
    let cfg = String::from_utf8(cfg).unwrap();
    let cfg = cfg
        .replace(r#""max_iterations": 5"#, r#""max_iterations": 1"#)
        .into_bytes();
    MemorySource::new([("cfg.json", cfg), ("sae_weights.safetensors", weights)])
}

/// No feature is taken for such a score: one below all others would go unnoticed.
#[test]
fn scores_of_a_pursuit_that_are_not_finite_name_their_layer() {
    for choice in [BackendChoice::Cpu, BackendChoice::Gpu] {
        let Some(model) = load_on(&root().join("tests/goldens/models/gpt2"), choice) else {
            return;
        };
        let options = SaeOptions {
            hook: Some("blocks.3.hook_resid_post".into()),
            error_term: false,
        };
        block_on(model.attach_sae(&steep(), &options)).unwrap();
        // −∞, ∞, and the one less the other.
        for input in [[80.0, -80.0], [-80.0, 80.0], [80.0, 80.0]] {
            let options = RunOptions {
                edits: input
                    .iter()
                    .enumerate()
                    .map(|(index, value)| Edit::clamp(3, index, *value))
                    .collect(),
                ..RunOptions::default()
            };
            let error = block_on(model.run(&[3, 1, 4], &options, &Cancel::default())).unwrap_err();
            assert_eq!(error.code(), Code::NonFinite);
            assert!(error.to_string().contains("layer 3"), "{input:?}, {choice:?}: {error}");
        }
        let still = [Edit::clamp(3, 0, 0.0), Edit::clamp(3, 1, 0.0)];
        let options = RunOptions {
            edits: still.to_vec(),
            ..RunOptions::default()
        };
        block_on(model.run(&[3, 1, 4], &options, &Cancel::default())).unwrap();
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let model = load(&root().join("tests/goldens/models/llama-gqa"), BackendChoice::Cpu).unwrap();
    // Made for a model of another width.
    let error = attach(&model, "topk-resid-pre", false).unwrap_err();
    assert_eq!(error.code(), Code::Config);
    assert!(error.to_string().contains("d_in is 60"), "{error}");
    attach(&model, "standard-resid-post", false).unwrap();
    let twice = attach(&model, "standard-resid-post", false).unwrap_err();
    assert!(twice.to_string().contains("detach it first"), "{twice}");
    let source = FolderSource::new(folder("standard-hook-z")).unwrap();
    let options = SaeOptions {
        hook: Some("blocks.0.attn.hook_pattern".into()),
        error_term: false,
    };
    let nowhere = block_on(model.attach_sae(&source, &options)).unwrap_err();
    assert_eq!(nowhere.code(), Code::Hook);
    // A hook has one name, here as for `run`.
    for hook in ["blocks.00.attn.hook_z", "blocks.+0.attn.hook_z"] {
        let options = SaeOptions {
            hook: Some(hook.into()),
            error_term: false,
        };
        assert_eq!(
            block_on(model.attach_sae(&source, &options)).unwrap_err().code(),
            Code::Hook
        );
        assert_eq!(refused_hook(&model, hook).code(), Code::Hook);
    }
    assert_eq!(
        refused_hook(&model, "blocks.1.hook_resid_post.hook_sae_acts").to_string(),
        "hook blocks.1.hook_resid_post.hook_sae_acts does not exist; blocks.1. has attn.hook_{k, pattern, q, rot_k, rot_q, v, z}, \
         hook_{attn_out, mlp_out, resid_mid, resid_post, resid_pre, topk_in, topk_out}, mlp.hook_{post, pre, pre_linear}, \
         hook_resid_post.hook_sae_{acts_post, error, input, recons}"
    );
    assert_eq!(
        refused_hook(&model, "hook_nope").to_string(),
        "hook hook_nope does not exist; this model has hook_embed, ln_final.hook_normalized, and blocks.0. to blocks.3. with their own"
    );
    let options = RunOptions {
        edits: vec!["sae=blocks.0.hook_mlp_out,index=0,action=ablate".parse().unwrap()],
        ..RunOptions::default()
    };
    let unknown = block_on(model.run(&[1], &options, &Cancel::default())).unwrap_err();
    assert!(
        unknown.to_string().contains("attached: blocks.1.hook_resid_post"),
        "{unknown}"
    );
    let options = RunOptions {
        edits: vec!["sae=blocks.1.hook_resid_post,index=96,action=ablate".parse().unwrap()],
        ..RunOptions::default()
    };
    let beyond = block_on(model.run(&[1], &options, &Cancel::default())).unwrap_err();
    assert!(beyond.to_string().contains("are 0 to 95"), "{beyond}");
    for ids in [&[1][..], &[]] {
        let short = block_on(model.sae_quality(ids, &Cancel::default())).unwrap_err();
        assert_eq!(short.code(), Code::Argument);
        assert!(short.to_string().contains("at least"), "{short}");
    }
    assert!(golden_models().len() > 10);
}

/// `analyze --sae` over a text: the sums are those of the documents, and a feature's density is the share of positions where it is active.
#[test]
fn analysis_of_features() {
    let out = std::env::temp_dir().join(format!("topk-lm-saes-{}", std::process::id()));
    std::fs::create_dir_all(&out).unwrap();
    let documents = [vec![3, 1, 4, 1, 5, 9, 2, 6], vec![7], vec![2, 7, 1, 8, 2, 8]];
    let model = root().join("tests/goldens/models/llama-gqa");
    let saes = [(folder("standard-resid-post"), SaeOptions::default())];
    let analyze = |documents: &[Vec<u32>]| topk_lm::features::saes::analyze_saes(&model, documents, &saes, &out);
    let quality = analyze(&documents).unwrap();
    assert_eq!((quality.tokens, quality.saes[0].positions), (12, 14));
    let written = json(&out.join("saes/0.json"));
    assert_eq!(
        (&written["format"], &written["hook"]),
        (&1.into(), &"blocks.1.hook_resid_post".into())
    );
    let features = written["features"].as_array().unwrap();
    assert_eq!(features.len(), 96);
    // Without the first position of each document and special tokens, of which this model has some.
    let positions = written["corpus"]["positions"].as_f64().unwrap();
    assert!(positions > 8.0 && positions <= 12.0);
    let one = load(&model, BackendChoice::Cpu).unwrap();
    attach(&one, "standard-resid-post", false).unwrap();
    let options = RunOptions {
        hooks: vec!["blocks.1.hook_resid_post.hook_sae_acts_post".into()],
        ..RunOptions::default()
    };
    let run = block_on(one.run(&[3, 1, 4, 1, 5, 9, 2, 6], &options, &Cancel::default())).unwrap();
    let first = &run.hooks["blocks.1.hook_resid_post.hook_sae_acts_post"].data;
    let busiest = (0..96)
        .max_by_key(|i| first.iter().skip(*i).step_by(96).filter(|v| **v > 0.0).count())
        .unwrap();
    assert!(features[busiest]["density"].as_f64().unwrap() > 0.3);
    assert!(features[busiest]["tokens"].as_array().unwrap().len() > 1);
    assert!(analyze(&documents[1..2])
        .unwrap_err()
        .to_string()
        .contains("two tokens or more"));
    std::fs::remove_dir_all(&out).unwrap();
}
