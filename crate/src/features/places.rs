//! Where in a text a position is: how far from its beginning, inside quotation marks or not, in which part of its sentence.

/// A class of positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Positions 1 to 4.
    Beginning,
    /// Positions 5 to 31.
    Early,
    /// From position 32 on.
    Later,
    /// Inside quotation marks, the marks included.
    Quoted,
    /// The first three tokens of a sentence.
    SentenceStart,
    /// Its last three tokens, the stop included.
    SentenceEnd,
}

pub const PLACES: [Place; 6] = [
    Place::Beginning,
    Place::Early,
    Place::Later,
    Place::Quoted,
    Place::SentenceStart,
    Place::SentenceEnd,
];
/// Tokens at either end of a sentence.
const EDGE: usize = 3;

impl Place {
    /// Its bit in [`places`].
    pub fn bit(self) -> u8 {
        1 << PLACES.iter().position(|place| *place == self).unwrap_or(0)
    }

    /// Its name in the files.
    pub fn name(self) -> &'static str {
        match self {
            Place::Beginning => "beginning",
            Place::Early => "early",
            Place::Later => "later",
            Place::Quoted => "quoted",
            Place::SentenceStart => "sentence_start",
            Place::SentenceEnd => "sentence_end",
        }
    }

    /// How a label says it, if it says something about a neuron.
    pub fn label(self) -> Option<&'static str> {
        match self {
            Place::Beginning => Some("start of the text"),
            Place::Quoted => Some("inside quotes"),
            Place::SentenceStart => Some("start of a sentence"),
            Place::SentenceEnd => Some("end of a sentence"),
            Place::Early | Place::Later => None,
        }
    }
}

/// What the characters of a token do to quotes and sentences.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Marks {
    /// An odd number of straight marks, which open or close.
    straight: bool,
    opens: bool,
    closes: bool,
    stops: bool,
    breaks: bool,
}

impl Marks {
    pub fn of(text: &str) -> Marks {
        let quotes = text.matches('"').count();
        Marks {
            straight: quotes % 2 == 1,
            opens: text.contains('“'),
            closes: text.contains('”'),
            stops: text.contains(['.', '!', '?']),
            breaks: text.contains('\n'),
        }
    }
}

/// The bits of the places of each position of a document; `marks` of each token of the vocabulary, none without a tokenizer.
pub fn places(document: &[u32], marks: Option<&[Marks]>) -> Vec<u8> {
    let mut bits: Vec<u8> = (0..document.len())
        .map(|position| match position {
            0..=4 => Place::Beginning.bit(),
            5..=31 => Place::Early.bit(),
            _ => Place::Later.bit(),
        })
        .collect();
    let Some(marks) = marks else { return bits };
    let of = |id: u32| marks.get(id as usize).copied().unwrap_or_default();
    let (mut quoted, mut since) = (false, 0);
    for position in 1..document.len() {
        let mark = of(document[position]);
        let before = quoted;
        quoted = match (mark.straight, mark.opens, mark.closes) {
            // A paragraph ends what was left open.
            _ if mark.breaks => false,
            (true, ..) => !quoted,
            (_, true, false) => true,
            (_, _, true) => false,
            _ => quoted,
        };
        if before && !mark.breaks || quoted {
            bits[position] |= Place::Quoted.bit();
        }
        let stop = mark.stops || mark.breaks;
        if since < EDGE && !stop {
            bits[position] |= Place::SentenceStart.bit();
        }
        since += 1;
        if mark.stops {
            let first = (position + 1).saturating_sub(EDGE.min(since));
            bits[first..=position]
                .iter_mut()
                .for_each(|bits| *bits |= Place::SentenceEnd.bit());
        }
        if stop {
            since = 0;
        }
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_sentences_of_a_story() {
        let tokens = [
            "<s>", " Tom", " ran", " to", " a", " red", " house", ".", " \"", "Hi", ",\"", " he", " said", ".\n", " Go",
        ];
        let marks: Vec<Marks> = tokens.iter().map(|text| Marks::of(text)).collect();
        let document: Vec<u32> = (0..tokens.len() as u32).collect();
        let bits = places(&document, Some(&marks));
        let at = |place: Place| -> Vec<usize> { (1..bits.len()).filter(|p| bits[*p] & place.bit() != 0).collect() };
        assert_eq!(at(Place::Quoted), [8, 9, 10]);
        assert_eq!(at(Place::SentenceStart), [1, 2, 3, 8, 9, 10, 14]);
        assert_eq!(at(Place::SentenceEnd), [5, 6, 7, 11, 12, 13]);
        assert_eq!(at(Place::Beginning), [1, 2, 3, 4]);
        assert!(places(&document, None).iter().all(|bits| *bits < Place::Quoted.bit()));
    }
}
