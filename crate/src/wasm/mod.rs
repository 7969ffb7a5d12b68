//! The surface that `js/` builds on: thin wrappers over `session`, typed arrays out, `{code, message}` objects for errors. With the feature
//! `statistics`, which is a module of its own, that of the site's statistics.

mod convert;
mod generation;
mod member;
mod model;
mod source;
#[cfg(feature = "statistics")]
mod statistics;

use wasm_bindgen::prelude::*;

pub use generation::{WasmGeneration, WasmGenerationBatch};
pub use member::{serve_team, team_bytes};
pub use model::WasmModel;
#[cfg(feature = "statistics")]
pub use statistics::WasmStatistics;

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
