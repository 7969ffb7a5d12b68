// Draws the next token. Twin: crate/src/ops/sample.rs, whose header gives the steps and their exact arithmetic.
// Dispatch: one workgroup a row. Params: step = number of the slots in `results`.
// Workgroup memory: 5.4 KiB.

// The id's row of the embedding then becomes the next step's stream, so that a step behind another one needs no dispatch for it.
// @import parts/params.wgsl
// @import parts/weights.wgsl
// @import parts/order.wgsl
// @import parts/exp.wgsl
// @import parts/philox.wgsl
// @import parts/descent.wgsl

override d_vocab: u32;
override n_layers: u32;
override d_model: u32 = 0u; // 0: no embedding here
override embed_scale: f32 = 1.0;
override threads: u32 = 256u; // a power of two

@group(0) @binding(1) var<storage, read> logits: array<f32>;       // [rows, d_vocab]
@group(0) @binding(3) var<storage, read> sampling: array<u32>;     // [rows, 8], see `gpu_words` in sample.rs
@group(0) @binding(4) var<storage, read_write> ids: array<u32>;    // the drawn one goes to where `embed` looks for it
@group(0) @binding(5) var<storage, read_write> results: array<u32>; // [steps, rows, 2]: id, bits of its log-probability
@group(0) @binding(6) var<storage, read_write> status: array<atomic<u32>>; // word 0: n_layers where a logit is not finite
// Of a row [d_vocab, 2]: bits of the penalised logit, of its weight; then [d_vocab]: not 0 where the id occurred.
@group(0) @binding(7) var<storage, read_write> scratch: array<u32>;
@group(0) @binding(8) var<storage, read_write> hidden: array<f32>; // [rows, d_model]

var<private> own: u32;                 // first word of the row's `scratch`
var<workgroup> raw_max: atomic<u32>;   // largest key of the logits
var<workgroup> max_key: atomic<u32>;   // of the penalised logits
var<workgroup> first: atomic<u32>;     // ~index of the first entry
var<workgroup> drawn: u32;

fn entry_of(i: u32) -> vec2<u32> {
    return vec2(order_key(scratch[own + 2u * i]), ~i);
}

fn weight_of(i: u32) -> u32 {
    return scratch[own + 2u * i + 1u];
}

// The number whose key this is.
fn value_of(key: u32) -> f32 {
    return bitcast<f32>(select(~key, key ^ SIGN, (key & SIGN) != 0u));
}

fn penalised(settings: u32, i: u32, logit: f32) -> f32 {
    if (scratch[own + 2u * d_vocab + i] == 0u) {
        return logit;
    }
    let largest = 3.40282346e38;
    return clamp(logit * bitcast<f32>(select(sampling[settings + 2u], sampling[settings + 1u], logit < 0.0)), -largest, largest);
}

// Mass of the entries up to `last`.
fn kept_mass(last: vec2<u32>, thread: u32) -> vec2<u32> {
    var sum = vec2(0u);
    for (var i = thread; i < d_vocab; i += threads) {
        if (!precedes(last, entry_of(i))) {
            sum = wide_add(sum, mass_of(weight_of(i)));
        }
    }
    return sum_of_all(sum, thread);
}

// Steps 2 to 6; every thread gets which entry it is.
fn draw(row: u32, thread: u32) -> Descent {
    let settings = 8u * row;
    let max_logit = value_of(atomicLoad(&max_key));
    for (var i = thread; i < d_vocab; i += threads) {
        let x = (bitcast<f32>(scratch[own + 2u * i]) - max_logit) * bitcast<f32>(sampling[settings]);
        scratch[own + 2u * i + 1u] = bitcast<u32>(exp_of_negative(x));
    }
    let random = philox(vec2(sampling[settings + 5u], sampling[settings + 6u]), vec4(position_of(row) + 1u, 0u, 0u, 0u)).x >> 8u;
    // In turn top k, top p and the draw: compilers take a loop once, and what is called in three places three times.
    var at = Descent(vec2(0u), vec2(0u), PADDING);
    for (var turn = 0u; turn < 3u; turn++) {
        let setting = sampling[settings + 3u + min(turn, 1u)];
        if (turn < 2u && setting >= select(0x1000000u, d_vocab, turn == 0u)) {
            continue;
        }
        var target_sum = vec2(setting - 1u, 0u);
        if (turn > 0u) {
            target_sum = wide_share(kept_mass(at.last, thread), select(random, setting, turn == 1u), turn == 1u);
        }
        if (turn == 1u) {
            target_sum = wide_subtract(target_sum, vec2(1u, 0u));
        }
        at = descend(d_vocab, turn > 0u, at.last, target_sum, thread);
        if (turn < 2u) {
            at.last = cut_after(at);
        }
    }
    return at;
}

@compute @workgroup_size(threads)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x;
    let settings = 8u * row;
    let base = row * d_vocab;
    own = 3u * base;
    var finite = true;
    var best = 0u;
    var raw_best = 0u;
    for (var i = thread; i < d_vocab; i += threads) {
        let logit = logits[base + i];
        let bits = bitcast<u32>(penalised(settings, i, logit));
        scratch[own + 2u * i] = bits;
        best = max(best, order_key(bits));
        raw_best = max(raw_best, order_key(bitcast<u32>(logit)));
        finite = finite && !is_nonfinite(bitcast<u32>(logit));
    }
    if (!finite) {
        atomicMin(&status[0], n_layers);
    }
    atomicMax(&max_key, best);
    atomicMax(&raw_max, raw_best);
    workgroupBarrier();
    let max_logit = value_of(atomicLoad(&raw_max));
    var mass = vec2(0u);
    for (var i = thread; i < d_vocab; i += threads) {
        mass = wide_add(mass, mass_of(bitcast<u32>(exp_of_negative(logits[base + i] - max_logit))));
        if (order_key(scratch[own + 2u * i]) == atomicLoad(&max_key)) {
            atomicMax(&first, ~i);
        }
    }
    let total = sum_of_all(mass, thread);

    var at = Descent(vec2(0u, atomicLoad(&first)), vec2(0u, 0xffffffffu), PADDING);
    if (sampling[settings] != 0u) {
        at = draw(row, thread);
    }
    for (var i = thread; i < d_vocab; i += threads) {
        if (is_found(at, entry_of(i))) {
            drawn = i;
        }
    }
    workgroupBarrier();
    for (var pair = thread; 2u * pair < d_model; pair += threads) {
        let value = embed_scale * weight_pair(drawn, pair);
        let to = row * d_model + 2u * pair;
        hidden[to] = value.x;
        if (2u * pair + 1u < d_model) {
            hidden[to + 1u] = value.y;
        }
    }
    if (thread == 0u) {
        let logprob = (logits[base + drawn] - max_logit) - log((f32(total.y) * 4294967296.0 + f32(total.x)) / 1099511627776.0);
        ids[params.start + 1u + row] = drawn;
        scratch[own + 2u * d_vocab + drawn] = 1u;
        let slot = 2u * (params.step * params.rows + row);
        results[slot] = drawn;
        results[slot + 1u] = bitcast<u32>(logprob);
    }
}
