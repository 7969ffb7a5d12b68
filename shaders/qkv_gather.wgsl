// qkv from the active list: see parts/qkv.wgsl and parts/gather.wgsl.
// @import parts/qkv.wgsl
// @import parts/gather.wgsl
