//! A sparse autoencoder's folder in SAELens' layout: `cfg.json` and `sae_weights.safetensors`.

use super::header::{StoredDtype, TensorInfo};
use super::index::Checkpoint;
use super::load::{dequantize, scales_of};
use super::planned::{Columns, Layout, Part};
use super::{read_file, MAX_JSON};
use crate::config::{Sae, SaeKind};
use crate::error::{fail, Code, Error, Result};
use crate::memory::zeroed;
use crate::source::Source;
use crate::weights::{Dtype, SaePart, Tensor};

pub(super) const CONFIG: &str = "cfg.json";
pub(super) const WEIGHTS: &str = "sae_weights.safetensors";

/// The configuration and the weights, all shapes checked. `hook` wins over the one that cfg.json names.
pub async fn read_sae(source: &dyn Source, hook: Option<&str>) -> Result<(Sae, Vec<(SaePart, Tensor)>)> {
    for (file, code) in [(CONFIG, Code::Config), (WEIGHTS, Code::Checkpoint)] {
        if source.size(file).is_none() {
            let message = format!("{file} is missing; the folder of an autoencoder in SAELens' layout has {CONFIG} and {WEIGHTS}");
            return Err(Error::new(code, message));
        }
    }
    let config = read_file(source, CONFIG, MAX_JSON, Code::Config).await?;
    let sae = Sae::from_json(&config, hook)?;
    let checkpoint = Checkpoint::of_file(source, WEIGHTS).await?;
    let reader = Reader {
        source,
        checkpoint: &checkpoint,
    };
    let mut weights = Vec::new();
    for (which, part) in parts(&sae) {
        let tensor = reader.tensor(&part).await?;
        if which == SaePart::Decoder {
            weights.push((SaePart::DecoderNorm, Tensor::vector(&row_lengths(&tensor))));
        }
        weights.push((which, tensor));
    }
    Ok((sae, weights))
}

/// What is stored of an autoencoder. Its matrices are taken as they lie, so that an 8-bit one has a scale for each row.
pub(super) fn parts(sae: &Sae) -> Vec<(SaePart, Part)> {
    let (d_in, d_sae) = (sae.d_in, sae.d_sae);
    let part = |name: &str, layout, inputs, outputs| Part {
        name: name.to_owned(),
        layout,
        inputs,
        outputs,
        columns: Columns::From(0),
    };
    let matrix = |name, rows, width| part(name, Layout::Table, rows, width);
    let vector = |name, length| part(name, Layout::Vector, 1, length);
    let mut parts = vec![
        (SaePart::Decoder, matrix("W_dec", d_sae, d_in)),
        (SaePart::DecoderBias, vector("b_dec", d_in)),
    ];
    if !matches!(sae.kind, SaeKind::Pursuit { .. }) {
        parts.push((SaePart::Encoder, matrix("W_enc", d_in, d_sae)));
        parts.push((SaePart::EncoderBias, vector("b_enc", d_sae)));
    }
    if sae.kind == SaeKind::JumpRelu {
        parts.push((SaePart::Threshold, vector("threshold", d_sae)));
    }
    parts
}

struct Reader<'a> {
    source: &'a dyn Source,
    checkpoint: &'a Checkpoint,
}

impl Reader<'_> {
    /// A tensor whose shape is the one that cfg.json says.
    fn find(&self, name: &str, shape: &[u64]) -> Result<&TensorInfo> {
        let Some((_, info)) = self.checkpoint.get(name) else {
            fail!(Checkpoint, "{WEIGHTS}: tensor {name:?} is missing");
        };
        if info.shape != shape {
            fail!(
                Checkpoint,
                "{WEIGHTS}: tensor {name:?} must have the shape {shape:?} that cfg.json says, not {:?}",
                info.shape
            );
        }
        Ok(info)
    }

    async fn read(&self, name: &str) -> Result<Vec<u8>> {
        match self.checkpoint.read(self.source, name).await? {
            Some(bytes) => Ok(bytes),
            None => fail!(Checkpoint, "{WEIGHTS}: tensor {name:?} is missing"),
        }
    }

    /// A matrix in the layout of `weights.rs`, of 8-bit numbers multiplied out; a vector in f32.
    async fn tensor(&self, part: &Part) -> Result<Tensor> {
        let name = &part.name;
        let is_vector = part.layout == Layout::Vector;
        let (mut data, dtype) = match self.find(name, &part.shape())?.dtype {
            StoredDtype::F32 => (self.read(name).await?, Dtype::F32),
            StoredDtype::F16 => (self.read(name).await?, Dtype::F16),
            StoredDtype::Bf16 => (self.read(name).await?, Dtype::Bf16),
            StoredDtype::I8 if !is_vector => (self.multiplied_out(part).await?, Dtype::F32),
            other => fail!(
                Checkpoint,
                "{WEIGHTS}: tensor {name:?} must be F32, F16 or BF16{}, not {}",
                if is_vector { "" } else { " (or I8 with scales)" },
                other.name()
            ),
        };
        let (rows, cols) = (if is_vector { 1 } else { part.inputs }, part.outputs);
        let stride = Tensor::stride_of(cols);
        let (row, padded) = (dtype.bytes_of(cols), dtype.bytes_of(stride));
        if row != padded {
            let mut wider = zeroed(rows * padded, name)?;
            for (to, from) in wider.chunks_exact_mut(padded).zip(data.chunks_exact(row)) {
                to[..row].copy_from_slice(from);
            }
            data = wider;
        }
        let stored = Tensor {
            rows,
            cols,
            stride,
            dtype,
            data,
            scales: Vec::new(),
        };
        Ok(if is_vector {
            Tensor::vector(&stored.to_f32()[..cols])
        } else {
            stored
        })
    }

    /// An 8-bit matrix in f32, little-endian.
    async fn multiplied_out(&self, part: &Part) -> Result<Vec<u8>> {
        let name = part.scale_name();
        let scale = self.find(&name, &[part.scales() as u64])?.dtype;
        if scale != StoredDtype::F32 {
            fail!(Checkpoint, "{WEIGHTS}: tensor {name:?} must be F32, not {}", scale.name());
        }
        let scales = scales_of(&self.read(&name).await?);
        dequantize(part, &self.read(&part.name).await?, &scales)
    }
}

/// √Σ w² of each row.
fn row_lengths(matrix: &Tensor) -> Vec<f32> {
    let numbers = matrix.to_f32();
    let rows = numbers.chunks_exact(matrix.stride);
    rows.map(|row| row.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>().sqrt() as f32)
        .collect()
}
