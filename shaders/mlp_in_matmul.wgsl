// mlp_in for many rows: see parts/mlp_in.wgsl and parts/matmul.wgsl.
// @import parts/mlp_in.wgsl
// @import parts/linear_columns.wgsl
// @import parts/matmul.wgsl
