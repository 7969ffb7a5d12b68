// topk.wgsl for devices with subgroups (ops/topk.rs says which): the same, but for how a row is cut.
// Grid: (rows).

// @import parts/params.wgsl
// @import parts/order.wgsl
// @import parts/edits.wgsl
// @import parts/residual.wgsl
// @import parts/cut_subgroup.wgsl
// @import parts/topk.wgsl
