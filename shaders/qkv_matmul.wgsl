// qkv for many rows: see parts/qkv.wgsl and parts/matmul.wgsl.
// @import parts/qkv.wgsl
// @import parts/linear_columns.wgsl
// @import parts/matmul.wgsl
