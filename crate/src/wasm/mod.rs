//! The surface that `js/` builds on: thin wrappers over `session`, typed arrays out, `{code, message}` objects for errors.

mod convert;
mod model;
mod source;

use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

pub use model::{WasmGeneration, WasmModel};

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

/// Lets the event loop run once: a message to ourselves through a `MessageChannel`, which browsers do not delay as they do timers.
pub(crate) async fn macrotask() {
    let promise = js_sys::Promise::new(&mut |resolve, _| {
        let Ok(channel) = web_sys::MessageChannel::new() else {
            // Without channels there is no giving way; the work goes on.
            let _ = resolve.call0(&JsValue::NULL);
            return;
        };
        let (receiver, sender) = (channel.port1(), channel.port2());
        let closing = receiver.clone();
        let done = Closure::once_into_js(move || {
            closing.close();
            let _ = resolve.call0(&JsValue::NULL);
        });
        receiver.set_onmessage(Some(done.unchecked_ref()));
        if sender.post_message(&JsValue::NULL).is_err() {
            receiver.close();
        }
    });
    // The promise is never rejected.
    let _ = JsFuture::from(promise).await;
}
