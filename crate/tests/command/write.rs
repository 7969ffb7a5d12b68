//! `topk-lm write`: every document is what `generate` gives for its seed, whatever the threads; an interrupted run ends the same.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::common::{folder, golden, load};
use topk_lm::offline::files;
use topk_lm::offline::write::seed_of;
use topk_lm::pace::Cancel;
use topk_lm::session::{BackendChoice, GenerateOptions, SamplingOptions};

fn command(model: &str, out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_topk-lm"));
    command
        .args(["write", "--model"])
        .arg(golden(model))
        .arg("--out")
        .arg(out)
        .args(more);
    command
}

fn write(model: &str, out: &Path, more: &[&str]) -> Output {
    command(model, out, more).output().unwrap()
}

/// One document behind a prompt of the file.
fn write_one(out: &Path, prompts: &Path) -> Output {
    let prompts = prompts.to_str().unwrap();
    write(
        "llama-gqa",
        out,
        &["--documents", "1", "--seed", "1", "--prompts", prompts],
    )
}

fn documents(out: &Path) -> Vec<Vec<u32>> {
    std::fs::read_to_string(out)
        .unwrap()
        .lines()
        .map(|line| crate::common::ids(&serde_json::from_str::<serde_json::Value>(line).unwrap()["ids"]))
        .collect()
}

#[test]
fn each_document_is_what_generate_gives_for_its_seed() {
    let folder = folder("write-generate");
    for name in ["llama-gqa", "gpt2", "llama-odd-bf16"] {
        let prompts = folder.join("prompts.jsonl");
        std::fs::write(&prompts, "{\"ids\":[1,2,3]}\n{\"ids\":[5]}\n{\"ids\":[7,7]}\n").unwrap();
        let settings = [
            "--documents",
            "41",
            "--seed",
            "9",
            "--top-k",
            "12",
            "--temperature",
            "0.8",
        ];
        let (one, three) = (folder.join("one.jsonl"), folder.join("three.jsonl"));
        for (out, threads) in [(&one, "1"), (&three, "3")] {
            let arguments = [
                &settings[..],
                &["--threads", threads, "--prompts", prompts.to_str().unwrap()],
            ]
            .concat();
            let output = write(name, out, &arguments);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&three).unwrap());
        let documents = documents(&one);
        assert_eq!(documents.len(), 41);
        let model = load(&golden(name), BackendChoice::Cpu).unwrap();
        for (i, document) in documents.iter().enumerate().step_by(5) {
            let prompt: &[u32] = [&[1, 2, 3][..], &[5], &[7, 7]][i % 3];
            let options = GenerateOptions {
                max_tokens: Some(model.config().n_ctx - prompt.len()),
                sampling: SamplingOptions {
                    top_k: Some(12),
                    ..SamplingOptions::at(0.8)
                },
                seed: Some(seed_of(9, i as u64)),
                ..GenerateOptions::default()
            };
            let mut generation = model.generate(prompt, &options).unwrap();
            let mut expected = prompt.to_vec();
            loop {
                let generated = pollster::block_on(generation.next(&Cancel::default())).unwrap();
                expected.extend(generated.steps.iter().map(|step| step.id));
                if generated.finish.is_some() {
                    break;
                }
            }
            assert_eq!(document, &expected, "{name} {i}");
        }
    }
}

#[test]
fn a_killed_run_goes_on_and_ends_the_same() {
    let folder = folder("write-resume");
    let settings = ["--documents", "3000", "--seed", "4", "--threads", "2"];
    let (whole, broken) = (folder.join("whole.jsonl"), folder.join("broken.jsonl"));
    assert!(write("llama-gqa", &whole, &settings).status.success());

    let part = folder.join("broken.jsonl.part");
    let mut child = command("llama-gqa", &broken, &settings)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = || std::fs::read_to_string(&part).map_or(0, |text| text.lines().count());
    while lines() < 20 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    if part.exists() {
        assert!(!broken.exists());
        // As if the last line had been cut off in the middle of a number.
        let text = std::fs::read_to_string(&part).unwrap();
        std::fs::write(&part, &text[..text.len() - 3]).unwrap();
        let other = ["--documents", "3000", "--seed", "5", "--threads", "2"];
        let refused = write("llama-gqa", &broken, &other);
        let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1));
        assert!(
            stderr.lines().count() == 1 && stderr.contains("broken.jsonl.part"),
            "{stderr}"
        );
    } else {
        println!("the run ended before it could be killed");
    }
    let resumed = write("llama-gqa", &broken, &[&settings[..], &["--json"]].concat());
    assert!(resumed.status.success());
    let report: serde_json::Value = serde_json::from_slice(&resumed.stdout).unwrap();
    println!("{} documents were there from before", report["resumed"]);
    assert_eq!(std::fs::read(&whole).unwrap(), std::fs::read(&broken).unwrap());
    assert!(!part.exists());
}

#[test]
fn what_cannot_be_written_is_refused_in_one_line() {
    let folder = folder("write-refused");
    let out = folder.join("out.jsonl");
    let bad = folder.join("bad.jsonl");
    std::fs::write(&bad, "{\"ids\":[1,4000]}\n").unwrap();
    let text = folder.join("text.txt");
    std::fs::write(&text, "Once").unwrap();
    let none = folder.join("none.jsonl");
    std::fs::write(&none, "\n").unwrap();
    let cases: [(&[&str], i32, &str); 6] = [
        (&["--documents", "1", "--seed", "1", "--top-p", "2"], 1, "top_p"),
        (&["--documents", "1"], 2, "--seed"),
        (
            &["--documents", "1", "--seed", "1", "--prompts", bad.to_str().unwrap()],
            1,
            "4000",
        ),
        (
            &["--documents", "1", "--seed", "1", "--prompts", text.to_str().unwrap()],
            1,
            "tokenizer.json",
        ),
        (
            &["--documents", "1", "--seed", "1", "--prompts", "/nowhere.txt"],
            1,
            "/nowhere.txt",
        ),
        (
            &["--documents", "1", "--seed", "1", "--prompts", none.to_str().unwrap()],
            1,
            "there are no prompts in",
        ),
    ];
    for (arguments, code, word) in cases {
        let output = write("llama-gqa", &out, arguments);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.lines().count() == 1 && stderr.contains(word), "{stderr}");
        assert!(!out.exists());
    }
}

/// A file that is renamed to its name takes the place of a link, a device or a pipe, and that of /dev/null for the whole machine.
#[cfg(unix)]
#[test]
fn what_is_no_plain_file_stays_what_it_is() {
    let folder = folder("write-special");
    let (target, link) = (folder.join("target.jsonl"), folder.join("link.jsonl"));
    std::fs::write(&target, "before").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let prompts = folder.join("prompts.jsonl");
    std::fs::write(&prompts, "{\"ids\":[1]}\n").unwrap();
    let output = write_one(&link, &prompts);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("--out must be a plain file"), "{stderr}");
    assert_eq!(std::fs::read(&target).unwrap(), b"before");
    // Where nothing has to lie beside it, it is written through.
    files::write_named(&link, b"after").unwrap();
    assert!(link.is_symlink());
    assert_eq!(std::fs::read(&target).unwrap(), b"after");
    // A file of a folder takes the place of a link, and so does its draft.
    let (draft, victim) = (files::beside(&link, ".draft"), folder.join("victim"));
    std::fs::write(&victim, "untouched").unwrap();
    std::os::unix::fs::symlink(&victim, &draft).unwrap();
    files::write_whole(&link, b"its own").unwrap();
    assert!(!link.is_symlink() && !draft.is_symlink());
    assert_eq!(std::fs::read(&link).unwrap(), b"its own");
    assert_eq!(std::fs::read(&target).unwrap(), b"after");
    assert_eq!(std::fs::read(&victim).unwrap(), b"untouched");
}

#[test]
fn a_file_that_cannot_be_written_leaves_no_draft() {
    let folder = folder("write-draft").join("folder");
    std::fs::create_dir(&folder).unwrap();
    assert!(files::write_whole(&folder, b"x").is_err());
    assert!(!files::beside(&folder, ".draft").exists());
}

/// As PowerShell and some editors begin a text.
#[test]
fn a_byte_order_mark_is_no_part_of_a_text() {
    let folder = folder("write-mark");
    let (prompts, out) = (folder.join("prompts.jsonl"), folder.join("out.jsonl"));
    std::fs::write(&prompts, "\u{feff}{\"ids\":[7]}\n").unwrap();
    let output = write_one(&out, &prompts);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(documents(&out)[0][0], 7);
}
