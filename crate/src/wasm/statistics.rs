//! `Statistics`: what the neurons of a model do over a text, counted in a worker of the site by the command's own rules.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Function, Uint8Array};
use wasm_bindgen::prelude::*;

use super::convert::{object, thrown};
use super::source::JsSource;
use super::WasmCancel;
use crate::error::{Code, Error, Result};
use crate::features::live::{Live, Reached};

type JsResult<T> = std::result::Result<T, JsValue>;

/// An analysis. Its calls must not overlap.
#[wasm_bindgen(js_name = Statistics)]
pub struct WasmStatistics {
    live: Rc<RefCell<Option<Live>>>,
}

#[wasm_bindgen(js_class = Statistics)]
impl WasmStatistics {
    /// Loads a model from `source` (see `source.rs`), which the files call `name`; `progress(bytesDone, bytesTotal)` counts bytes of weights.
    pub async fn load(
        source: JsValue,
        name: String,
        progress: Function,
        cancel: &WasmCancel,
    ) -> JsResult<WasmStatistics> {
        let cancel = cancel.0.clone();
        let mut heard = |done: u64, total: u64| {
            // What a listener throws is its own affair.
            let _ = progress.call2(&JsValue::NULL, &(done as f64).into(), &(total as f64).into());
        };
        let source = JsSource::new(source).map_err(thrown)?;
        let live = cancel
            .guard(Live::load(&source, &name, &mut heard))
            .await
            .map_err(thrown)?;
        Ok(WasmStatistics {
            live: Rc::new(RefCell::new(Some(live))),
        })
    }

    /// Documents counted so far.
    #[wasm_bindgen(getter)]
    pub fn documents(&self) -> f64 {
        self.live
            .borrow()
            .as_ref()
            .map_or(0.0, |live| live.reached().documents as f64)
    }

    /// Appends the documents of a file of that name.
    pub fn add(&self, name: &str, text: &str) -> JsResult<()> {
        self.with(|live| live.add(name, text)).map_err(thrown)
    }

    /// `{ documents, tokens, positions, bytes, done }`: counts the next window of a document.
    pub async fn next(&self, cancel: &WasmCancel) -> JsResult<JsValue> {
        let (slot, cancel) = (self.live.clone(), cancel.0.clone());
        let mut live = taken(&slot).map_err(thrown)?;
        let reached = cancel.guard(live.next()).await;
        slot.replace(Some(live));
        let Reached {
            documents,
            tokens,
            positions,
            bytes,
            done,
        } = reached.map_err(thrown)?;
        Ok(object([
            ("documents", (documents as f64).into()),
            ("tokens", (tokens as f64).into()),
            ("positions", (positions as f64).into()),
            ("bytes", (bytes as f64).into()),
            ("done", done.into()),
        ]))
    }

    /// Makes the files of `features/` over what was counted so far; `put(path, bytes)` takes each, `index.json` last.
    pub async fn report(&self, put: Function, cancel: &WasmCancel) -> JsResult<()> {
        let (slot, cancel) = (self.live.clone(), cancel.0.clone());
        let mut live = taken(&slot).map_err(thrown)?;
        let mut take = |path: &str, bytes: Vec<u8>| -> Result<()> {
            put.call2(&JsValue::NULL, &path.into(), &Uint8Array::from(&bytes[..]))
                .map(drop)
                .map_err(|_| Error::new(Code::Io, format!("{path} was not taken")))
        };
        let made = cancel.guard(live.report(&mut take)).await;
        slot.replace(Some(live));
        made.map_err(thrown)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Live) -> Result<T>) -> Result<T> {
        let mut live = taken(&self.live)?;
        let result = work(&mut live);
        self.live.replace(Some(live));
        result
    }
}

fn taken(slot: &RefCell<Option<Live>>) -> Result<Live> {
    slot.borrow_mut().take().ok_or_else(|| {
        Error::new(
            Code::Argument,
            "the statistics were asked for something while another call was under way",
        )
    })
}
