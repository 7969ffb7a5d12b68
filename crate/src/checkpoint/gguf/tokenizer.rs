//! The `tokenizer.json` of a GGUF file, which has the tokens, what they are, and merges or scores: a byte-level BPE, or SentencePiece's BPE
//! with bytes for what it has no piece of.

mod bytes;
mod pieces;

use serde_json::{json, Map, Value as Json};

use super::header::{Header, Value};
use crate::error::{fail, quoted, Result};
use crate::tokenizer::MAX_PIECE;

/// Kinds of tokens: a piece of text; what stands for unknown text; of control; added by those who made the model; a byte.
const NORMAL: i64 = 1;
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const ADDED: i64 = 4;
const BYTE: i64 = 6;

/// `tokenizer.json`, or why it cannot be made.
pub fn written(header: &Header) -> Result<std::result::Result<Json, String>> {
    let tokens = Tokens::of(header)?;
    if header.boolean("tokenizer.ggml.add_eos_token")? == Some(true) {
        return Ok(Err("its tokenizer puts a token behind each text and was not converted".into()));
    }
    match header.text("tokenizer.ggml.model")? {
        Some("gpt2") => bytes::written(header, &tokens),
        Some("llama") => pieces::written(header, &tokens),
        other => {
            let model = other.map_or("without a name".to_owned(), |name| format!("of the kind {}", quoted(name)));
            Ok(Err(format!("its tokenizer, {model}, is neither a byte-level BPE nor SentencePiece's and was not converted")))
        }
    }
}

/// Tokens that end a text or a turn, beside the one that the file calls so, as llama.cpp knows them: by their texts. They are of control,
/// whatever the file says. The last are those between the parts of code that is filled in.
const ENDS: [&str; 26] = [
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<eos>",
    "<｜end▁of▁sentence｜>",
    "</s>",
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<PAD>",
    "[PAD]",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<REPO>",
    "<reponame>",
    "<|file_sep|>",
];

/// The ids of those of [`ENDS`] that there are.
pub fn ends(header: &Header) -> Result<Vec<i64>> {
    let tokens = Tokens::of(header)?;
    let found = tokens.of_kind(CONTROL).filter(|(_, text)| ENDS.contains(text));
    Ok(found.map(|(id, _)| id as i64).collect())
}

/// The id that the file gives as its `name` ("bos", "eos"); SentencePiece's of Llama are 1 and 2 where it gives none.
pub fn id_of(header: &Header, name: &str) -> Result<Option<i64>> {
    if let Some(id) = header.integer(&format!("tokenizer.ggml.{name}_token_id"))? {
        return Ok(Some(id));
    }
    let usual = match (header.text("tokenizer.ggml.model")?, name) {
        (Some("llama"), "bos") => 1,
        (Some("llama"), "eos") => 2,
        _ => return Ok(None),
    };
    Ok((usual < Tokens::of(header)?.texts.len()).then_some(usual as i64))
}

/// The vocabulary: texts by id, with their kinds.
struct Tokens<'a> {
    texts: Vec<&'a str>,
    kinds: Vec<i64>,
    /// Whether its tokens of control swallow the spaces behind them: of Phi 3, as llama.cpp does it, since the file does not say so.
    strips: bool,
}

impl<'a> Tokens<'a> {
    fn of(header: &'a Header) -> Result<Tokens<'a>> {
        let texts = header.texts("tokenizer.ggml.tokens")?;
        if let Some(long) = texts.iter().find(|text| text.len() > MAX_PIECE) {
            fail!(Checkpoint, "tokenizer.ggml.tokens has {}, of more than {MAX_PIECE} bytes", quoted(long));
        }
        let listed = match header.values.get("tokenizer.ggml.token_type") {
            None => &[][..],
            Some(Value::List(kinds)) => kinds,
            Some(_) => fail!(Checkpoint, "tokenizer.ggml.token_type must be a list"),
        };
        let kind = |(id, text): (usize, &&str)| match listed.get(id) {
            _ if ENDS.contains(text) => CONTROL,
            Some(Value::Int(kind)) => *kind,
            _ => NORMAL,
        };
        let kinds = texts.iter().enumerate().map(kind).collect();
        let name = header.text("general.name")?.unwrap_or_default().to_lowercase();
        let strips = ["phi-3", "phi3"].iter().any(|known| name.contains(known));
        Ok(Tokens { texts, kinds, strips })
    }

    /// (id, text) of those of one kind.
    fn of_kind(&self, kind: i64) -> impl Iterator<Item = (usize, &'a str)> + '_ {
        let all = self.texts.iter().zip(&self.kinds).enumerate();
        all.filter(move |(_, (_, own))| **own == kind).map(|(id, (text, _))| (id, *text))
    }

    fn vocab(&self) -> Map<String, Json> {
        self.texts.iter().enumerate().map(|(id, token)| ((*token).to_owned(), id.into())).collect()
    }

    /// `added_tokens`: found in a text before it is cut.
    fn added(&self) -> Vec<Json> {
        let mut ids: Vec<_> = [UNKNOWN, CONTROL, ADDED].into_iter().flat_map(|kind| self.of_kind(kind)).collect();
        ids.sort_unstable();
        let entry = |(id, content): (usize, &str)| {
            let strips = self.strips && !["<unk>", "<s>", "<|endoftext|>"].contains(&content);
            json!({
                "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": strips, "normalized": false,
                "special": self.kinds[id] != ADDED,
            })
        };
        ids.into_iter().map(entry).collect()
    }
}

/// What puts the first token before a text, where the file says so, or `always` where it says nothing.
fn first_token(header: &Header, tokens: &Tokens, always: bool) -> Result<Json> {
    let bos = id_of(header, "bos")?.and_then(|id| usize::try_from(id).ok());
    let token = bos.and_then(|id| Some((id, *tokens.texts.get(id)?)));
    let wanted = header.boolean("tokenizer.ggml.add_bos_token")?.unwrap_or(always);
    let (Some((id, token)), true) = (token, wanted) else {
        return Ok(Json::Null);
    };
    let first = json!({ "SpecialToken": { "id": token, "type_id": 0 } });
    let text = |name: &str, kind: u8| json!({ "Sequence": { "id": name, "type_id": kind } });
    let mut special = Map::new();
    special.insert(token.to_owned(), json!({ "id": token, "ids": [id], "tokens": [token] }));
    Ok(json!({
        "type": "TemplateProcessing",
        "single": [first, text("A", 0)],
        "pair": [first, text("A", 0), first, text("B", 1)],
        "special_tokens": special,
    }))
}

#[cfg(test)]
mod written_out {
    use super::{Header, Value};

    pub fn texts(all: &[&str]) -> Value {
        Value::List(all.iter().map(|text| Value::Text((*text).into())).collect())
    }

    /// The header of a file with these keys of its tokenizer, the later ones in place of the earlier.
    pub fn header(keys: &[(&str, Value)], more: &[(&str, Value)]) -> Header {
        let mut header = Header::default();
        for (key, value) in keys.iter().chain(more) {
            header.values.insert(format!("tokenizer.ggml.{key}"), value.clone());
        }
        header
    }
}
