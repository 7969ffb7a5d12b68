//! Configurations that are refused, each in a sentence that names its key.

use super::*;

#[test]
fn every_refusal_names_its_key() {
    let cases = [
        ("vocab_size", json!(0)),
        ("vocab_size", json!(-3)),
        ("vocab_size", json!(1e30)),
        ("hidden_size", json!("48")),
        ("hidden_size", json!(48.0)),
        ("intermediate_size", json!((1 << 24) + 1)),
        ("num_hidden_layers", json!(true)),
        ("num_attention_heads", json!(5)),
        ("num_key_value_heads", json!(3)),
        ("head_dim", json!(7)),
        ("max_position_embeddings", json!(u64::MAX)),
        ("rms_norm_eps", json!(-1e-5)),
        ("rms_norm_eps", json!(1e-60)),
        ("hidden_act", json!("quick_gelu")),
        ("hidden_act", json!(1)),
        ("rope_theta", json!(0)),
        ("rope_theta", json!("1e4")),
        ("rope_scaling", json!([1])),
        ("rope_scaling.rope_type", json!({"rope_type": "yarn", "factor": 2})),
        ("rope_scaling.type", json!({"type": "dynamic", "factor": 2})),
        ("rope_scaling.rope_type", json!({"factor": 2})),
        (
            "rope_parameters.rope_type",
            json!({"rope_theta": 10, "low_freq_factor": 2}),
        ),
        ("rope_scaling.factor", json!({"type": "linear"})),
        ("rope_scaling.factor", json!({"type": "linear", "factor": -2})),
        (
            "rope_scaling.high_freq_factor",
            json!({"type": "llama3", "low_freq_factor": 4, "high_freq_factor": 4, "factor": 2}),
        ),
        (
            "rope_parameters.partial_rotary_factor",
            json!({"partial_rotary_factor": 0.5}),
        ),
        (
            "rope_parameters.full_attention",
            json!({"full_attention": {"rope_type": "linear", "factor": 2}}),
        ),
        (
            "rope_scaling.sliding_attention",
            json!({"sliding_attention": {"rope_type": "default"}}),
        ),
        ("partial_rotary_factor", json!(0.25)),
        ("sliding_window", json!(32)),
        ("layer_types", json!(["sliding_attention"])),
        ("quantization_config", json!("gptq")),
        ("quantization_config.quant_method", json!({"bits": 4})),
        (
            "quantization_config.quant_method",
            json!({"quant_method": "bitsandbytes", "bits": 4}),
        ),
        (
            "quantization_config.bits",
            json!({"quant_method": "gptq", "bits": 8, "group_size": 32}),
        ),
        (
            "quantization_config.bits",
            json!({"quant_method": "gptq", "group_size": 32}),
        ),
        (
            "quantization_config.group_size",
            json!({"quant_method": "gptq", "bits": 4}),
        ),
        (
            "quantization_config.group_size",
            json!({"quant_method": "gptq", "bits": 4, "group_size": 12}),
        ),
        (
            "quantization_config.group_size",
            json!({"quant_method": "awq", "bits": 4, "group_size": 2048}),
        ),
        (
            "quantization_config.group_size",
            json!({"quant_method": "awq", "bits": 4, "group_size": 0}),
        ),
        (
            "quantization_config.checkpoint_format",
            json!({"quant_method": "gptq", "bits": 4, "group_size": 32, "checkpoint_format": "marlin"}),
        ),
        (
            "quantization_config.format",
            json!({"quant_method": "gptq", "bits": 4, "group_size": 32, "format": "marlin"}),
        ),
        (
            "quantization_config.version",
            json!({"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemv"}),
        ),
        ("tie_word_embeddings", json!("yes")),
        ("attention_bias", json!(1)),
        ("mlp_bias", json!([])),
        ("torch_dtype", json!(16)),
        ("topk_k", json!(0)),
        ("topk_k", json!(-1)),
        ("topk_k", json!(4.5)),
        ("topk_k", json!(false)),
        ("topk_k", json!("9")),
        ("n_nontopk", json!(5)),
        ("n_nontopk", json!(-1)),
        ("topk_select", json!("top")),
        ("topk_post", json!("gelu")),
        ("eos_token_id", json!("</s>")),
        ("bos_token_id", json!([1])),
        ("architectures", json!(["NoneSuchForCausalLM"])),
        ("architectures", json!(["LlamaForCausalLM", "GPT2LMHeadModel"])),
        ("architectures", json!(["GPT2LMHeadModel"])),
        ("architectures", json!("LlamaForCausalLM")),
        ("model_type", json!("none_such")),
    ];
    for (path, value) in cases {
        let key = path.split('.').next().unwrap();
        refused(llama(json!({key: value.clone()})), path, &value);
    }
    let cases = [
        ("n_head", json!(7)),
        ("n_embd", json!(0)),
        ("n_embd", json!(1u64 << 60)),
        ("n_inner", json!(0)),
        ("n_inner", json!("240")),
        ("hidden_size", json!(61)),
        ("activation_function", json!("gelu_10")),
        ("activation_function", json!("tanh")),
        ("scale_attn_weights", json!(0)),
        ("scale_attn_by_inverse_layer_idx", json!("yes")),
        ("reorder_and_upcast_attn", json!(1)),
        ("add_cross_attention", json!(true)),
        ("layer_norm_epsilon", json!(0)),
    ];
    for (key, value) in cases {
        refused(gpt2(json!({key: value.clone()})), key, &value);
    }
}

fn refused(result: Result<Config>, key: &str, value: &Value) {
    let error = result.expect_err(&format!("{key} = {value} was accepted"));
    let message = error.to_string();
    assert_eq!(error.code(), crate::error::Code::Config);
    assert!(
        message.starts_with("config.json: ") && message.contains(key),
        "{key} = {value}: {message}"
    );
    assert!(!message.contains('\n') && message.len() < 250, "{message}");
}

#[test]
fn contradictions_are_refused() {
    let twice = json!({"rope_scaling": {"type": "linear", "factor": 2}, "rope_parameters": {"rope_type": "default"}});
    assert!(llama(twice)
        .unwrap_err()
        .to_string()
        .contains("rope_scaling contradicts rope_parameters"));
    let types = json!({"rope_scaling": {"rope_type": "default", "type": "linear", "factor": 8.0}});
    assert!(llama(types)
        .unwrap_err()
        .to_string()
        .contains("rope_type is default, but type is linear"));
    let formats = json!({"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 32, "checkpoint_format": "gptq", "format": "gptq_v2"}});
    assert!(llama(formats)
        .unwrap_err()
        .to_string()
        .contains("checkpoint_format is gptq, but format is gptq_v2"));
    let theta = json!({"rope_theta": 10.0, "rope_parameters": {"rope_theta": 20.0}});
    assert!(llama(theta)
        .unwrap_err()
        .to_string()
        .contains("rope_parameters.rope_theta is 20"));
}

#[test]
fn sizes_whose_product_is_absurd_are_refused() {
    let huge = json!({"hidden_size": 1 << 24, "intermediate_size": 1 << 24, "num_attention_heads": 1 << 14,
        "num_key_value_heads": 1 << 14, "num_hidden_layers": 1 << 12, "vocab_size": 1 << 24});
    assert!(llama(huge).unwrap_err().to_string().contains("hidden_size"));
    let long = json!({"max_position_embeddings": 1 << 22, "head_dim": 1 << 14, "num_key_value_heads": 4});
    assert!(llama(long).unwrap_err().to_string().contains("max_position_embeddings"));
}

#[test]
fn not_json() {
    for bytes in [
        &b""[..],
        b"[]",
        b"{",
        b"null",
        b"{\"a\": NaN}",
        b"{\"a\": Infinity}",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b"{}{}",
    ] {
        let error = Config::from_json(bytes).unwrap_err();
        assert!(error.to_string().starts_with("config.json"), "{error}");
    }
    assert!(Config::from_json("[".repeat(100_000).as_bytes()).is_err());
    assert!(Config::from_json(br#"{"model_type": "llama", "rope_theta": 1e999}"#).is_err());
}
