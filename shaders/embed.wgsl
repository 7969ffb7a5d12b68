// Token ids → the first residual stream, one thread a pair of columns. The table may be split over several buffers
// (shards of rows): each dispatch fills the rows whose id lies in its shard. Grid: (pairs / 256, rows).
// aux0: first id of the shard · aux1: its ids · aux2: BOTH terms, or one of them for a hook (learned positions)
// ids[start + row] is the id of a row, in all modes.
// @import parts/params.wgsl
// @import parts/weights.wgsl

@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read> positions: array<f32>;       // [n_ctx, stride of d_model]; learned positions only
@group(0) @binding(4) var<storage, read_write> hidden: array<f32>;    // [rows, d_model]

override d_model: u32 = 1u;
override embed_scale: f32 = 1.0;
override learned_positions: u32 = 0u;

const BOTH: u32 = 0u;
const TOKENS: u32 = 1u;
const POSITIONS: u32 = 2u;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) at: vec3<u32>) {
    let pair = at.x;
    let row = at.y;
    let id = ids[params.start + row];
    if (2u * pair >= d_model || id < params.aux0 || id >= params.aux0 + params.aux1) {
        return;
    }
    var value = vec2<f32>(0.0);
    if (params.aux2 != POSITIONS) {
        value = embed_scale * weight_pair(id - params.aux0, pair);
    }
    if (learned_positions == 1u && params.aux2 != TOKENS) {
        let first = position_of(row) * (d_model + d_model % 2u) + 2u * pair;
        value += vec2<f32>(positions[first], positions[first + 1u]);
    }
    hidden[row * d_model + 2u * pair] = value.x;
    if (2u * pair + 1u < d_model) {
        hidden[row * d_model + 2u * pair + 1u] = value.y;
    }
}
