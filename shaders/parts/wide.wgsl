// 64-bit unsigned integers as vec2(low, high).

fn wide_add(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2(low, a.y + b.y + select(0u, 1u, low < a.x));
}

fn wide_subtract(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    return vec2(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x));
}

fn wide_greater(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.y > b.y || (a.y == b.y && a.x > b.x);
}

fn wide_multiply(a: u32, b: u32) -> vec2<u32> {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
    let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
    return vec2(a * b, (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u));
}

// total * numerator / 2^24, rounded down or up; for a numerator of at most 2^24.
fn wide_share(total: vec2<u32>, numerator: u32, up: bool) -> vec2<u32> {
    let low = wide_multiply(total.x, numerator);
    let high = wide_multiply(total.y, numerator); // counts 2^32
    var bottom = vec2(low.x, 0u);
    bottom = wide_add(bottom, vec2(select(0u, 0xffffffu, up), 0u));
    let top = wide_add(wide_add(high, vec2(low.y, 0u)), vec2(bottom.y, 0u));
    return vec2((bottom.x >> 24u) | (top.x << 8u), (top.x >> 24u) | (top.y << 8u));
}
