//! The surface that `js/` builds on: thin wrappers over `session`, typed arrays out, `{code, message}` objects for errors.

mod convert;
mod generation;
mod model;
mod source;

use wasm_bindgen::prelude::*;

pub use generation::{WasmGeneration, WasmGenerationBatch};
pub use model::WasmModel;

use crate::pace::Cancel;

/// Ends a call at its next pause; give one to each call that may be aborted.
#[wasm_bindgen(js_name = Cancel)]
#[derive(Default)]
pub struct WasmCancel(Cancel);

#[wasm_bindgen(js_class = Cancel)]
impl WasmCancel {
    #[wasm_bindgen(constructor)]
    pub fn new() -> WasmCancel {
        WasmCancel::default()
    }

    pub fn cancel(&self) {
        self.0.cancel();
    }
}
