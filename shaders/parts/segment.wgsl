// The part of a row that a workgroup works on: the segments of a row differ in length by one at most. Needs operator.wgsl.

struct Segment {
    row: u32,
    begin: u32, // in the row
    count: u32,
}

// Of a workgroup's number.
fn segment_of(number: u32) -> Segment {
    let segment = number % params.segments;
    let share = params.width / params.segments;
    let longer = params.width % params.segments;
    let begin = segment * share + min(segment, longer);
    return Segment(number / params.segments, begin, share + select(0u, 1u, segment < longer));
}
