//! What subcommands print and write: the JSON on the last line, the safetensors file.

use serde_json::Value;

use crate::common::{folder, golden, ids, json, largest_difference, root, Tensors};
use crate::{fails, generate, text, topk_lm};
use topk_lm::config::CacheDtype;
use topk_lm::offline::compare::compare;
use topk_lm::session::{BackendChoice, LoadOptions};

#[test]
fn generate_gives_its_json_on_the_last_line() {
    let folder = golden("llama-gqa");
    let expected = &json(&folder.join("golden.json"))["greedy"];
    for continuation in expected.as_array().unwrap() {
        let prompt: Vec<String> = ids(&continuation["prompt_ids"]).iter().map(u32::to_string).collect();
        let new = ids(&continuation["ids"]);
        let (prompt, count, folder) = (prompt.join(","), new.len().to_string(), folder.display().to_string());
        let mut arguments: Vec<String> = ["generate", "--model", &folder, "--ids", &prompt, "--temperature", "0"]
            .into_iter()
            .chain([
                "--max-tokens",
                &count,
                "--ignore-eos",
                "--backend",
                "cpu",
                "--json",
                "--seed",
                "5",
            ])
            .map(str::to_owned)
            .collect();
        for edit in continuation["edits"].as_array().unwrap() {
            let fields: Vec<String> = edit
                .as_object()
                .unwrap()
                .iter()
                .map(|(key, value)| match value {
                    Value::String(value) => format!("{key}={value}"),
                    Value::Object(range) => format!("{key}={}..{}", range["from"], range["to"]),
                    other => format!("{key}={other}"),
                })
                .collect();
            arguments.extend(["--edit".to_owned(), fields.join(",")]);
        }
        let output = topk_lm(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let object: Value = serde_json::from_str(text(&output.stdout).lines().last().unwrap()).unwrap();
        assert_eq!(ids(&object["ids"]), new);
        assert_eq!(object["finish"], "length");
        assert_eq!(object["seed"], 5);
        assert_eq!(ids(&object["prompt_ids"]), ids(&continuation["prompt_ids"]));
    }
}

#[test]
fn run_writes_logits_and_hooks() {
    let folder = golden("gpt2");
    let case = json(&folder.join("golden.json"))["runs"][0].clone();
    let expected = Tensors::open(&folder.join("golden.safetensors")).all();
    let prompt: Vec<String> = ids(&case["ids"]).iter().map(u32::to_string).collect();
    let out = std::env::temp_dir().join(format!("topk-lm-run-{}.safetensors", std::process::id()));
    let hooks = ["blocks.1.hook_topk_out", "hook_pos_embed", "blocks.0.attn.hook_pattern"];
    let (folder, prompt, path) = (
        folder.display().to_string(),
        prompt.join(","),
        out.display().to_string(),
    );
    let mut arguments = vec![
        "run",
        "--model",
        &folder,
        "--ids",
        &prompt,
        "--backend",
        "cpu",
        "--out",
        &path,
    ];
    hooks.iter().for_each(|hook| arguments.extend(["--hook", hook]));
    let output = topk_lm(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let written = Tensors::open(&out).all();
    std::fs::remove_file(&out).unwrap();
    assert_eq!(written.len(), 1 + hooks.len());
    for (name, (shape, data)) in &written {
        let (expected_shape, expected) = &expected[&format!("base/{name}")];
        assert_eq!(shape, expected_shape, "{name}");
        assert!(largest_difference(data, expected) <= 1e-4, "{name}");
    }
}

#[test]
fn a_random_seed_is_reported_and_gives_the_same_text_again() {
    let folder = golden("llama-gqa").display().to_string();
    let run = |seed: &[&str]| -> Value {
        let output = generate(&folder, &[&["--max-tokens", "12", "--json"], seed].concat());
        serde_json::from_str(text(&output.stdout).lines().last().unwrap()).unwrap()
    };
    let first = run(&[]);
    assert!(first["seed"].as_u64().unwrap() < 1 << 53, "whole in a double");
    let sampling = &run(&["--temperature", "0.7", "--top-k", "5"])["sampling"];
    assert_eq!(
        sampling.to_string(),
        r#"{"repetition_penalty":1.0,"temperature":0.7,"top_k":5,"top_p":1.0}"#
    );
    assert_eq!(first["topk_lm"], env!("CARGO_PKG_VERSION"));
    let again = run(&["--seed", &first["seed"].as_u64().unwrap().to_string()]);
    assert_eq!(first["ids"], again["ids"]);
}

#[test]
fn bench_gives_medians() {
    let folder = golden("llama-gqa").display().to_string();
    let model = ["bench", "--model", &folder, "--backend", "cpu", "--json", "--runs", "3"];
    let short = ["--prompt-tokens", "8", "--new-tokens", "4"];
    let arguments: Vec<&str> = model.into_iter().chain(short).collect();
    let figures: Value = serde_json::from_slice(&topk_lm(&arguments).stdout).unwrap();
    let prefill = &figures["figures"]["prefill_ms"];
    assert_eq!(prefill["runs"], 3);
    assert!(
        prefill["p10"].as_f64() <= prefill["median"].as_f64() && prefill["median"].as_f64() <= prefill["p90"].as_f64()
    );
    let topk = [
        "bench",
        "--topk",
        "4,1000,20",
        "--topk",
        "1,7,7",
        "--backend",
        "cpu",
        "--json",
        "--runs",
        "3",
    ];
    let figures: Value = serde_json::from_slice(&topk_lm(&topk).stdout).unwrap();
    assert_eq!(figures["topk"].as_array().unwrap().len(), 2);
    fails(&["bench", "--topk", "1,5,9", "--backend", "cpu"], 1, "k is 9");
    fails(&["bench"], 2, "--topk");
    fails(&["bench", "--topk-plan", "no-such-plan.json"], 1, "no-such-plan.json");
    fails(
        &["bench", "--topk-plan", "--backend", "cpu"],
        1,
        "leave --backend cpu out",
    );
    fails(
        &["bench", "--topk-plan", "Cargo.toml"],
        1,
        "Cargo.toml: not a plan of TopK's constants",
    );
    fails(&["bench", "--topk", "3,4,x,2"], 2, "R,N,K");
    fails(&["bench", "--topk", "-1,4,2"], 2, "R,N,K");
    fails(&["bench", "--topk", "1,5"], 2, "R,N,K");
}

#[test]
fn info_lists_the_architectures_and_describes_each() {
    let list = topk_lm(&["info", "--architectures", "--json"]);
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    for (name, model_type) in [
        ("neox-parallel", "gpt_neox"),
        ("gemma3", "gemma3_text"),
        ("llama-gqa", "llama"),
    ] {
        let folder = golden(name).display().to_string();
        let info = topk_lm(&["info", "--model", &folder, "--json"]);
        let info: Value = serde_json::from_slice(&info.stdout).unwrap();
        assert_eq!(info["config"]["architecture"], list[model_type], "{name}");
    }
    fails(&["info"], 2, "--model");
}

/// The numbers of the cache are those of --model alone, so that it may be compared with itself.
#[test]
fn info_says_what_a_rounding_costs() {
    let model = root().join("models/Llama-TopK-Stories-16M").display().to_string();
    if !std::path::Path::new(&model).exists() {
        return println!("skipped: there is no {model}");
    }
    let file = folder("info-against").join("text.txt");
    std::fs::write(
        &file,
        "Once upon a time there was a little dog. It liked to dig in the garden.",
    )
    .unwrap();
    let file = file.display().to_string();
    let compared = |more: &[&str]| {
        let both = ["info", "--model", &model, "--against", &model, "--json"];
        let more = if more.first() == Some(&"--text") {
            more.to_vec()
        } else {
            [&["--text", &file], more].concat()
        };
        let info: Value = serde_json::from_slice(&topk_lm(&[&both[..], &more].concat()).stdout).unwrap();
        info["compared"].clone()
    };
    let same = compared(&[]);
    assert_eq!(same["divergence_bits"], 0.0);
    assert_eq!(same["bits_per_byte"], same["bits_per_byte_against"]);
    // Documents are read one by one, and the line between them is no text of theirs.
    let [text, lines] = ["two.txt", "two.jsonl"].map(|name| std::path::Path::new(&file).with_file_name(name));
    std::fs::write(&text, "Tom ran home.\n<|endoftext|>\nThe dog was happy.\n").unwrap();
    std::fs::write(
        &lines,
        "{\"text\": \"Tom ran home.\"}\n{\"text\": \"The dog was happy.\"}\n",
    )
    .unwrap();
    let [text, lines] = [text, lines].map(|file| file.display().to_string());
    let of = |file: &str| compared(&["--text", file]);
    assert_eq!(of(&text), of(&lines));
    assert_eq!(of(&text)["tokens"], 9);
    let rounded = compared(&["--kv-cache", "f16"]);
    assert_eq!(rounded["bits_per_byte_against"], same["bits_per_byte"]);
    // It is less than the command prints.
    let options = LoadOptions {
        backend: BackendChoice::Cpu,
        kv_cache: CacheDtype::F16,
        ..LoadOptions::default()
    };
    let (model_at, file_at) = (std::path::Path::new(&model), std::path::Path::new(&file));
    assert!(compare(model_at, &options, model_at, file_at, 99).unwrap().divergence > 0.0);
    // Pieces of so many tokens foretell fewer.
    let pieces = compared(&["--max-context", "8"]);
    assert!(
        pieces["tokens"].as_u64() < same["tokens"].as_u64() || pieces["bits_per_byte"] != same["bits_per_byte"],
        "{pieces}"
    );
}

#[test]
fn a_seed_that_was_drawn_is_said() {
    let folder = golden("llama-gqa").display().to_string();
    let run = |more: &[&str]| {
        let output = generate(&folder, &[&["--max-tokens", "8"], more].concat());
        (text(&output.stdout), text(&output.stderr))
    };
    let (first, said) = run(&[]);
    let seed = said
        .strip_prefix("(seed ")
        .and_then(|said| said.strip_suffix(")\n"))
        .unwrap();
    assert_eq!(run(&["--seed", seed]), (first, String::new()));
    assert_eq!(run(&["--temperature", "0"]).1, "");
}
