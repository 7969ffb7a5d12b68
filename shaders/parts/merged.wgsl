// @import parts/params.wgsl
// The parts of a split attention, joined: a thread a dim. Parts of which the row sees nothing have sum 0 and the lowest maximum, and so
// weigh nothing. aux0: parts.

@group(0) @binding(1) var<storage, read> parts: array<f32>;      // [rows, n_heads, parts, 2 + d_head]

override n_heads: u32 = 1u;
override d_head: u32 = 2u;

// Dim `dim` of what the head attends to; `row_head`: row · n_heads + head.
fn merged(row_head: u32, dim: u32) -> f32 {
    let width = 2u + d_head;
    let first = row_head * params.aux0 * width;
    var highest = parts[first];
    for (var p = 1u; p < params.aux0; p++) {
        highest = max(highest, parts[first + p * width]);
    }
    var sum = 0.0;
    var weighted = 0.0;
    for (var p = 0u; p < params.aux0; p++) {
        let base = first + p * width;
        let share = exp(parts[base] - highest);
        sum += share * parts[base + 1u];
        weighted += share * parts[base + 2u + dim];
    }
    return weighted / sum;
}
