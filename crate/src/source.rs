//! Where a model's files come from: a folder, bytes in memory, or the page (blobs, read slice by slice).

use std::future::Future;
use std::pin::Pin;

use crate::error::Result;

/// A future that stays on its thread, as everything on the web does.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Files by path relative to the model folder, with `/` between parts (`config.json`, `step254/model.safetensors`).
pub trait Source {
    /// Size in bytes; `None` where there is no such file.
    fn size(&self, path: &str) -> Option<u64>;
    /// Exactly `length` bytes from `offset`; a shorter file is an error naming it.
    fn read<'a>(&'a self, path: &'a str, offset: u64, length: usize) -> LocalFuture<'a, Result<Vec<u8>>>;
}
