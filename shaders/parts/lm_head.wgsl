// @import parts/params.wgsl
// @import parts/weights.wgsl
// @import parts/norm.wgsl
// The unembedding behind the final norm: logits[row, v] = norm(hidden[row]) · W[v]. W lies [d_vocab, d_model] and may be
// split over several buffers (shards of rows); each is one dispatch.
// aux0: first row of `source` to read (output rows count from 0) · aux1: first vocabulary id of the shard · aux2: its ids

@group(0) @binding(4) var<storage, read_write> normalized: array<f32>;     // [rows, d_model], before gain and bias
@group(0) @binding(5) var<storage, read_write> logits: array<f32>;         // [rows of this dispatch, d_vocab]
@group(0) @binding(6) var<storage, read_write> status: array<atomic<u32>>; // smallest layer with a non-finite value

override d_vocab: u32 = 1u;
override n_layers: u32 = 0u;

fn store_logit(row: u32, shard_id: u32, value: f32) {
    if (shard_id >= params.aux2) {
        return;
    }
    logits[row * d_vocab + params.aux1 + shard_id] = value;
    if ((bitcast<u32>(value) & 0x7f800000u) == 0x7f800000u) {
        atomicMin(&status[0], n_layers);
    }
}
