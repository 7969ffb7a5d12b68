use serde_json::{json, Value};

use super::*;

mod refused;

fn llama(changes: Value) -> Result<Config> {
    let mut config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 128, "hidden_size": 48,
        "intermediate_size": 70, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "topk_k": 9, "n_nontopk": 1
    });
    merge(&mut config, changes);
    Config::from_json(config.to_string().as_bytes())
}

fn gpt2(changes: Value) -> Result<Config> {
    let mut config = json!({
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": 113, "n_embd": 60, "n_layer": 2,
        "n_head": 5, "n_positions": 64, "topk_k": 11
    });
    merge(&mut config, changes);
    Config::from_json(config.to_string().as_bytes())
}

fn merge(config: &mut Value, changes: Value) {
    for (key, value) in changes.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
}

#[test]
fn defaults_are_those_of_transformers() {
    // Saved by transformers with the class of modeling_topk.py.
    let ours = br#"{"architectures": ["TopKLlamaForCausalLM"], "model_type": "llama"}"#;
    assert_eq!(Config::from_json(ours).unwrap().architecture, Architecture::Llama);
    let config = Config::from_json(br#"{"architectures": ["LlamaForCausalLM"]}"#).unwrap();
    assert_eq!(
        (config.d_vocab, config.d_model, config.d_mlp, config.n_layers),
        (32_000, 4096, 11_008, 32)
    );
    assert_eq!(
        (config.n_heads, config.n_kv_heads, config.d_head, config.n_ctx),
        (32, 32, 128, 2048)
    );
    assert_eq!(
        (config.norm_eps, config.tie_word_embeddings, config.topk),
        (1e-6, false, None)
    );
    assert_eq!(
        config.rope().cloned(),
        Some(Rope {
            theta: 10_000.0,
            scaling: RopeScaling::None,
            dims: 128,
            local_theta: None,
        })
    );
    assert_eq!(
        (config.bos_token_id, config.eos_token_ids.as_slice()),
        (Some(1), &[2][..])
    );
    assert!(!config.biases.qkv && !config.biases.mlp_in);
    let more_than_32_bits: u64 = config.n_parameters();
    assert_eq!(more_than_32_bits, 6_738_415_616);

    let config = Config::from_json(br#"{"model_type": "gpt2", "n_inner": null, "architectures": null}"#).unwrap();
    assert_eq!(
        (config.d_vocab, config.d_model, config.d_mlp, config.n_layers),
        (50_257, 768, 3072, 12)
    );
    assert_eq!(
        (config.n_heads, config.n_kv_heads, config.d_head, config.n_ctx),
        (12, 12, 64, 1024)
    );
    assert_eq!(
        (config.norm_eps, config.tie_word_embeddings, config.rope().cloned()),
        (1e-5, true, None)
    );
    assert_eq!(
        (config.bos_token_id, config.eos_token_ids.as_slice()),
        (Some(50_256), &[50_256][..])
    );
    assert!(config.biases.qkv && config.biases.mlp_in);
    assert_eq!(config.n_parameters(), 124_439_808);
}

#[test]
fn null_is_the_default_and_unknown_keys_are_ignored() {
    let plain = llama(json!({})).unwrap();
    let nulls = json!({"head_dim": null, "rope_scaling": null, "rope_parameters": {}, "hidden_act": null, "mlp_bias": null,
        "quantization_config": null, "sliding_window": null, "pretraining_tp": null, "topk_select": null, "dtype": null,
        "torch_dtype": "bfloat16", "tokens_seen": 7, "made_up": {"a": [1]}});
    assert_eq!(llama(nulls).unwrap(), plain);
    assert_eq!(llama(json!({"num_key_value_heads": null})).unwrap().n_kv_heads, 4);
    assert_eq!(llama(json!({"topk_k": null})).unwrap().topk, None);
}

#[test]
fn both_rope_styles() {
    let old = llama(json!({"rope_theta": 500.0, "rope_scaling": {"type": "linear", "factor": 2}})).unwrap();
    let new = json!({"rope_theta": 500.0, "rope_type": "linear", "factor": 2.0});
    let linear = Some(Rope {
        theta: 500.0,
        scaling: RopeScaling::Linear { factor: 2.0 },
        dims: 12,
        local_theta: None,
    });
    assert_eq!(old.rope().cloned(), linear);
    assert_eq!(llama(json!({"rope_parameters": new})).unwrap().rope().cloned(), linear);
    assert_eq!(
        llama(json!({"rope_parameters": new, "rope_scaling": new, "rope_theta": 500}))
            .unwrap()
            .rope()
            .cloned(),
        linear
    );
    let llama3 = json!({"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0});
    let scaling = RopeScaling::Llama3 {
        factor: 4.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 64.0,
    };
    assert_eq!(
        llama(json!({"rope_scaling": llama3})).unwrap().rope().cloned(),
        Some(Rope {
            theta: 10_000.0,
            scaling,
            dims: 12,
            local_theta: None,
        })
    );
}

#[test]
fn special_ids() {
    let ids = |value: Value| llama(json!({"eos_token_id": value})).map(|config| config.eos_token_ids);
    assert_eq!(ids(json!(5)).unwrap(), [5]);
    assert_eq!(ids(json!([5, 7, 5])).unwrap(), [5, 7]);
    assert_eq!(ids(json!(null)).unwrap(), Vec::<u32>::new());
    // transformers' own default for GPT-2 is beyond a small vocabulary, and −1 is in the wild: neither ever occurs.
    assert_eq!(ids(json!([-1, 128, 3])).unwrap(), [3]);
    assert_eq!(gpt2(json!({})).unwrap().bos_token_id, None);
    assert_eq!(gpt2(json!({"bos_token_id": 0})).unwrap().bos_token_id, Some(0));
    assert!(ids(json!("2")).is_err() && ids(json!([[2]])).is_err() && ids(json!(1.5)).is_err());
}

#[test]
fn a_long_list_of_ids_takes_no_long_time() {
    let ids: Vec<u32> = (0..300_000).chain(0..300_000).collect();
    let config = llama(json!({"vocab_size": 1 << 20, "eos_token_id": ids})).unwrap();
    assert_eq!(config.eos_token_ids.len(), 300_000);
}

#[test]
fn gpt2_without_scaled_scores_and_with_its_other_order_of_sums() {
    let plain = gpt2(json!({})).unwrap();
    let unscaled = gpt2(json!({"scale_attn_weights": false})).unwrap();
    assert_eq!((plain.attn_scale, unscaled.attn_scale), (1.0 / 12f32.sqrt(), 1.0));
    assert_eq!(
        Config {
            attn_scale: plain.attn_scale,
            ..unscaled
        },
        plain
    );
    assert_eq!(gpt2(json!({"reorder_and_upcast_attn": true})).unwrap(), plain);
}

#[test]
fn gpt2_takes_the_general_names_too() {
    let general = json!({"n_embd": null, "hidden_size": 60, "num_hidden_layers": 2, "n_inner": 100});
    assert_eq!(gpt2(general).unwrap().d_mlp, 100);
    assert_eq!(
        gpt2(json!({"activation_function": "gelu_pytorch_tanh"})),
        gpt2(json!({}))
    );
}

#[test]
fn what_changes_nothing_is_accepted() {
    let same = llama(json!({})).unwrap();
    let harmless = json!({"sliding_window": 64, "pretraining_tp": 2, "hidden_act": "silu", "partial_rotary_factor": 1.0,
        "layer_types": ["full_attention"], "rope_scaling": {"rope_type": "default"}, "topk_post": "identity"});
    assert_eq!(llama(harmless).unwrap(), same);
    assert_eq!(
        llama(json!({"sliding_window": 8, "use_sliding_window": false})).unwrap(),
        same
    );
}

#[test]
fn a_cache_that_is_too_large_is_one_in_f16_or_of_fewer_positions() {
    let long = json!({"model_type": "llama", "hidden_size": 16, "intermediate_size": 16, "vocab_size": 16, "num_attention_heads": 2,
        "head_dim": 8, "num_hidden_layers": 1 << 12, "max_position_embeddings": 1 << 22});
    let read = |most, cache| Config::from_json_within(long.to_string().as_bytes(), most, cache);
    assert_eq!(
        read(None, CacheDtype::F32).unwrap_err().to_string(),
        "config.json: max_position_embeddings = 4194304 makes a key-value cache or attention that no memory holds; load fewer positions \
         (maxContext, --max-context)"
    );
    assert_eq!(read(None, CacheDtype::F16).unwrap().cache_dtype, CacheDtype::F16);
    assert_eq!(read(Some(1 << 21), CacheDtype::F32).unwrap().n_ctx, 1 << 21);
}

#[test]
fn generation_defaults() {
    let read = |value: Value| GenerationDefaults::from_json(value.to_string().as_bytes(), 100);
    assert_eq!(
        read(json!({"transformers_version": "5.0.0"})).unwrap(),
        GenerationDefaults::default()
    );
    let all = json!({"temperature": 0.7, "top_k": 40, "top_p": 0.9, "repetition_penalty": 1.2, "eos_token_id": [2, 3],
        "max_new_tokens": 128, "do_sample": true});
    let expected = GenerationDefaults {
        temperature: Some(0.7),
        top_k: Some(40),
        top_p: Some(0.9),
        repetition_penalty: Some(1.2),
        eos_token_ids: Some(vec![2, 3]),
        max_new_tokens: Some(128),
    };
    assert_eq!(read(all).unwrap(), expected);
    assert_eq!(read(json!({"eos_token_id": null})).unwrap().eos_token_ids, Some(vec![]));
    assert_eq!(
        read(json!({"do_sample": false, "temperature": 0.7}))
            .unwrap()
            .temperature,
        Some(0.0)
    );
    for (key, value) in [
        ("temperature", json!(-1)),
        ("temperature", json!("1")),
        ("top_k", json!(-1)),
        ("top_k", json!(1.5)),
        ("top_p", json!(1.01)),
        ("top_p", json!(0)),
        ("top_p", json!(1e-60)),
        ("repetition_penalty", json!(0)),
        ("eos_token_id", json!({})),
        ("do_sample", json!(0)),
        ("max_new_tokens", json!(0)),
    ] {
        let message = read(json!({key: value})).unwrap_err().to_string();
        assert!(
            message.starts_with("generation_config.json: ") && message.contains(key),
            "{message}"
        );
    }
}

mod fuzz {
    use proptest::prelude::*;

    use super::*;

    /// A config with bytes changed, cut or doubled is read or refused, and what is read keeps its promises.
    fn check(bytes: &[u8]) {
        let Ok(config) = Config::from_json(bytes) else { return };
        assert!(config.d_query() > 0 && config.d_kv() > 0 && config.n_heads % config.n_kv_heads == 0);
        assert!(config.rope().is_none() || config.d_head % 2 == 0);
        assert!(config.n_nontopk <= config.n_layers && config.topk.is_none_or(|topk| topk.k > 0));
        assert!(config
            .eos_token_ids
            .iter()
            .chain(&config.bos_token_id)
            .all(|&id| (id as usize) < config.d_vocab));
    }

    const SEED: &[u8] =
        br#"{"architectures":["LlamaForCausalLM"],"vocab_size":128,"hidden_size":48,"head_dim":12,"topk_k":9,
        "num_attention_heads":4,"num_key_value_heads":2,"max_position_embeddings":64,"eos_token_id":[1,2],"n_nontopk":1,
        "rope_scaling":{"type":"llama3","factor":2.0,"low_freq_factor":1,"high_freq_factor":4},"rms_norm_eps":1e-5}"#;

    proptest! {
        #[test]
        fn mutated_bytes(changes in prop::collection::vec((0..SEED.len(), any::<u8>()), 1..6), cut in 0..SEED.len()) {
            let mut bytes = SEED.to_vec();
            for (at, byte) in changes {
                bytes[at] = byte;
            }
            check(&bytes);
            check(&bytes[..cut]);
        }

        #[test]
        fn mutated_values(key in 0usize..13, value in prop_oneof![
            any::<i64>().prop_map(Value::from), any::<f64>().prop_map(Value::from), any::<bool>().prop_map(Value::from),
            "[a-z]{0,9}".prop_map(Value::from), Just(json!([])), Just(json!({})), any::<u32>().prop_map(Value::from)
        ]) {
            let mut config: Value = serde_json::from_slice(SEED).unwrap();
            let name = config.as_object().unwrap().keys().nth(key).unwrap_or(&"topk_k".to_string()).clone();
            config[name] = value;
            check(config.to_string().as_bytes());
        }
    }
}

#[test]
fn matrices_of_4_bits_are_announced() {
    let read = |quantization: Value| {
        llama(json!({ "quantization_config": quantization }))
            .unwrap()
            .quantization
    };
    let of = |method, group_size| Some(Quantization { method, group_size });
    assert_eq!(read(json!(null)), None);
    assert_eq!(
        read(json!({"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": true, "desc_act": false})),
        of(QuantMethod::Gptq { v1: true }, Some(128))
    );
    assert_eq!(
        read(json!({"quant_method": "gptq", "bits": 4, "group_size": -1, "checkpoint_format": "gptq_v2"})),
        of(QuantMethod::Gptq { v1: false }, None)
    );
    assert_eq!(
        read(json!({"quant_method": "awq", "w_bit": 4, "q_group_size": 64, "version": "GEMM", "zero_point": true})),
        of(QuantMethod::Awq, Some(64))
    );
}
