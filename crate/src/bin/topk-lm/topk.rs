//! `topk-lm topk`: TopK of the rows of a tensor.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use topk_lm::checkpoint::{read_f32, safetensors_bytes, OutputTensor};
use topk_lm::error::{Code, Error, Result};
use topk_lm::exec::gpu::open;
use topk_lm::numerics::order::Select;
use topk_lm::offline::files;
use topk_lm::topk::{topk_cpu, TopKGpu};

use crate::common::{whole, Backend};

/// Compute TopK of each row of a tensor
#[derive(Args)]
pub struct TopKArgs {
    /// Input file with "x" f32 [R, N]
    #[arg(long, value_name = "FILE.safetensors")]
    input: PathBuf,
    /// How many entries per row, from 0 to N
    #[arg(long, value_name = "K", value_parser = whole::<usize>)]
    k: usize,
    /// What entries are ranked by
    #[arg(long, value_enum, default_value_t)]
    select: By,
    /// Output file: "values" f32 [R, K] and "indices" u32 [R, K], each row sorted by rank
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    backend: Backend,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum By {
    /// The signed value
    #[default]
    Value,
    /// The magnitude
    Abs,
}

pub fn run(args: &TopKArgs) -> Result<()> {
    let (shape, data) = read_f32(&args.input, "x")?;
    let &[rows, n] = shape.as_slice() else {
        let path = args.input.display();
        return Err(Error::new(
            Code::Argument,
            format!("{path}: x has the shape {shape:?}, but must be [R, N]"),
        ));
    };
    let select = match args.select {
        By::Value => Select::Value,
        By::Abs => Select::Abs,
    };
    let result = pollster::block_on(async {
        match open(args.backend.choice()).await? {
            (_, Some(gpu)) => {
                TopKGpu::new(gpu.clone(), gpu.profile())
                    .run(&data, n, args.k, select)
                    .await
            }
            (_, None) => topk_cpu(&data, n, args.k, select),
        }
    })?;
    let shape = [rows, args.k];
    let tensors = [
        OutputTensor::f32("values", &shape, &result.values),
        OutputTensor::u32("indices", &shape, &result.indices),
    ];
    files::replace(&args.out, &safetensors_bytes(&tensors)?)
}
