//! `--backend gpu` counts what the CPU counts, but for last bits.

use serde_json::Value;
use topk_lm::session::BackendChoice;

use crate::common::{json, load_on};
use crate::{analyze, fails, folder, golden, succeeds};

#[test]
fn the_gpu_counts_what_the_cpu_counts() {
    for model in ["llama-gqa", "llama-dense-bias"] {
        if load_on(&golden(model), BackendChoice::Gpu).is_none() {
            return;
        }
        let folder = folder(&format!("features-gpu-{model}"));
        let of = |backend: &str| {
            let out = folder.join(backend);
            succeeds(analyze(&golden(model), &out, &["--backend", backend]));
            json(&out.join("index.json"))
        };
        let (cpu, gpu) = (of("cpu"), of("gpu"));
        assert_eq!(cpu["corpus"], gpu["corpus"]);
        for column in ["density", "max", "mean"] {
            let numbers = |index: &Value| -> Vec<Option<f64>> {
                let values = index["columns"][column].as_array().unwrap();
                values.iter().map(Value::as_f64).collect()
            };
            let (cpu, gpu) = (numbers(&cpu), numbers(&gpu));
            assert_eq!(cpu.len(), gpu.len());
            let near = |(a, b): (&Option<f64>, &Option<f64>)| match (a, b) {
                (Some(a), Some(b)) => (a - b).abs() <= 2e-3 * a.abs().max(b.abs()),
                (a, b) => a == b,
            };
            let same = cpu.iter().zip(&gpu).filter(|pair| near(*pair)).count();
            // A selection may differ where two entries are as good as equal.
            assert!(
                same * 100 >= cpu.len() * 98,
                "{model}, {column}: {same} of {} agree",
                cpu.len()
            );
        }
    }
}

#[test]
fn shards_of_both_do_not_merge() {
    let model = golden("llama-gqa");
    if load_on(&model, BackendChoice::Gpu).is_none() {
        return;
    }
    let folder = folder("features-gpu-shards");
    let (first, second, out) = (folder.join("1"), folder.join("2"), folder.join("out"));
    succeeds(analyze(&model, &first, &["--shard", "1/2"]));
    succeeds(analyze(&model, &second, &["--shard", "2/2", "--backend", "gpu"]));
    let mut merge = std::process::Command::new(env!("CARGO_BIN_EXE_topk-lm"));
    merge.args(["merge", "--out"]).args([&out, &first, &second]);
    fails(merge, "different analyses");
}
