//! Kinds of tokens by their letters: what labels name, and what rules ask for.

/// Capitalized words that begin sentences more often than they are names.
const NO_NAMES: &[&str] = &[
    "the", "a", "an", "he", "she", "it", "they", "we", "you", "i", "one", "once", "then", "but", "and", "so", "when",
    "this", "that", "there", "in", "on", "at", "as", "his", "her", "their", "my", "your", "what", "why", "how", "who",
    "where", "yes", "no", "let", "if", "do", "can", "after", "suddenly", "every", "all", "for", "from", "with", "to",
    "of", "not", "now", "are", "is",
];
const ENDINGS: &[&str] = &["ing", "ed", "ly", "er", "est", "ful", "ness", "s"];

/// Whether a text is of a kind.
type Is = fn(&str) -> bool;

/// Classes by number: first those that are tried before clusters, then those behind them, then the endings.
const NAMED: [(&str, Is); 4] = [
    ("punctuation", is_punctuation),
    ("numbers", is_number),
    ("names", is_name),
    ("inside of words", is_piece),
];

/// Whether a token is of a class.
pub fn class_of(class: usize, text: &str) -> bool {
    match NAMED.get(class) {
        Some((_, is)) => is(text),
        None => ENDINGS.get(class - NAMED.len()).is_some_and(|ending| {
            let word = word(text);
            word.len() > ending.len() + 1 && word.ends_with(ending) && word.chars().all(char::is_alphabetic)
        }),
    }
}

/// How many classes there are.
pub const CLASSES: usize = NAMED.len() + ENDINGS.len();

/// What a label calls a class.
pub fn class_name(class: usize) -> String {
    match NAMED.get(class) {
        Some((name, _)) => (*name).to_owned(),
        None => format!("words in -{}", ENDINGS.get(class - NAMED.len()).unwrap_or(&"")),
    }
}

/// A token as readers see it.
pub fn show(text: &str) -> String {
    let trimmed = text.trim_matches(' ');
    match trimmed {
        "" => "space".to_owned(),
        _ if is_break(text) => "line break".to_owned(),
        _ => trimmed.replace(char::is_control, "·"),
    }
}

/// What all forms of a token share: no space, lower case.
pub fn word(text: &str) -> String {
    let word = text.trim_matches(' ').to_lowercase();
    if word.is_empty() {
        text.to_owned()
    } else {
        word
    }
}

fn is_break(text: &str) -> bool {
    text.contains('\n') && text.trim().is_empty()
}

/// Line breaks too.
fn is_punctuation(text: &str) -> bool {
    is_break(text)
        || !text.trim().is_empty() && !text.chars().any(|c| c.is_alphanumeric() || c == '\u{fffd}' || c == '#')
}

fn is_number(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

fn is_name(text: &str) -> bool {
    let word = text.trim();
    let mut chars = word.chars();
    chars.next().is_some_and(char::is_uppercase)
        && word.chars().count() > 1
        && chars.all(char::is_alphabetic)
        && !NO_NAMES.contains(&word.to_lowercase().as_str())
}

pub fn is_piece(text: &str) -> bool {
    text.starts_with(char::is_lowercase) && text.chars().all(char::is_alphabetic)
}
