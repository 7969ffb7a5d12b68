//! Edits, as JSON and as the command takes them, against a model.

use serde_json::json;
use topk_lm::edits::{Edit, EditTable};
use topk_lm::Config;

use super::{file, words_of, wrong, Target};
use crate::common::tiny;
use crate::mutate;

pub fn target() -> Target {
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
    let config = Config::from_json(tiny::config().to_string().as_bytes()).unwrap();
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
