//! The shipped model against PyTorch (`tests/goldens/shipped.py`): long greedy texts token by token, and how often the most
//! likely next token agrees over 10,000 given tokens. `SOAK=1` runs the GPU at full length too.

use std::path::PathBuf;

use crate::common::{generate, ids, json, largest_difference, load_on, root, soak, Tensors};
use serde_json::Value;
use topk_lm::exec::request::LogitRows;
use topk_lm::numerics::order::{topk_indices, Select};
use topk_lm::pace::Cancel;
use topk_lm::session::{BackendChoice, GenerateOptions, Model, RunOptions, SamplingOptions};
use topk_lm::{Edit, Positions};

fn folder() -> PathBuf {
    root().join("models/Llama-TopK-Stories-16M")
}

fn greedy(model: &Model, prompt: &[u32], new_tokens: usize) -> Vec<u32> {
    let options = GenerateOptions {
        sampling: SamplingOptions::at(0.0),
        max_tokens: Some(new_tokens),
        ignore_eos: true,
        ..GenerateOptions::default()
    };
    generate(model, prompt, &options)
}

/// `most` texts; all but the first end after `rest` tokens.
fn greedy_texts(choice: BackendChoice, most: usize, rest: usize) {
    let Some(model) = load_on(&folder(), choice) else {
        return;
    };
    let golden = json(&root().join("tests/goldens/shipped/shipped.json"));
    // Single ids leave room for 256 new tokens in a context of 256; texts for a few fewer. The former come first.
    let mut texts = golden["greedy"].as_array().unwrap().clone();
    texts.sort_by_key(|text| text["prompt_ids"].as_array().unwrap().len());
    assert!(texts.len() >= 3);
    for (number, text) in texts.iter().take(most).enumerate() {
        let mut expected = ids(&text["ids"]);
        expected.truncate(if number == 0 { usize::MAX } else { rest });
        if let Some(prompt) = text["prompt"].as_str() {
            assert_eq!(model.encode_prompt(prompt).unwrap(), ids(&text["prompt_ids"]));
        }
        assert_eq!(greedy(&model, &ids(&text["prompt_ids"]), expected.len()), expected);
        println!(
            "{} greedy tokens after {} equal PyTorch's on {}",
            expected.len(),
            text["prompt_ids"],
            model.backend().kind.name()
        );
    }
}

/// It leaves no text in which it could be found.
#[test]
fn a_special_token_is_a_stop_text() {
    let Some(model) = load_on(&folder(), BackendChoice::Cpu) else {
        return;
    };
    let prompt = model.encode_prompt("They were happy again. The end.").unwrap();
    let end = model.eos_token_ids()[0];
    let name = model.tokenizer().unwrap().id_to_token(end).unwrap();
    let options = |seed| GenerateOptions {
        seed: Some(seed),
        max_tokens: Some(160),
        ignore_eos: true,
        ..GenerateOptions::default()
    };
    let mut texts = (1..40).map(|seed| (seed, generate(&model, &prompt, &options(seed))));
    let ends = |(seed, ids): (u64, Vec<u32>)| Some((seed, ids.iter().position(|id| *id == end)?, ids));
    let (seed, at, on) = texts.find_map(ends).expect("an end of text");
    assert!(at + 1 < on.len());
    let stopped = GenerateOptions {
        stop: vec!["no such text".into(), name],
        ..options(seed)
    };
    assert_eq!(generate(&model, &prompt, &stopped), on[..=at]);
}

#[test]
fn greedy_texts_on_the_cpu() {
    greedy_texts(BackendChoice::Cpu, usize::MAX, usize::MAX);
}

#[test]
fn greedy_texts_on_the_gpu() {
    let (most, rest) = if soak() { (usize::MAX, usize::MAX) } else { (3, 64) };
    greedy_texts(BackendChoice::Gpu, most, rest);
}

/// Top-1 agreement with PyTorch over given tokens: on the CPU with PyTorch whose 8-bit products take inputs rounded to 15 bits too. A disagreement is
/// allowed only where the two best logits lie closer than the tolerance, or a neuron's rank at the edge of the k did, or where PyTorch itself gives
/// that token when its sums carry noise: a number next to half a step of that rounding goes to either side.
fn teacher_forced(choice: BackendChoice, tolerance: f32, most_chunks: usize) {
    let Some(model) = load_on(&folder(), choice) else {
        return;
    };
    let file = Tensors::open(&root().join("tests/goldens/shipped/forced.safetensors"));
    let of = |name: &str| match choice {
        BackendChoice::Cpu => format!("rounded.{name}"),
        _ => name.to_owned(),
    };
    let (starts, tokens, top1) = (file.u32s("starts"), file.u32s("ids"), file.u32s(&of("top1")));
    let floats = file.all();
    let (top2_gap, topk_gap) = (&floats[&of("top2_gap")].1, &floats[&of("topk_gap")].1);
    let other = match choice {
        BackendChoice::Cpu => file.u32s("rounded.other"),
        _ => top1.clone(),
    };
    let (mut agreed, mut seen) = (0, 0);
    for chunk in starts.windows(2).take(most_chunks) {
        let (from, to) = (chunk[0] as usize, chunk[1] as usize);
        let options = RunOptions {
            logits: LogitRows::All,
            ..RunOptions::default()
        };
        let output = pollster::block_on(model.run(&tokens[from..to], &options, &Cancel::default())).unwrap();
        let rows = output.logits.data.chunks_exact(output.logits.shape[1]);
        let mut smallest_topk_gap = f32::INFINITY;
        for (position, row) in (from..to).zip(rows) {
            // A neuron that flips at one position is seen by all later ones.
            smallest_topk_gap = smallest_topk_gap.min(topk_gap[position]);
            seen += 1;
            let best = topk_indices(row, 1, Select::Value)[0];
            if best == top1[position] {
                agreed += 1;
            } else {
                println!(
                    "token {position}: top-2 gap {:e}, smallest TopK gap so far {smallest_topk_gap:e}, with noise {}",
                    top2_gap[position],
                    if best == other[position] { "the same" } else { "another" }
                );
                assert!(
                    top2_gap[position] < tolerance || smallest_topk_gap < tolerance || best == other[position],
                    "token {position} differs beyond the margins"
                );
            }
        }
    }
    println!(
        "teacher-forced top-1 agreement with PyTorch on {}: {agreed} of {seen} ({:.3} %)",
        model.backend().kind.name(),
        100.0 * agreed as f64 / seen as f64
    );
    assert!(agreed * 1000 >= seen * 995, "only {agreed} of {seen} agree");
}

#[test]
fn teacher_forced_on_the_cpu() {
    teacher_forced(BackendChoice::Cpu, 1e-4, usize::MAX);
}

#[test]
fn teacher_forced_on_the_gpu() {
    teacher_forced(BackendChoice::Gpu, 1e-3, if soak() { usize::MAX } else { 4 });
}

/// A small published model that is no part of the project: where the reference folder is there.
#[test]
fn a_published_model_matches_its_reference() {
    let folder = root().join("../shared/reference/stories260K");
    if !folder.exists() {
        println!("SKIPPED: the reference folder stories260K is not here");
        return;
    }
    let golden = json(&folder.join("ref_greedy.json"));
    let all = ids(&golden["ids"]);
    for (choice, tolerance) in [(BackendChoice::Cpu, 1e-4), (BackendChoice::Gpu, 1e-3)] {
        let Some(model) = load_on(&folder, choice) else {
            continue;
        };
        let length = if choice == BackendChoice::Gpu && !soak() {
            96
        } else {
            all.len()
        };
        assert_eq!(greedy(&model, &all[..1], length - 1), all[1..length]);
        for step in [0, 10] {
            let expected: Vec<f32> = serde_json::from_value(golden[format!("logits_step{step}")].clone()).unwrap();
            let output =
                pollster::block_on(model.run(&all[..=step], &RunOptions::default(), &Cancel::default())).unwrap();
            let difference = largest_difference(&output.logits.data, &expected);
            assert!(difference <= tolerance, "step {step}: logits differ by {difference}");
        }
        println!(
            "stories260K: {length} greedy tokens equal on {}",
            model.backend().kind.name()
        );
    }
}

/// The neurons of features/switches.json do what stands there, by runs with edits.
#[test]
fn switches_turn_their_contrasts() {
    let Some(model) = load_on(&folder(), BackendChoice::Cpu) else {
        return;
    };
    let features = |name: &str| json(&folder().join("features").join(name));
    let (listed, contrasts) = (features("switches.json"), features("contrasts.json"));
    let written = json(&root().join("crate/src/features/measure/contrasts.json"));
    let listed = listed["switches"].as_array().unwrap();
    assert!(listed.len() >= 100);
    let named = |file: &Value, name: &Value| -> Value {
        let all = file["contrasts"].as_array().unwrap();
        all.iter().find(|one| one["name"] == *name).unwrap().clone()
    };
    for switch in listed.iter().step_by(12) {
        let contrast = named(&contrasts, &switch["contrast"]);
        let sides = ["a", "b"].map(|side| -> Vec<usize> {
            let texts = contrast[side].as_array().unwrap().iter().filter_map(Value::as_str);
            texts.map(|text| token(&model, text)).collect()
        });
        let odds = |logits: &[f32]| {
            let mass = |ids: &[usize]| ids.iter().map(|id| f64::from(logits[*id]).exp()).sum::<f64>();
            (mass(&sides[0]) / mass(&sides[1])).ln()
        };
        let number = |key: &str| switch[key].as_f64().unwrap();
        let written = named(&written, &switch["contrast"]);
        let changes = written["prompts"].as_array().unwrap().iter().map(|prompt| {
            let ids = model.encode_prompt(prompt.as_str().unwrap()).unwrap();
            let edit = Edit::clamp(number("layer") as usize, number("index") as usize, number("value"));
            let at_last = edit.positions(Positions::Range {
                from: ids.len() - 1,
                to: ids.len(),
            });
            let odds_with = |edits: Vec<Edit>| {
                let options = RunOptions {
                    edits,
                    ..RunOptions::default()
                };
                let output = pollster::block_on(model.run(&ids, &options, &Cancel::default())).unwrap();
                odds(&output.logits.data)
            };
            odds_with(vec![at_last]) - odds_with(vec![])
        });
        let changes: Vec<f64> = changes.collect();
        let (mean, expected) = (changes.iter().sum::<f64>() / changes.len() as f64, number("effect"));
        // The value is rounded to four digits in the file.
        assert!((mean - expected).abs() < 0.01 * expected.abs(), "{mean}: {switch}");
        assert!(changes.iter().all(|change| change * expected > 0.0), "{switch}");
        let times = number("times");
        assert!((times - expected.abs() / number("control")).abs() < 0.01 && times >= 1.5 && number("value") != 0.0);
        assert_eq!(switch["switch"], times >= 3.0);
        assert!(switch["steer"]["surprise"].as_f64() <= Some(1.3) && switch["steer"]["value"] == switch["value"]);
    }
}

/// The id of a token's text.
fn token(model: &Model, text: &str) -> usize {
    let ids = model.encode_prompt(text).unwrap();
    *ids.last().unwrap() as usize
}
