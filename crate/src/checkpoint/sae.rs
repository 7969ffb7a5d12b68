//! A sparse autoencoder's folder in SAELens' layout: `cfg.json` and `sae_weights.safetensors`.

use super::header::StoredDtype;
use super::index::Checkpoint;
use super::{read_file, MAX_JSON};
use crate::config::{Sae, SaeKind};
use crate::error::{fail, Code, Result};
use crate::memory::zeroed;
use crate::source::Source;
use crate::weights::{Dtype, SaePart, Tensor};

const CONFIG: &str = "cfg.json";
const WEIGHTS: &str = "sae_weights.safetensors";

/// The configuration and the weights, all shapes checked. `hook` wins over the one that cfg.json names.
pub async fn read_sae(source: &dyn Source, hook: Option<&str>) -> Result<(Sae, Vec<(SaePart, Tensor)>)> {
    let config = read_file(source, CONFIG, MAX_JSON, Code::Config).await?;
    let sae = Sae::from_json(&config, hook)?;
    if source.size(WEIGHTS).is_none() {
        fail!(Checkpoint, "{WEIGHTS} is missing from the autoencoder's folder");
    }
    let checkpoint = Checkpoint::of_file(source, WEIGHTS).await?;
    let reader = Reader {
        source,
        checkpoint: &checkpoint,
    };
    let (d_in, d_sae) = (sae.d_in, sae.d_sae);
    let decoder = reader.tensor("W_dec", &[d_sae, d_in]).await?;
    let norms = Tensor::vector(&row_lengths(&decoder));
    let mut weights = vec![
        (SaePart::DecoderBias, reader.vector("b_dec", d_in).await?),
        (SaePart::Decoder, decoder),
        (SaePart::DecoderNorm, norms),
    ];
    if !matches!(sae.kind, SaeKind::Pursuit { .. }) {
        weights.push((SaePart::Encoder, reader.tensor("W_enc", &[d_in, d_sae]).await?));
        weights.push((SaePart::EncoderBias, reader.vector("b_enc", d_sae).await?));
    }
    if sae.kind == SaeKind::JumpRelu {
        weights.push((SaePart::Threshold, reader.vector("threshold", d_sae).await?));
    }
    Ok((sae, weights))
}

struct Reader<'a> {
    source: &'a dyn Source,
    checkpoint: &'a Checkpoint,
}

impl Reader<'_> {
    /// A vector, in f32.
    async fn vector(&self, name: &str, length: usize) -> Result<Tensor> {
        let stored = self.tensor(name, &[length]).await?;
        Ok(Tensor::vector(&stored.to_f32()[..length]))
    }

    /// A matrix in the layout of `weights.rs`, or a row.
    async fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let Some((_, info)) = self.checkpoint.get(name) else {
            fail!(Checkpoint, "{WEIGHTS}: tensor {name:?} is missing");
        };
        if !info.shape.iter().copied().eq(shape.iter().map(|size| *size as u64)) {
            fail!(
                Checkpoint,
                "{WEIGHTS}: tensor {name:?} must have the shape {shape:?} that cfg.json says, not {:?}",
                info.shape
            );
        }
        let dtype = match info.dtype {
            StoredDtype::F32 => Dtype::F32,
            StoredDtype::F16 => Dtype::F16,
            StoredDtype::Bf16 => Dtype::Bf16,
            other => fail!(
                Checkpoint,
                "{WEIGHTS}: tensor {name:?} must be F32, F16 or BF16, not {}",
                other.name()
            ),
        };
        let Some(bytes) = self.checkpoint.read(self.source, name).await? else {
            fail!(Checkpoint, "{WEIGHTS}: tensor {name:?} is missing");
        };
        let (rows, cols) = match *shape {
            [rows, cols] => (rows, cols),
            _ => (1, shape.iter().product()),
        };
        let stride = Tensor::stride_of(cols);
        let (row, padded) = (cols * dtype.bytes(), stride * dtype.bytes());
        let data = if row == padded {
            bytes
        } else {
            let mut data = zeroed(rows * padded, name)?;
            for (to, from) in data.chunks_exact_mut(padded).zip(bytes.chunks_exact(row)) {
                to[..row].copy_from_slice(from);
            }
            data
        };
        Ok(Tensor {
            rows,
            cols,
            stride,
            dtype,
            data,
            scales: Vec::new(),
        })
    }
}

/// √Σ w² of each row.
fn row_lengths(matrix: &Tensor) -> Vec<f32> {
    let numbers = matrix.to_f32();
    let rows = numbers.chunks_exact(matrix.stride);
    rows.map(|row| row.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>().sqrt() as f32)
        .collect()
}
