// Matrices as CSV: one row a line, numbers only, no header line, no quotes. Reading gives float64 of rank 2 always;
// writing takes ranks 0 to 2 (rank 1 is a column). NaN and infinities may be spelled as NumPy's savetxt does.

import { FrechetError } from '../errors.ts';
import type { ArrayHeader, ArrayStream } from './array-header.ts';
import { formatNumber } from './json-array.ts';
import { type ReadBytes, valuesInRowOrder } from './row-order.ts';
import { boundedBody, streamOf, type WholeArray } from './whole-array.ts';

const NUMBER = /^[ \t]*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)[ \t]*$/;
const SPECIAL = /^[ \t]*([+-]?)(nan|inf|infinity)[ \t]*$/i;
/** Far longer than any number needs to be. */
const FIELD_LENGTH_MAX = 512;
const TEXT_PIECE_LENGTH = 64 * 1024;

/** Reads a body as it comes and keeps only numbers. @throws array-syntax with the line, body-too-large */
export async function decodeCsvArray(source: AsyncIterable<Uint8Array>): Promise<ArrayStream> {
  const table = new Table();
  let open = '';
  for await (const piece of boundedBody(source)) {
    // Numbers are ASCII, so bytes and characters are the same thing where the body is acceptable.
    const text = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength).toString('latin1');
    open = table.addText(open + text);
  }
  table.finish(open);
  return streamOf(table.toArray());
}

/** The array as CSV, in pieces; memory stays bounded. @throws not-acceptable at once for rank 3 */
export function encodeCsvArray(header: ArrayHeader, read: ReadBytes): AsyncGenerator<Uint8Array> {
  if (header.shape.length > 2) {
    throw new FrechetError('not-acceptable', 'A stack of matrices cannot be written as CSV.');
  }
  return writeRows(header, read);
}

async function* writeRows(header: ArrayHeader, read: ReadBytes): AsyncGenerator<Uint8Array> {
  const [rows = 1, cols = 1] = header.shape;
  let text = '';
  let column = 0;
  if (cols > 0) {
    for await (const values of valuesInRowOrder(header, read)) {
      for (const value of values) {
        column += 1;
        text += formatNumber(value) + (column === cols ? '\n' : ',');
        if (column === cols) column = 0;
        if (text.length < TEXT_PIECE_LENGTH) continue;
        yield Buffer.from(text);
        text = '';
      }
    }
  }
  for (let row = cols > 0 ? rows : 0; row < rows; row += 1) {
    text += '\n';
    if (text.length < TEXT_PIECE_LENGTH) continue;
    yield Buffer.from(text);
    text = '';
  }
  if (text !== '') yield Buffer.from(text);
}

/** Rows as they are read: one growing vector of numbers. */
class Table {
  #values = new Float64Array(1024);
  #length = 0;
  #rows = 0;
  #cols = 0;
  /** Fields of the row being read, which may arrive in many pieces. */
  #fields = 0;

  /** Takes all that is complete, and answers the field cut short at the end. */
  addText(text: string): string {
    let start = 0;
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code === COMMA) this.#addField(text.slice(start, at));
      else if (code === LINE_FEED) this.#endRow(text.slice(start, at));
      else continue;
      start = at + 1;
    }
    // A line without commas must not be kept and joined again with every piece.
    if (text.length - start > FIELD_LENGTH_MAX) throw this.#error('a field is too long');
    return text.slice(start);
  }

  /** The last line may lack its line feed; after one, an empty rest is no row. */
  finish(open: string): void {
    if (open !== '' || this.#fields > 0) this.#endRow(open);
  }

  toArray(): WholeArray {
    const data = new Uint8Array(this.#values.slice(0, this.#length).buffer);
    return { header: { shape: [this.#rows, this.#cols], dtype: 'float64', order: 'C' }, data };
  }

  #addField(text: string): void {
    if (this.#length === this.#values.length) {
      const grown = new Float64Array(2 * this.#length);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#length] = this.#parse(this.#length === 0 ? withoutByteOrderMark(text) : text);
    this.#length += 1;
    this.#fields += 1;
  }

  #endRow(rest: string): void {
    const text = rest.endsWith('\r') ? rest.slice(0, -1) : rest;
    // An empty line is a row without fields: how a matrix without columns is written.
    if (text !== '' || this.#fields > 0) this.#addField(text);
    if (this.#rows === 0) this.#cols = this.#fields;
    if (this.#fields !== this.#cols) {
      throw this.#error(`it has ${this.#fields} numbers where the first line has ${this.#cols}`);
    }
    this.#rows += 1;
    this.#fields = 0;
  }

  #parse(text: string): number {
    const digits = NUMBER.exec(text)?.[1];
    if (digits !== undefined) {
      const value = Number(digits);
      if (Number.isFinite(value)) return value;
      throw this.#error('a number lies outside float64');
    }
    const special = SPECIAL.exec(text);
    if (special === null) throw this.#error('a field is not a number');
    if (special[2]?.toLowerCase() === 'nan') return Number.NaN;
    return special[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }

  #error(reason: string): FrechetError {
    return new FrechetError('array-syntax', `Line ${this.#rows + 1} is not acceptable: ${reason}.`);
  }
}

const COMMA = 0x2c;
const LINE_FEED = 0x0a;
/** The UTF-8 byte order mark, read as Latin-1: spreadsheets write one. */
const BYTE_ORDER_MARK = '\xef\xbb\xbf';

function withoutByteOrderMark(text: string): string {
  return text.startsWith(BYTE_ORDER_MARK) ? text.slice(BYTE_ORDER_MARK.length) : text;
}
