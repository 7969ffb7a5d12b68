//! What is fuzzed: how an input is made, and what is done with it.

mod config;
mod edits;
mod features;
mod generated;
mod gguf;
mod manifest;
mod sae;
mod tokenizer;
mod weights;

use serde_json::Value;
use topk_lm::error::Error;

use crate::common::{json, root};
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
        config::target(),
        weights::target(),
        tokenizer::target(),
        tokenizer::decoder(),
        sae::target(),
        edits::target(),
        manifest::target(),
        gguf::target(),
        features::target(),
    ]
}

fn file<'a>(input: &'a Input, name: &str) -> &'a [u8] {
    input
        .iter()
        .find(|(other, _)| other == name)
        .map_or(&[], |(_, bytes)| bytes)
}

/// The JSON files of this name in the folders of `folder`.
fn seeds(folder: &str, name: &str) -> Vec<Value> {
    let mut paths: Vec<_> = std::fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path().join(name))
        .collect();
    paths.sort();
    paths
        .iter()
        .filter(|path| path.is_file())
        .map(|path| json(path))
        .collect()
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
