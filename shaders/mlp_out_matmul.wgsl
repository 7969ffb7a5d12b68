// mlp_out for many rows: see parts/mlp_out.wgsl and parts/matmul.wgsl.
// @import parts/mlp_out.wgsl
// @import parts/linear_columns.wgsl
// @import parts/matmul.wgsl
