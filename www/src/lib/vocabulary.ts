/**
 * Token texts before the model is loaded, from its `tokenizer.json`: byte-level BPE writes each byte of a token as one character of its
 * own alphabet. A loaded model returns the same texts from `model.tokenizer.tokens`.
 */
import type { Features } from 'topk-lm';
import { tokenText } from './neurons';

/** Character → byte. Printable bytes stand for themselves; the others, in order, for U+0100 and up. */
function byteAlphabet(): Map<string, number> {
  const printable = (byte: number) => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const alphabet = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) alphabet.set(String.fromCharCode(printable(byte) ? byte : next++), byte);
  return alphabet;
}

interface TokenizerFile {
  model?: { vocab?: Record<string, number> };
  decoder?: { type?: string; decoders?: { type?: string }[] };
  added_tokens?: { id: number; content: string }[];
}

/** Bytes of the tokens that hold only a part of a character, by vocabulary and id. */
const PARTS = new WeakMap<readonly string[], ReadonlyMap<number, Uint8Array>>();

/** Most ids without a token. */
const MOST_GAPS = 1 << 16;

/** Text of each id; `null` if the model has no byte-level tokenizer. */
export async function readVocabulary(features: Features): Promise<string[] | null> {
  const blob = await features.file('tokenizer.json');
  if (!blob) return null;
  const { model, decoder, added_tokens = [] } = JSON.parse(await blob.text()) as TokenizerFile;
  const isByteLevel = [decoder, ...(decoder?.decoders ?? [])].some((part) => part?.type === 'ByteLevel');
  if (!model?.vocab || !isByteLevel) return null;
  const alphabet = byteAlphabet();
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  const entries = Object.entries(model.vocab);
  // Ids may leave gaps, but a number far beyond the tokens would make a list of billions.
  const most = MOST_GAPS + entries.length + added_tokens.length;
  const isId = (id: unknown): id is number => Number.isInteger(id) && (id as number) >= 0 && (id as number) < most;
  if (!entries.every(([, id]) => isId(id)) || !added_tokens.every(({ id }) => isId(id))) return null;
  const texts: string[] = [];
  const parts = new Map<number, Uint8Array>();
  for (const [token, id] of entries) {
    const bytes = Uint8Array.from(token, (character) => alphabet.get(character) ?? 0x3f);
    const text = utf8.decode(bytes);
    texts[id] = text;
    if (text.includes('\ufffd')) parts.set(id, bytes);
  }
  for (const { id, content } of added_tokens) {
    texts[id] = content;
    parts.delete(id);
  }
  const vocabulary = Array.from(texts, (text) => text ?? '');
  PARTS.set(vocabulary, parts);
  return vocabulary;
}

/** The text of ids: a character may be spread over several tokens. Token by token where the vocabulary knows no bytes. */
export function textOfIds(vocabulary: readonly string[], ids: readonly number[]): string {
  const parts = PARTS.get(vocabulary);
  const utf8 = new TextEncoder();
  const bytes = ids.flatMap((id) => [...(parts?.get(id) ?? utf8.encode(tokenText(vocabulary, id)))]);
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes));
}
