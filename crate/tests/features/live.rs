//! An analysis in memory, as the site runs it, writes what the command writes, byte for byte.

use std::collections::BTreeMap;
use std::path::PathBuf;

use topk_lm::features::live::Live;
use topk_lm::FolderSource;

use crate::{analyze, corpus, files, folder, golden, succeeds};

/// The files over the corpus, or its first documents, by path.
fn live(model: &str, text: &str, windows: usize) -> BTreeMap<PathBuf, Vec<u8>> {
    pollster::block_on(async {
        let source = FolderSource::new(golden(model)).unwrap();
        let mut live = Live::load(&source, model, &mut |_, _| {}).await.unwrap();
        assert!(live.add("a.txt", "Once").is_err());
        live.add("features_corpus.jsonl", text).unwrap();
        for _ in 0..windows {
            if live.next().await.unwrap().done {
                break;
            }
        }
        let mut files = BTreeMap::new();
        live.report(&mut |path, bytes| {
            files.insert(PathBuf::from(path), bytes);
            Ok(())
        })
        .await
        .unwrap();
        files
    })
}

#[test]
fn its_files_are_those_of_the_command() {
    let text = std::fs::read_to_string(corpus()).unwrap();
    // TopK by value and by magnitude, and a dense model, whose clusters are its own.
    for model in ["llama-gqa", "llama-abs", "llama-dense-bias", "gpt2"] {
        let out = folder(&format!("live-{model}"));
        succeeds(analyze(&golden(model), &out, &[]));
        let own = live(model, &text, usize::MAX);
        let of_command: BTreeMap<PathBuf, Vec<u8>> = files(&out).into_iter().collect();
        assert_eq!(
            own.keys().collect::<Vec<_>>(),
            of_command.keys().collect::<Vec<_>>(),
            "{model}"
        );
        for (path, bytes) in own {
            assert!(bytes == of_command[&path], "{model}: {}", path.display());
        }
    }
}

#[test]
fn halfway_it_has_counted_the_first_documents() {
    let text = std::fs::read_to_string(corpus()).unwrap();
    let first: String = text.lines().take(5).map(|line| format!("{line}\n")).collect();
    let (part, whole) = (live("llama-gqa", &text, 5), live("llama-gqa", &first, usize::MAX));
    for (path, bytes) in &part {
        // The index names the text that was given.
        assert!(
            path.ends_with("index.json") || bytes == &whole[path],
            "{}",
            path.display()
        );
    }
    assert_eq!(part.len(), whole.len());
}
