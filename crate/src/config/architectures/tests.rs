//! One example of each architecture: what its keys mean, its defaults, and what is refused.

use serde_json::{json, Value};

use super::Architecture;
use crate::config::{Activation, Biases, Config, Norm, Positions, Residual, Rope, RopeScaling};
use crate::error::Result;

/// The smallest config of an architecture, with `changes`.
fn config(architecture: Architecture, changes: Value) -> Result<Config> {
    let keys = &architecture.definition().keys;
    let mut config = json!({"architectures": [architecture.class_name()], "model_type": architecture.model_type(),
        "vocab_size": 128, "topk_k": 9, "n_nontopk": 1});
    config[keys.d_model.0[0]] = json!(64);
    config[keys.n_layers.0[0]] = json!(4);
    config[keys.n_heads.0[0]] = json!(4);
    config[keys.n_ctx.0[0]] = json!(64);
    config[keys.d_mlp.0] = json!(70);
    if let Some((key, _)) = keys.n_kv_heads {
        config[key] = json!(2);
    }
    if architecture == Architecture::GptNeo {
        config["attention_types"] = json!([[["global", "local"], 2]]);
    }
    for (key, value) in changes.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    Config::from_json(config.to_string().as_bytes())
}

fn plain(architecture: Architecture) -> Config {
    config(architecture, json!({})).unwrap()
}

fn refused(architecture: Architecture, key: &str, value: Value) {
    let error = config(architecture, json!({key: value})).expect_err(&format!("{key} = {value} was accepted"));
    let message = error.to_string();
    let starts = message.starts_with("config.json: ");
    assert!(starts && message.contains(key) && message.len() < 250, "{message}");
}

fn rope(config: &Config) -> &Rope {
    config.rope().unwrap()
}

#[test]
fn all_are_found_by_either_name_and_take_topk() {
    for architecture in Architecture::ALL.iter().copied() {
        let whole = plain(architecture);
        assert_eq!(whole.architecture, architecture);
        assert_eq!(
            (whole.topk.map(|topk| topk.k), whole.n_nontopk, whole.n_layers),
            (Some(9), 1, 4)
        );
        assert_eq!((whole.d_model, whole.n_ctx, whole.d_mlp), (64, 64, 70));
        assert_eq!(config(architecture, json!({"architectures": null})).unwrap(), whole);
        assert_eq!(config(architecture, json!({"model_type": null})).unwrap(), whole);
        assert_eq!(config(architecture, json!({"topk_k": null})).unwrap().topk, None);
    }
}

#[test]
fn an_unknown_model_is_told_what_is_supported() {
    let error = |json: Value| Config::from_json(json.to_string().as_bytes()).unwrap_err().to_string();
    let by_type = error(json!({"model_type": "none_such"}));
    assert!(
        by_type.contains("model_type \"none_such\" is not supported; it must be one of llama, "),
        "{by_type}"
    );
    let by_class = error(json!({"architectures": ["NoneSuchForCausalLM"]}));
    let neither = error(json!({}));
    for architecture in Architecture::ALL {
        assert!(by_type.contains(architecture.model_type()), "{by_type}");
        assert!(by_class.contains(architecture.class_name()), "{by_class}");
        assert!(neither.contains(architecture.class_name()), "{neither}");
    }
}

#[test]
fn gpt_neox() {
    let pythia = plain(Architecture::GptNeoX);
    assert_eq!((pythia.norm, pythia.residual), (Norm::Layer, Residual::Parallel));
    assert_eq!((pythia.mlp.gated, pythia.mlp.activation), (false, Activation::Gelu));
    assert_eq!((pythia.biases, pythia.tie_word_embeddings), (Biases::ALL, false));
    assert_eq!(
        (pythia.bos_token_id, pythia.eos_token_ids.as_slice()),
        (Some(0), &[2][..])
    );
    let neox = |changes| config(Architecture::GptNeoX, changes);
    assert_eq!((rope(&pythia).dims, rope(&pythia).theta), (4, 10_000.0));
    let half =
        json!({"rotary_pct": 0.5, "rotary_emb_base": 500, "use_parallel_residual": false, "attention_bias": false});
    let half = neox(half).unwrap();
    assert_eq!(
        (rope(&half).dims, rope(&half).theta, half.residual),
        (8, 500.0, Residual::Serial)
    );
    assert_eq!(
        half.biases,
        Biases {
            qkv: false,
            attn_out: false,
            ..Biases::ALL
        }
    );
    let new = json!({"rope_parameters": {"rope_type": "default", "rope_theta": 500, "partial_rotary_factor": 0.5},
        "use_parallel_residual": false, "attention_bias": false});
    assert_eq!(neox(new).unwrap(), half);
    for (key, value) in [
        ("rotary_pct", json!(0.2)),
        ("rotary_pct", json!(2)),
        ("rotary_pct", json!(0)),
        ("rope_scaling", json!({"type": "yarn", "factor": 2})),
        ("hidden_act", json!("quick_gelu")),
        ("sliding_window", json!(8)),
        ("use_parallel_residual", json!(1)),
        ("num_attention_heads", json!(5)),
        ("head_dim", json!(7)),
    ] {
        refused(Architecture::GptNeoX, key, value);
    }
    // transformers does not heed the others' names here.
    for (key, usual, other) in [("rope_theta", 10_000.0, 1e6), ("partial_rotary_factor", 0.25, 0.5)] {
        assert!(neox(json!({key: usual})).is_ok());
        let error = neox(json!({key: other})).unwrap_err().to_string();
        assert!(error.contains(&format!("{key} without rotary_")), "{error}");
    }
    let twice = neox(json!({"rotary_pct": 0.5, "partial_rotary_factor": 1.0})).unwrap_err();
    assert!(twice
        .to_string()
        .contains("rotary_pct is 0.5, but partial_rotary_factor is 1"));
}

#[test]
fn gpt_neo() {
    let tiny = config(Architecture::GptNeo, json!({"window_size": 16})).unwrap();
    assert_eq!((tiny.norm, &tiny.positions), (Norm::Layer, &Positions::Learned));
    assert_eq!((tiny.attn_scale, tiny.tie_word_embeddings), (1.0, true));
    assert_eq!((tiny.mlp.gated, tiny.mlp.activation), (false, Activation::GeluTanh));
    assert_eq!(
        tiny.biases,
        Biases {
            qkv: false,
            ..Biases::ALL
        }
    );
    assert_eq!(tiny.windows, [None, Some(16), None, Some(16)]);
    // A window that holds the whole context hides nothing.
    assert_eq!(plain(Architecture::GptNeo).windows, []);
    let same = json!({"window_size": 16, "attention_layers": ["global", "local", "global", "local"],
        "attention_types": [[["global"], 1], [["local", "global"], 1], [["local"], 1]]});
    assert_eq!(config(Architecture::GptNeo, same).unwrap(), tiny);
    for value in [
        json!([[["global", "local"], 3]]),
        json!([[["global"], 1]]),
        json!([[[], 18_446_744_073_709_551_615u64]]),
        json!([[["global"], 18_446_744_073_709_551_615u64]]),
        json!([[["sliding"], 4]]),
        json!([["global", 4]]),
        json!([4]),
        json!("global"),
    ] {
        refused(Architecture::GptNeo, "attention_types", value);
    }
    refused(
        Architecture::GptNeo,
        "attention_layers",
        json!(["global", "global", "global", "local"]),
    );
    refused(Architecture::GptNeo, "window_size", json!(0));
}

#[test]
fn qwen() {
    let two = config(
        Architecture::Qwen2,
        json!({"sliding_window": 8, "max_window_layers": 0}),
    )
    .unwrap();
    let qkv = Biases {
        qkv: true,
        ..Biases::default()
    };
    assert_eq!(
        (two.norm, two.biases, two.qk_norm, two.d_head),
        (Norm::Rms, qkv, false, 16)
    );
    assert_eq!((two.windows.len(), two.n_kv_heads, two.bos_token_id), (0, 2, None));
    assert_eq!((two.mlp.gated, two.mlp.activation), (true, Activation::Silu));
    let on = json!({"use_sliding_window": true, "sliding_window": 8, "max_window_layers": 3});
    assert_eq!(
        config(Architecture::Qwen2, on).unwrap().windows,
        [None, None, None, Some(8)]
    );

    let three = plain(Architecture::Qwen3);
    assert_eq!(
        (three.qk_norm, three.d_head, three.biases),
        (true, 128, Biases::default())
    );
    let by_layer = json!({"use_sliding_window": true, "sliding_window": 8, "head_dim": 16, "attention_bias": true,
        "layer_types": ["full_attention", "sliding_attention", "full_attention", "full_attention"]});
    let three = config(Architecture::Qwen3, by_layer).unwrap();
    assert_eq!(three.windows, [None, Some(8), None, None]);
    assert_eq!(
        (three.d_head, three.biases.attn_out, three.biases.mlp_in),
        (16, true, false)
    );
    for (key, value) in [
        ("layer_types", json!(["full_attention"])),
        (
            "layer_types",
            json!([
                "full_attention",
                "chunked_attention",
                "full_attention",
                "full_attention"
            ]),
        ),
        (
            "layer_types",
            json!([
                "full_attention",
                "sliding_attention",
                "full_attention",
                "full_attention"
            ]),
        ),
        ("head_dim", json!(7)),
        ("partial_rotary_factor", json!(0.5)),
        ("max_window_layers", json!(-1)),
    ] {
        refused(Architecture::Qwen3, key, value);
    }
    let wrong = json!({"use_sliding_window": true, "sliding_window": -1});
    let error = config(Architecture::Qwen3, wrong).unwrap_err().to_string();
    assert!(error.contains("sliding_window must be"), "{error}");
}

#[test]
fn mistral() {
    let plain = plain(Architecture::Mistral);
    assert_eq!(
        (plain.norm, plain.biases, plain.qk_norm),
        (Norm::Rms, Biases::default(), false)
    );
    assert_eq!((plain.mlp.gated, plain.mlp.activation), (true, Activation::Silu));
    assert_eq!(
        (plain.bos_token_id, plain.eos_token_ids.as_slice()),
        (Some(1), &[2][..])
    );
    let mistral = |changes| config(Architecture::Mistral, changes).unwrap();
    assert_eq!(mistral(json!({"sliding_window": 8})).windows, [Some(8); 4]);
    // Where the key is absent 4,096 positions are seen, where it is null all.
    let long = json!({"max_position_embeddings": 5000});
    assert_eq!(mistral(long).windows, [Some(4096); 4]);
    let long = json!({"max_position_embeddings": 5000, "sliding_window": null});
    assert_eq!(mistral(long).windows, []);
    assert_eq!(
        mistral(json!({"num_attention_heads": 16, "num_key_value_heads": null})).n_kv_heads,
        16
    );
    for (key, value) in [
        ("sliding_window", json!(0)),
        ("sliding_window", json!("8")),
        ("head_dim", json!(7)),
        ("partial_rotary_factor", json!(0.5)),
        ("hidden_act", json!("quick_gelu")),
    ] {
        refused(Architecture::Mistral, key, value);
    }
}

#[test]
fn gemma() {
    let two = config(
        Architecture::Gemma2,
        json!({"sliding_window": 8, "query_pre_attn_scalar": 16}),
    )
    .unwrap();
    assert_eq!((two.norm, two.post_norms, two.qk_norm), (Norm::Rms, true, false));
    assert_eq!((two.attn_softcap, two.logit_softcap), (Some(50.0), Some(30.0)));
    assert_eq!((two.attn_scale, two.embed_scale), (0.25, 8.0));
    assert_eq!(two.windows, [Some(8), None, Some(8), None]);
    assert_eq!((two.mlp.gated, two.mlp.activation), (true, Activation::GeluTanh));
    assert_eq!(
        (two.tie_word_embeddings, two.d_head, rope(&two).local_theta),
        (true, 256, None)
    );
    let uncapped = json!({"attn_logit_softcapping": null, "final_logit_softcapping": null});
    let uncapped = config(Architecture::Gemma2, uncapped).unwrap();
    assert_eq!((uncapped.attn_softcap, uncapped.logit_softcap), (None, None));

    // As transformers 4 and as transformers 5 write the same.
    let old = json!({"sliding_window": 8, "sliding_window_pattern": 3, "rope_theta": 5000, "rope_local_base_freq": 100,
        "rope_scaling": {"rope_type": "linear", "factor": 8}});
    let new = json!({"sliding_window": 8,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
        "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8, "rope_theta": 5000},
            "sliding_attention": {"rope_type": "default", "rope_theta": 100}}});
    let three = config(Architecture::Gemma3, old).unwrap();
    assert_eq!(config(Architecture::Gemma3, new).unwrap(), three);
    assert_eq!(three.windows, [Some(8), Some(8), None, Some(8)]);
    assert_eq!(
        (three.qk_norm, three.attn_softcap, three.logit_softcap),
        (true, None, None)
    );
    let expected = Rope {
        theta: 5000.0,
        scaling: RopeScaling::Linear { factor: 8.0 },
        dims: 256,
        local_theta: Some(100.0),
    };
    assert_eq!(rope(&three), &expected);
    // The defaults; a window that holds the context stays, for those layers have another RoPE.
    let three = plain(Architecture::Gemma3);
    assert_eq!((rope(&three).theta, rope(&three).local_theta), (1e6, Some(1e4)));
    assert_eq!(three.windows, [Some(64); 4]);
    // Without a window only where no layer would have one.
    let full = json!({"sliding_window": null, "layer_types": vec!["full_attention"; 4]});
    assert_eq!(config(Architecture::Gemma3, full).unwrap().windows, []);
    let full = json!({"sliding_window": null, "sliding_window_pattern": 1});
    assert_eq!(config(Architecture::Gemma3, full).unwrap().windows, []);
    for (key, value) in [
        ("attn_logit_softcapping", json!(50)),
        ("final_logit_softcapping", json!(0)),
        ("use_bidirectional_attention", json!(true)),
        ("is_causal", json!(false)),
        ("topk_embed", json!(true)),
        ("rope_parameters", json!({"rope_type": "default"})),
        (
            "rope_parameters",
            json!({"sliding_attention": {"rope_type": "linear", "factor": 2}}),
        ),
        ("rope_local_base_freq", json!(-1)),
        ("query_pre_attn_scalar", json!(0)),
        ("sliding_window_pattern", json!(0)),
        ("sliding_window", json!("8")),
        ("sliding_window", json!(null)),
        (
            "rope_scaling",
            json!({"full_attention": {"rope_type": "linear", "factor": 2}}),
        ),
        ("hidden_activation", json!("geglu")),
    ] {
        refused(Architecture::Gemma3, key, value);
    }
}
