//! The header of a safetensors file: 8 bytes of length, then JSON, then the tensors without gaps.
//! <https://huggingface.co/docs/safetensors>

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{fail, quoted, Code, Error, Result};
use crate::json::Entries;
use crate::source::Source;

/// The format's own limit on the header.
const MAX_HEADER: u64 = 100_000_000;

/// How a tensor is stored. Types this engine does not compute with are known by their size, so that a file
/// that also holds such a tensor can be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoredDtype {
    F32,
    F16,
    Bf16,
    I8,
    U32,
    /// Name and size in bits of any other.
    Other(&'static str, u8),
}

impl StoredDtype {
    fn parse(name: &str) -> Option<StoredDtype> {
        const OTHER: [(&str, u8); 17] = [
            ("BOOL", 8),
            ("U8", 8),
            ("U16", 16),
            ("I16", 16),
            ("I32", 32),
            ("I64", 64),
            ("U64", 64),
            ("F64", 64),
            ("C64", 64),
            ("F8_E5M2", 8),
            ("F8_E4M3", 8),
            ("F8_E8M0", 8),
            ("F8_E4M3FNUZ", 8),
            ("F8_E5M2FNUZ", 8),
            ("F6_E2M3", 6),
            ("F6_E3M2", 6),
            ("F4", 4),
        ];
        Some(match name {
            "F32" => StoredDtype::F32,
            "F16" => StoredDtype::F16,
            "BF16" => StoredDtype::Bf16,
            "I8" => StoredDtype::I8,
            "U32" => StoredDtype::U32,
            _ => OTHER
                .iter()
                .find(|(other, _)| *other == name)
                .map(|&(name, bits)| StoredDtype::Other(name, bits))?,
        })
    }

    /// The name in the file.
    pub fn name(self) -> &'static str {
        match self {
            StoredDtype::F32 => "F32",
            StoredDtype::F16 => "F16",
            StoredDtype::Bf16 => "BF16",
            StoredDtype::I8 => "I8",
            StoredDtype::U32 => "U32",
            StoredDtype::Other(name, _) => name,
        }
    }

    fn bits(self) -> u64 {
        match self {
            StoredDtype::F32 | StoredDtype::U32 => 32,
            StoredDtype::F16 | StoredDtype::Bf16 => 16,
            StoredDtype::I8 => 8,
            StoredDtype::Other(_, bits) => u64::from(bits),
        }
    }
}

/// Where a tensor lies in its file; checked against the file's size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    pub dtype: StoredDtype,
    pub shape: Vec<u64>,
    /// First byte, counted from the beginning of the file.
    pub start: u64,
    pub bytes: u64,
}

#[cfg(feature = "cli")]
impl TensorInfo {
    /// Number of elements.
    pub fn elements(&self) -> u64 {
        // Checked when the header was parsed.
        self.shape.iter().product()
    }
}

/// The tensors of the safetensors file at `path`, by name.
pub(super) async fn read_header(source: &dyn Source, path: &str) -> Result<BTreeMap<String, TensorInfo>> {
    let Some(size) = source.size(path) else {
        fail!(Checkpoint, "{path} is missing from the model folder")
    };
    if size < 8 {
        fail!(Checkpoint, "{path} has {size} bytes; a safetensors file has at least 8");
    }
    let length = source.read(path, 0, 8).await?;
    let Ok(length) = <[u8; 8]>::try_from(length) else {
        fail!(Io, "{path} did not give the 8 bytes asked for")
    };
    let length = u64::from_le_bytes(length);
    if length > size - 8 {
        fail!(
            Checkpoint,
            "{path} is not a whole safetensors file: its header has {length} bytes, the file {size}"
        );
    }
    match usize::try_from(length) {
        Ok(bytes) if length <= MAX_HEADER => {
            let header = source.read(path, 8, bytes).await?;
            parse_header(path, &header, size)
        }
        _ => fail!(
            Checkpoint,
            "{path}: its header has {length} bytes; at most {MAX_HEADER} are allowed"
        ),
    }
}

/// `size` is that of the whole file; `header` comes after its first 8 bytes.
pub(super) fn parse_header(path: &str, header: &[u8], size: u64) -> Result<BTreeMap<String, TensorInfo>> {
    let Entries(raw) = serde_json::from_slice::<Entries<RawTensor>>(header)
        .map_err(|error| Error::new(Code::Checkpoint, format!("{path}: its header is not valid: {error}")))?;
    let first = 8 + header.len() as u64;
    let Some(data) = size.checked_sub(first) else {
        fail!(Checkpoint, "{path} ends inside its header")
    };
    let mut tensors = BTreeMap::new();
    for (name, tensor) in raw {
        let (start, end) = tensor.data_offsets;
        let Some(dtype) = StoredDtype::parse(&tensor.dtype) else {
            fail!(
                Checkpoint,
                "{path}: tensor {} has the unknown dtype {}",
                quoted(name),
                quoted(&tensor.dtype)
            );
        };
        let elements = tensor.shape.iter().try_fold(1u64, |n, &dim| n.checked_mul(dim));
        let Some(bits) = elements.and_then(|n| n.checked_mul(dtype.bits())) else {
            fail!(
                Checkpoint,
                "{path}: tensor {name} has more elements than can be counted", name = quoted(name));
        };
        if end > data {
            fail!(
                Checkpoint,
                "{path} is truncated: tensor {name} ends at byte {end} of {data} bytes of data", name = quoted(name));
        }
        if start > end || !bits.is_multiple_of(8) || end - start != bits / 8 {
            let shape = &tensor.shape;
            fail!(
                Checkpoint,
                "{path}: tensor {name} of {} {shape:?} needs {} bytes, its offsets {start} to {end} do not give them",
                dtype.name(),
                bits / 8, name = quoted(name));
        }
        tensors.insert(
            name,
            TensorInfo {
                dtype,
                shape: tensor.shape,
                start: first + start,
                bytes: end - start,
            },
        );
    }
    no_gaps(path, &tensors, first, size)?;
    Ok(tensors)
}

/// The tensors follow each other without gap or overlap and fill the file.
fn no_gaps(path: &str, tensors: &BTreeMap<String, TensorInfo>, first: u64, size: u64) -> Result<()> {
    let mut in_order: Vec<_> = tensors.iter().collect();
    in_order.sort_by_key(|(_, tensor)| (tensor.start, tensor.bytes));
    let mut end = first;
    for (name, tensor) in in_order {
        if tensor.start < end {
            fail!(Checkpoint, "{path}: tensor {name} overlaps the one before it", name = quoted(name));
        }
        if tensor.start > end {
            fail!(
                Checkpoint,
                "{path}: {} unused bytes before tensor {name}",
                tensor.start - end, name = quoted(name));
        }
        end += tensor.bytes;
    }
    if end < size {
        fail!(
            Checkpoint,
            "{path}: {} bytes after the last tensor belong to none",
            size - end
        );
    }
    Ok(())
}

#[derive(Deserialize)]
struct RawTensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}
