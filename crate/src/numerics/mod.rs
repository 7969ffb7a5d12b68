//! Numbers only: elementary functions, matrix products and the total order of TopK. Nothing here knows a model.

pub mod dispatch;
pub mod gemm;
pub mod int4;
pub mod int8;
pub mod math;
pub mod numbers;
pub mod order;
pub mod stored;
#[cfg(target_arch = "wasm32")]
pub mod team;
#[cfg(not(target_arch = "wasm32"))]
pub mod threads;
