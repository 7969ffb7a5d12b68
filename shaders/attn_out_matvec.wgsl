// attn_out for few rows: see parts/attn_out.wgsl and parts/matvec.wgsl.
// @import parts/attn_out.wgsl
// @import parts/matvec.wgsl
