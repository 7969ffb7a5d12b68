//! `config.json` and `generation_config.json`, and what is made from a configuration before there are weights.

use serde_json::json;
use topk_lm::config::GenerationDefaults;
use topk_lm::{hooks, Config};

use super::{file, seeds, words_of, wrong, Target};

pub fn target() -> Target {
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
