//! Writing safetensors: what the command gives out, and what tests are made of.

use crate::error::{fail, quoted, Result};

/// A tensor to be written.
#[derive(Clone, Debug)]
pub struct OutputTensor<'a> {
    pub name: String,
    /// The format's name of the dtype: `F32`, `U32`, …
    pub dtype: &'static str,
    pub shape: Vec<usize>,
    /// Little-endian, row-major.
    pub data: std::borrow::Cow<'a, [u8]>,
}

impl<'a> OutputTensor<'a> {
    /// A tensor of f32.
    pub fn f32(name: impl Into<String>, shape: &[usize], data: &'a [f32]) -> OutputTensor<'a> {
        OutputTensor {
            name: name.into(),
            dtype: "F32",
            shape: shape.to_vec(),
            data: bytemuck::cast_slice(data).into(),
        }
    }

    /// A tensor of u32.
    pub fn u32(name: impl Into<String>, shape: &[usize], data: &'a [u32]) -> OutputTensor<'a> {
        OutputTensor {
            name: name.into(),
            dtype: "U32",
            shape: shape.to_vec(),
            data: bytemuck::cast_slice(data).into(),
        }
    }
}

/// A whole safetensors file, the tensors in the order given. Two of one name are an error.
pub fn safetensors_bytes(tensors: &[OutputTensor]) -> Result<Vec<u8>> {
    file(tensors, serde_json::Map::new())
}

/// The same with texts about the file by name: safetensors' metadata.
pub fn safetensors_about(tensors: &[OutputTensor], about: serde_json::Value) -> Result<Vec<u8>> {
    file(tensors, serde_json::Map::from_iter([("__metadata__".to_owned(), about)]))
}

/// The same with the mark by which transformers knows a model's weights.
pub(super) fn model_bytes(tensors: &[OutputTensor]) -> Result<Vec<u8>> {
    safetensors_about(tensors, serde_json::json!({ "format": "pt" }))
}

fn file(tensors: &[OutputTensor], mut header: serde_json::Map<String, serde_json::Value>) -> Result<Vec<u8>> {
    let mut end = 0;
    for tensor in tensors {
        let start = end;
        end += tensor.data.len();
        let entry = serde_json::json!({ "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [start, end] });
        if header.insert(tensor.name.clone(), entry).is_some() {
            fail!(Argument, "two tensors are named {}", quoted(&tensor.name));
        }
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    // The data begins at a multiple of 8, as the format recommends.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.reserve(header.len() + end);
    bytes.extend(header);
    tensors.iter().for_each(|tensor| bytes.extend_from_slice(&tensor.data));
    Ok(bytes)
}
