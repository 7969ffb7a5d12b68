//! A GGUF file, as llama.cpp writes it, seen as the folder that Hugging Face has of the same model: `config.json`, `tokenizer.json`,
//! `model.safetensors`. Models of the kinds llama, qwen2, qwen3, gemma2 and gemma3.
//!
//! Numbers in blocks become f16. Where all matrices of the blocks are Q4_0 they stay as they are, bit for bit: those are groups of 32 inputs with
//! an f16 scale and a zero of 8, which GPTQ's layout has, too.

mod blocks;
mod header;
mod model;
mod tokenizer;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::f16;
use serde_json::json;

use super::{check_range, read_file, FolderSource, MAX_TOKENIZER};
use super::four_bit::write::GROUP;
use crate::error::{fail, quoted, Code, Error, Result};
use crate::memory::zeroed;
use crate::source::{LocalFuture, Source};
use blocks::GgufType;
use header::{Header, Stored};

/// What a tensor of the folder holds of one in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// Its numbers, f32 and 16 bits as they are, others in f16.
    Numbers,
    /// Its numbers less 1, f32.
    LessOne,
    /// Of Q4_0, what GPTQ's four tensors hold.
    Nibbles,
    Zeros,
    Scales,
    Order,
}

/// A tensor of the folder.
#[derive(Clone, Debug)]
struct Tensor {
    stored: Stored,
    content: Content,
    /// For matrices whose rows llama.cpp has in pairs: rows of a head.
    paired: Option<usize>,
    start: u64,
    bytes: usize,
}

/// See above.
#[derive(Clone, Debug)]
pub struct GgufSource {
    path: PathBuf,
    config: Vec<u8>,
    tokenizer: Option<Vec<u8>>,
    /// The header of `model.safetensors`, its length before it.
    head: Vec<u8>,
    tensors: Vec<Tensor>,
    size: u64,
    /// Why there is no tokenizer.
    pub notice: Option<String>,
}

impl GgufSource {
    /// Reads the header. `tokenizer.json` beside the file is taken where there is one.
    ///
    /// # Errors
    /// `io`; `checkpoint` for what is no GGUF, is cut off, or has a kind of model or tensor that is not read.
    pub fn new(path: impl AsRef<Path>) -> Result<GgufSource> {
        let path = path.as_ref();
        let header = Header::read(path)?;
        let kind = model::Kind::of(&header)?;
        let four_bits = kind.four_bits(&header);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let (folder, beside) = (FolderSource::new(folder.unwrap_or(Path::new(".")))?, "tokenizer.json");
        let (tokenizer, notice) = match folder.size(beside) {
            Some(_) => (Some(pollster::block_on(read_file(&folder, beside, MAX_TOKENIZER, Code::Tokenizer))?), None),
            None => match tokenizer::written(&header)? {
                Ok(json) => (Some(json.to_string().into_bytes()), None),
                Err(why) => (
                    None,
                    Some(format!("{why}; put the model's tokenizer.json beside the file, or into the new folder")),
                ),
            },
        };
        let frequencies = match header.tensors.get(model::FREQUENCIES) {
            Some(stored) => Some(values(stored.kind, &raw(path, stored)?).collect::<Vec<_>>()),
            None => None,
        };
        let config = kind.config(&header, four_bits, frequencies.as_deref())?;
        let mut source = GgufSource {
            path: path.to_path_buf(),
            config: format!("{config:#}\n").into_bytes(),
            tokenizer,
            head: Vec::new(),
            tensors: Vec::new(),
            size: 0,
            notice,
        };
        let mut entries = serde_json::Map::new();
        let mut end = 0u64;
        for (name, stored) in &header.tensors {
            let Some(name) = kind.name(name)? else { continue };
            let paired = kind.paired(&name, &header)?;
            if let Some(d_head) = paired.filter(|d_head| !stored.shape[0].is_multiple_of(*d_head)) {
                fail!(Checkpoint, "tensor {} has {} rows, which are no heads of {d_head}", quoted(&name), stored.shape[0]);
            }
            let of_folder = match kind.adds_one(&name) {
                true => less_one(&name, stored)?,
                false => parts(&name, stored, four_bits)?,
            };
            for (name, content, dtype, shape, bytes) in of_folder {
                // blk.00 is blk.0, too.
                if entries.contains_key(&name) {
                    fail!(Checkpoint, "tensor {} comes twice", quoted(&name));
                }
                entries.insert(
                    name,
                    json!({ "dtype": dtype, "shape": shape, "data_offsets": [end, end + bytes as u64] }),
                );
                source.tensors.push(Tensor {
                    stored: stored.clone(),
                    content,
                    paired,
                    start: end,
                    bytes,
                });
                end += bytes as u64;
            }
        }
        let entries = serde_json::Value::Object(entries).to_string();
        source.head = (entries.len() as u64).to_le_bytes().to_vec();
        source.head.extend(entries.into_bytes());
        source.size = source.head.len() as u64 + end;
        Ok(source)
    }

    /// A range of `model.safetensors`.
    fn weights(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = zeroed(length, "weights")?;
        let end = offset + length as u64;
        let head = self.head.len() as u64;
        // What of [start, start + part.len()) is asked for.
        let mut take = |start: u64, part: &[u8]| {
            let (from, to) = (start.max(offset), (start + part.len() as u64).min(end));
            if from < to {
                bytes[(from - offset) as usize..(to - offset) as usize]
                    .copy_from_slice(&part[(from - start) as usize..(to - start) as usize]);
            }
        };
        take(0, &self.head);
        for tensor in &self.tensors {
            let start = head + tensor.start;
            if start < end && start + tensor.bytes as u64 > offset {
                take(start, &self.content(tensor)?);
            }
        }
        Ok(bytes)
    }

    /// The bytes of a tensor of the folder.
    fn content(&self, tensor: &Tensor) -> Result<Vec<u8>> {
        let Stored { kind, shape, .. } = &tensor.stored;
        let raw = raw(&self.path, &tensor.stored)?;
        let rows = if shape.len() > 1 { shape[0] } else { shape.iter().product() };
        let raw = match tensor.paired {
            Some(d_head) => in_halves(&raw, rows, d_head),
            None => raw,
        };
        let inputs = shape.last().copied().unwrap_or(1);
        Ok(match tensor.content {
            Content::Numbers => numbers(*kind, raw),
            Content::LessOne => values(*kind, &raw).flat_map(|gain| (gain - 1.0).to_le_bytes()).collect(),
            Content::Nibbles => nibbles(&raw, rows, inputs),
            // Zeros of 8, stored less 1.
            Content::Zeros => vec![0x77; tensor.bytes],
            Content::Scales => scales(&raw, rows, inputs),
            Content::Order => (0..inputs).flat_map(|i| ((i / GROUP) as u32).to_le_bytes()).collect(),
        })
    }
}

/// The bytes of a tensor in the file.
fn raw(path: &Path, stored: &Stored) -> Result<Vec<u8>> {
    let mut raw = zeroed(stored.bytes, "a tensor")?;
    let unreadable = |error| Error::new(Code::Io, format!("{} cannot be read: {error}", path.display()));
    let mut file = File::open(path).map_err(unreadable)?;
    file.seek(SeekFrom::Start(stored.start)).map_err(unreadable)?;
    file.read_exact(&mut raw).map_err(unreadable)?;
    Ok(raw)
}

/// The numbers of a tensor in the file.
fn values(kind: GgufType, raw: &[u8]) -> impl Iterator<Item = f32> + '_ {
    let [of_block, size] = kind.block();
    raw.chunks_exact(size).flat_map(move |block| (0..of_block).map(move |i| kind.number(block, i)))
}

/// Bytes of a block of Q4_0.
const BLOCK: usize = 18;

/// Name, content, type, shape and bytes.
type Part = (String, Content, &'static str, Vec<usize>, usize);

/// What a tensor of the file is in the folder.
fn parts(name: &str, stored: &Stored, four_bits: bool) -> Result<Vec<Part>> {
    let elements: usize = stored.shape.iter().product();
    if let (true, GgufType::Q4_0, [outputs, inputs], Some(layer)) =
        (four_bits, stored.kind, &stored.shape[..], name.strip_suffix(".weight"))
    {
        if name.starts_with("model.layers.") {
            let (outputs, inputs) = (*outputs, *inputs);
            let groups = inputs / GROUP;
            let of = |part: &str| format!("{layer}.{part}");
            return Ok(vec![
                (of("qweight"), Content::Nibbles, "I32", vec![inputs / 8, outputs], elements / 2),
                (of("qzeros"), Content::Zeros, "I32", vec![groups, outputs / 8], groups * outputs / 2),
                (of("scales"), Content::Scales, "F16", vec![groups, outputs], 2 * groups * outputs),
                (of("g_idx"), Content::Order, "I32", vec![inputs], 4 * inputs),
            ]);
        }
    }
    let (dtype, of_one) = match stored.kind {
        GgufType::F32 => ("F32", 4),
        GgufType::Bf16 => ("BF16", 2),
        _ => ("F16", 2),
    };
    whole(name, stored, Content::Numbers, dtype, of_one)
}

fn less_one(name: &str, stored: &Stored) -> Result<Vec<Part>> {
    whole(name, stored, Content::LessOne, "F32", 4)
}

/// One tensor of numbers, each of so many bytes.
fn whole(name: &str, stored: &Stored, content: Content, dtype: &'static str, of_one: usize) -> Result<Vec<Part>> {
    match stored.shape.iter().product::<usize>().checked_mul(of_one) {
        Some(bytes) => Ok(vec![(name.to_owned(), content, dtype, stored.shape.clone(), bytes)]),
        None => fail!(Checkpoint, "tensor {} is too large", quoted(name)),
    }
}

/// Rows of each head as Hugging Face has them, the first halves of all pairs, then the second: llama.cpp has pairs side by side.
fn in_halves(raw: &[u8], rows: usize, d_head: usize) -> Vec<u8> {
    let row = raw.len() / rows.max(1);
    let from = |r: usize| {
        let (head, d) = (r / d_head, r % d_head);
        head * d_head + 2 * (d % (d_head / 2)) + d / (d_head / 2)
    };
    (0..rows).flat_map(|r| &raw[from(r) * row..][..row]).copied().collect()
}

fn numbers(kind: GgufType, raw: Vec<u8>) -> Vec<u8> {
    if matches!(kind, GgufType::F32 | GgufType::F16 | GgufType::Bf16) {
        return raw;
    }
    values(kind, &raw).flat_map(|number| f16::from_f32(number).to_le_bytes()).collect()
}

/// Eight inputs of an output in a word, words of all outputs side by side.
fn nibbles(raw: &[u8], outputs: usize, inputs: usize) -> Vec<u8> {
    let mut words = vec![0u32; inputs / 8 * outputs];
    for (o, row) in raw.chunks_exact(inputs / GROUP * BLOCK).enumerate() {
        for i in 0..inputs {
            let byte = row[i / GROUP * BLOCK + 2 + i % 16];
            words[i / 8 * outputs + o] |= u32::from(byte >> (4 * (i % GROUP / 16)) & 15) << (4 * (i % 8));
        }
    }
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn scales(raw: &[u8], outputs: usize, inputs: usize) -> Vec<u8> {
    let groups = inputs / GROUP;
    let at = |group: usize, o: usize| &raw[(o * groups + group) * BLOCK..][..2];
    (0..groups).flat_map(|group| (0..outputs).flat_map(move |o| at(group, o))).copied().collect()
}

impl Source for GgufSource {
    fn size(&self, path: &str) -> Option<u64> {
        match path {
            "config.json" => Some(self.config.len() as u64),
            "tokenizer.json" => self.tokenizer.as_ref().map(|bytes| bytes.len() as u64),
            "model.safetensors" => Some(self.size),
            _ => None,
        }
    }

    fn read<'a>(&'a self, path: &'a str, offset: u64, length: usize) -> LocalFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            check_range(path, self.size(path), offset, length)?;
            let part = |bytes: &[u8]| bytes[offset as usize..][..length].to_vec();
            match path {
                "config.json" => Ok(part(&self.config)),
                "tokenizer.json" => Ok(part(self.tokenizer.as_deref().unwrap_or_default())),
                _ => self.weights(offset, length),
            }
        })
    }
}
