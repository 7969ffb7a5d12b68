//! Inputs out of valid ones: JSON values replaced, moved and made extreme; bytes flipped, cut and spliced.

use serde_json::{json, Map, Value};

/// splitmix64: small, seeded, the same everywhere.
pub struct Rng(pub u64);

impl Rng {
    /// Of run `number` of a series: each run can be had again by itself.
    pub fn of_run(seed: u64, number: u64) -> Rng {
        let mut rng = Rng(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        rng.next();
        rng
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `n` − 1; 0 where there is nothing to choose from.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// A value that is likely to be the wrong one.
fn extreme(rng: &mut Rng) -> Value {
    match rng.below(24) {
        0 => Value::Null,
        1 => json!(rng.one_in(2)),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(1),
        5 => json!(rng.below(300)),
        6 => json!(u64::MAX),
        7 => json!(i64::MIN),
        8 => json!(1u64 << rng.below(64)),
        9 => json!((1u64 << rng.below(64)).wrapping_sub(1)),
        10 => json!(1e308),
        11 => json!(-1e-320),
        12 => json!(0.5),
        13 => json!(""),
        14 => json!(" "),
        15 => json!("é\u{0}日🐈"),
        16 => json!("x".repeat(rng.below(400))),
        17 => json!("../../x"),
        18 => json!([]),
        19 => json!({}),
        20 => json!([0, -1, "a"]),
        21 => json!("(a|b?)*\\b"),
        22 => json!([[[[[[[[]]]]]]]]),
        _ => json!("▁"),
    }
}

/// How many values there are in `value`, itself counted; of long objects and lists only the first.
fn count(value: &Value) -> usize {
    match value {
        Value::Object(map) => 1 + map.values().take(40).map(count).sum::<usize>(),
        Value::Array(list) => 1 + list.iter().take(40).map(count).sum::<usize>(),
        _ => 1,
    }
}

/// The value number `at`, in the order in which [`count`] goes.
fn nth<'a>(value: &'a mut Value, at: &mut usize) -> Option<&'a mut Value> {
    if *at == 0 {
        return Some(value);
    }
    *at -= 1;
    match value {
        Value::Object(map) => map.values_mut().take(40).find_map(|value| nth(value, at)),
        Value::Array(list) => list.iter_mut().take(40).find_map(|value| nth(value, at)),
        _ => None,
    }
}

fn any<'a>(rng: &mut Rng, value: &'a mut Value) -> Option<&'a mut Value> {
    let mut at = rng.below(count(value));
    nth(value, &mut at)
}

/// A few changes to a JSON value; `words` are keys and strings that mean something somewhere.
pub fn json(rng: &mut Rng, value: &mut Value, words: &[String]) {
    for _ in 0..1 + rng.below(4) {
        let other = any(rng, value).map(|value| value.clone());
        let Some(target) = any(rng, value) else { continue };
        match (rng.below(8), target) {
            (0, Value::Object(map)) => {
                let key = map.keys().nth(rng.below(map.len())).cloned();
                key.and_then(|key| map.remove(&key));
            }
            (1, Value::Object(map)) => {
                let key = if words.is_empty() {
                    "x".to_owned()
                } else {
                    rng.of(words).clone()
                };
                map.insert(key, other.unwrap_or_else(|| extreme(rng)));
            }
            (2, Value::Array(list)) if !list.is_empty() => {
                let at = rng.below(list.len());
                let copy = list[at].clone();
                list.insert(at, copy);
            }
            (3, Value::Array(list)) if !list.is_empty() => {
                let at = rng.below(list.len());
                list.remove(at);
            }
            (4, Value::Number(number)) => {
                let near = number.as_f64().unwrap_or(0.0) + [1.0, -1.0, 0.5][rng.below(3)];
                let whole = near.fract() == 0.0 && near.abs() < 1e15;
                *number = if whole {
                    (near as i64).into()
                } else {
                    serde_json::Number::from_f64(near).unwrap_or(0.into())
                };
            }
            (5, Value::String(text)) if !words.is_empty() => text.clone_from(rng.of(words)),
            (6, target) => *target = other.unwrap_or(Value::Null),
            (_, target) => *target = extreme(rng),
        }
    }
}

/// A few changes to bytes.
pub fn bytes(rng: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..1 + rng.below(3) {
        let at = rng.below(bytes.len());
        match rng.below(8) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.next() as u8),
            2 => {
                let end = (at + rng.below(64)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                let to = rng.below(bytes.len());
                bytes.splice(to..to, part);
            }
            3 => {
                let end = (at + rng.below(16)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let number = [0, 1, u64::MAX, i64::MAX as u64, 1 << 32, rng.next()][rng.below(6)].to_le_bytes();
                for (to, from) in bytes[at..].iter_mut().zip(number) {
                    *to = from;
                }
            }
            5 => bytes.extend_from_slice(b"]}"),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.below(8);
                }
            }
        }
    }
}

/// All keys and short strings in `value`.
pub fn words(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().take(60).for_each(|(key, value)| {
            found.push(key.clone());
            words(value, found);
        }),
        Value::Array(list) => list.iter().take(60).for_each(|value| words(value, found)),
        Value::String(text) if text.len() < 60 => found.push(text.clone()),
        _ => {}
    }
}

/// `value` as text, now and then with a key twice, which no [`Value`] can hold.
pub fn written(rng: &mut Rng, value: &Value) -> Vec<u8> {
    let text = value.to_string();
    match value {
        Value::Object(map) if rng.one_in(30) && !map.is_empty() => {
            let one: Map<String, Value> = map
                .iter()
                .nth(rng.below(map.len()))
                .map(|(k, v)| (k.clone(), v.clone()))
                .into_iter()
                .collect();
            let one = Value::Object(one).to_string();
            format!("{},{}", &text[..text.len() - 1], &one[1..]).into_bytes()
        }
        _ => text.into_bytes(),
    }
}
