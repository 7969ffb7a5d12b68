// attn_out for many rows: see parts/attn_out.wgsl and parts/matmul.wgsl.
// @import parts/attn_out.wgsl
// @import parts/linear_columns.wgsl
// @import parts/matmul.wgsl
