// Sum and maximum over a workgroup of 256 threads: 16 threads fold 16 values each, then every thread folds those 16.
// Call in uniform control flow only. The two barriers of a call also separate it from the next one.

var<workgroup> fold_values: array<f32, 256>;
var<workgroup> fold_partials: array<f32, 16>;

fn total(thread: u32, value: f32) -> f32 {
    fold_values[thread] = value;
    workgroupBarrier();
    if (thread < 16u) {
        var sum = 0.0;
        for (var i = 0u; i < 16u; i++) {
            sum += fold_values[thread * 16u + i];
        }
        fold_partials[thread] = sum;
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < 16u; i++) {
        sum += fold_partials[i];
    }
    return sum;
}

fn maximum(thread: u32, value: f32) -> f32 {
    fold_values[thread] = value;
    workgroupBarrier();
    if (thread < 16u) {
        var largest = fold_values[thread * 16u];
        for (var i = 1u; i < 16u; i++) {
            largest = max(largest, fold_values[thread * 16u + i]);
        }
        fold_partials[thread] = largest;
    }
    workgroupBarrier();
    var largest = fold_partials[0];
    for (var i = 1u; i < 16u; i++) {
        largest = max(largest, fold_partials[i]);
    }
    return largest;
}
