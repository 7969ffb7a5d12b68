//! The operations of the program, one to a file: what it reads and writes by name, its kernels and how they are dispatched, and its CPU twin.
//! The kernel of the same name is in `shaders/`. `def.rs` says what an operation is; `registry.rs` lists them all.

pub mod attention;
pub mod attn_out;
pub mod buffers;
pub mod def;
pub mod embed;
pub mod linear;
pub mod fused;
pub mod lm_head;
pub mod mlp_in;
pub mod mlp_out;
pub mod norm;
pub mod pass;
pub mod pattern;
pub mod point;
pub mod post_norm;
pub mod qk_norm;
pub mod qkv;
#[cfg(feature = "internals")]
pub mod registry;
pub mod residual;
pub mod rope;
pub mod sae;
pub mod sample;
pub mod sampling;
pub mod span;
pub mod topk;
pub mod tuning;
pub mod weights;
