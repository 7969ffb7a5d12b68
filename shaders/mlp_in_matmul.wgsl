// mlp_in for many rows: see parts/mlp_in.wgsl and parts/rows.wgsl.
// @import parts/mlp_in.wgsl
// @import parts/rows.wgsl
