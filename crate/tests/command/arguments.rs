//! What the command takes, and says of arguments that it does not.

use serde_json::Value;

use crate::common::{golden, ids};
use crate::{fails, text, topk_lm};

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
    let write = [
        "write",
        "--model",
        &folder,
        "--documents",
        "1",
        "--seed",
        "1",
        "--out",
        "x",
    ];
    let steer = ["steer", "--model", &folder, "--words", "sea"];
    for command in [&write[..], &steer] {
        fails(&[command, &["--backend", "gpu"]].concat(), 1, "--backend gpu");
    }
    for more in [["--prompt-tokens", "3"], ["--kv-cache", "f16"], ["--threads", "2"]] {
        fails(&[&["bench", "--topk", "1,5,2"][..], &more].concat(), 2, more[0]);
    }
    fails(&["bench", "--topk", "1,5,2", "--runs", "0"], 2, "--runs");
    let manifest = topk_lm(&["manifest", "--check", &folder, "--backend", "gpu"]);
    assert!(text(&manifest.stderr).contains("manifest.json is missing: run topk-lm manifest"));
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
