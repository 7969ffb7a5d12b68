//! Numbers in the form of the files.

use serde_json::Value;

/// Four significant digits.
pub fn round4(x: f64) -> f64 {
    format!("{x:.3e}").parse().unwrap_or(0.0)
}

/// A number with four significant digits, without ".0" if it is whole; `null` for anything that is not a number.
pub fn number(x: f64) -> Value {
    let rounded = round4(x);
    if !x.is_finite() {
        Value::Null
    } else if rounded.fract() == 0.0 && rounded.abs() < 1e15 {
        Value::from(rounded as i64)
    } else {
        Value::from(rounded)
    }
}

/// The same, `null` for nothing.
pub fn maybe(x: Option<f64>) -> Value {
    x.map_or(Value::Null, number)
}

/// The column of this name; a new one comes behind the others.
pub fn column<'a, C>(
    columns: &'a mut Vec<(&'static str, C)>,
    name: &'static str,
    new: impl FnOnce() -> C,
) -> &'a mut C {
    let at = columns.iter().position(|(of, _)| *of == name).unwrap_or(columns.len());
    if at == columns.len() {
        columns.push((name, new()));
    }
    &mut columns[at].1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits_are_kept() {
        for (x, shown) in [
            (1.23456, "1.235"),
            (-0.000123456, "-0.0001235"),
            (3.0, "3"),
            (-0.0, "0"),
            (123456.0, "123500"),
        ] {
            assert_eq!(number(x).to_string(), shown);
            assert_eq!(number(round4(x)), number(x));
        }
        assert_eq!(number(f64::NAN), Value::Null);
        assert_eq!(maybe(None), Value::Null);
    }
}
