//! The true states beside a story, as `training/storyworlds` writes them (its `states.md`), and which of them hold at each token.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::offline::documents;

type Points<T> = Vec<(usize, T)>;
type Lines = BTreeMap<String, Points<Option<String>>>;

/// One line of the file.
#[derive(Deserialize)]
pub struct Story {
    tense: String,
    words: Vec<(usize, usize)>,
    cast: BTreeMap<String, Entity>,
    quote: Points<u8>,
    subject: Points<Option<String>>,
    mentions: Vec<(usize, usize, String, String, Value)>,
    verbs: Points<String>,
    tracks: Tracks,
}

#[derive(Deserialize)]
struct Entity {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    noun: Option<String>,
    number: String,
    gender: String,
    #[serde(default)]
    members: Vec<String>,
    #[serde(default)]
    outdoors: Option<bool>,
}

#[derive(Deserialize)]
struct Tracks {
    #[serde(default)]
    place: Lines,
    #[serde(default)]
    feeling: Lines,
    #[serde(default)]
    holder: Lines,
    #[serde(default)]
    weather: Lines,
    #[serde(default)]
    time: Lines,
}

/// All stories of a file.
pub fn read(path: &Path) -> Result<Vec<Story>> {
    let text = documents::text_of(path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|error| {
                let message = format!(
                    "{} line {} is not what storyworlds --states writes: {error}",
                    path.display(),
                    number + 1
                );
                Error::new(Code::Argument, message)
            })
        })
        .collect()
}

/// The value in effect at a word.
fn at<T: Clone>(points: &[(usize, T)], word: usize) -> Option<T> {
    let after = points.partition_point(|(from, _)| *from <= word);
    after.checked_sub(1).map(|last| points[last].1.clone())
}

fn line_at(lines: &Lines, key: &str, word: usize) -> Option<String> {
    at(lines.get(key)?, word).flatten()
}

impl Story {
    pub fn words(&self) -> usize {
        self.words.len()
    }

    /// The names of the states that hold at each word.
    pub fn states(&self) -> Vec<Vec<String>> {
        (0..self.words.len()).map(|word| self.at_word(word)).collect()
    }

    fn at_word(&self, word: usize) -> Vec<String> {
        let mut states = Vec::new();
        let quoted = at(&self.quote, word) == Some(1);
        if quoted {
            states.push("inside quotes".to_owned());
        } else {
            states.push(format!("tense: {}", self.tense));
        }
        if let Some(key) = at(&self.subject, word).flatten() {
            self.of_subject(&key, word, &mut states);
        }
        for (name, lines) in [("weather", &self.tracks.weather), ("time", &self.tracks.time)] {
            states.extend(line_at(lines, "", word).map(|value| format!("{name}: {value}")));
        }
        if let Some((_, tense)) = self.verbs.iter().find(|(verb, _)| *verb == word) {
            states.push("verb".to_owned());
            states.push(format!("verb: {tense}"));
        }
        // The shortest mention: of a member rather than of its group.
        let mentions = self
            .mentions
            .iter()
            .filter(|(from, to, ..)| (*from..*to).contains(&word));
        if let Some((_, _, key, form, plural)) = mentions.min_by_key(|(from, to, ..)| to - from) {
            states.push("mention".to_owned());
            states.push(format!("mention: {form}"));
            states.push(format!(
                "mention: {}",
                if plural.as_u64() == Some(1) || *plural == Value::Bool(true) {
                    "plural"
                } else {
                    "singular"
                }
            ));
            if let Some(entity) = self.cast.get(key) {
                states.push(format!("mention of a {}", entity.kind));
                if entity.gender != "none" {
                    states.push(format!("mention: {}", entity.gender));
                }
            }
        }
        states
    }

    fn of_subject(&self, key: &str, word: usize, states: &mut Vec<String>) {
        let Some(entity) = self.cast.get(key) else { return };
        states.push(format!("subject: {}", entity.number));
        if entity.gender != "none" {
            states.push(format!("subject: {}", entity.gender));
        }
        let own = [key.to_owned()];
        let members: &[String] = if entity.kind == "group" { &entity.members } else { &own };
        let shared = |lines: &Lines| {
            let mut values = members.iter().map(|member| line_at(lines, member, word));
            let first = values.next().flatten()?;
            values.all(|other| other.as_ref() == Some(&first)).then_some(first)
        };
        states.extend(shared(&self.tracks.feeling).map(|feeling| format!("feeling: {feeling}")));
        if let Some(place) = shared(&self.tracks.place).and_then(|key| self.cast.get(&key)) {
            states.extend(place.noun.iter().map(|noun| format!("place: {noun}")));
            states.extend(
                place
                    .outdoors
                    .map(|outdoors| if outdoors { "outdoors" } else { "indoors" }.to_owned()),
            );
        }
        let held =
            |line: &Points<Option<String>>| at(line, word).flatten().is_some_and(|holder| members.contains(&holder));
        if self.tracks.holder.values().any(held) {
            states.push("holds something".to_owned());
        }
    }

    /// The word of each token, from the tokens' texts; `None` if they do not spell `text`.
    pub fn words_of(&self, text: &str, tokens: &[&str]) -> Option<Vec<Option<usize>>> {
        let spelled: String = tokens.concat();
        let skipped = spelled.chars().count() - spelled.trim_start().chars().count();
        if spelled.trim() != text {
            return None;
        }
        let mut position = 0;
        let words = tokens.iter().map(|token| {
            let spaces = token.chars().take_while(|c| !c.is_alphanumeric()).count();
            let start = (position + spaces).checked_sub(skipped);
            let empty = spaces == token.chars().count();
            position += token.chars().count();
            let start = start.filter(|_| !empty)?;
            let word = self.words.partition_point(|(_, end)| *end <= start);
            self.words.get(word).filter(|(from, _)| *from <= start).map(|_| word)
        });
        Some(words.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"world":"w","seed":1,"tense":"past","words":[[0,3],[4,7],[8,11],[14,16],[17,21]],
        "cast":{"a":{"type":"character","noun":"boy","name":"Tom","number":"singular","gender":"masculine","animal":false,"adult":false},
                "p":{"type":"place","noun":"park","outdoors":true,"number":"singular","gender":"none"}},
        "quote":[[0,0],[3,1]],"speaker":[[0,null],[3,"a"]],"subject":[[0,"a"],[3,null]],"mentions":[[0,1,"a","name",0]],
        "verbs":[[1,"past"]],"tracks":{"place":{"a":[[0,null],[1,"p"]]},"feeling":{"a":[[0,"happy"]]},"holder":{"x":[[0,"a"]]},
        "knows":{},"weather":{"":[[0,null]]},"time":{"":[[0,"day"]]}}}"#;

    fn story() -> Story {
        serde_json::from_str(LINE).unwrap()
    }

    #[test]
    fn states_hold_from_their_words_on() {
        let states = story().states();
        let has = |word: usize, state: &str| states[word].iter().any(|name| name == state);
        assert!(has(0, "mention: name") && has(0, "mention: masculine") && has(0, "mention: singular"));
        assert!(has(0, "holds something") && has(0, "feeling: happy") && !has(0, "outdoors"));
        assert!(has(1, "verb: past") && has(1, "place: park") && has(2, "outdoors") && has(2, "tense: past"));
        assert!(has(3, "inside quotes") && !has(3, "tense: past") && !has(3, "subject: masculine"));
        assert!((0..5).all(|word| has(word, "time: day")));
    }

    #[test]
    fn tokens_belong_to_words() {
        let text = "Tom saw Ben. \"Go home";
        let words = story()
            .words_of(text, &[" Tom", " s", "aw", " Ben", ".", " \"", "Go", " home"])
            .unwrap();
        assert_eq!(
            words,
            [Some(0), Some(1), Some(1), Some(2), None, None, Some(3), Some(4)]
        );
        assert!(story().words_of(text, &["Tom"]).is_none());
    }
}
