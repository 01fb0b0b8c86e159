// JSON from outside. `JSON.parse` keeps the last of two equal names without a word, so two readers of one document can
// see two jobs; and it builds whatever nests, before anyone can say no. So the text is walked once before, holding no
// more than the path to where it stands. Syntax stays JSON.parse's: a document that is broken passes the walk.

import { FrechetError } from '../errors.ts';
import { JSON_COMMAS_MAX, JSON_DEPTH_MAX, JSON_LEVELS_MAX, JSON_NAMES_MAX } from '../job/limits.ts';
import { jsonPointer, schemaError } from '../job/schema-faults.ts';

/** @throws json-syntax, also where the bytes are not UTF-8; and what parseJsonText throws */
export function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw jsonSyntax(error);
  }
  return parseJsonText(text);
}

/**
 * Time is linear in the text, memory of the walk bounded by the limits.
 *
 * @throws json-syntax; schema where an object has a name twice or a name `__proto__`, or where the document nests
 * deeper than JSON_DEPTH_MAX, has more than JSON_LEVELS_MAX lists and objects, JSON_COMMAS_MAX commas or JSON_NAMES_MAX
 * names
 */
export function parseJsonText(text: string): unknown {
  new Walk(text).toEnd();
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw jsonSyntax(error);
  }
}

/** For what TextDecoder or JSON.parse threw. Its message quotes the body; the place is what helps. */
export function jsonSyntax(cause: unknown): FrechetError {
  const position = /position (\d+)/.exec((cause as Error).message)?.[1];
  const place = position === undefined ? '' : ` at character ${position}`;
  return new FrechetError('json-syntax', `the body is not JSON in UTF-8${place}`, {}, { cause });
}

/** An object or a list that is open. */
interface Level {
  /** The names so far; undefined in a list. */
  readonly names: Set<string> | undefined;
  /** Where in it the walk is. */
  step: string | number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON_NEXT = /[ \t\r\n]*:/y;

class Walk {
  readonly #text: string;
  readonly #levels: Level[] = [];
  #opened = 0;
  #commas = 0;
  #names = 0;

  constructor(text: string) {
    this.#text = text;
  }

  toEnd(): void {
    const text = this.#text;
    for (let at = 0; at < text.length; at += 1) {
      const char = text.charCodeAt(at);
      // From - to Z: what numbers are made of, and so most of any large document.
      if (char > 0x2c && char < 0x5b) continue;
      switch (char) {
        case QUOTE:
          at = this.#string(at);
          break;
        case 0x2c: // ,
          this.#next();
          break;
        case 0x7b: // {
          this.#open({ names: new Set(), step: '' });
          break;
        case 0x5b: // [
          this.#open({ names: undefined, step: 0 });
          break;
        case 0x7d: // }
        case 0x5d: // ]
          this.#levels.pop();
          break;
      }
    }
  }

  #next(): void {
    this.#commas += 1;
    if (this.#commas > JSON_COMMAS_MAX)
      throw this.#fault(
        'too_many_values',
        `a document may have ${JSON_COMMAS_MAX} commas; larger arrays go as .npy`,
      );
    const level = this.#levels.at(-1);
    if (typeof level?.step === 'number') level.step += 1;
  }

  #open(level: Level): void {
    if (this.#levels.length === JSON_DEPTH_MAX)
      throw this.#fault('too_deep', `the document may nest ${JSON_DEPTH_MAX} levels deep`);
    this.#opened += 1;
    if (this.#opened > JSON_LEVELS_MAX)
      throw this.#fault('too_many_levels', `a document may have ${JSON_LEVELS_MAX} lists and objects`);
    this.#levels.push(level);
  }

  /** Passes a string, a name or a value; answers where it ends. */
  #string(start: number): number {
    let end = start + 1;
    let isEscaped = false;
    for (; end < this.#text.length; end += 1) {
      const char = this.#text.charCodeAt(end);
      if (char === QUOTE) break;
      if (char !== BACKSLASH) continue;
      isEscaped = true;
      end += 1;
    }
    const level = this.#levels.at(-1);
    if (level?.names === undefined) return end;
    COLON_NEXT.lastIndex = end + 1;
    if (!COLON_NEXT.test(this.#text)) return end;
    const raw = this.#text.slice(start + 1, end);
    this.#name(level, level.names, isEscaped ? unescaped(raw) : raw);
    return end;
  }

  #name(level: Level, names: Set<string>, name: string): void {
    level.step = name;
    this.#names += 1;
    if (this.#names > JSON_NAMES_MAX)
      throw this.#fault('too_many_names', `a document may have ${JSON_NAMES_MAX} names`);
    if (names.has(name)) throw this.#fault('duplicate_key', 'this name stands here twice');
    // zod drops it from a record without a word.
    if (name === '__proto__') throw this.#fault('invalid_key', 'this name is not possible');
    names.add(name);
  }

  #fault(code: string, detail: string): FrechetError {
    return schemaError([{ pointer: jsonPointer(this.#levels.map(({ step }) => step)), code, detail }]);
  }
}

/** Two spellings of one name are one name. What is no string is left for JSON.parse to refuse. */
function unescaped(raw: string): string {
  try {
    return JSON.parse(`"${raw}"`) as string;
  } catch {
    return raw;
  }
}
