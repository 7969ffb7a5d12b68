//! Minimal pairs: prompts that could go on in two ways, and the tokens of each (`contrasts.json`, written for this project).

use serde::Deserialize;

use crate::error::{Code, Error, Result};

const FILE: &str = include_str!("contrasts.json");

#[derive(Deserialize)]
struct File {
    contrasts: Vec<Written>,
    texts: Vec<String>,
}

#[derive(Deserialize)]
struct Written {
    name: String,
    kind: String,
    a: Vec<String>,
    b: Vec<String>,
    prompts: Vec<String>,
}

/// A contrast in the tokens of a model.
#[derive(Clone, Debug)]
pub struct Contrast {
    pub name: String,
    pub kind: String,
    /// Token ids of both sides.
    pub sides: [Vec<u32>; 2],
}

/// All contrasts, the prompts of each in order, and the prompts of texts.
pub struct Prompts {
    pub contrasts: Vec<Contrast>,
    /// (number of the contrast, ids)
    pub prompts: Vec<(usize, Vec<u32>)>,
    pub texts: Vec<Vec<u32>>,
    /// Names of those that the vocabulary cannot tell apart.
    pub left_out: Vec<String>,
}

/// Reads the contrasts of which both sides have a token in the vocabulary, `texts`, with prompts as `encode` makes them.
pub fn read(texts: &[String], encode: &dyn Fn(&str) -> Result<Vec<u32>>) -> Result<Prompts> {
    let file: File =
        serde_json::from_str(FILE).map_err(|error| Error::new(Code::Io, format!("contrasts.json: {error}")))?;
    let ids = |side: &[String]| -> Vec<u32> {
        let of = |text: &String| texts.iter().position(|token| token == text);
        side.iter().filter_map(of).map(|id| id as u32).collect()
    };
    let mut read = Prompts {
        contrasts: Vec::new(),
        prompts: Vec::new(),
        texts: file.texts.iter().map(|text| encode(text)).collect::<Result<_>>()?,
        left_out: Vec::new(),
    };
    for written in file.contrasts {
        let sides = [ids(&written.a), ids(&written.b)];
        if sides.iter().any(Vec::is_empty) {
            read.left_out.push(written.name);
            continue;
        }
        for prompt in &written.prompts {
            read.prompts.push((read.contrasts.len(), encode(prompt)?));
        }
        read.contrasts.push(Contrast {
            name: written.name,
            kind: written.kind,
            sides,
        });
    }
    Ok(read)
}

impl Contrast {
    /// The sides, that first from which a change of the log odds turns.
    pub fn turned(&self, effect: f64) -> [&[u32]; 2] {
        let [a, b] = [&self.sides[0][..], &self.sides[1][..]];
        if effect > 0.0 {
            [b, a]
        } else {
            [a, b]
        }
    }
}

/// ln of the odds of side a over side b, of probabilities.
pub fn log_odds(contrast: &Contrast, probabilities: &[f32]) -> f64 {
    let mass = |side: &[u32]| -> f64 { side.iter().map(|id| f64::from(probabilities[*id as usize])).sum() };
    let [a, b] = &contrast.sides;
    (mass(a).max(1e-30) / mass(b).max(1e-30)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_whole() {
        let file: File = serde_json::from_str(FILE).unwrap();
        assert!(file.contrasts.len() >= 40 && file.texts.len() >= 3);
        let mut names: Vec<&str> = file.contrasts.iter().map(|c| c.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), file.contrasts.len());
        for contrast in &file.contrasts {
            assert_eq!(contrast.prompts.len(), 3, "{}", contrast.name);
            assert!(
                contrast.prompts.iter().all(|prompt| !prompt.ends_with(' ')),
                "{}",
                contrast.name
            );
            assert!(!contrast.a.is_empty() && !contrast.b.is_empty());
            assert!(
                contrast.a.iter().all(|token| !contrast.b.contains(token)),
                "{}",
                contrast.name
            );
        }
    }

    #[test]
    fn sides_are_tokens_and_odds_compare_them() {
        let texts: Vec<String> = ["<s>", " was", " were", "x"].map(str::to_owned).to_vec();
        let read = read(&texts, &|_| Ok(vec![0, 3])).unwrap();
        let names: Vec<&str> = read.contrasts.iter().map(|contrast| contrast.name.as_str()).collect();
        assert_eq!(names, ["was / were"]);
        assert_eq!(
            (read.prompts.len(), read.contrasts[0].sides.clone()),
            (3, [vec![1], vec![2]])
        );
        assert!(read.left_out.len() >= 39);
        let [from, to] = read.contrasts[0].turned(-1.0);
        assert_eq!(
            [from, to],
            [&read.contrasts[0].sides[0][..], &read.contrasts[0].sides[1][..]]
        );
        assert_eq!(read.contrasts[0].turned(1.0), [to, from]);
        let odds = log_odds(&read.contrasts[0], &[0.1, 0.6, 0.2, 0.1]);
        assert!((odds - 3f64.ln()).abs() < 1e-6);
    }
}
