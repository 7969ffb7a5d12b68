//! One tensor of one safetensors file on disk.

use std::path::Path;

use super::header::{read_header, StoredDtype};
use super::{is_inside, FolderSource};
use crate::error::{fail, quoted, Code, Error, Result};
use crate::source::Source;

/// The f32 tensor `name` of the file at `path`: its shape and numbers.
pub fn read_f32(path: &Path, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
    let shown = path.display();
    let (Some(file), true) = (path.file_name().and_then(|file| file.to_str()), path.is_file()) else {
        fail!(Io, "{shown} is not a file");
    };
    if !is_inside(file) {
        fail!(Io, "{shown}: a file with : or \\ in its name is not read; rename it");
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let source = FolderSource::new(folder.unwrap_or(Path::new(".")))?;
    pollster::block_on(async {
        let tensors = read_header(&source, file).await?;
        let Some(tensor) = tensors.get(name) else {
            fail!(Checkpoint, "{shown} has no tensor {}", quoted(name));
        };
        if tensor.dtype != StoredDtype::F32 {
            fail!(
                Checkpoint,
                "{shown}: {name} is {}, but must be F32",
                tensor.dtype.name()
            );
        }
        let too_large = |_| {
            Error::new(
                Code::OutOfMemory,
                format!("{shown}: {name} is too large for this machine"),
            )
        };
        let length = usize::try_from(tensor.bytes).map_err(too_large)?;
        let shape: std::result::Result<Vec<usize>, _> = tensor.shape.iter().map(|&size| size.try_into()).collect();
        let bytes = source.read(file, tensor.start, length).await?;
        let numbers = bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        Ok((shape.map_err(too_large)?, numbers.collect()))
    })
}
