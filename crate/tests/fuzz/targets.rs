//! What is fuzzed: how an input is made, and what is done with it.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use pollster::block_on;
use serde_json::{json, Value};
use sha2::{Digest, Sha256};
use topk_lm::checkpoint::{self, safetensors_bytes, Manifest, MemorySource, OutputTensor};
use topk_lm::config::GenerationDefaults;
use topk_lm::edits::{Edit, EditTable};
use topk_lm::error::Error;
use topk_lm::features::shard::{Shard, Whole};
use topk_lm::ops::weights::CpuWeights;
use topk_lm::tokenizer::{StreamDecoder, Tokenizer};
use topk_lm::{hooks, Config};

use crate::mutate::{self, Rng};
use crate::Input;

/// How a run may end other than well.
pub enum Refusal {
    Error(Error),
    /// A result that is not right.
    Wrong(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Error(error)
    }
}

pub type Outcome = Result<(), Refusal>;

pub struct Target {
    pub name: &'static str,
    pub make: Box<dyn Fn(&mut Rng) -> Input>,
    pub run: Box<dyn Fn(&Input) -> Outcome>,
}

pub fn all() -> Vec<Target> {
    vec![
        config(),
        weights(),
        tokenizer(),
        decoder(),
        sae(),
        edits(),
        manifest(),
        features(),
    ]
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn file<'a>(input: &'a Input, name: &str) -> &'a [u8] {
    input
        .iter()
        .find(|(other, _)| other == name)
        .map_or(&[], |(_, bytes)| bytes)
}

fn read(path: impl AsRef<Path>) -> Value {
    let path = path.as_ref();
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The JSON files of this name in the folders of `folder`.
fn seeds(folder: &str, name: &str) -> Vec<Value> {
    let mut paths: Vec<_> = std::fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path().join(name))
        .collect();
    paths.sort();
    paths.into_iter().filter(|path| path.is_file()).map(read).collect()
}

fn words_of<'a>(values: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    let mut words = Vec::new();
    values.into_iter().for_each(|value| mutate::words(value, &mut words));
    words.sort();
    words.dedup();
    words
}

/// One of `seeds`, made wrong; sometimes on top of that as bytes.
fn wrong(rng: &mut Rng, seeds: &[Value], words: &[String]) -> Vec<u8> {
    let mut value = rng.of(seeds).clone();
    if !rng.one_in(10) {
        mutate::json(rng, &mut value, words);
    }
    let mut bytes = mutate::written(rng, &value);
    if rng.one_in(6) {
        mutate::bytes(rng, &mut bytes);
    }
    bytes
}

/// `config.json` and `generation_config.json`, and what is made from a configuration before there are weights.
fn config() -> Target {
    let seeds = seeds("tests/goldens/models", "config.json");
    let generation = vec![
        json!({"temperature": 0.7, "top_p": 0.9, "top_k": 5, "repetition_penalty": 1.1, "eos_token_id": [1, 2], "max_new_tokens": 9, "do_sample": true}),
        json!({"eos_token_id": 3, "do_sample": false}),
    ];
    let words = words_of(seeds.iter().chain(&generation));
    Target {
        name: "config",
        make: Box::new(move |rng| {
            let bytes = wrong(rng, &seeds, &words);
            vec![
                ("config.json".into(), bytes),
                ("generation_config.json".into(), wrong(rng, &generation, &words)),
            ]
        }),
        run: Box::new(|input| {
            let generation = GenerationDefaults::from_json(file(input, "generation_config.json"), 50);
            let config = Config::from_json(file(input, "config.json"))?;
            config.n_parameters();
            if config.n_layers < 100 {
                hooks::find(&config, &["blocks.0.hook_resid_post".into()])?;
            }
            generation?;
            Ok(())
        }),
    }
}

/// A GPT-2 of d 4.
fn tiny() -> (Value, Vec<(&'static str, Vec<usize>)>) {
    let config = json!({"architectures": ["GPT2LMHeadModel"], "vocab_size": 6, "n_embd": 4, "n_layer": 1, "n_head": 2,
        "n_positions": 3, "n_inner": 5, "topk_k": 2, "bos_token_id": 0, "eos_token_id": [1, 2]});
    let shapes: [(&str, &[usize]); 16] = [
        ("wte.weight", &[6, 4]),
        ("wpe.weight", &[3, 4]),
        ("h.0.ln_1.weight", &[4]),
        ("h.0.ln_1.bias", &[4]),
        ("h.0.ln_2.weight", &[4]),
        ("h.0.ln_2.bias", &[4]),
        ("h.0.attn.c_attn.weight", &[4, 12]),
        ("h.0.attn.c_attn.bias", &[12]),
        ("h.0.attn.c_proj.weight", &[4, 4]),
        ("h.0.attn.c_proj.bias", &[4]),
        ("h.0.mlp.c_fc.weight", &[4, 5]),
        ("h.0.mlp.c_fc.bias", &[5]),
        ("h.0.mlp.c_proj.weight", &[5, 4]),
        ("h.0.mlp.c_proj.bias", &[4]),
        ("ln_f.weight", &[4]),
        ("ln_f.bias", &[4]),
    ];
    (config, shapes.map(|(name, shape)| (name, shape.to_vec())).to_vec())
}

fn safetensors(shapes: &[(&'static str, Vec<usize>)]) -> Vec<u8> {
    let zeros = vec![0.5f32; 1024];
    let tensors: Vec<_> = shapes
        .iter()
        .map(|(name, shape)| OutputTensor::f32(*name, shape, &zeros[..shape.iter().product()]))
        .collect();
    safetensors_bytes(&tensors).unwrap()
}

/// A safetensors file with another header, whose length is right most of the time.
fn reheaded(rng: &mut Rng, file: &[u8], words: &[String]) -> Vec<u8> {
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
    mutate::json(rng, &mut header, words);
    let mut text = mutate::written(rng, &header);
    if rng.one_in(8) {
        mutate::bytes(rng, &mut text);
    }
    let stated = if rng.one_in(20) {
        rng.next() >> rng.below(64)
    } else {
        text.len() as u64
    };
    let mut all = stated.to_le_bytes().to_vec();
    all.extend(text);
    all.extend(&file[8 + length..]);
    all
}

/// A model's weights: one file, or an index and shards.
fn weights() -> Target {
    let (config, shapes) = tiny();
    let (first, second) = shapes.split_at(7);
    let whole = safetensors(&shapes);
    let shards = [safetensors(first), safetensors(second)];
    let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let place = |shapes: &[(&'static str, Vec<usize>)], file: &str| {
        shapes
            .iter()
            .map(|(name, _)| (name.to_string(), json!(file)))
            .collect::<Vec<_>>()
    };
    let map: serde_json::Map<_, _> = place(first, names[0])
        .into_iter()
        .chain(place(second, names[1]))
        .collect();
    let index = vec![json!({"metadata": {"total_size": 1}, "weight_map": map})];
    let mut words = words_of(&index);
    words.extend(
        [
            "F16",
            "BF16",
            "I8",
            "F32",
            "F64",
            "dtype",
            "shape",
            "data_offsets",
            "__metadata__",
        ]
        .map(String::from),
    );
    let config = config.to_string().into_bytes();
    Target {
        name: "weights",
        make: Box::new(move |rng| {
            let mut input = vec![("config.json".to_owned(), config.clone())];
            if rng.one_in(2) {
                let mut bytes = if rng.one_in(4) {
                    whole.clone()
                } else {
                    reheaded(rng, &whole, &words)
                };
                if rng.one_in(4) {
                    mutate::bytes(rng, &mut bytes);
                }
                input.push(("model.safetensors".into(), bytes));
            } else {
                let changed = rng.below(3);
                let right = index[0].to_string().into_bytes();
                input.push((
                    "model.safetensors.index.json".into(),
                    if changed == 0 {
                        wrong(rng, &index, &words)
                    } else {
                        right
                    },
                ));
                for (number, shard) in shards.iter().enumerate() {
                    let bytes = if changed == number + 1 {
                        reheaded(rng, shard, &words)
                    } else {
                        shard.clone()
                    };
                    input.push((names[number].into(), bytes));
                }
            }
            input
        }),
        run: Box::new(|input| {
            let source = MemorySource::new(input.clone());
            let config = block_on(checkpoint::read_config(&source))?;
            block_on(checkpoint::load_weights(
                &source,
                "",
                &config,
                &mut CpuWeights::default(),
                &mut |_, _| {},
            ))?;
            block_on(checkpoint::summarize(&source, "", &config))?;
            Ok(())
        }),
    }
}

fn level() -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true})
}

fn token(id: usize, content: &str, flags: usize) -> Value {
    json!({"id": id, "content": content, "single_word": flags & 1 > 0, "lstrip": flags & 2 > 0, "rstrip": flags & 4 > 0,
        "normalized": flags & 8 > 0, "special": flags & 16 > 0})
}

const PIECES: [&str; 28] = [
    "<s>", "</s>", "<unk>", "a", "b", "c", "ab", "▁", "▁a", "▁▁", "##b", "a</w>", "Ġ", "Ġa", "<0xE2>", "<0x82>",
    "<0xAC>", "<0x41>", "é", "Ã", "©", ".", "'t", "1", "don", "日", " ", "A",
];
const PATTERNS: [&str; 24] = [
    " ",
    "▁",
    "a",
    "a*",
    "$",
    "^",
    "\\b",
    "\\s+",
    " {2,}",
    "(?=a)",
    "(?<=a)b",
    "a|",
    "[^a]",
    ".",
    "(a|b)\\1",
    "\\p{L}",
    "é",
    "a{0,1000}",
    "(?i)A",
    "a+?",
    "\\Ka",
    "<",
    "(?!a)",
    "[▁ ]",
];
const TEXTS: [&str; 9] = [
    "",
    " ",
    "a",
    "hello",
    "ab a  €<s> é</s>\u{0}",
    "▁▁ a##b",
    "aaaaaaaaab don't. A1 日",
    "  \u{301}\u{fb01}\t\n",
    "<0x41> Ab  c",
];

fn pattern(rng: &mut Rng) -> Value {
    let text = *rng.of(&PATTERNS);
    if rng.one_in(2) {
        json!({"String": text})
    } else {
        json!({"Regex": text})
    }
}

fn content(rng: &mut Rng) -> &'static str {
    rng.of::<&str>(&["", " ", "▁", "<s>", "é", "a", "aa", "<0xE2>", "日本"])
}

fn normalizer(rng: &mut Rng) -> Value {
    let (a, b) = (rng.one_in(2), rng.one_in(2));
    match rng.below(13) {
        0 => {
            json!({"type": "BertNormalizer", "clean_text": a, "handle_chinese_chars": b, "strip_accents": null, "lowercase": a})
        }
        1 => json!({"type": "ByteLevel"}),
        2 => json!({"type": "Lowercase"}),
        3 => json!({"type": *rng.of(&["NFC", "NFD", "NFKC", "NFKD"])}),
        4 => json!({"type": "Nmt"}),
        5 | 6 => json!({"type": "Prepend", "prepend": content(rng)}),
        7 => json!({"type": "Strip", "strip_left": a, "strip_right": b}),
        8 => json!({"type": "StripAccents"}),
        _ => json!({"type": "Replace", "pattern": pattern(rng), "content": content(rng)}),
    }
}

fn scheme(rng: &mut Rng) -> &'static str {
    rng.of::<&str>(&["always", "never", "first"])
}

fn metaspace(rng: &mut Rng) -> Value {
    json!({"type": "Metaspace", "replacement": *rng.of(&["▁", "a", "é"]), "prepend_scheme": scheme(rng), "split": rng.one_in(2)})
}

fn pre_tokenizer(rng: &mut Rng) -> Value {
    let behavior = *rng.of(&[
        "Removed",
        "Isolated",
        "MergedWithPrevious",
        "MergedWithNext",
        "Contiguous",
    ]);
    match rng.below(11) {
        0 => json!({"type": "BertPreTokenizer"}),
        1 => {
            json!({"type": "ByteLevel", "add_prefix_space": rng.one_in(2), "trim_offsets": rng.one_in(2), "use_regex": rng.one_in(2)})
        }
        2 => json!({"type": "CharDelimiterSplit", "delimiter": *rng.of(&[" ", "a", "▁"])}),
        3 => json!({"type": "Digits", "individual_digits": rng.one_in(2)}),
        4 => json!({"type": "FixedLength", "length": rng.below(4)}),
        5 => metaspace(rng),
        6 => json!({"type": "Punctuation", "behavior": behavior}),
        7 => json!({"type": "Split", "pattern": pattern(rng), "behavior": behavior, "invert": rng.one_in(2)}),
        8 => json!({"type": "UnicodeScripts"}),
        9 => json!({"type": "Whitespace"}),
        _ => json!({"type": "WhitespaceSplit"}),
    }
}

fn decoder_part(rng: &mut Rng) -> Value {
    match rng.below(10) {
        0 => json!({"type": "BPEDecoder", "suffix": *rng.of(&["</w>", "a", "b"])}),
        1 | 2 => json!({"type": "ByteFallback"}),
        3 => level(),
        4 => json!({"type": "Fuse"}),
        5 => metaspace(rng),
        6 => {
            json!({"type": "Strip", "content": *rng.of(&[" ", "a", "▁"]), "start": rng.below(4), "stop": rng.below(8) / 7})
        }
        7 => json!({"type": "WordPiece", "prefix": *rng.of(&["##", "", "a"]), "cleanup": rng.one_in(2)}),
        _ => json!({"type": "Replace", "pattern": pattern(rng), "content": content(rng)}),
    }
}

/// A part, several in a sequence (also within each other), or none.
fn some(rng: &mut Rng, list: &str, part: fn(&mut Rng) -> Value) -> Value {
    match rng.below(6) {
        0 => Value::Null,
        1 | 2 => part(rng),
        _ => {
            let mut parts: Vec<Value> = (0..rng.below(5)).map(|_| part(rng)).collect();
            if rng.one_in(8) {
                parts.push(some(rng, list, part));
            }
            let mut sequence = json!({"type": "Sequence"});
            sequence[list] = parts.into();
            sequence
        }
    }
}

fn post_processor(rng: &mut Rng) -> Value {
    match rng.below(5) {
        0 => json!({"type": "BertProcessing", "sep": ["</s>", 1], "cls": ["<s>", 0]}),
        1 => {
            json!({"type": "RobertaProcessing", "sep": ["</s>", 1], "cls": ["<s>", 0], "trim_offsets": rng.one_in(2), "add_prefix_space": rng.one_in(2)})
        }
        2 => level(),
        _ => json!({"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}}),
    }
}

/// A `tokenizer.json` of valid parts, in combinations that nobody may have thought of.
fn generated(rng: &mut Rng) -> Value {
    let mut pieces: Vec<&str> = PIECES.to_vec();
    let extra = rng.below(3);
    pieces.truncate(PIECES.len() - 3 * extra);
    let vocab: serde_json::Map<String, Value> = pieces
        .iter()
        .zip(0..)
        .map(|(piece, id): (_, usize)| (piece.to_string(), id.into()))
        .collect();
    let model = match rng.below(4) {
        0 => {
            json!({"type": "BPE", "unk_token": if rng.one_in(2) { json!("<unk>") } else { Value::Null }, "fuse_unk": rng.one_in(2),
            "byte_fallback": rng.one_in(2), "ignore_merges": rng.one_in(2), "vocab": vocab, "merges": [["a", "b"], ["▁", "a"], ["▁", "▁"], ["Ġ", "a"]]})
        }
        1 => json!({"type": "Unigram", "unk_id": 2, "byte_fallback": rng.one_in(2),
            "vocab": pieces.iter().zip(0..).map(|(piece, n): (_, usize)| json!([piece, -(n as f64) / 7.0])).collect::<Vec<_>>()}),
        2 => json!({"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}),
        _ => {
            json!({"type": "WordPiece", "vocab": vocab, "unk_token": "<unk>", "continuing_subword_prefix": *rng.of(&["##", "", "é"]),
            "max_input_chars_per_word": *rng.of(&[100, 1, 0])})
        }
    };
    let added: Vec<Value> = (0..rng.below(4))
        .map(|_| {
            let id = rng.below(pieces.len());
            token(id, pieces[id], rng.below(32))
        })
        .collect();
    json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": some(rng, "normalizers", normalizer),
        "pre_tokenizer": some(rng, "pretokenizers", pre_tokenizer), "post_processor": if rng.one_in(2) { Value::Null } else { post_processor(rng) },
        "decoder": some(rng, "decoders", decoder_part), "model": model})
}

/// Texts to ids, tokens of them, and back; as a stream, too.
fn exercise(bytes: &[u8], texts: &[&str]) -> Outcome {
    let tokenizer = Rc::new(Tokenizer::from_bytes(bytes, 40)?);
    let mut outcome = Ok(());
    for text in texts {
        match tokenizer.encode(text) {
            Ok(ids) => drop(tokenizer.tokens(&ids)?),
            Err(error) => outcome = Err(error.into()),
        }
    }
    // Ids in an order that depends on the file, and those that follow each other.
    let mut rng = Rng(bytes.len() as u64);
    let ids: Vec<u32> = (0..30).chain((0..30).map(|_| rng.below(30) as u32)).collect();
    for skip in [true, false] {
        let mut stream = StreamDecoder::new(tokenizer.clone(), skip);
        let mut streamed = String::new();
        for id in &ids {
            streamed += &stream.push(*id)?;
        }
        streamed += &stream.flush();
        let whole = tokenizer.decode(&ids, skip)?;
        if streamed != whole {
            return Err(Refusal::Wrong(format!("streamed {streamed:?}, decoded {whole:?}")));
        }
    }
    outcome
}

/// `tokenizer.json` out of valid parts and made wrong, and the texts that go through it.
fn tokenizer() -> Target {
    let words: Vec<String> = PIECES.iter().chain(&PATTERNS).map(|word| word.to_string()).collect();
    Target {
        name: "tokenizer",
        make: Box::new(move |rng| {
            let mut value = generated(rng);
            if rng.one_in(2) {
                mutate::json(rng, &mut value, &words);
            }
            let mut bytes = mutate::written(rng, &value);
            if rng.one_in(12) {
                mutate::bytes(rng, &mut bytes);
            }
            vec![("tokenizer.json".into(), bytes)]
        }),
        run: Box::new(|input| exercise(file(input, "tokenizer.json"), &TEXTS)),
    }
}

/// Decoders alone, all of valid parts: a stream gives what decoding at once gives.
fn decoder() -> Target {
    Target {
        name: "decoder",
        make: Box::new(|rng| {
            let mut value = generated(rng);
            value["normalizer"] = Value::Null;
            value["pre_tokenizer"] = Value::Null;
            vec![("tokenizer.json".into(), value.to_string().into_bytes())]
        }),
        run: Box::new(|input| exercise(file(input, "tokenizer.json"), &["ab"])),
    }
}

/// An autoencoder's folder.
fn sae() -> Target {
    let seeds = seeds("tests/goldens/saes", "cfg.json");
    let mut small = seeds.clone();
    for cfg in &mut small {
        for (key, value) in [("d_in", 4), ("d_sae", 6)] {
            if let Some(size) = cfg.get_mut(key) {
                *size = value.into();
            }
        }
    }
    let words = words_of(&seeds);
    let file_of = safetensors(&[
        ("W_dec", vec![6, 4]),
        ("W_enc", vec![4, 6]),
        ("b_dec", vec![4]),
        ("b_enc", vec![6]),
        ("threshold", vec![6]),
    ]);
    Target {
        name: "sae",
        make: Box::new(move |rng| {
            let cfg = if rng.one_in(2) {
                wrong(rng, &small, &words)
            } else {
                rng.of(&small).to_string().into_bytes()
            };
            let weights = if rng.one_in(2) {
                reheaded(rng, &file_of, &words)
            } else {
                file_of.clone()
            };
            vec![("cfg.json".into(), cfg), ("sae_weights.safetensors".into(), weights)]
        }),
        run: Box::new(|input| {
            block_on(checkpoint::read_sae(&MemorySource::new(input.clone()), None))?;
            Ok(())
        }),
    }
}

/// Edits, as JSON and as the command takes them, against a model.
fn edits() -> Target {
    let seeds = vec![
        json!({"layer": 0, "index": 2, "action": "clamp", "value": 8, "site": "topk_in", "positions": "generated", "propagate": "from_layer"}),
        json!({"layer": 0, "index": 1, "action": "ablate", "positions": {"from": 0, "to": 2}}),
        json!({"sae": "blocks.0.hook_resid_post", "index": 1, "action": "scale", "value": 0.5}),
    ];
    let lines = [
        "layer=0,index=2,action=clamp,value=8,site=topk_in,positions=generated,propagate=from_layer",
        "layer=0,index=0,action=ablate,positions=3..7",
    ];
    let mut words = words_of(&seeds);
    words.extend(["all", "prompt", "topk_out", "layer", "add"].map(String::from));
    let config = Config::from_json(tiny().0.to_string().as_bytes()).unwrap();
    Target {
        name: "edits",
        make: Box::new(move |rng| {
            let mut line = rng.of(&lines).as_bytes().to_vec();
            if rng.one_in(3) {
                let word = rng.of(&words).as_bytes().to_vec();
                let at = rng.below(line.len());
                line.splice(at..at, word);
            }
            mutate::bytes(rng, &mut line);
            vec![
                ("edit.json".into(), wrong(rng, &seeds, &words)),
                ("edit.txt".into(), line),
            ]
        }),
        run: Box::new(move |input| {
            let mut list = Vec::new();
            let line = String::from_utf8_lossy(file(input, "edit.txt")).parse::<Edit>();
            list.extend(line.as_ref().ok().cloned());
            list.extend(serde_json::from_slice::<Edit>(file(input, "edit.json")).ok());
            for edit in &list {
                EditTable::new(&config, std::slice::from_ref(edit), 2)?;
            }
            line.map(|_| ())?;
            Ok(())
        }),
    }
}

fn manifest() -> Target {
    let hash = "8e662787d920c348003dc564fd945e223154c06cd8f25c5bb7ab78b63da82dad";
    let seeds = vec![
        json!({"format": 1, "steps": [1, 254], "dense_twin": "../Dense", "features": "features", "files": [
        {"path": "config.json", "bytes": 691, "sha256": hash}, {"path": "step1/model.safetensors", "bytes": 12, "sha256": hash}]}),
    ];
    let words = words_of(&seeds);
    Target {
        name: "manifest",
        make: Box::new(move |rng| vec![("manifest.json".into(), wrong(rng, &seeds, &words))]),
        run: Box::new(|input| Ok(Manifest::from_json(file(input, "manifest.json")).map(|_| ())?)),
    }
}

const SHARD: [&str; 3] = ["facts.json", "documents.bin", "final.bin"];

/// A shard of an analysis of the tiny model, made by the command.
fn shard() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-shard-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let (config, shapes) = tiny();
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    std::fs::write(folder.join("model.safetensors"), safetensors(&shapes)).unwrap();
    std::fs::write(folder.join("corpus.jsonl"), "{\"ids\": [3, 4, 5]}\n{\"ids\": [5, 3]}\n").unwrap();
    let mut analyze = Command::new(env!("CARGO_BIN_EXE_topk-lm"));
    analyze
        .args(["analyze", "--threads", "1", "--shard", "1/1", "--model"])
        .arg(&folder)
        .arg("--corpus")
        .arg(folder.join("corpus.jsonl"));
    let output = analyze.arg("--out").arg(folder.join("out")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files = SHARD
        .map(|name| (name.to_owned(), std::fs::read(folder.join("out").join(name)).unwrap()))
        .to_vec();
    let _ = std::fs::remove_dir_all(&folder);
    files
}

/// The files of an analysis' shard; those with a hash get the right one, or nothing behind it would be read.
fn features() -> Target {
    let seed: OnceCell<Vec<(String, Vec<u8>)>> = OnceCell::new();
    // In memory where there is such a place: each run writes three files.
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() {
        memory
    } else {
        Path::new(env!("CARGO_TARGET_TMPDIR"))
    };
    let folder = place.join(format!("topk-lm-fuzz-{}", std::process::id()));
    Target {
        name: "features",
        make: Box::new(move |rng| {
            let mut input = seed.get_or_init(shard).clone();
            let changed = rng.below(3);
            let bytes = &mut input[changed].1;
            if changed == 0 {
                let value: Value = serde_json::from_slice(bytes).unwrap();
                let words = words_of([&value]);
                *bytes = wrong(rng, &[value], &words);
            } else {
                bytes.truncate(bytes.len() - 32);
                mutate::bytes(rng, bytes);
                if !rng.one_in(20) {
                    let hash = Sha256::digest(&*bytes);
                    bytes.extend_from_slice(&hash);
                }
            }
            input
        }),
        run: Box::new(move |input| {
            std::fs::create_dir_all(&folder).unwrap();
            for (name, bytes) in input {
                std::fs::write(folder.join(name), bytes).unwrap();
            }
            let whole = Whole::read(&[Shard { folder: folder.clone() }]).map(|_| ());
            let _ = std::fs::remove_dir_all(&folder);
            Ok(whole?)
        }),
    }
}
