// attn_out for many rows: see parts/attn_out.wgsl and parts/rows.wgsl.
// @import parts/attn_out.wgsl
// @import parts/rows.wgsl
