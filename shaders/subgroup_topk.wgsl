// topk.wgsl for devices with subgroups (ops/topk.rs says which): the same, but for how a row is cut.
// Dispatch: one workgroup a row, in two dimensions where rows > 65535.

// @import parts/params.wgsl
// @import parts/order.wgsl
// @import parts/edits.wgsl
// @import parts/residual.wgsl
// @import parts/cut_subgroup.wgsl
// @import parts/topk.wgsl
