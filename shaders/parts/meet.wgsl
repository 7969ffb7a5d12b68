// Where several threads share the inputs of the same numbers (parts/rows.wgsl): their sums meet.

override meeting: u32 = 1u; // 256 where there are such threads

var<workgroup> met_low: array<vec4<f32>, meeting>;
var<workgroup> met_high: array<vec4<f32>, meeting>;
var<workgroup> met_squares: array<vec4<f32>, 32>;

// The sums of the threads that share the inputs of the same numbers, of one row of each thread.
fn meet(sums: mat2x4<f32>, n: u32, group: vec3<u32>, thread: u32) {
    workgroupBarrier();
    met_low[thread] = sums[0];
    met_high[thread] = sums[1];
    workgroupBarrier();
    let places = ROW_GROUPS * octets;
    let place = thread % places;
    let half = thread / places;
    if (half > 1u) {
        return;
    }
    var sum = vec4<f32>(0.0);
    var square = 0.0;
    for (var split = 0u; split < splits; split++) {
        if (half == 0u) {
            sum += met_low[split * places + place];
        } else {
            sum += met_high[split * places + place];
        }
        square += met_squares[split * ROW_GROUPS + place / octets][n];
    }
    let row = group.y * tile_rows() + place / octets * rows_each + n;
    let octet = group.x * octets + place % octets;
    if (row >= params.rows || 8u * octet >= n_outputs) {
        return;
    }
    if (norm == RMS_NORM) {
        sum *= inverseSqrt(square / f32(n_inputs) + eps);
    }
    let units = octet_units(octet);
    sum *= select(units[0], units[1], half == 1u);
    finish(row, 4u * octet + 2u * half, sum.xy);
    finish(row, 4u * octet + 2u * half + 1u, sum.zw);
}
