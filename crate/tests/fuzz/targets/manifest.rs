//! `manifest.json`.

use serde_json::json;
use topk_lm::checkpoint::Manifest;

use super::{file, words_of, wrong, Target};

pub fn target() -> Target {
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
