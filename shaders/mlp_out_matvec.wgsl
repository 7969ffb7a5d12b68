// mlp_out for few rows: see parts/mlp_out.wgsl and parts/matvec.wgsl.
// @import parts/mlp_out.wgsl
// @import parts/matvec.wgsl
