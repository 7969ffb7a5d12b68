// mlp_out for many rows: see parts/mlp_out.wgsl and parts/rows.wgsl.
// @import parts/mlp_out.wgsl
// @import parts/rows.wgsl
