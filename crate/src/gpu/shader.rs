//! The kernels of `shaders/`, put together from their parts.

use crate::error::{fail, Result};

macro_rules! files {
    ($($path:literal),+ $(,)?) => { &[$(($path, include_str!(concat!("../../../shaders/", $path)))),+] };
}

/// Every file of `shaders/`; those outside `parts/` are kernels.
const FILES: &[(&str, &str)] = files![
    "attention.wgsl",
    "attention_merge.wgsl",
    "attn_out_matmul.wgsl",
    "attn_out_matvec.wgsl",
    "embed.wgsl",
    "large_topk.wgsl",
    "lm_head_matmul.wgsl",
    "lm_head_matvec.wgsl",
    "mlp_in_matmul.wgsl",
    "mlp_in_matvec.wgsl",
    "mlp_out_matmul.wgsl",
    "mlp_out_matvec.wgsl",
    "pattern.wgsl",
    "qkv_gather.wgsl",
    "qkv_matmul.wgsl",
    "qkv_matvec.wgsl",
    "residual.wgsl",
    "sample.wgsl",
    "topk.wgsl",
    "topk_gather.wgsl",
    "topk_radix.wgsl",
    "topk_select.wgsl",
    "topk_sort.wgsl",
    "topk_step.wgsl",
    "parts/attn_out.wgsl",
    "parts/bitonic.wgsl",
    "parts/bitonic_merge.wgsl",
    "parts/descent.wgsl",
    "parts/edits.wgsl",
    "parts/emit.wgsl",
    "parts/exp.wgsl",
    "parts/gather.wgsl",
    "parts/heads.wgsl",
    "parts/linear.wgsl",
    "parts/linear_columns.wgsl",
    "parts/lm_head.wgsl",
    "parts/matmul.wgsl",
    "parts/matvec.wgsl",
    "parts/mlp_in.wgsl",
    "parts/mlp_out.wgsl",
    "parts/norm.wgsl",
    "parts/operator.wgsl",
    "parts/order.wgsl",
    "parts/params.wgsl",
    "parts/philox.wgsl",
    "parts/qkv.wgsl",
    "parts/radix.wgsl",
    "parts/reduce.wgsl",
    "parts/residual.wgsl",
    "parts/row_stats.wgsl",
    "parts/source.wgsl",
    "parts/weights.wgsl",
    "parts/wide.wgsl",
];

/// Paths of all kernels.
pub fn entries() -> impl Iterator<Item = &'static str> {
    FILES
        .iter()
        .map(|(path, _)| *path)
        .filter(|path| !path.starts_with("parts/"))
}

/// The WGSL of a kernel: each file named by a line `// @import parts/x.wgsl` once, before its user.
/// (`scripts/shaders.mjs` does the same for JavaScript.)
pub fn assemble(path: &str) -> Result<String> {
    let mut text = String::new();
    append(path, &mut Vec::new(), &mut text)?;
    Ok(text)
}

fn append<'a>(path: &'a str, done: &mut Vec<&'a str>, text: &mut String) -> Result<()> {
    if done.contains(&path) {
        return Ok(());
    }
    done.push(path);
    let Some((_, source)) = FILES.iter().find(|(name, _)| *name == path) else {
        fail!(Device, "there is no shader {path}");
    };
    for line in source.lines() {
        if let Some(import) = line.strip_prefix("// @import ") {
            append(import.trim(), done, text)?;
        }
    }
    text.push_str(source);
    text.push('\n');
    Ok(())
}
