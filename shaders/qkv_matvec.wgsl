// qkv for few rows: see parts/qkv.wgsl and parts/matvec.wgsl.
// @import parts/qkv.wgsl
// @import parts/matvec.wgsl
