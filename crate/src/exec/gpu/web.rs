//! What a browser says of its adapter beyond wgpu, which passes on the description alone (often empty).

use std::future::{poll_fn, Future};
use std::pin::pin;
use std::task::Poll;

use js_sys::{Function, Object, Promise, Reflect, JSON};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or_default()
}

/// Whether there is a `navigator.gpu` to ask, in a page or a worker. Elsewhere (Node) wgpu panics when it looks for it.
pub fn reachable() -> bool {
    let global = js_sys::global();
    let is_browser = ["Window", "WorkerGlobalScope"]
        .iter()
        .any(|name| get(&global, name).is_function());
    is_browser && get(&get(&global, "navigator"), "gpu").is_object()
}

/// The outcome of `work`, or `None` after `ms`: a browser whose GPU process hangs never answers.
pub async fn within<T>(ms: u32, work: impl Future<Output = T>) -> Option<T> {
    let global = js_sys::global();
    let mut id = JsValue::UNDEFINED;
    let timer = Promise::new(&mut |resolve, _| {
        if let Ok(set_timeout) = get(&global, "setTimeout").dyn_into::<Function>() {
            // Where it fails there is no limit.
            id = set_timeout.call2(&global, &resolve, &ms.into()).unwrap_or_default();
        }
    });
    let (mut work, mut timer) = (pin!(work), pin!(JsFuture::from(timer)));
    let _over = Timer(id);
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending => timer.as_mut().poll(context).map(|_| None),
    })
    .await
}

/// What `setTimeout` gave, cleared when nobody waits any more: Deno does not end before its timers do.
struct Timer(JsValue);

impl Drop for Timer {
    fn drop(&mut self) {
        let global = js_sys::global();
        if let Ok(clear_timeout) = get(&global, "clearTimeout").dyn_into::<Function>() {
            let _ = clear_timeout.call1(&global, &self.0);
        }
    }
}

/// Asks for the adapter that wgpu is given, with the same options; then [`adapter_name`].
pub fn ask_adapter() -> Option<JsFuture> {
    let gpu = get(&get(&js_sys::global(), "navigator"), "gpu");
    let request: Function = get(&gpu, "requestAdapter").dyn_into().ok()?;
    let options = Object::new();
    Reflect::set(&options, &"powerPreference".into(), &"high-performance".into()).ok()?;
    let promise: Promise = request.call1(&gpu, &options).ok()?.dyn_into().ok()?;
    Some(promise.into())
}

/// That adapter, or undefined.
pub async fn answer(asked: Option<JsFuture>) -> JsValue {
    match asked {
        Some(asked) => asked.await.unwrap_or_default(),
        None => JsValue::UNDEFINED,
    }
}

/// Whether an adapter, or a device, has operations of subgroups.
pub fn has_subgroups(of: &JsValue) -> bool {
    let features = get(of, "features");
    let has = get(&features, "has").dyn_into::<Function>();
    has.is_ok_and(|has| has.call1(&features, &"subgroups".into()).is_ok_and(|has| has.is_truthy()))
}

/// What `request` gives, in which wgpu asks its adapter for a device. It would leave subgroups out (gfx-rs/wgpu#10146): where `adapter`, the
/// same one, has them, that one is asked instead, for the same and for them. The method is another one for this call alone, in which no
/// script runs.
pub fn with_subgroups<T>(adapter: &JsValue, limits: &wgpu::Limits, request: impl FnOnce() -> T) -> T {
    let prototype = get(&get(&js_sys::global(), "GPUAdapter"), "prototype");
    let name = JsValue::from("requestDevice");
    match get(&prototype, "requestDevice").dyn_into::<Function>() {
        Ok(method) if has_subgroups(adapter) => {
            let _ = Reflect::set(&prototype, &name, &method.bind1(adapter, &descriptor(limits)));
            let requested = request();
            let _ = Reflect::set(&prototype, &name, &method);
            requested
        }
        _ => request(),
    }
}

/// Of a device with subgroups and with the limits that are not the default.
fn descriptor(limits: &wgpu::Limits) -> JsValue {
    let text = format!(
        r#"{{"label":"topk-lm","requiredFeatures":["subgroups"],"requiredLimits":{{"maxStorageBufferBindingSize":{},"maxBufferSize":{}}}}}"#,
        limits.max_storage_buffer_binding_size, limits.max_buffer_size
    );
    JSON::parse(&text).unwrap_or_default()
}

/// Its vendor and architecture (`apple metal-3`, `nvidia hopper`).
pub fn adapter_name(adapter: &JsValue) -> Option<String> {
    let info = get(adapter, "info");
    let words: Vec<String> = ["vendor", "architecture", "device"]
        .iter()
        .filter_map(|key| get(&info, key).as_string())
        .filter(|word| !word.is_empty())
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}
