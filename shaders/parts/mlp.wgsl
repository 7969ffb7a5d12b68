// @import parts/params.wgsl
// @import parts/terms.wgsl
// @import parts/down.wgsl
// @import parts/norm.wgsl
// @import parts/reduce.wgsl
// @import parts/activation.wgsl
// The MLP for few rows in one dispatch (ops/fused.rs says when), behind attention_out.wgsl: one workgroup of 256 threads makes 16 output
// pairs of the first product (parts/terms.wgsl), and multiplies what the activation makes of them with their rows of the second matrix. The
// results are added where they are read (parts/residual.wgsl), and the stream behind the attention, which the first workgroup of a row
// writes, is the first of them. RMSNorm only. Grid: (pairs / 16, rows). Whoever imports this defines
//   keep(i, x): what becomes of number i of the stream behind the attention
//   first_product(row, first, thread) -> a thread's part of pair thread % 16 of those from `first` on, before the norm's scale

@group(0) @binding(1) var<storage, read> hidden: array<f32>;           // [rows, d_model]
@group(0) @binding(4) var<storage, read> head_out: array<f32>;         // [rows, n_heads, d_model + d_head], see attention_out.wgsl
@group(0) @binding(7) var<storage, read_write> mlp_parts: array<f32>;  // [rows, 1 + workgroups, d_model]

override n_heads: u32 = 1u;
override d_head: u32 = 2u;
override n_outputs: u32 = 2u;
override d_mlp: u32 = 1u;
override bias_at: u32 = 0xffffffffu;

var<workgroup> partials: array<vec2<f32>, 256>;
var<workgroup> post: array<f32, 32>;

fn factor(j: u32) -> f32 {
    return post[j];
}

// What the heads add to number i of the stream. Four are asked for at once.
fn of_heads(row: u32, i: u32) -> f32 {
    let step = n_inputs + d_head;
    var at = row * n_heads * step + i;
    var sum = 0.0;
    var head = 0u;
    for (; head + 4u <= n_heads; head += 4u) {
        let a = head_out[at];
        let b = head_out[at + step];
        let c = head_out[at + 2u * step];
        let d = head_out[at + 3u * step];
        sum = sum + a + b + c + d;
        at += 4u * step;
    }
    for (; head < n_heads; head++) {
        sum += head_out[at];
        at += step;
    }
    return sum;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group.y;
    let parts = row * (groups.x + 1u) * n_inputs;
    var squares = 0.0;
    for (var i = thread; i < n_inputs; i += 256u) {
        let attn_out = of_heads(row, i);
        let x = hidden[row * n_inputs + i] + attn_out;
        keep(i, x);
        squares += x * x;
        if (group.x == 0u) {
            mlp_parts[parts + i] = x;
        }
    }
    // The barriers of `total` also publish what was kept.
    let scale = inverseSqrt(total(thread, squares) / f32(n_inputs) + eps);
    let lane = thread % 16u;
    let pair = group.x * 16u + lane;
    var sum = first_product(row, group.x * 16u, thread);
    partials[thread] = sum;
    workgroupBarrier();
    let width = select(2u, 1u, gated == 1u); // numbers that a pair makes
    if (thread < 16u) {
        for (var split = 1u; split < 16u; split++) {
            sum += partials[split * 16u + thread];
        }
        sum *= scale;
        if (bias_at != ABSENT) {
            sum += vec2<f32>(vectors[bias_at + 2u * pair], vectors[bias_at + 2u * pair + 1u]);
        }
        if (gated == 1u) {
            post[lane] = activated(sum.x) * sum.y;
        } else {
            post[2u * lane] = activated(sum.x);
            post[2u * lane + 1u] = activated(sum.y);
        }
    }
    workgroupBarrier();
    let first = group.x * 16u * width;
    let count = min(16u * width, d_mlp - first);
    for (var quad = thread; 4u * quad < n_inputs; quad += 256u) {
        let product = down_sum(first, count, quad);
        let at = parts + (group.x + 1u) * n_inputs + 4u * quad;
        for (var i = 0u; i < min(4u, n_inputs - 4u * quad); i++) {
            mlp_parts[at + i] = product[i];
        }
    }
}
