//! Files and streams: what is wrong with those that are read, and what becomes of those that are written.

#[cfg(target_os = "linux")]
use std::process::Command;

use serde_json::Value;

#[cfg(unix)]
use crate::common::Tensors;
use crate::common::{self, golden, root};
use crate::{fails, text, topk_lm};

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
    // What cannot be measured of it leaves what was counted.
    std::fs::write(&corpus, "{\"ids\":[7]}\n").unwrap();
    let sae = root().join("tests/goldens/saes/standard-resid-post");
    let more = ["--out", out.to_str().unwrap(), "--sae", sae.to_str().unwrap()];
    fails(&[&analyze[..], &more].concat(), 1, "two tokens or more");
    assert!(out.join("analysis.part/final.bin").exists());
}

/// A pipe can be read once only.
#[cfg(unix)]
#[test]
fn a_corpus_may_come_through_a_pipe() {
    use std::io::Write;
    let folder = common::folder("analyze-pipe");
    let model = common::words::model(&common::folder("analyze-pipe-model"));
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_topk-lm"))
        .args(["analyze", "--corpus", "/dev/stdin", "--model"])
        .arg(model)
        .arg("--out")
        .arg(folder.join("features"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(b"Tom saw the dog.\r\n<|endoftext|>\r\nThe dog saw Tom.\r\n")
        .unwrap();
    drop(pipe);
    assert!(child.wait().unwrap().success());
    let index = common::json(&folder.join("features/index.json"));
    assert_eq!(index["corpus"]["documents"], 2);
}

/// The site reads whichever of these files there are.
#[test]
fn an_analysis_leaves_nothing_of_an_earlier_one_that_measured_more() {
    let folder = common::folder("analyze-again");
    let (corpus, model, out) = (
        folder.join("corpus.jsonl"),
        folder.join("model"),
        folder.join("features"),
    );
    std::fs::write(&corpus, "{\"ids\":[1,2,3]}\n").unwrap();
    std::fs::create_dir_all(model.join("step3")).unwrap();
    let mut config = common::json(&golden("llama-gqa").join("config.json"));
    config["training_step"] = 5.into();
    std::fs::write(model.join("config.json"), config.to_string()).unwrap();
    for to in ["model.safetensors", "step3/model.safetensors"] {
        std::fs::copy(golden("llama-gqa").join("model.safetensors"), model.join(to)).unwrap();
    }
    let names = [
        "states.json",
        "contrasts.json",
        "switches.json",
        "layer9/0.json",
        "layer0/9999.json",
        "steps/layer9/0.json",
        "own.json",
    ];
    let [corpus, model] = [&corpus, &model].map(|path| path.to_str().unwrap());
    let analyze = ["analyze", "--model", model, "--corpus", corpus, "--out"];
    for checkpoints in [&[][..], &["--checkpoints"]] {
        for name in names {
            let path = out.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "{}").unwrap();
        }
        let output = topk_lm(&[&analyze[..], &[out.to_str().unwrap()], checkpoints].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(
            names.map(|name| out.join(name).exists()),
            [false, false, false, false, false, false, true],
            "{checkpoints:?}"
        );
        assert!(out.join("index.json").exists());
        assert_eq!(out.join("steps").exists(), !checkpoints.is_empty());
    }
}

/// `--out .` names a folder with other work in it.
#[test]
fn an_analysis_removes_nothing_but_statistics() {
    let folder = common::folder("analyze-beside");
    let (corpus, out) = (folder.join("corpus.jsonl"), folder.join("project"));
    std::fs::write(&corpus, "{\"ids\":[1,2,3]}\n").unwrap();
    let own = [
        "steps/notes.txt",
        "steps/3/data.json",
        "steps/layer0/draft.json",
        "layer0/notes.txt",
        "layers/0.json",
        "layer7/a/0.json",
    ];
    for name in own {
        let path = out.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "{}").unwrap();
    }
    let elsewhere = folder.join("elsewhere");
    std::fs::create_dir_all(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("0.json"), "{}").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(&elsewhere, out.join("layer1")).unwrap();
    let model = golden("llama-gqa");
    let [model, corpus, out_text] = [&model, &corpus, &out].map(|path| path.to_str().unwrap());
    let output = topk_lm(&["analyze", "--model", model, "--corpus", corpus, "--out", out_text]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for name in own {
        assert!(out.join(name).exists(), "{name}");
    }
    assert_eq!(std::fs::read(elsewhere.join("0.json")).unwrap(), b"{}");
    assert!(out.join("layer1/0.json").is_file() && !out.join("layer1").is_symlink());
}

/// Scripts that write through a link keep it.
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
    // The file says of which run it is.
    let bytes = std::fs::read(&target).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let about = header.metadata().as_ref().unwrap();
    assert_eq!(
        ["topk_lm", "ids", "edits", "backend"].map(|key| about[key].as_str()),
        [env!("CARGO_PKG_VERSION"), "[1]", "[]", "cpu"]
    );
}

/// A folder of Hugging Face's cache has links to the files.
#[cfg(unix)]
#[test]
fn run_leaves_the_model_that_links_lead_to() {
    let folder = common::folder("run-snapshot");
    let (blob, snapshot) = (folder.join("blob"), folder.join("snapshot"));
    std::fs::create_dir(&snapshot).unwrap();
    let golden = golden("llama-gqa");
    std::fs::copy(golden.join("config.json"), snapshot.join("config.json")).unwrap();
    std::fs::copy(golden.join("model.safetensors"), &blob).unwrap();
    std::os::unix::fs::symlink(&blob, snapshot.join("model.safetensors")).unwrap();
    let before = std::fs::read(&blob).unwrap();
    std::os::unix::fs::symlink(&blob, folder.join("elsewhere.safetensors")).unwrap();
    let run = |out: &str| {
        let out = snapshot.join(out);
        let model = snapshot.to_str().unwrap();
        topk_lm(&[
            "run",
            "--model",
            model,
            "--ids",
            "1",
            "--backend",
            "cpu",
            "--out",
            out.to_str().unwrap(),
        ])
    };
    for out in [
        "model.safetensors",
        "../elsewhere.safetensors",
        "../blob",
        "config.json",
    ] {
        let output = run(out);
        assert!(!output.status.success(), "{out}");
        assert!(text(&output.stderr).contains("would take the place of a file of the model"));
    }
    assert_eq!(std::fs::read(&blob).unwrap(), before);
    // What only begins as one does is none.
    for _ in 0..2 {
        assert!(run("model_run.safetensors").status.success());
    }
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
