//! The command as a shell sees it: exit codes, the one line on stderr, the JSON on the last line, the safetensors file.

mod common;

use std::process::{Command, Output};

use common::{golden, ids, json, largest_difference, root, Tensors};
use serde_json::Value;

fn topk_lm(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_topk-lm"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Fails with this code, and with one line on stderr that has `word` in it; nothing on stdout.
fn fails(arguments: &[&str], code: i32, word: &str) {
    let output = topk_lm(arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
    assert!(stderr.contains(word), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty());
}

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

/// `generate` on the CPU behind two ids, past an end of text.
fn generate(folder: &str, more: &[&str]) -> Output {
    let base = [
        "generate",
        "--model",
        folder,
        "--ids",
        "0,4",
        "--backend",
        "cpu",
        "--ignore-eos",
    ];
    topk_lm(&[&base[..], more].concat())
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
        &["bench", "--topk-plan", "Cargo.toml"],
        1,
        "Cargo.toml: not a plan of TopK's constants",
    );
    fails(&["bench", "--topk", "3,4,x,2"], 2, "R,N,K");
    fails(&["bench", "--topk", "-1,4,2"], 2, "R,N,K");
    fails(&["bench", "--topk", "1,5"], 2, "R,N,K");
}

#[test]
fn figures_that_cannot_be_written_are_printed() {
    let topk = ["bench", "--topk", "1,7,7", "--backend", "cpu", "--runs", "1"];
    let output = topk_lm(&[&topk[..], &["--json", "--out", "no/such/folder/x.json"]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("error: no/such/folder/x.json cannot be written"));
    let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(figures["topk"].as_array().unwrap().len(), 1);
}

#[test]
fn an_autoencoder_that_cannot_be_attached_is_found_out_before_the_analysis() {
    let folder = common::folder("analyze-sae");
    let (corpus, out) = (folder.join("corpus.jsonl"), folder.join("features"));
    std::fs::write(&corpus, "{\"ids\":[1,2,3]}\n").unwrap();
    let model = golden("llama-gqa").display().to_string();
    let analyze = ["analyze", "--model", &model, "--corpus", corpus.to_str().unwrap()];
    let more = ["--out", out.to_str().unwrap(), "--sae", "no/such/autoencoder"];
    fails(
        &[&analyze[..], &more].concat(),
        1,
        "no/such/autoencoder is not a folder",
    );
    assert!(!out.exists());
}

/// The site reads whichever of these files there are.
#[test]
fn an_analysis_leaves_nothing_of_an_earlier_one_that_measured_more() {
    let folder = common::folder("analyze-again");
    let (corpus, out) = (folder.join("corpus.jsonl"), folder.join("features"));
    std::fs::write(&corpus, "{\"ids\":[1,2,3]}\n").unwrap();
    std::fs::create_dir(&out).unwrap();
    let names = ["states.json", "contrasts.json", "switches.json", "own.json"];
    for name in names {
        std::fs::write(out.join(name), "{}").unwrap();
    }
    let model = golden("llama-gqa").display().to_string();
    let analyze = [
        "analyze",
        "--model",
        &model,
        "--corpus",
        corpus.to_str().unwrap(),
        "--out",
    ];
    let output = topk_lm(&[&analyze[..], &[out.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(names.map(|name| out.join(name).exists()), [false, false, false, true]);
    assert!(out.join("index.json").exists());
}

/// Scripts that write through a link keep it, and a run that fails leaves what was there.
#[cfg(unix)]
#[test]
fn run_writes_through_a_link() {
    let folder = common::folder("run-link");
    let (target, link) = (folder.join("target.safetensors"), folder.join("link.safetensors"));
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let model = golden("llama-gqa").display().to_string();
    let run = ["run", "--model", &model, "--ids", "1", "--backend", "cpu", "--out"];
    let output = topk_lm(&[&run[..], &[link.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(link.is_symlink());
    assert!(Tensors::open(&target).all().contains_key("logits"));
}

#[test]
fn help_says_what_a_subcommand_does() {
    let help = |arguments: &[&str]| text(&topk_lm(&[arguments, &["--help"]].concat()).stdout);
    let all = help(&[]);
    for (name, short, long) in [
        ("generate", "Continue a prompt", "Continue a prompt"),
        (
            "analyze",
            "Compute statistics of every neuron",
            "An interrupted run continues",
        ),
        ("merge", "Merge the shards", "equals an analysis in one pass"),
        ("write", "Write many documents", "continues from FILE.part"),
        (
            "steer",
            "Find the few neurons",
            "as `generate --edit` and JavaScript take them",
        ),
        ("convert", "Check a model folder", "A GGUF file"),
        ("manifest", "Write manifest.json", "Loaders verify downloads by it"),
        ("bench", "Time a model", "medians after a warm-up"),
    ] {
        assert!(all.contains(short), "{all}");
        let own = help(&[name]);
        assert!(own.starts_with(short) && own.replace("\n", " ").contains(long), "{own}");
    }
}

#[test]
fn a_misspelt_argument_is_refused_with_the_one_that_was_meant() {
    fails(&["generate", "--max-new-tokens", "3"], 2, "did you mean --max-tokens?");
    fails(&["generat"], 2, "did you mean generate?");
    fails(&["generate", "--backend", "gpuu"], 2, "did you mean gpu?");
}

#[test]
fn without_a_subcommand_the_line_names_them() {
    fails(&[], 2, "a subcommand is missing, one of info, generate, run, topk,");
}

/// Of the same text as `--edit=…`, what no model is needed for is found when the command line is parsed.
#[test]
fn a_malformed_edit_is_a_usage_error() {
    for (edit, word) in [
        ("action=clamp", "value is missing"),
        ("action=add,value=1e39", "finite in f32"),
        ("action=ablate,positions=5..3", "positions 5..3"),
        ("action=ablate,positions=3..3", "positions 3..3"),
        (
            "action=ablate,positions=foo",
            "all, prompt, generated or a range like 3..7",
        ),
    ] {
        let edit = format!("layer=0,index=1,{edit}");
        fails(&["generate", "--model", "x", "--ids", "0", "--edit", &edit], 2, word);
    }
}

#[test]
fn a_flag_says_what_it_takes() {
    let whole = "must be a whole number from 0";
    let generate = ["generate", "--model", "x", "--ids", "1"];
    for flag in ["--max-tokens", "--top-k", "--seed"] {
        for value in ["-1", "1.5", "x", "18446744073709551616"] {
            fails(&[&generate[..], &[flag, value]].concat(), 2, whole);
        }
    }
    for flag in ["--temperature", "--top-p", "--repetition-penalty"] {
        fails(&[&generate[..], &[flag, "x"]].concat(), 2, "must be a number");
    }
    for ids in ["-1", "1,-2", "1 2", "1,", ""] {
        fails(&["generate", "--model", "x", "--ids", ids], 2, "like 1,2,3");
    }
    fails(
        &["run", "--model", "x", "--ids", "1", "--out", "x", "--prompt-len", "-1"],
        2,
        whole,
    );
    fails(&["topk", "--input", "x", "--out", "x", "--k", "-1"], 2, whole);
    let part = ["analyze", "--model", "x", "--corpus", "x", "--out", "x", "--part"];
    let context = [&generate[..], &["--max-context"]].concat();
    let most = ["info", "--model", "x", "--against", "x", "--text", "x", "--max-tokens"];
    for flag in [&part[..], &context, &["info", "--model", "x", "--max-context"], &most] {
        for value in ["0", "-1", "1.5", "18446744073709551616"] {
            fails(&[flag, &[value]].concat(), 2, "must be a whole number of at least 1");
        }
    }
}

#[test]
fn ids_may_have_spaces_between_them() {
    let folder = golden("llama-gqa").display().to_string();
    let prompt = |list: &str| {
        let generate = [
            "generate",
            "--model",
            &folder,
            "--backend",
            "cpu",
            "--max-tokens",
            "1",
            "--json",
            "--ids",
        ];
        let output = topk_lm(&[&generate[..], &[list]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        ids(&object["prompt_ids"])
    };
    assert_eq!(prompt("1, 2"), [1, 2]);
    assert_eq!(prompt("1,2"), [1, 2]);
}

/// Subcommands that compute on the CPU, or nothing, take `--backend` as the others do.
#[test]
fn a_backend_is_taken_everywhere() {
    for command in [
        "analyze", "bench", "convert", "generate", "info", "manifest", "merge", "run", "steer", "topk", "write",
    ] {
        let said = text(&topk_lm(&[command, "--backend", "cpu"]).stderr);
        assert!(!said.contains("--backend"), "{command}: {said}");
        fails(&[command, "--backend", "tpu"], 2, "--backend");
    }
    let folder = golden("llama-gqa").display().to_string();
    let manifest = topk_lm(&["manifest", "--check", &folder, "--backend", "gpu"]);
    assert!(text(&manifest.stderr).contains("manifest.json is out of date"));
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

/// A full disk behind stderr or stdout is no bug of the command.
#[cfg(target_os = "linux")]
#[test]
fn streams_that_are_full() {
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let folder = golden("llama-gqa").display().to_string();
    let generate = [
        "generate",
        "--model",
        &folder,
        "--ids",
        "0",
        "--backend",
        "cpu",
        "--max-tokens",
        "900",
        "--ignore-eos",
    ];
    let run = Command::new(env!("CARGO_BIN_EXE_topk-lm"))
        .args(generate)
        .stderr(full())
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(0));
    for arguments in [&["--help"][..], &generate] {
        let command = Command::new(env!("CARGO_BIN_EXE_topk-lm"))
            .args(arguments)
            .stdout(full())
            .output()
            .unwrap();
        assert_eq!(command.status.code(), Some(1));
        let said = text(&command.stderr);
        assert!(
            said.starts_with("error: stdout: ") && said.lines().count() == 1,
            "{said}"
        );
    }
}

#[test]
fn what_is_wrong_with_a_folder_names_it() {
    let folder = golden("llama-gqa").display().to_string();
    let shipped = root().join("models/Llama-TopK-Stories-16M").display().to_string();
    let readme = root().join("README.md").display().to_string();
    let against = |other: &str, word: &str| {
        fails(
            &["info", "--model", &shipped, "--against", other, "--text", &readme],
            1,
            word,
        );
    };
    against(&folder, "llama-gqa: tokenizer.json is missing");
    against("no/such/folder", "no/such/folder is not a folder");
    let run = [
        "run",
        "--model",
        &folder,
        "--ids",
        "1",
        "--backend",
        "cpu",
        "--out",
        "x",
        "--sae",
        &folder,
    ];
    fails(
        &run,
        1,
        "llama-gqa: cfg.json is missing; the folder of an autoencoder in SAELens' layout has",
    );
}

#[test]
fn numbers_beyond_all_bounds_are_refused() {
    const MOST: &str = "18446744073709551615";
    let folder = golden("llama-gqa").display().to_string();
    for number in ["0", "1025", MOST, "-1", "many"] {
        let threads = format!("--threads={number}");
        for command in [
            &["write", "--documents", "1", "--seed", "1", "--out", "x.jsonl"][..],
            &["analyze", "--corpus", "x.jsonl", "--out", "x"],
            &["steer", "--words", "water"],
        ] {
            let given = [command, &["--model", &folder, &threads]].concat();
            fails(&given, 2, "must be a whole number from 1 to 1024");
        }
    }
    let bench = ["bench", "--model", &folder, "--backend", "cpu", "--runs", "1"];
    for more in ["--prompt-tokens", "--new-tokens"] {
        fails(&[&bench[..], &[more, MOST]].concat(), 1, "fit the context");
    }
}

#[test]
fn what_fails_says_so_in_one_line() {
    let folder = golden("llama-gqa").display().to_string();
    let generate = |more: &[&'static str]| -> Vec<String> {
        let mut arguments = vec![
            "generate".into(),
            "--model".into(),
            folder.clone(),
            "--backend".into(),
            "cpu".into(),
        ];
        arguments.extend(more.iter().map(|s| (*s).to_owned()));
        arguments
    };
    let check = |more: &[&'static str], code, word| {
        let arguments = generate(more);
        fails(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), code, word);
    };
    check(&["--ids", "0", "--no-such-flag"], 2, "--no-such-flag");
    check(&[], 2, "--prompt");
    check(&["--ids", "0", "--prompt", "x"], 2, "--prompt");
    check(&["--ids", "0,x"], 2, "--ids");
    check(&["--ids", "0", "--edit", "layer=1,index=2"], 2, "action");
    check(&["--ids", "0", "--edit", "layer=1;index=2"], 2, "edit");
    check(
        &["--ids", "0", "--edit", "layer=44,index=2,action=ablate"],
        1,
        "layer is 44",
    );
    check(&["--ids", "100000"], 1, "100000");
    check(&["--prompt", "text"], 1, "tokenizer.json");
    check(&["--ids", "0", "--temperature", "-1"], 1, "temperature");
    check(&["--ids", "0", "--top-p", "1.5"], 1, "top");
    fails(
        &["generate", "--model", "no/such/folder", "--ids", "0"],
        1,
        "no/such/folder",
    );
    fails(&["dance"], 2, "dance");
    fails(
        &[
            "run",
            "--model",
            &folder,
            "--ids",
            "1",
            "--hook",
            "hook_x",
            "--out",
            "x",
            "--backend",
            "cpu",
        ],
        1,
        "hook_x",
    );
    let beyond = [
        "run",
        "--model",
        &folder,
        "--ids",
        "1",
        "--out",
        "no/such/folder/x.safetensors",
        "--backend",
        "cpu",
    ];
    fails(&beyond, 1, "no/such/folder");
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
