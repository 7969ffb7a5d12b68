//! [`Edit`] as it is written: as JSON, and as the command's `key=value` pairs.

use serde::{Deserialize, Serialize};

use super::{Action, Edit, Positions, Propagate, Site};
use crate::error::{fail, quoted, shortened, Result};

/// An edit's fields: a neuron has a layer, a feature an autoencoder.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEdit {
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sae: Option<String>,
    index: usize,
    #[serde(deserialize_with = "named::action")]
    action: Action,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    #[serde(default, deserialize_with = "named::site", skip_serializing_if = "Option::is_none")]
    site: Option<Site>,
    #[serde(default, deserialize_with = "named::positions")]
    positions: Positions,
    #[serde(default, deserialize_with = "named::propagate", skip_serializing_if = "Option::is_none")]
    propagate: Option<Propagate>,
}

/// What serde says of a word that it does not know, with the field in front.
mod named {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer};

    use super::{Action, Positions, Propagate, Site};

    fn field<'de, D: Deserializer<'de>, T: Deserialize<'de>>(name: &str, from: D) -> Result<T, D::Error> {
        T::deserialize(from).map_err(|error| {
            let error = error.to_string();
            // JavaScript's own beginning of a message.
            D::Error::custom(format!("{name}: {}", error.strip_prefix("Error: ").unwrap_or(&error)))
        })
    }

    pub fn action<'de, D: Deserializer<'de>>(from: D) -> Result<Action, D::Error> {
        field("action", from)
    }

    pub fn site<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Site>, D::Error> {
        field("site", from)
    }

    pub fn propagate<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Propagate>, D::Error> {
        field("propagate", from)
    }

    pub fn positions<'de, D: Deserializer<'de>>(from: D) -> Result<Positions, D::Error> {
        let said = "positions must be 'all', 'prompt', 'generated' or {from, to} in whole numbers";
        Positions::deserialize(from).map_err(|_| D::Error::custom(said))
    }
}

impl From<Edit> for RawEdit {
    fn from(edit: Edit) -> RawEdit {
        let of_neuron = edit.sae.is_none();
        RawEdit {
            layer: of_neuron.then_some(edit.layer),
            sae: edit.sae,
            index: edit.index,
            action: edit.action,
            value: edit.value,
            site: of_neuron.then_some(edit.site),
            positions: edit.positions,
            propagate: of_neuron.then_some(edit.propagate),
        }
    }
}

impl TryFrom<RawEdit> for Edit {
    type Error = &'static str;

    fn try_from(raw: RawEdit) -> std::result::Result<Edit, &'static str> {
        let layer = match (raw.layer, &raw.sae) {
            (Some(layer), None) => layer,
            (None, None) => return Err("missing field `layer`"),
            (Some(_), Some(_)) => return Err("layer and sae name two things; keep one of them"),
            (None, Some(_)) if raw.site.is_some() || raw.propagate.is_some() => {
                return Err("site and propagate are of neurons; an edit with sae has neither")
            }
            (None, Some(_)) => 0,
        };
        Ok(Edit {
            layer,
            sae: raw.sae,
            index: raw.index,
            action: raw.action,
            value: raw.value,
            site: raw.site.unwrap_or_default(),
            positions: raw.positions,
            propagate: raw.propagate.unwrap_or_default(),
        })
    }
}

/// The fields of [`RawEdit`], as `key=value` pairs name them.
const FIELDS: [&str; 8] = ["layer", "sae", "index", "action", "value", "site", "positions", "propagate"];

/// How alike two names must be for one to be taken for the other (Jaro's measure, 0 to 1): what clap asks of the command's options.
const ALIKE: f64 = 0.7;

/// What to write instead of a key that no edit has.
fn instead_of(key: &str) -> String {
    let alike = FIELDS.map(|field| (strsim::jaro(key, field), field));
    match alike.into_iter().max_by(|(a, _), (b, _)| a.total_cmp(b)) {
        Some((likeness, field)) if likeness > ALIKE => format!("did you mean {field}?"),
        _ => format!("there are {}", FIELDS.join(", ")),
    }
}

impl std::str::FromStr for Edit {
    type Err = crate::error::Error;

    /// Reads `key=value` pairs with commas between them: `layer=4,index=17,action=clamp,value=8`. `layer` (or `sae`, a hook), `index` and
    /// `action` (`add`, `clamp`, `scale`, `ablate`) are required, `value` too but for `ablate`; `site` is `topk_out` or `topk_in`, `positions`
    /// is `all`, `prompt`, `generated` or a half-open range `3..7`, and `propagate` is `layer` or `from_layer`. An unknown key is an error.
    fn from_str(text: &str) -> Result<Edit> {
        let mut fields = serde_json::Map::new();
        let whole = shortened(text);
        for part in text.split(',') {
            let Some((key, value)) = part.split_once('=') else {
                fail!(Edit, "edit {whole}: {} must be written key=value", quoted(part));
            };
            let (key, value) = (key.trim(), value.trim());
            if !FIELDS.contains(&key) {
                fail!(Edit, "edit {whole}: {} is no field of an edit; {}", quoted(key), instead_of(key));
            }
            let parsed = match key {
                "layer" | "index" => match value.parse::<u64>() {
                    Ok(number) => number.into(),
                    Err(_) => fail!(Edit, "edit {whole}: {key} must be a whole number from 0, not {}", quoted(value)),
                },
                "value" => match value.parse::<f64>().ok().and_then(serde_json::Number::from_f64) {
                    Some(number) => serde_json::Value::Number(number),
                    None => fail!(Edit, "edit {whole}: value must be a finite number, not {}", quoted(value)),
                },
                "positions" => match value.split_once("..").map(|(from, to)| (from.parse::<u64>(), to.parse::<u64>())) {
                    Some((Ok(from), Ok(to))) => serde_json::json!({ "from": from, "to": to }),
                    None if ["all", "prompt", "generated"].contains(&value) => value.into(),
                    _ => fail!(
                        Edit,
                        "edit {whole}: positions must be all, prompt, generated or a range like 3..7, not {}",
                        quoted(value)
                    ),
                },
                _ => value.into(),
            };
            if fields.insert(key.to_owned(), parsed).is_some() {
                fail!(Edit, "edit {whole}: {} is given twice", shortened(key));
            }
        }
        let edit: Edit = match serde_json::from_value(serde_json::Value::Object(fields)) {
            Ok(edit) => edit,
            Err(error) => fail!(Edit, "edit {whole}: {error}"),
        };
        match edit.check_alone() {
            Ok(_) => Ok(edit),
            Err(wrong) => fail!(Edit, "edit {whole}: {wrong}"),
        }
    }
}
