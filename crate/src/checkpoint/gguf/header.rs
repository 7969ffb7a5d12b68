//! The beginning of a GGUF file, versions 2 and 3: keys with their values, then names, shapes and places of the tensors.
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::blocks::GgufType;
use crate::error::{fail, quoted, Code, Error, Result};

/// Bytes of a name or a text.
const LONGEST: u64 = 1 << 20;
/// More tensors or keys than any model has.
const MOST: u64 = 1 << 20;
/// More values in lists than any model has, all lists together: one that takes a byte in the file takes 32 here.
const LISTED: u64 = 1 << 24;

/// A value of a key. Numbers of every type are one of three.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    List(Vec<Value>),
}

/// A tensor: its shape as PyTorch says it, and where its bytes are in the file.
#[derive(Clone, Debug)]
pub struct Stored {
    pub kind: GgufType,
    pub shape: Vec<usize>,
    pub start: u64,
    pub bytes: usize,
}

/// What a file says of itself.
#[derive(Clone, Debug, Default)]
pub struct Header {
    pub values: BTreeMap<String, Value>,
    pub tensors: BTreeMap<String, Stored>,
}

impl Header {
    /// # Errors
    /// `io`; `checkpoint` for a file that is no GGUF, is cut off, or holds what is not read.
    pub fn read(path: &Path) -> Result<Header> {
        let unreadable = |error| Error::new(Code::Io, format!("{} cannot be read: {error}", path.display()));
        let file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        let mut reader = Reader {
            file: BufReader::new(file),
            at: 0,
            size,
            listed: 0,
        };
        if reader.bytes(4)? != b"GGUF" {
            fail!(Checkpoint, "the file does not begin with GGUF; of any other model give the folder");
        }
        match reader.u32()? {
            2 | 3 => {}
            version => fail!(Checkpoint, "GGUF version {version} is not supported; 2 and 3 are"),
        }
        let [tensors, values] = [reader.count(MOST, "tensors")?, reader.count(MOST, "keys")?];
        let mut header = Header::default();
        for _ in 0..values {
            let name = reader.text()?;
            let kind = reader.u32()?;
            let value = reader.value(kind, &name, true)?;
            if header.values.contains_key(&name) {
                fail!(Checkpoint, "key {} comes twice", quoted(&name));
            }
            header.values.insert(name, value);
        }
        let mut placed = Vec::new();
        for _ in 0..tensors {
            let name = reader.text()?;
            let dims = reader.u32()?;
            if !(1..=4).contains(&dims) {
                fail!(Checkpoint, "tensor {} has {dims} dimensions; GGUF has 1 to 4", quoted(&name));
            }
            let mut shape = Vec::new();
            for _ in 0..dims {
                shape.push(reader.u64()?);
            }
            shape.reverse();
            placed.push((name, shape, reader.u32()?, reader.u64()?));
        }
        let alignment = match header.integer("general.alignment")? {
            None => 32,
            Some(alignment @ 1..=65_536) => alignment as u64,
            Some(other) => fail!(Checkpoint, "general.alignment is {other}; it must be from 1 to 65536"),
        };
        let data = reader.at.next_multiple_of(alignment);
        for (name, shape, kind, offset) in placed {
            let stored = stored(&name, &shape, kind, data.checked_add(offset), size)?;
            if header.tensors.contains_key(&name) {
                fail!(Checkpoint, "tensor {} comes twice", quoted(&name));
            }
            header.tensors.insert(name, stored);
        }
        // A small file could hold any number of large ones.
        let mut by_place: Vec<_> = header.tensors.iter().collect();
        by_place.sort_by_key(|(_, stored)| stored.start);
        if let Some(pair) = by_place.windows(2).find(|pair| pair[0].1.start + pair[0].1.bytes as u64 > pair[1].1.start) {
            fail!(Checkpoint, "tensors {} and {} share bytes of the file", quoted(pair[0].0), quoted(pair[1].0));
        }
        Ok(header)
    }

    /// A whole number; an error where it is something else.
    pub fn integer(&self, key: &str) -> Result<Option<i64>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Int(number)) => Ok(Some(*number)),
            Some(Value::List(_)) => fail!(Checkpoint, "{key} differs from layer to layer, which is not supported"),
            Some(_) => fail!(Checkpoint, "{key} must be a whole number"),
        }
    }

    /// A number that an f32 holds.
    pub fn float(&self, key: &str) -> Result<Option<f64>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Float(number)) if !(*number as f32).is_finite() => {
                fail!(Checkpoint, "{key} is {number}; it must be finite")
            }
            Some(Value::Float(number)) => Ok(Some(*number)),
            Some(Value::Int(number)) => Ok(Some(*number as f64)),
            Some(_) => fail!(Checkpoint, "{key} must be a number"),
        }
    }

    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => fail!(Checkpoint, "{key} must be a text"),
        }
    }

    pub fn boolean(&self, key: &str) -> Result<Option<bool>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Bool(yes)) => Ok(Some(*yes)),
            Some(_) => fail!(Checkpoint, "{key} must be true or false"),
        }
    }

    /// Texts, or nothing where there are none.
    pub fn texts(&self, key: &str) -> Result<Vec<&str>> {
        let texts = match self.values.get(key) {
            None => return Ok(Vec::new()),
            Some(Value::List(items)) => items.iter().map(|item| match item {
                Value::Text(text) => Some(text.as_str()),
                _ => None,
            }),
            Some(_) => fail!(Checkpoint, "{key} must be a list of texts"),
        };
        match texts.collect() {
            Some(texts) => Ok(texts),
            None => fail!(Checkpoint, "{key} must be a list of texts"),
        }
    }
}

/// A tensor, checked against the file.
fn stored(name: &str, shape: &[u64], kind: u32, start: Option<u64>, size: u64) -> Result<Stored> {
    let Some(kind) = GgufType::of(kind) else {
        fail!(
            Checkpoint,
            "tensor {} is of ggml's type {kind}, which is not read; {} are",
            quoted(name),
            GgufType::names()
        )
    };
    let [numbers, bytes] = kind.block().map(|side| side as u64);
    if shape.contains(&0) {
        fail!(Checkpoint, "tensor {} has no numbers", quoted(name));
    }
    let row = shape.last().copied().unwrap_or(1);
    if row % numbers != 0 {
        fail!(Checkpoint, "tensor {}: rows of {row} are not whole blocks of {numbers}", quoted(name));
    }
    let elements = shape.iter().try_fold(1u64, |product, side| product.checked_mul(*side));
    let whole = elements.and_then(|elements| (elements / numbers).checked_mul(bytes));
    let end = start.zip(whole).and_then(|(start, whole)| start.checked_add(whole));
    match (start, whole, end) {
        (Some(start), Some(whole), Some(end)) if end <= size => Ok(Stored {
            kind,
            shape: shape.iter().map(|side| *side as usize).collect(),
            start,
            bytes: whole as usize,
        }),
        _ => fail!(Checkpoint, "the file is cut off: tensor {} goes beyond its {size} bytes", quoted(name)),
    }
}

/// Reads on; nothing is allocated that the file has no bytes for.
struct Reader {
    file: BufReader<File>,
    at: u64,
    size: u64,
    /// Values of lists so far.
    listed: u64,
}

impl Reader {
    fn bytes(&mut self, length: u64) -> Result<Vec<u8>> {
        if length > self.size - self.at {
            fail!(Checkpoint, "the file is cut off: it ends after {} bytes, within its header", self.size);
        }
        let mut bytes = vec![0; length as usize];
        self.file
            .read_exact(&mut bytes)
            .map_err(|error| Error::new(Code::Io, format!("the file cannot be read: {error}")))?;
        self.at += length;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(&self.bytes(N as u64)?);
        Ok(array)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A number of things that take at least a byte each.
    fn count(&mut self, most: u64, what: &str) -> Result<u64> {
        let count = self.u64()?;
        if count > most.min(self.size - self.at) {
            fail!(Checkpoint, "the file is cut off or damaged: its header says {count} {what}");
        }
        Ok(count)
    }

    fn text(&mut self) -> Result<String> {
        let length = self.count(LONGEST, "bytes of a text")?;
        let bytes = self.bytes(length)?;
        String::from_utf8(bytes).map_err(|_| Error::new(Code::Checkpoint, "the header has a text that is not UTF-8"))
    }

    fn value(&mut self, kind: u32, key: &str, lists: bool) -> Result<Value> {
        Ok(match kind {
            0 => Value::Int(self.array::<1>()?[0].into()),
            1 => Value::Int((self.array::<1>()?[0] as i8).into()),
            2 => Value::Int(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Int(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Int(self.u32()?.into()),
            5 => Value::Int(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array()?).into()),
            7 => Value::Bool(self.array::<1>()? != [0]),
            8 => Value::Text(self.text()?),
            9 if lists => {
                let kind = self.u32()?;
                let count = self.count(LISTED - self.listed, "values of a list")?;
                self.listed += count;
                let mut items = Vec::new();
                for _ in 0..count {
                    items.push(self.value(kind, key, false)?);
                }
                Value::List(items)
            }
            10 => Value::Int(self.u64()?.try_into().unwrap_or(i64::MAX)),
            11 => Value::Int(i64::from_le_bytes(self.array()?)),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            _ => fail!(Checkpoint, "{} has a value of type {kind}, which GGUF does not have", quoted(key)),
        })
    }
}
