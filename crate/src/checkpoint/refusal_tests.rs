//! Shards, and tensors that do not fit the config: what is refused and in which words.

use std::cell::Cell;
use std::task::Poll;

use proptest::prelude::*;
use serde_json::json;

use super::index::Checkpoint;
use super::tests::{file, fill, gpt2, llama, load, load_from, Stored};
use super::*;
use crate::source::LocalFuture;

/// Answers reads of safetensors files once so many of their headers have been asked for.
struct Waiting {
    files: MemorySource,
    headers: usize,
    asked: Cell<usize>,
}

impl Source for Waiting {
    fn size(&self, path: &str) -> Option<u64> {
        self.files.size(path)
    }

    fn read<'a>(&'a self, path: &'a str, offset: u64, length: usize) -> LocalFuture<'a, Result<Vec<u8>>> {
        if path.ends_with(".safetensors") && offset == 0 {
            self.asked.set(self.asked.get() + 1);
        }
        let mut looks = 0;
        let asked = std::future::poll_fn(move |context| {
            looks += 1;
            assert!(looks < 100, "{path} is read before the others are asked for");
            context.waker().wake_by_ref();
            match path.ends_with(".safetensors") && self.asked.get() < self.headers {
                true => Poll::Pending,
                false => Poll::Ready(()),
            }
        });
        Box::pin(async move {
            asked.await;
            self.files.read(path, offset, length).await
        })
    }
}

/// Gives one byte less than it is asked for, once tensors are read.
struct Short(MemorySource);

impl Source for Short {
    fn size(&self, path: &str) -> Option<u64> {
        self.0.size(path)
    }

    fn read<'a>(&'a self, path: &'a str, offset: u64, length: usize) -> LocalFuture<'a, Result<Vec<u8>>> {
        let less = usize::from(path.ends_with(".safetensors") && offset > 8);
        self.0.read(path, offset, length - less)
    }
}

#[test]
fn a_source_that_gives_too_few_bytes_is_named() {
    let (config, stored) = llama(true, false, "F32");
    let files = MemorySource::new([("model.safetensors", file(&stored))]);
    let message = load_from(&Short(files), "", &config).err().unwrap().to_string();
    assert!(message.starts_with("model.safetensors gave "), "{message}");
}

#[test]
fn headers_of_all_shards_are_asked_for_before_one_is_there() {
    let (_, stored) = llama(true, false, "F32");
    let names: Vec<String> = stored.keys().enumerate().map(|(n, _)| format!("{}.safetensors", n % 3)).collect();
    let map: serde_json::Map<_, _> = stored.keys().cloned().zip(names.iter().map(|name| name.as_str().into())).collect();
    let mut files = vec![(
        "model.safetensors.index.json".to_owned(),
        json!({"weight_map": map}).to_string().into_bytes(),
    )];
    for number in 0..3 {
        let mut shard = stored.clone();
        let mut at = 0;
        shard.retain(|_, _| {
            at += 1;
            (at - 1) % 3 == number
        });
        files.push((format!("{number}.safetensors"), file(&shard)));
    }
    let source = Waiting {
        files: MemorySource::new(files),
        headers: 3,
        asked: Cell::new(0),
    };
    let checkpoint = pollster::block_on(Checkpoint::open(&source, "")).unwrap();
    assert_eq!(checkpoint.tensors.len(), stored.len());
    assert_eq!(source.asked.get(), 3);
}

#[test]
fn shards_and_checkpoint_folders() {
    let (config, stored) = llama(true, false, "F16");
    let (mut first, mut second) = (stored.clone(), stored.clone());
    first.retain(|name, _| name.contains("layers.0"));
    second.retain(|name, _| !name.contains("layers.0"));
    let shard = |name: &String| {
        if name.contains("layers.0") {
            "a.safetensors"
        } else {
            "b.safetensors"
        }
    };
    let map: serde_json::Map<_, _> = stored.keys().map(|name| (name.clone(), shard(name).into())).collect();
    let source = |map: serde_json::Value, a: &Stored, b: &Stored| {
        let index = json!({"metadata": {"total_size": 1}, "weight_map": map})
            .to_string()
            .into_bytes();
        let files = [("step5/a.safetensors", file(a)), ("step5/b.safetensors", file(b))];
        MemorySource::new(files.into_iter().chain([("step5/model.safetensors.index.json", index)]))
    };
    let whole = load(&config, &stored).unwrap();
    let sharded = load_from(&source(json!(map), &first, &second), "step5/", &config).unwrap();
    assert_eq!(sharded.0, whole.0);

    let error = |source: &MemorySource| {
        load_from(source, "step5/", &config)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error(&source(json!({"x": "../a.safetensors"}), &first, &second)),
        "step5/model.safetensors.index.json names the shard \"../a.safetensors\", which is not a file inside the model folder"
    );
    for name in ["/etc/passwd", "C:\\x", "a//b", "", ".", "x/../../y", "a\u{0}"] {
        assert!(
            error(&source(json!({"x": name}), &first, &second)).contains("not a file inside"),
            "{name}"
        );
    }
    assert!(error(&source(json!({"x": "c.safetensors"}), &first, &second)).contains("c.safetensors is missing"));
    assert!(error(&source(json!({"x": 1}), &first, &second)).contains("index.json is not valid"));
    assert!(error(&source(json!([]), &first, &second)).contains("index.json is not valid"));
    let mut moved = map.clone();
    moved.insert("model.norm.weight".into(), "a.safetensors".into());
    assert!(error(&source(json!(moved), &first, &second)).contains("but it is in step5/b.safetensors"));
    moved.insert("nothing".into(), "a.safetensors".into());
    assert!(error(&source(json!(moved), &first, &stored)).contains("is also in step5/a.safetensors"));
    moved.insert("model.norm.weight".into(), "b.safetensors".into());
    assert!(error(&source(json!(moved), &first, &second)).contains("tensor \"nothing\""));
}

#[test]
fn wrong_tensors_are_named() {
    let (config, stored) = llama(false, false, "F16");
    let error = |change: &dyn Fn(&mut Stored)| {
        let mut changed = stored.clone();
        change(&mut changed);
        let error = load(&config, &changed).map(|_| ()).unwrap_err();
        assert_eq!(error.code(), Code::Checkpoint);
        error.to_string()
    };
    let up = "model.layers.1.mlp.up_proj.weight";
    assert_eq!(
        error(&|stored| drop(stored.remove(up))),
        format!("model.safetensors: tensor \"{up}\" is missing")
    );
    assert_eq!(
        error(&|stored| fill(stored, up, &[6, 5], "F16")),
        format!("model.safetensors: tensor \"{up}\" must have the shape [5, 6], not [6, 5]")
    );
    assert_eq!(
        error(&|stored| fill(stored, up, &[5, 6], "F64")),
        format!("model.safetensors: tensor \"{up}\" must be F32, F16 or BF16 (or I8 with scales), not F64")
    );
    assert_eq!(
        error(&|stored| fill(stored, "model.norm.weight", &[6], "I8")),
        "model.safetensors: tensor \"model.norm.weight\" must be F32, F16 or BF16, not I8"
    );
    for extra in [
        "model.layers.2.mlp.up_proj.weight",
        "model.layers.0.mlp.up_proj.bias",
        "x",
        "model.norm.weight.scale",
    ] {
        assert_eq!(
            error(&|stored| fill(stored, extra, &[2], "F32")),
            format!("model.safetensors: tensor \"{extra}\" has no place in the model that config.json describes")
        );
    }
    assert!(error(&|stored| fill(stored, up, &[5, 6], "I8")).contains("up_proj.weight.scale\" is missing"));
    let wrong_scale = |stored: &mut Stored| {
        fill(stored, up, &[5, 6], "I8");
        fill(stored, &format!("{up}.scale"), &[5], "F16");
    };
    assert!(error(&wrong_scale).contains("up_proj.weight.scale\" must be F32, not F16"));
    assert!(error(&|stored| drop(stored.remove("lm_head.weight"))).contains("\"lm_head.weight\" is missing"));
    let none = load_from(&MemorySource::default(), "step7/", &config)
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(none.starts_with("step7/model.safetensors is missing"), "{none}");
}

proptest! {
    /// A tensor with another dtype, shape or name: loaded or refused with one line.
    #[test]
    fn changed_tensors(
        is_gpt2: bool,
        which in any::<prop::sample::Index>(),
        dtype in prop::sample::select(vec!["F32", "F16", "BF16", "I8", "U8", "F64"]),
        shape in prop::option::of(prop::collection::vec(0usize..10, 0..4)),
        rename in prop::option::of(prop::sample::select(vec!["lm_head.weight", "x.rotary_emb.inv_freq", "transformer.wte.weight", ""])),
    ) {
        let (config, mut stored) = if is_gpt2 { gpt2("", "F32") } else { llama(true, true, "F16") };
        let name = stored.keys().nth(which.index(stored.len())).cloned().unwrap_or_default();
        let old = stored.remove(&name).map(|(shape, _, _)| shape).unwrap_or_default();
        fill(&mut stored, rename.unwrap_or(&name), &shape.unwrap_or(old), dtype);
        if let Err(error) = load(&config, &stored) {
            prop_assert_eq!(error.code(), Code::Checkpoint);
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}
