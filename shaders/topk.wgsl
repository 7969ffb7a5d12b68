// The end of a TopK block: residual add (stored as topk_in), edits of site topk_in, the k first in ranking (parts/order.wgsl), for any
// k, topk_post, edits of site topk_out, the dense row and the list of its active entries.
// Grid: (rows).

// @import parts/params.wgsl
// @import parts/order.wgsl
// @import parts/edits.wgsl
// @import parts/residual.wgsl
// @import parts/cut.wgsl
// @import parts/topk.wgsl
