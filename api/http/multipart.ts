// multipart/form-data (RFC 7578) as a sequence of parts that are pulled one after the other, so that a part of any
// size streams with backpressure, whatever its headers say. Form libraries decide by the file name whether a part
// streams, and decode the others as text, which would destroy an array. Deliberately absent: what the parts mean.

import { MIMEType } from 'node:util';
import { FrechetError } from '../../shared/errors.ts';

/** Headers of one part: a name, a file name and a type fit many times over. */
const PART_HEADER_BYTES_MAX = 16 * 1024;
/** RFC 2046 §5.1.1. */
const BOUNDARY_LENGTH_MAX = 70;
const IDENTITY_ENCODINGS = new Set(['7bit', '8bit', 'binary']);
/** One `; name=value` of a header, the value a token or quoted. */
const PARAMETER = /[ \t]*;[ \t]*([^\s=;"]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/y;

export interface MultipartPart {
  readonly name: string;
  /** Type and subtype in lower case; undefined where the part has no Content-Type. */
  readonly mediaType: string | undefined;
  /** To be read at most once, and before the next part is asked for; what is left unread is skipped. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** @throws multipart-syntax where the Content-Type has no usable boundary */
export function multipartBoundary(contentType: string): string {
  const boundary = parseMediaType(contentType)?.params.get('boundary') ?? '';
  if (boundary.length === 0 || boundary.length > BOUNDARY_LENGTH_MAX) {
    throw syntaxError(`the Content-Type needs a boundary of 1 to ${BOUNDARY_LENGTH_MAX} characters`);
  }
  return boundary;
}

/**
 * The parts of a body, in order. What stands before the first boundary and after the last is ignored.
 *
 * @throws multipart-syntax, encoding-unsupported (a part in base64 or quoted-printable), and what `source` throws
 */
export async function* readMultipart(
  source: AsyncIterable<Uint8Array>,
  boundary: string,
): AsyncGenerator<MultipartPart> {
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  const input = new DelimitedInput(source);
  await skip(input.until(delimiter));
  while (!(await input.startsWith('--'))) {
    const headers = parseHeaders(await readHeaderBlock(input));
    const body = input.until(delimiter);
    yield { ...describePart(headers), body };
    // A reader that stopped early, or never began, has left bytes of the part behind.
    if (!input.atDelimiter) await skip(input.until(delimiter));
  }
}

/** A byte stream that is cut at delimiters. At most a chunk and a delimiter are held. */
class DelimitedInput {
  /** Whether the last `until` has been read to its delimiter. */
  atDelimiter = false;
  readonly #source: AsyncIterator<Uint8Array>;
  /** Opens with a line end, so that the first boundary is like the others. */
  #held: Buffer = Buffer.from('\r\n');

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The bytes before the next delimiter, in pieces; the delimiter itself is consumed. */
  until(delimiter: Buffer): AsyncGenerator<Uint8Array> {
    this.atDelimiter = false;
    return this.#cut(delimiter);
  }

  async *#cut(delimiter: Buffer): AsyncGenerator<Uint8Array> {
    for (;;) {
      const held = this.#held;
      const found = held.indexOf(delimiter);
      // Where none was found, one may have begun in the last bytes.
      const end = found >= 0 ? found : Math.max(0, held.length - delimiter.length + 1);
      this.#held = held.subarray(found >= 0 ? end + delimiter.length : end);
      this.atDelimiter = found >= 0;
      if (end > 0) yield held.subarray(0, end);
      if (found >= 0) return;
      await this.#pull();
    }
  }

  async startsWith(text: string): Promise<boolean> {
    while (this.#held.length < text.length) await this.#pull();
    return this.#held.subarray(0, text.length).toString('latin1') === text;
  }

  async #pull(): Promise<void> {
    const next = await this.#source.next();
    if (next.done === true) throw syntaxError('the body ends before its last boundary');
    this.#held = this.#held.length === 0 ? Buffer.from(next.value) : Buffer.concat([this.#held, next.value]);
  }
}

async function skip(pieces: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of pieces);
}

/** What stands between a boundary and the empty line: padding, a line end, header lines. */
async function readHeaderBlock(input: DelimitedInput): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of input.until(Buffer.from('\r\n\r\n'))) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > PART_HEADER_BYTES_MAX) throw syntaxError('the headers of a part are too long');
  }
  return Buffer.concat(pieces).toString('utf8');
}

function parseHeaders(block: string): Map<string, string> {
  const [padding, ...lines] = block.split('\r\n');
  if (padding?.trim() !== '') throw syntaxError('a boundary is followed by something else than a line end');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon <= 0) throw syntaxError('a part has a malformed header line');
    headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  return headers;
}

function describePart(headers: Map<string, string>): Pick<MultipartPart, 'name' | 'mediaType'> {
  const encoding = headers.get('content-transfer-encoding')?.toLowerCase();
  if (encoding !== undefined && !IDENTITY_ENCODINGS.has(encoding)) {
    throw new FrechetError(
      'encoding-unsupported',
      'a part must be sent as it is, without a transfer encoding',
    );
  }
  const name = dispositionName(headers.get('content-disposition') ?? '');
  if (name === undefined) {
    throw syntaxError('each part needs a Content-Disposition: form-data with a name');
  }
  const contentType = headers.get('content-type');
  if (contentType === undefined) return { name, mediaType: undefined };
  const mediaType = parseMediaType(contentType);
  if (mediaType === undefined) throw syntaxError(`the part "${name}" has a malformed Content-Type`);
  return { name, mediaType: mediaType.essence };
}

function dispositionName(disposition: string): string | undefined {
  const type = /^form-data(?=[ \t]*;)/i.exec(disposition)?.[0];
  if (type === undefined) return undefined;
  PARAMETER.lastIndex = type.length;
  for (let match = PARAMETER.exec(disposition); match !== null; match = PARAMETER.exec(disposition)) {
    const [, key, quoted, token] = match;
    if (key?.toLowerCase() === 'name') return quoted?.replaceAll(/\\(["\\])/g, '$1') ?? token;
  }
  return undefined;
}

function parseMediaType(text: string): MIMEType | undefined {
  try {
    return new MIMEType(text);
  } catch {
    return undefined;
  }
}

function syntaxError(detail: string): FrechetError {
  return new FrechetError('multipart-syntax', detail);
}
