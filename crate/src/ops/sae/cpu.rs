//! The CPU twins of `shaders/sae_*.wgsl`.

use std::ops::Range;

use super::{acts, adds_decoder_bias, clean, error, input, of, pre, recons, scale};
use crate::config::{Normalize, Sae, SaeKind};
use crate::edits::EditTable;
use crate::error::{fail, Error, Result};
use crate::numerics::gemm;
use crate::numerics::order::{first, topk_indices, Select};
use crate::ops::pass::{Pass, SLICE};
use crate::weights::{SaePart, Weight};

/// Added to the standard deviation.
const EPSILON: f32 = 1e-5;

fn sae_of<'a>(pass: &Pass<'a>) -> Result<(&'a Sae, usize)> {
    match of(pass.config, &pass.step) {
        Some(sae) => Ok((sae, pass.step.instance)),
        None => fail!(Argument, "autoencoder {} is not attached", pass.step.instance),
    }
}

/// Rows of a piece, when a row takes so many passes over a matrix.
fn rows_of_piece(pass: &Pass<'_>, passes: usize) -> usize {
    let numbers = of(pass.config, &pass.step).map_or(1, |sae| sae.d_in * sae.d_sae);
    (SLICE / (numbers * passes).max(1)).max(1)
}

pub fn pieces(pass: &Pass<'_>, rows: &Range<usize>) -> usize {
    rows.len().div_ceil(rows_of_piece(pass, 1))
}

pub fn pursuit_pieces(pass: &Pass<'_>, rows: &Range<usize>) -> usize {
    rows.len().div_ceil(rows_of_piece(pass, iterations(pass)))
}

fn iterations(pass: &Pass<'_>) -> usize {
    match of(pass.config, &pass.step).map(|sae| sae.kind) {
        Some(SaeKind::Pursuit { iterations, .. }) => iterations,
        _ => 1,
    }
}

fn piece_of(rows: &Range<usize>, size: usize, piece: usize) -> Range<usize> {
    let first = rows.start + piece * size;
    first..(first + size).min(rows.end)
}

/// Mean and length by which a row is normalised.
fn scale_of(sae: &Sae, x: &[f32]) -> [f32; 2] {
    let n = x.len() as f64;
    match sae.normalize {
        Normalize::None => [0.0, 1.0],
        Normalize::LayerNorm => {
            let mean = x.iter().copied().map(f64::from).sum::<f64>() / n;
            let squares: f64 = x.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum();
            [mean as f32, (squares / (n - 1.0).max(1.0)).sqrt() as f32]
        }
        Normalize::ConstantNorm => {
            let length = x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
            [0.0, (length / n.sqrt()) as f32]
        }
    }
}

/// Rows of x, kept, normalised, and b_dec taken off.
fn normalized(pass: &mut Pass<'_>, sae: &Sae, number: usize, rows: &Range<usize>) -> Result<Vec<f32>> {
    let d = sae.d_in;
    let bias = pass.weights.get(Weight::Sae(number, SaePart::DecoderBias))?;
    let mut kept = pass.buffers.take(input(sae, number));
    kept[rows.start * d..rows.end * d]
        .copy_from_slice(&pass.buffers.get(pass.step.input)[rows.start * d..rows.end * d]);
    let mut scales = pass.buffers.take(scale(number));
    let mut out = vec![0.0; rows.len() * d];
    for (row, out) in rows.clone().zip(out.chunks_exact_mut(d)) {
        let x = &kept[row * d..][..d];
        let [mean, length] = scale_of(sae, x);
        scales[2 * row..2 * row + 2].copy_from_slice(&[mean, length]);
        let divisor = match sae.normalize {
            Normalize::LayerNorm => length + EPSILON,
            _ => length,
        };
        for ((out, x), bias) in out.iter_mut().zip(x).zip(bias.vector()) {
            let value = if sae.normalize == Normalize::None {
                *x
            } else {
                (x - mean) / divisor
            };
            *out = if sae.subtract_decoder_bias { value - bias } else { value };
        }
    }
    pass.buffers.put(scale(number), scales);
    pass.buffers.put(input(sae, number), kept);
    Ok(out)
}

pub fn encode(pass: &mut Pass<'_>, rows: &Range<usize>, piece: usize) -> Result<()> {
    let (sae, number) = sae_of(pass)?;
    let rows = piece_of(rows, rows_of_piece(pass, 1), piece);
    let x = normalized(pass, sae, number, &rows)?;
    let part = |part| pass.weights.get(Weight::Sae(number, part));
    let (w, bias) = (part(SaePart::Encoder)?, part(SaePart::EncoderBias)?);
    let norms = part(SaePart::DecoderNorm)?;
    let mut product = vec![0.0; rows.len() * w.stride];
    gemm::matmul(&x, sae.d_in, &w.data, w.stride, &mut product);
    let mut out = pass.buffers.take(pre(sae, number));
    let rows = out[rows.start * sae.d_sae..rows.end * sae.d_sae].chunks_exact_mut(sae.d_sae);
    for (out, product) in rows.zip(product.chunks_exact(w.stride)) {
        for (((out, sum), bias), norm) in out.iter_mut().zip(product).zip(bias.vector()).zip(norms.vector()) {
            *out = sum + bias;
            if sae.decoder_norm {
                *out *= norm;
            }
        }
    }
    pass.buffers.put(pre(sae, number), out);
    Ok(())
}

pub fn pursue(pass: &mut Pass<'_>, rows: &Range<usize>, piece: usize) -> Result<()> {
    let (sae, number) = sae_of(pass)?;
    let SaeKind::Pursuit {
        iterations,
        residual,
        stop_on_duplicate,
    } = sae.kind
    else {
        fail!(Argument, "autoencoder {number} is no matching pursuit")
    };
    let rows = piece_of(rows, rows_of_piece(pass, iterations), piece);
    let mut rests = normalized(pass, sae, number, &rows)?;
    let w = pass.weights.get(Weight::Sae(number, SaePart::Decoder))?;
    let mut found = pass.buffers.take(clean(sae, number));
    let (mut scores, mut direction) = (vec![0.0; sae.d_sae], vec![0.0; sae.d_in]);
    for (row, rest) in rows.zip(rests.chunks_exact_mut(sae.d_in)) {
        let acts = &mut found[row * sae.d_sae..][..sae.d_sae];
        acts.fill(0.0);
        for _ in 0..iterations {
            gemm::dots(rest, sae.d_in, &w.data, 0..sae.d_sae, w.stride, &mut scores);
            if let Some(wrong) = scores.iter().position(|score| !score.is_finite()) {
                acts[wrong] = scores[wrong]; // for `activate`, which says so
                break;
            }
            let Some(best) = topk_indices(&scores, 1, Select::Value)
                .first()
                .map(|index| *index as usize)
            else {
                break;
            };
            let value = scores[best].max(0.0);
            let again = acts[best] != 0.0 || value == 0.0;
            acts[best] += value;
            w.row(best, &mut direction);
            for (rest, w) in rest.iter_mut().zip(&direction) {
                *rest -= value * w;
            }
            let length = rest.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt() as f32;
            if (stop_on_duplicate && again) || (residual > 0.0 && length < residual) {
                break;
            }
        }
    }
    pass.buffers.put(clean(sae, number), found);
    Ok(())
}

pub fn activate(pass: &mut Pass<'_>, rows: &Range<usize>, _: usize) -> Result<()> {
    let (sae, number) = sae_of(pass)?;
    let d = sae.d_sae;
    let (mut unedited, mut finite) = (pass.buffers.take(clean(sae, number)), true);
    let threshold = pass.weights.find(Weight::Sae(number, SaePart::Threshold));
    if !matches!(sae.kind, SaeKind::Pursuit { .. }) {
        let pre = pass.buffers.get(pre(sae, number));
        for row in rows.clone() {
            let (pre, out) = (&pre[row * d..][..d], &mut unedited[row * d..][..d]);
            finite &= pre.iter().all(|value| value.is_finite());
            match (sae.kind, threshold) {
                (SaeKind::TopK { k }, _) => {
                    out.fill(0.0);
                    for index in first(pre, k, Select::Value) {
                        out[index as usize] = pre[index as usize].max(0.0);
                    }
                }
                (SaeKind::JumpRelu, Some(threshold)) => {
                    for ((out, pre), threshold) in out.iter_mut().zip(pre).zip(threshold.vector()) {
                        *out = if pre > threshold { pre.max(0.0) } else { 0.0 };
                    }
                }
                _ => out.iter_mut().zip(pre).for_each(|(out, pre)| *out = pre.max(0.0)),
            }
        }
    }
    let mut edited = pass.buffers.take(acts(sae, number));
    edited.copy_from_slice(&unedited);
    for row in rows.clone() {
        for edit in pass.edits.layer(EditTable::list_of_sae(pass.config, number)) {
            if edit.applies(row, pass.position(row)) {
                let value = &mut edited[row * d + edit.index as usize];
                *value = edit.apply(*value);
            }
        }
    }
    finite &= edited.iter().all(|value| value.is_finite());
    pass.buffers.put(acts(sae, number), edited);
    pass.buffers.put(clean(sae, number), unedited);
    if !finite {
        return Err(Error::non_finite(Some(pass.step.layer)));
    }
    Ok(())
}

pub fn decode(pass: &mut Pass<'_>, rows: &Range<usize>, piece: usize) -> Result<()> {
    let (sae, number) = sae_of(pass)?;
    let (d, d_sae) = (sae.d_in, sae.d_sae);
    let part = |part| pass.weights.get(Weight::Sae(number, part));
    let (w, bias, norms) = (
        part(SaePart::Decoder)?,
        part(SaePart::DecoderBias)?,
        part(SaePart::DecoderNorm)?,
    );
    let decode = |acts: &[f32], out: &mut Vec<f32>| {
        let active = acts.iter().enumerate().filter(|(_, value)| **value != 0.0);
        let (indices, values): (Vec<u32>, Vec<f32>) = active
            .map(|(i, value)| {
                (
                    i as u32,
                    if sae.decoder_norm {
                        value / norms.vector()[i]
                    } else {
                        *value
                    },
                )
            })
            .unzip();
        out.resize(w.stride, 0.0);
        gemm::gather(&indices, &values, &w.data, w.stride, out);
        if adds_decoder_bias(sae) {
            out.iter_mut().zip(bias.vector()).for_each(|(out, bias)| *out += bias);
        }
    };
    let [mut recon, mut left] = [recons(sae, number), error(sae, number)].map(|buffer| pass.buffers.take(buffer));
    let mut target = pass.buffers.take(pass.step.input);
    let (mut of_edited, mut of_clean) = (Vec::new(), Vec::new());
    for row in piece_of(rows, rows_of_piece(pass, 1), piece) {
        let of = |buffer| &pass.buffers.get(buffer)[row * d_sae..][..d_sae];
        let (edited, unedited) = (of(acts(sae, number)), of(clean(sae, number)));
        let [mean, length] = [0, 1].map(|i| pass.buffers.get(scale(number))[2 * row + i]);
        let x = &pass.buffers.get(input(sae, number))[row * d..][..d];
        decode(edited, &mut of_edited);
        decode(unedited, &mut of_clean);
        let changed = edited != unedited;
        recon[row * d..][..d].copy_from_slice(&of_edited[..d]);
        for i in 0..d {
            left[row * d + i] = x[i] - (of_clean[i] * length + mean);
            target[row * d + i] = match (sae.error_term, changed) {
                (false, _) => of_edited[i] * length + mean,
                (true, false) => x[i],
                (true, true) => x[i] + (of_edited[i] - of_clean[i]) * length,
            };
        }
    }
    let finite = target.iter().all(|value| value.is_finite());
    pass.buffers.put(pass.step.input, target);
    pass.buffers.put(recons(sae, number), recon);
    pass.buffers.put(error(sae, number), left);
    if !finite {
        return Err(Error::non_finite(Some(pass.step.layer)));
    }
    Ok(())
}
