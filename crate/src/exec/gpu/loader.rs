//! In browsers has the kernels compiled once a checkpoint's header has said how its weights are stored, while the weights download; takes these as they are
//! read, and uploads them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

#[cfg(target_arch = "wasm32")]
use super::ahead::{self, Ahead};
use super::buffers::Buf;
use super::context::Gpu;
use super::core::Core;
use super::engine::GpuEngine;
use super::guard::Guard;
use super::pipelines::Pipelines;
use super::product::Products;
use super::record::uniform_ring;
use super::shader::SHADERS;
use super::staging::StagingPool;
use super::store::{self, Store};
use super::weights::{fits, GpuWeights};
use crate::config::Config;
use crate::error::{fail, Result};
use crate::ops::attention::MAX_D_HEAD;
use crate::ops::def::Step;
use crate::ops::topk::MAX_WIDTH;
use crate::program::Program;
use crate::weights::{Dtype, Tensor, Weight, WeightSink};

/// Builds a [`GpuEngine`]: give it every weight, then [`GpuLoader::finish`].
pub struct GpuLoader {
    gpu: Rc<Gpu>,
    config: Rc<Config>,
    program: Program,
    pipelines: Rc<Pipelines>,
    uniforms: Rc<Buf>,
    weights: GpuWeights,
    products: Products,
    guards: Vec<Guard>,
    /// A browser compiles kernels beside the page, while weights download; natively that would take its own time, and many kernels never run (of prompts,
    /// or of single tokens): there each compiles when it first runs.
    #[cfg(target_arch = "wasm32")]
    ahead: Option<Ahead>,
}

impl GpuLoader {
    /// For a device from [`super::open`].
    pub fn new(gpu: Rc<Gpu>, config: Rc<Config>) -> Result<GpuLoader> {
        let uniforms = uniform_ring(&gpu);
        let pipelines = Rc::new(Pipelines::new(gpu.clone(), uniforms.clone(), SHADERS));
        GpuLoader::with(gpu, config, pipelines, uniforms)
    }

    /// Another checkpoint of the model that `engine` runs: shares its device and its pipelines.
    pub fn beside(engine: &GpuEngine) -> Result<GpuLoader> {
        let core = &*engine.core;
        // An autoencoder belongs to the weights that it was trained on.
        let config = Config {
            saes: Vec::new(),
            ..(*core.config).clone()
        };
        GpuLoader::with(
            core.gpu.clone(),
            Rc::new(config),
            core.pipelines.clone(),
            core.uniforms.clone(),
        )
    }

    fn with(gpu: Rc<Gpu>, config: Rc<Config>, pipelines: Rc<Pipelines>, uniforms: Rc<Buf>) -> Result<GpuLoader> {
        if config.d_head > MAX_D_HEAD {
            fail!(
                Config,
                "config.json: head_dim is {}, but the GPU backend runs at most {MAX_D_HEAD}; use the cpu backend",
                config.d_head
            );
        }
        if config.topk.is_some() && config.d_model > MAX_WIDTH {
            fail!(
                Config,
                "config.json: the model cuts a stream of {} numbers with topk_k, but the GPU backend cuts at most {MAX_WIDTH}; use the cpu backend",
                config.d_model
            );
        }
        let program = Program::new(&config);
        store::fits(&gpu, &config, &program)?;
        Ok(GpuLoader {
            program,
            gpu,
            config,
            pipelines,
            uniforms,
            weights: GpuWeights::default(),
            products: Products::default(),
            guards: Vec::new(),
            #[cfg(target_arch = "wasm32")]
            ahead: None,
        })
    }

    /// Waits for the device's word that all fit.
    pub async fn finish(mut self) -> Result<GpuEngine> {
        let gpu = self.gpu.clone();
        #[cfg(target_arch = "wasm32")]
        if let Some(ahead) = self.ahead.take() {
            ahead.finish().await?;
        }
        for guard in std::mem::take(&mut self.guards) {
            guard.check(&gpu).await?;
        }
        let (engine, guard) = gpu.guarded("the model", || self.build());
        guard.check(&gpu).await?;
        engine
    }

    fn make_products(&mut self) -> Result<()> {
        let made = &mut self.weights;
        self.products.make(&self.gpu, &self.config, &self.pipelines, &self.uniforms, made)
    }

    fn build(mut self) -> Result<GpuEngine> {
        self.make_products()?;
        let numbers = self.weights.matrix_numbers();
        let store = Store::new(&self.gpu, &self.config, &self.program, numbers)?;
        let failures = self.gpu.failures.clone();
        let core = Core {
            store,
            gpu: self.gpu,
            config: self.config,
            pipelines: self.pipelines,
            uniforms: self.uniforms,
            weights: self.weights,
            prepared: RefCell::default(),
            staging: StagingPool::default(),
            slots: RefCell::default(),
            dispatches: Cell::new(0),
            recordings: Cell::new(0),
            failures,
        };
        for step in self.program.all() {
            core.prepare(step)?;
        }
        Ok(GpuEngine {
            core: Rc::new(core),
            program: self.program,
        })
    }
}

impl GpuEngine {
    /// The same model with the autoencoders of `config`, whose weights are `added`.
    pub async fn with_saes(
        &self,
        config: &Config,
        inserted: &[Step],
        added: Vec<(Weight, Tensor)>,
    ) -> Result<GpuEngine> {
        let core = &*self.core;
        let (engine, guard) = core.gpu.guarded("the autoencoder", || {
            let mut weights = core.weights.clone();
            for (which, tensor) in added {
                weights.add(&core.gpu, which, tensor)?;
            }
            let loader = GpuLoader {
                gpu: core.gpu.clone(),
                config: Rc::new(config.clone()),
                program: Program::with(config, inserted),
                pipelines: core.pipelines.clone(),
                uniforms: core.uniforms.clone(),
                weights,
                products: Products::default(),
                guards: Vec::new(),
                #[cfg(target_arch = "wasm32")]
                ahead: None,
            };
            loader.build()
        });
        guard.check(&core.gpu).await?;
        engine
    }
}

impl WeightSink for GpuLoader {
    fn keeps_narrow(&self) -> bool {
        true
    }

    fn expect(&mut self, weights: &[(Weight, Dtype, usize)]) -> Result<()> {
        for (which, _, bytes) in weights {
            fits(&self.gpu, *which, *bytes)?;
        }
        #[cfg(target_arch = "wasm32")]
        {
            let kernels = ahead::kernels(&self.gpu, &self.config, &self.program, weights);
            let (gpu, pipelines, uniforms) = (self.gpu.clone(), self.pipelines.clone(), self.uniforms.clone());
            self.ahead = Some(Ahead::new(gpu, pipelines, uniforms, kernels));
        }
        Ok(())
    }

    fn weight(&mut self, which: Weight, tensor: Tensor) -> Result<()> {
        let gpu = self.gpu.clone();
        let (done, guard) = gpu.guarded(&format!("the weight {which:?}"), || {
            let of = (&*self.config, &self.program);
            self.products.see(&gpu, of, &self.weights, (which, &tensor))?;
            self.weights.add(&gpu, which, tensor)?;
            match which {
                Weight::MlpIn(_) => self.make_products(),
                _ => Ok(()),
            }
        });
        self.guards.push(guard);
        done
    }
}
