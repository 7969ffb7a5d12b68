//! Every kernel goes through naga, and its bindings and constants are those that the host says.

use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, StorageAccess};
use topk_lm::config::{Config, Normalize, Sae, SaeKind};
use topk_lm::exec::gpu::{shader, Shader, OPERATOR_SHADERS, SHADERS};
use topk_lm::ops::buffers::HIDDEN;
use topk_lm::ops::def::{At, KernelContext, Point, Step};
use topk_lm::ops::tuning::Profile;
use topk_lm::ops::{registry, sae};
use topk_lm::program::Program;
use topk_lm::weights::Dtype;

use crate::cases::{gpt2, llama, topk};

/// Of the engine, and of the operator.
fn all_shaders() -> impl Iterator<Item = &'static Shader> {
    SHADERS.iter().chain(OPERATOR_SHADERS)
}

fn module(path: &str) -> naga::Module {
    let found = all_shaders().find(|shader| shader.file == path);
    let source = found.expect("a shader of this crate").text();
    let module =
        naga::front::wgsl::parse_str(&source).unwrap_or_else(|e| panic!("{path}: {}", e.emit_to_string(&source)));
    Validator::new(
        ValidationFlags::all(),
        Capabilities::SHADER_FLOAT16_IN_FLOAT32 | Capabilities::SUBGROUP,
    )
    .validate(&module)
    .unwrap_or_else(|e| panic!("{path}: {e:?}"));
    module
}

#[test]
fn every_shader_is_valid_and_small() {
    let mut count = 0;
    for path in all_shaders().map(|shader| shader.file) {
        let module = module(path);
        let main = module
            .entry_points
            .iter()
            .find(|entry| entry.name == "main")
            .unwrap_or_else(|| panic!("{path} has no main"));
        assert!(main.workgroup_size.iter().product::<u32>() <= 256, "{path}");
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).expect("sizes");
        let shared: u32 = module
            .global_variables
            .iter()
            .filter(|(_, v)| v.space == AddressSpace::WorkGroup)
            .map(|(_, v)| layouter[v.ty].size)
            .sum();
        assert!(shared <= 16 << 10, "{path} uses {shared} bytes of workgroup memory");
        count += 1;
    }
    assert!(count >= 15, "only {count} kernels");
}

/// What naga finds is what build.rs read from the text.
#[test]
fn bindings_are_those_of_the_shaders() {
    for shader in all_shaders() {
        let module = module(shader.file);
        let mut found = Vec::new();
        for (_, variable) in module.global_variables.iter() {
            let Some(binding) = &variable.binding else { continue };
            assert_eq!(binding.group, 0, "{}", shader.file);
            if let AddressSpace::Storage { access } = variable.space {
                let name = variable.name.clone().unwrap_or_default();
                found.push((binding.binding, name, access.contains(StorageAccess::STORE)));
            }
        }
        found.sort();
        let read = shader.bindings.iter().map(|b| (b.number, b.name.to_owned(), b.writes));
        assert_eq!(found, read.collect::<Vec<_>>(), "{}", shader.file);
        assert!(found.len() <= 8, "{}: more bindings than WebGPU promises", shader.file);
    }
}

/// An autoencoder of each kind, at one place.
fn saes(config: &Config) -> Vec<Sae> {
    let pursuit = SaeKind::Pursuit {
        iterations: 3,
        residual: 0.1,
        stop_on_duplicate: true,
    };
    [SaeKind::Relu, SaeKind::TopK { k: 5 }, SaeKind::JumpRelu, pursuit]
        .map(|kind| Sae {
            hook: "blocks.0.hook_resid_post".into(),
            d_in: config.d_model,
            d_sae: 96,
            kind,
            subtract_decoder_bias: true,
            decoder_norm: false,
            normalize: Normalize::LayerNorm,
            error_term: true,
        })
        .into()
}

/// Each step of the programs, and each operation that may run on the side.
fn steps(config: &Config) -> Vec<Step> {
    let inserted = (0..config.saes.len()).flat_map(|number| sae::steps(config, number, HIDDEN, Point::end(0)));
    let program = Program::with(config, &inserted.collect::<Vec<_>>());
    let aside = registry::ALL.iter().map(|op| Step {
        op,
        at: At::new(Point::EMBED, HIDDEN),
    });
    let is_new = |step: &Step| program.all().all(|other| other.op.name != step.op.name);
    program.all().copied().chain(aside.filter(is_new)).collect()
}

#[test]
fn the_host_and_the_shaders_agree() {
    let mut relu = Config {
        topk: topk(7),
        ..llama()
    };
    relu.n_nontopk = 1;
    let wide = Config {
        topk: topk(300),
        d_model: 1024,
        ..gpt2()
    };
    let mut seen = std::collections::BTreeSet::new();
    let with_saes = Config {
        saes: saes(&llama()),
        ..llama()
    };
    for config in [llama(), gpt2(), relu, wide, with_saes] {
        for step in &steps(&config) {
            for (profile, subgroups) in [(Profile::Gpu, false), (Profile::Fallback, false), (Profile::Gpu, true)] {
                for dtype in [Dtype::F32, Dtype::F16, Dtype::Bf16, Dtype::I8] {
                    let cx = KernelContext {
                        config: &config,
                        step,
                        dtype,
                        stored: &|_| Some(dtype),
                        profile,
                        subgroups,
                    };
                    for kernel in (step.op.kernels)(&cx) {
                        seen.insert(kernel.file);
                        let shader = shader(SHADERS, kernel.file).unwrap();
                        let mut bound: Vec<&str> = kernel.binds.iter().map(|(name, _)| *name).collect();
                        let mut has: Vec<&str> = shader.bindings.iter().map(|binding| binding.name).collect();
                        bound.sort_unstable();
                        has.sort_unstable();
                        assert_eq!(bound, has, "{}", kernel.file);
                        let mut given: Vec<&str> = kernel.constants.iter().map(|(name, _)| *name).collect();
                        for (_, constant) in module(kernel.file).overrides.iter() {
                            let name = constant.name.as_deref().unwrap_or_default();
                            let before = given.len();
                            given.retain(|g| *g != name);
                            assert!(
                                given.len() < before || constant.init.is_some(),
                                "{}: {name} is not given",
                                kernel.file
                            );
                        }
                        assert!(given.is_empty(), "{} has no constants {given:?}", kernel.file);
                    }
                }
            }
        }
    }
    // The operator's kernels have tests of their own.
    let all = SHADERS.iter().map(|shader| shader.file);
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all.collect::<Vec<_>>());
}
