// mlp_in for few rows: see parts/mlp_in.wgsl and parts/matvec.wgsl.
// @import parts/mlp_in.wgsl
// @import parts/matvec.wgsl
