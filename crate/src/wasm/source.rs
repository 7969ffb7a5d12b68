//! Files that the page holds: an object with `size(path)` and `read(path, offset, length)`.

use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::error::{fail, Code, Error, Result};
use crate::memory::zeroed;
use crate::source::{LocalFuture, Source};

/// `{ size(path): number | undefined, read(path, offset, length): Promise<Uint8Array | Uint8Array[]> }`, the latter pieces that follow each other.
pub struct JsSource {
    object: JsValue,
    size: Function,
    read: Function,
}

impl JsSource {
    pub fn new(object: JsValue) -> Result<Self> {
        let method = |name: &str| -> Result<Function> {
            Reflect::get(&object, &name.into())
                .ok()
                .and_then(|f| f.dyn_into().ok())
                .ok_or_else(|| {
                    Error::new(
                        Code::Argument,
                        format!("source has no method {name}; it needs size and read"),
                    )
                })
        };
        Ok(JsSource {
            size: method("size")?,
            read: method("read")?,
            object,
        })
    }
}

impl Source for JsSource {
    fn size(&self, path: &str) -> Option<u64> {
        let size = self.size.call1(&self.object, &path.into()).ok()?.as_f64()?;
        (size >= 0.0).then_some(size as u64)
    }

    fn read<'a>(&'a self, path: &'a str, offset: u64, length: usize) -> LocalFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let failed = |error: JsValue| Error::new(Code::Io, format!("{path} cannot be read: {}", describe(&error)));
            let promise = self
                .read
                .call3(
                    &self.object,
                    &path.into(),
                    &(offset as f64).into(),
                    &(length as f64).into(),
                )
                .map_err(failed)?;
            let bytes = JsFuture::from(Promise::resolve(&promise)).await.map_err(failed)?;
            let pieces = match bytes.dyn_into::<Array>() {
                Ok(pieces) => pieces,
                Err(bytes) => Array::of1(&bytes),
            };
            let mut copy = zeroed(length, path)?;
            let mut at: usize = 0;
            for piece in pieces.iter() {
                let piece: Uint8Array = piece
                    .dyn_into()
                    .map_err(|_| Error::new(Code::Io, format!("{path}: read must give Uint8Arrays")))?;
                let to = at.saturating_add(piece.length() as usize);
                if let Some(place) = copy.get_mut(at..to) {
                    piece.copy_to(place);
                }
                at = to;
            }
            if at != length {
                fail!(Io, "{path} gave {at} bytes from offset {offset} where {length} were expected; it is shorter than it says");
            }
            Ok(copy)
        })
    }
}

/// The message of a thrown value.
fn describe(error: &JsValue) -> String {
    Reflect::get(error, &"message".into())
        .ok()
        .and_then(|message| message.as_string())
        .or_else(|| error.as_string())
        .unwrap_or_else(|| "unknown error".into())
}
