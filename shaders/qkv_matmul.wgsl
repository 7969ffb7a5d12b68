// qkv for many rows: see parts/qkv.wgsl and parts/rows.wgsl.
// @import parts/qkv.wgsl
// @import parts/rows.wgsl
