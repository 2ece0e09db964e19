//! What a browser says of its GPU, beyond what wgpu passes on.

use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// The name of the adapter that a page is given: browsers keep the description to themselves, mostly, but tell maker and architecture ("nvidia ampere",
/// "google swiftshader").
pub(crate) async fn adapter_name() -> Option<String> {
    let gpu = get(&get(&js_sys::global(), "navigator")?, "gpu")?;
    let ask: Function = get(&gpu, "requestAdapter")?.dyn_into().ok()?;
    let asked: Promise = ask.call0(&gpu).ok()?.dyn_into().ok()?;
    let adapter: JsValue = JsFuture::from(asked).await.ok()?;
    let info = get(&adapter, "info")?;
    let word = |key: &str| get(&info, key).and_then(|value| value.as_string()).unwrap_or_default();
    let parts = [word("vendor"), word("architecture")].join(" ");
    let name = [word("description"), parts.trim().to_string()].into_iter().find(|name| !name.is_empty())?;
    Some(name)
}

fn get(object: &JsValue, key: &str) -> Option<JsValue> {
    let value = Reflect::get(object, &key.into()).ok()?;
    (!value.is_undefined() && !value.is_null()).then_some(value)
}
