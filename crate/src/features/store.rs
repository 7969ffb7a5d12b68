//! [`Statistics`] and documents as files, which make up a shard and let an interrupted run continue.
//!
//! A file is a line with kind and version, little-endian numbers, and the SHA-256 of it all. The reader checks the hash, every length
//! against the rest of the file before allocating anything, and every number that will be an index.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::accumulate::{LayerStatistics, Statistics};
use super::bands::{Band, Bands, DRAWN};
use super::histogram::Histogram;
use super::peaks::{Peak, Peaks, Sample};
use super::{SAMPLE, TOP, WINDOW};
use crate::error::{fail, Result};
use crate::offline::files;

const STATISTICS: &[u8] = b"topk-lm statistics 2\n";
const DOCUMENTS: &[u8] = b"topk-lm documents 1\n";
/// Largest file we read.
const MAX_BYTES: u64 = 16 << 30;

/// Writes statistics, whole or not at all.
pub fn write_statistics(path: &Path, statistics: &Statistics) -> Result<()> {
    let s = statistics;
    // Room at once: growing by halves would copy hundreds of MB.
    let mut out = Vec::with_capacity(room(s));
    out.extend(STATISTICS);
    for number in [s.from, s.to, s.tokens, s.positions] {
        out.extend(number.to_le_bytes());
    }
    for layer in &s.layers {
        layer.active.iter().for_each(|n| out.extend(n.to_le_bytes()));
        layer.sum.iter().for_each(|n| out.extend(n.to_le_bytes()));
        layer
            .max
            .iter()
            .chain(&layer.min)
            .for_each(|x| out.extend(x.to_le_bytes()));
        for peaks in &layer.peaks {
            out.push(peaks.peaks.len() as u8);
            peaks.peaks.iter().for_each(|peak| put_peak(&mut out, peak));
            peaks.windows.iter().flatten().for_each(|x| out.extend(x.to_le_bytes()));
        }
        for ((histogram, sample), bands) in layer.histograms.iter().zip(&layer.samples).zip(&layer.bands) {
            put_bands(&mut out, bands);
            let (exponent, counts) = histogram.parts();
            out.extend(exponent.to_le_bytes());
            out.extend((counts.len() as u16).to_le_bytes());
            for (bin, n) in counts {
                out.extend(bin.to_le_bytes());
                out.extend(n.to_le_bytes());
            }
            out.push(sample.drawn.len() as u8);
            for (hash, peak, window) in &sample.drawn {
                out.extend(hash.to_le_bytes());
                put_peak(&mut out, peak);
                window.iter().for_each(|x| out.extend(x.to_le_bytes()));
            }
        }
    }
    seal(path, out)
}

/// At least the bytes of the file.
fn room(statistics: &Statistics) -> usize {
    const PEAK: usize = 12;
    let of_layer = |layer: &LayerStatistics| {
        let peaks = |peaks: &Peaks| 1 + peaks.peaks.len() * (PEAK + 4 * WINDOW);
        let bands = |bands: &Bands| {
            let of_band = |band: &Band| 11 + band.drawn.len() * (4 + PEAK);
            2 + bands.bands.iter().map(of_band).sum::<usize>()
        };
        let sample = |sample: &Sample| 1 + sample.drawn.len() * (8 + PEAK + 4 * WINDOW);
        let histogram = |histogram: &Histogram| 4 + 6 * histogram.parts().1.len();
        32 * layer.d_model
            + layer.peaks.iter().map(peaks).sum::<usize>()
            + layer.bands.iter().map(bands).sum::<usize>()
            + layer.samples.iter().map(sample).sum::<usize>()
            + layer.histograms.iter().map(histogram).sum::<usize>()
    };
    1024 + statistics.layers.iter().map(of_layer).sum::<usize>()
}

fn put_bands(out: &mut Vec<u8>, bands: &Bands) {
    out.extend((bands.bands.len() as u16).to_le_bytes());
    for band in &bands.bands {
        out.extend(band.key.to_le_bytes());
        out.extend(band.count.to_le_bytes());
        out.push(band.drawn.len() as u8);
        for (hash, peak) in &band.drawn {
            out.extend(hash.to_le_bytes());
            put_peak(out, peak);
        }
    }
}

fn put_peak(out: &mut Vec<u8>, peak: &Peak) {
    out.extend(peak.value.to_le_bytes());
    out.extend(peak.document.to_le_bytes());
    out.extend(peak.position.to_le_bytes());
}

/// Refuses a file that cannot hold so many neurons, of which each takes at least 32 bytes, before there is room for them.
pub fn check_size(path: &Path, neurons: usize) -> Result<()> {
    let metadata = std::fs::metadata(path).map_err(|error| files::io_error(path, "read", &error))?;
    if metadata.len() / 32 < neurons as u64 {
        fail!(
            Checkpoint,
            "{} is too small for the {neurons} neurons of facts.json",
            path.display()
        );
    }
    Ok(())
}

/// Reads statistics in the shape of `empty`.
pub fn read_statistics(path: &Path, empty: &Statistics) -> Result<Statistics> {
    let bytes = unseal(path, STATISTICS)?;
    let mut reader = Reader {
        rest: &bytes[STATISTICS.len()..],
        path,
    };
    let mut s = empty.clone();
    s.from = reader.u64()?;
    s.to = reader.u64()?;
    s.tokens = reader.u64()?;
    s.positions = reader.u64()?;
    let (from, to) = (s.from, s.to);
    for layer in &mut s.layers {
        for n in &mut layer.active {
            *n = reader.u64()?;
        }
        for n in &mut layer.sum {
            *n = i128::from_le_bytes(reader.array()?);
        }
        for x in layer.max.iter_mut().chain(&mut layer.min) {
            *x = reader.f32()?;
        }
        for slot in 0..layer.peaks.len() {
            let count = usize::from(reader.array::<1>()?[0]);
            if count > TOP {
                return reader.broken();
            }
            let mut peaks = Peaks::default();
            for _ in 0..count {
                peaks.peaks.push(reader.peak(from, to)?);
            }
            for _ in 0..if layer.full { count } else { 0 } {
                peaks.windows.push(reader.window()?);
            }
            layer.peaks[slot] = peaks;
        }
        for slot in 0..layer.histograms.len() {
            layer.bands[slot] = reader.bands(from, to)?;
            let exponent = i16::from_le_bytes(reader.array()?);
            let count = u16::from_le_bytes(reader.array()?);
            let mut counts = Vec::new();
            for _ in 0..count {
                counts.push((u16::from_le_bytes(reader.array()?), u32::from_le_bytes(reader.array()?)));
            }
            let Some(histogram) = Histogram::from_parts(exponent, &counts) else {
                return reader.broken();
            };
            layer.histograms[slot] = histogram;
            let count = usize::from(reader.array::<1>()?[0]);
            if count > SAMPLE {
                return reader.broken();
            }
            let mut sample = Sample::default();
            for _ in 0..count {
                sample
                    .drawn
                    .push((reader.u64()?, reader.peak(from, to)?, reader.window()?));
            }
            layer.samples[slot] = sample;
        }
        layer.settle();
    }
    if !reader.rest.is_empty() || from > to {
        return reader.broken();
    }
    Ok(s)
}

/// Writes the ids of documents.
pub fn write_documents(path: &Path, documents: &[Vec<u32>]) -> Result<()> {
    let mut out = DOCUMENTS.to_vec();
    out.extend((documents.len() as u64).to_le_bytes());
    for document in documents {
        out.extend((document.len() as u32).to_le_bytes());
        document.iter().for_each(|id| out.extend(id.to_le_bytes()));
    }
    seal(path, out)
}

/// Reads documents, whose ids must be below `d_vocab`.
pub fn read_documents(path: &Path, d_vocab: usize) -> Result<Vec<Vec<u32>>> {
    let bytes = unseal(path, DOCUMENTS)?;
    let mut reader = Reader {
        rest: &bytes[DOCUMENTS.len()..],
        path,
    };
    let count = reader.u64()?;
    let mut documents = Vec::new();
    for _ in 0..count {
        let length = u32::from_le_bytes(reader.array()?) as usize;
        let Some(ids) = length.checked_mul(4).and_then(|bytes| reader.take(bytes)) else {
            return reader.broken();
        };
        let ids: Vec<u32> = ids.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
        if ids.iter().any(|id| *id as usize >= d_vocab) {
            return reader.broken();
        }
        documents.push(ids);
    }
    if !reader.rest.is_empty() {
        return reader.broken();
    }
    Ok(documents)
}

fn seal(path: &Path, mut bytes: Vec<u8>) -> Result<()> {
    let hash = Sha256::digest(&bytes);
    bytes.extend_from_slice(&hash);
    files::write_whole(path, &bytes)
}

/// The bytes of a file without its hash, which must match.
fn unseal(path: &Path, kind: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = files::read_whole(path, MAX_BYTES)?;
    let whole = bytes.len().checked_sub(32).is_some_and(|end| {
        let (data, hash) = bytes.split_at(end);
        data.starts_with(kind) && Sha256::digest(data).as_slice() == hash
    });
    if !whole {
        let kind = String::from_utf8_lossy(kind);
        fail!(
            Checkpoint,
            "{} is damaged, or is not a file of {}",
            path.display(),
            kind.trim()
        );
    }
    bytes.truncate(bytes.len() - 32);
    Ok(bytes)
}

struct Reader<'a> {
    rest: &'a [u8],
    path: &'a Path,
}

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }

    fn broken<T>(&self) -> Result<T> {
        fail!(
            Checkpoint,
            "{} does not contain what its first line says",
            self.path.display()
        )
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.take(N).and_then(|bytes| bytes.try_into().ok()) {
            Some(bytes) => Ok(bytes),
            None => self.broken(),
        }
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn f32(&mut self) -> Result<f32> {
        Ok(f32::from_le_bytes(self.array()?))
    }

    fn peak(&mut self, from: u64, to: u64) -> Result<Peak> {
        let peak = Peak {
            value: self.f32()?,
            document: u32::from_le_bytes(self.array()?),
            position: u32::from_le_bytes(self.array()?),
        };
        if !peak.value.is_finite() || !(from..to).contains(&u64::from(peak.document)) {
            return self.broken();
        }
        Ok(peak)
    }

    fn bands(&mut self, from: u64, to: u64) -> Result<Bands> {
        let mut bands = Bands::default();
        for _ in 0..u16::from_le_bytes(self.array()?) {
            let mut band = Band {
                key: u16::from_le_bytes(self.array()?),
                count: self.u64()?,
                drawn: Vec::new(),
            };
            let drawn = usize::from(self.array::<1>()?[0]);
            let rises = bands.bands.last().is_none_or(|last: &Band| last.key < band.key);
            if !rises || !(1..=DRAWN).contains(&drawn) || band.count < drawn as u64 {
                return self.broken();
            }
            for _ in 0..drawn {
                let hash = u32::from_le_bytes(self.array()?);
                band.drawn.push((hash, self.peak(from, to)?));
            }
            bands.bands.push(band);
        }
        Ok(bands)
    }

    fn window(&mut self) -> Result<[f32; WINDOW]> {
        let mut window = [0.0; WINDOW];
        for x in &mut window {
            *x = self.f32()?;
        }
        Ok(window)
    }
}
