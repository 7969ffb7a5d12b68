//! From stored tensors to the layouts of `weights.rs`, one weight at a time.

use std::ops::Range;

use super::four_bit;
use super::header::StoredDtype;
use super::index::Checkpoint;
use super::narrow::as_f16;
use super::plan::plan;
use super::planned::{Columns, Layout, Part, Planned};
use crate::config::{Config, Norm, Quantization};
use crate::error::{fail, Result};
use crate::memory::zeroed;
use crate::source::Source;
use crate::weights::{Dtype, KeptAs, Tensor, Weight, WeightSink};

/// Reads every weight of the checkpoint under `folder_prefix` (`""`, or `"step254/"`) into `sink`. Names, shapes and
/// dtypes of all tensors are checked before the first is read. `progress` gets bytes read so far and in all; it counts the
/// tensors that are used. At most one weight and one stored tensor of it are in memory at a time, besides what `sink` keeps.
pub async fn load_weights(
    source: &dyn Source,
    folder_prefix: &str,
    config: &Config,
    kept: KeptAs,
    sink: &mut dyn WeightSink,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    let checkpoint = Checkpoint::open(source, folder_prefix).await?;
    let planned = plan(config, &checkpoint)?;
    // In browsers weights come one after the other, and the code would have to be fetched by all.
    #[cfg(not(target_arch = "wasm32"))]
    super::plan::check_tied(source, config, &checkpoint, &planned).await?;
    let zeros = four_bit::zeros(&checkpoint, &planned);
    let names = planned
        .iter()
        .flat_map(|item| &item.parts)
        .flat_map(|part| match four_bit::names(&checkpoint, part) {
            Some(names) => names.0.to_vec(),
            None => vec![part.name.clone(), part.scale_name()],
        });
    let names = names.chain(zeros.iter().cloned());
    let total = names.filter_map(|name| Some(checkpoint.get(&name)?.1.bytes)).sum();
    let mut reader = Reader {
        source,
        quantization: config.quantization,
        checkpoint: &checkpoint,
        progress,
        done: 0,
        total,
    };
    (reader.progress)(0, total);
    for name in &zeros {
        if reader.read(name).await?.iter().any(|byte| *byte != 0) {
            fail!(Checkpoint, "tensor {name:?} is not zero, and the model that config.json describes has no such bias");
        }
    }
    let keeps_narrow = kept == KeptAs::Stored && sink.keeps_narrow();
    let expected: Vec<_> = planned
        .iter()
        .map(|item| {
            let dtype = match kept {
                KeptAs::F16 if !item.weight.is_vector() => Dtype::F16,
                _ => read_as(item, keeps_narrow),
            };
            (item.weight, dtype, dtype.gpu_bytes(item.weight, item.rows, Tensor::stride_of(item.cols)))
        })
        .collect();
    sink.expect(&expected)?;
    let mut norm: (Vec<f32>, Vec<f32>) = Default::default();
    for item in &planned {
        let mut tensor = reader.weight(item, keeps_narrow).await?;
        if kept == KeptAs::F16 && !item.weight.is_vector() {
            let names: Vec<&str> = item.parts.iter().map(|part| part.name.as_str()).collect();
            tensor = as_f16(tensor, &names.join(", "))?;
        }
        if item.plus != 0.0 {
            let numbers = tensor.to_f32();
            let sums: Vec<f32> = numbers[..item.cols].iter().map(|x| item.plus + x).collect();
            tensor = Tensor::vector(&sums);
        }
        match item.weight {
            Weight::Norm1Gain(_) => norm.0 = tensor.to_f32(),
            Weight::Norm1Bias(_) => norm.1 = tensor.to_f32(),
            _ => {}
        }
        let sums = match item.weight {
            Weight::Qkv(layer) if config.norm == Norm::Layer => Some((layer, layer_norm_sums(&tensor, &norm))),
            _ => None,
        };
        sink.weight(item.weight, tensor)?;
        if let Some((layer, (gains, biases))) = sums {
            sink.weight(Weight::QkvGainSum(layer), gains)?;
            sink.weight(Weight::QkvBiasSum(layer), biases)?;
        }
    }
    Ok(())
}

/// In which numbers a weight is read.
fn read_as(item: &Planned, keeps_narrow: bool) -> Dtype {
    match item.dtype.is_narrow() && (!keeps_narrow || item.weight.is_vector()) {
        true => Dtype::F32,
        false => item.dtype,
    }
}

struct Reader<'a> {
    source: &'a dyn Source,
    quantization: Option<Quantization>,
    checkpoint: &'a Checkpoint,
    progress: &'a mut dyn FnMut(u64, u64),
    done: u64,
    total: u64,
}

impl Reader<'_> {
    /// `keeps_narrow`: numbers of 8 and 4 bits stay so, beside their scales.
    async fn weight(&mut self, item: &Planned, keeps_narrow: bool) -> Result<Tensor> {
        let (rows, cols, stride) = (item.rows, item.cols, Tensor::stride_of(item.cols));
        let dtype = read_as(item, keeps_narrow);
        let what = format!("{:?}", item.weight);
        if rows.checked_mul(stride).and_then(|n| n.checked_mul(4)).is_none() {
            fail!(OutOfMemory, "{what} has more bytes than can be addressed here")
        };
        if matches!(item.dtype, Dtype::I4 { .. }) {
            let tensor = self.four_bits(item).await?;
            return Ok(if dtype == item.dtype { tensor } else { tensor.widened() });
        }
        let bytes = dtype.data_bytes(rows, stride);
        if let [part] = item.parts.as_slice() {
            // What lies in the file as it is wanted needs no second copy.
            if part.layout != Layout::OutIn && part.columns == Columns::From(0) && stride == cols {
                let data = self.part(part, dtype).await?;
                let mut scales = Vec::new();
                if dtype == Dtype::I8 {
                    scales = self.scales(part).await?;
                }
                return Ok(Tensor {
                    rows,
                    cols,
                    stride,
                    dtype,
                    data,
                    scales,
                });
            }
        }
        let mut data = zeroed(bytes, &what)?;
        let mut scales = Vec::new();
        for part in &item.parts {
            let stored = self.part(part, dtype).await?;
            match dtype {
                Dtype::F32 => place::<4>(part, &stored, &mut data, stride),
                Dtype::F16 | Dtype::Bf16 => place::<2>(part, &stored, &mut data, stride),
                // Returned above.
                Dtype::I4 { .. } => {}
                Dtype::I8 => {
                    place::<1>(part, &stored, &mut data, stride);
                    let of_part = self.scales(part).await?;
                    if part.layout == Layout::Table {
                        scales = of_part;
                    } else {
                        scales.resize(stride, 0.0);
                        of_part.iter().enumerate().for_each(|(o, scale)| scales[part.columns.of(o)] = *scale);
                    }
                }
            }
        }
        Ok(Tensor {
            rows,
            cols,
            stride,
            dtype,
            data,
            scales,
        })
    }

    /// A weight of 4 bits.
    async fn four_bits(&mut self, item: &Planned) -> Result<Tensor> {
        let (rows, stride) = (item.rows, Tensor::stride_of(item.cols));
        let mut data = zeroed(item.dtype.data_bytes(rows, stride), format_args!("{:?}", item.weight))?;
        for part in &item.parts {
            let Some(names) = four_bit::names(self.checkpoint, part) else {
                continue;
            };
            let mut tensors = Vec::new();
            for name in &names.0 {
                if self.checkpoint.get(name).is_some() {
                    tensors.push(self.read(name).await?);
                }
            }
            let bf16_scales = four_bit::has_bf16_scales(self.checkpoint, &names);
            four_bit::place(&tensors, bf16_scales, self.quantization, part, &names, stride, &mut data)?;
        }
        Ok(Tensor {
            rows,
            cols: item.cols,
            stride,
            dtype: item.dtype,
            data,
            scales: Vec::new(),
        })
    }

    /// The scales of an 8-bit tensor.
    async fn scales(&mut self, part: &Part) -> Result<Vec<f32>> {
        Ok(scales_of(&self.read(&part.scale_name()).await?))
    }

    /// The numbers of a stored tensor in `dtype`: its own, or F32.
    async fn part(&mut self, part: &Part, dtype: Dtype) -> Result<Vec<u8>> {
        let bytes = self.read(&part.name).await?;
        let stored = match self.checkpoint.get(&part.name).map(|(_, info)| info.dtype) {
            Some(StoredDtype::F16) => Dtype::F16,
            Some(StoredDtype::Bf16) => Dtype::Bf16,
            Some(StoredDtype::I8) if dtype == Dtype::I8 => Dtype::I8,
            Some(StoredDtype::I8) => {
                let scales = self.scales(part).await?;
                return dequantize(part, &bytes, &scales);
            }
            _ => Dtype::F32,
        };
        if stored == dtype {
            return Ok(bytes);
        }
        let numbers = Tensor {
            rows: 1,
            cols: 0,
            stride: 0,
            dtype: stored,
            data: bytes,
            scales: Vec::new(),
        }
        .to_f32();
        Ok(numbers.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    async fn read(&mut self, name: &str) -> Result<Vec<u8>> {
        let Some(bytes) = self.checkpoint.read(self.source, name).await? else {
            fail!(Checkpoint, "tensor {name:?} is missing");
        };
        self.done += bytes.len() as u64;
        (self.progress)(self.done, self.total);
        // In browsers the source has waited.
        #[cfg(not(target_arch = "wasm32"))]
        crate::pace::pause().await;
        Ok(bytes)
    }
}

/// Scales as they are stored.
pub(super) fn scales_of(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

/// q · scale in f32, little-endian. A scale belongs to an output of a matrix, or to a row of a table.
pub(super) fn dequantize(part: &Part, q: &[u8], scales: &[f32]) -> Result<Vec<u8>> {
    let Some(bytes) = q.len().checked_mul(4) else {
        fail!(OutOfMemory, "{:?} is too large to unpack", part.name)
    };
    let mut numbers = zeroed(bytes, &part.name)?;
    let width = if part.layout == Layout::OutIn {
        part.inputs
    } else {
        part.outputs
    };
    for (row, (q, out)) in q
        .chunks_exact(width)
        .zip(numbers.chunks_exact_mut(width * 4))
        .enumerate()
    {
        for (i, (&q, out)) in q.iter().zip(out.chunks_exact_mut(4)).enumerate() {
            let scale = scales[if part.layout == Layout::InOut { i } else { row }];
            out.copy_from_slice(&(f32::from(q as i8) * scale).to_le_bytes());
        }
    }
    Ok(numbers)
}

/// Copies the numbers of `part`, `N` bytes each, to their rows and columns.
#[inline(never)]
fn place<const N: usize>(part: &Part, stored: &[u8], data: &mut [u8], stride: usize) {
    let (stored, data) = (stored.as_chunks::<N>().0, data.as_chunks_mut::<N>().0);
    if part.layout == Layout::OutIn {
        let columns: Vec<usize> = (0..part.outputs).map(|o| part.columns.of(o)).collect();
        return transpose(stored, data, stride, part.inputs, &columns);
    }
    for (row, source) in data.chunks_exact_mut(stride).zip(stored.chunks_exact(part.outputs)) {
        match part.columns {
            Columns::From(first) => row[first..first + source.len()].copy_from_slice(source),
            columns => source
                .iter()
                .enumerate()
                .for_each(|(o, number)| row[columns.of(o)] = *number),
        }
    }
}

/// `stored` [outputs, inputs] → `data` [inputs, stride], output `o` in column `columns[o]`. In tiles, so that both sides stay in the cache: of few
/// outputs, whose numbers in a large matrix lie so far apart that they compete for the same places there.
fn transpose<const N: usize>(
    stored: &[[u8; N]],
    data: &mut [[u8; N]],
    stride: usize,
    inputs: usize,
    columns: &[usize],
) {
    const OUTPUTS: usize = 8;
    const INPUTS: usize = 32;
    for (tile, columns) in columns.chunks(OUTPUTS).enumerate() {
        let stored = &stored[tile * OUTPUTS * inputs..];
        for first in (0..inputs).step_by(INPUTS) {
            transpose_tile(stored, data, stride, inputs, columns, first..inputs.min(first + INPUTS));
        }
    }
}

/// The inputs `of` of some outputs. Apart, so that a browser compiles no more than it (`numerics/gemm.rs`).
#[inline(never)]
fn transpose_tile<const N: usize>(
    stored: &[[u8; N]],
    data: &mut [[u8; N]],
    stride: usize,
    inputs: usize,
    columns: &[usize],
    of: Range<usize>,
) {
    for i in of {
        let row = &mut data[i * stride..(i + 1) * stride];
        for (o, &column) in columns.iter().enumerate() {
            row[column] = stored[o * inputs + i];
        }
    }
}

/// Σ_i gain_i · W[i, o] and Σ_i bias_i · W[i, o], added up in f64.
fn layer_norm_sums(qkv: &Tensor, (gain, bias): &(Vec<f32>, Vec<f32>)) -> (Tensor, Tensor) {
    let mut sums = (vec![0f64; qkv.cols], vec![0f64; qkv.cols]);
    let numbers = qkv.to_f32();
    for ((row, &gain), &bias) in numbers.chunks_exact(qkv.stride).zip(gain).zip(bias) {
        let scaled = row.iter().enumerate().map(|(o, x)| match qkv.dtype {
            Dtype::I8 => x * qkv.scales[o],
            _ => *x,
        });
        for ((w, gains), biases) in scaled.zip(&mut sums.0).zip(&mut sums.1) {
            *gains += f64::from(gain) * f64::from(w);
            *biases += f64::from(bias) * f64::from(w);
        }
    }
    let rounded = |sums: Vec<f64>| Tensor::vector(&sums.iter().map(|&x| x as f32).collect::<Vec<_>>());
    (rounded(sums.0), rounded(sums.1))
}
