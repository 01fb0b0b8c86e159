// A large array up to the gateway and down again, beside copying its file with fsync on the same volume, in turns.

import { createWriteStream } from 'node:fs';
import { copyFile, mkdir, open, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { encodeNpyHeader } from '../../shared/io/npy.ts';
import type { Stack } from '../support/processes.ts';

const RUNS = 3;
const PIECE_BYTES = 2 ** 20;
const END_OF_HEAD = '\r\n\r\n';

export interface TransferFigure {
  readonly bench: 'http';
  readonly what: 'upload' | 'download' | 'copy with fsync';
  readonly bytes: number;
  /** Of the fastest of several. */
  readonly seconds: number;
}

/** @param mib of data; each run sends other bytes, so that none is there already. */
export async function measureTransfers({ url, dataDir }: Stack, mib: number): Promise<TransferFigure[]> {
  const folder = join(dataDir, 'transfer');
  await mkdir(folder);
  const [file, copy] = [join(folder, 'array.npy'), join(folder, 'copy.npy')];
  const best = { upload: Infinity, download: Infinity, copy: Infinity };
  let bytes = 0;
  for (let run = 0; run < RUNS; run++) {
    bytes = await writeArray(file, mib, run + 1);
    best.copy = Math.min(best.copy, await secondsOf(() => copyDurably(file, copy)));
    let id = '';
    const upload = await secondsOf(async () => {
      id = await send(`${url}/v1/arrays`, file, bytes);
    });
    best.upload = Math.min(best.upload, upload);
    const path = `${url}/v1/arrays/${id}`;
    best.download = Math.min(best.download, await secondsOf(() => receive(`${path}/data`, bytes)));
    await fetch(path, { method: 'DELETE' });
    await rm(copy);
  }
  await rm(folder, { recursive: true });
  const figure = { bench: 'http' as const, bytes };
  return [
    { ...figure, what: 'copy with fsync', seconds: best.copy },
    { ...figure, what: 'upload', seconds: best.upload },
    { ...figure, what: 'download', seconds: best.download },
  ];
}

async function secondsOf(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/** A float64 array of `mib` rows of a mebibyte, all of one value. @returns the bytes of the file */
async function writeArray(path: string, mib: number, value: number): Promise<number> {
  const row = new Float64Array(PIECE_BYTES / Float64Array.BYTES_PER_ELEMENT).fill(value);
  const header = encodeNpyHeader({ shape: [mib, row.length], dtype: 'float64', order: 'C' });
  function* pieces() {
    yield header;
    for (let index = 0; index < mib; index++) yield new Uint8Array(row.buffer);
  }
  await pipeline(Readable.from(pieces()), createWriteStream(path));
  return header.byteLength + mib * PIECE_BYTES;
}

async function copyDurably(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  const handle = await open(to, 'r');
  await handle.sync();
  await handle.close();
}

/** Sends the file from two pieces of memory in turn: a client that asks for new memory all the time measures itself. */
async function send(url: string, path: string, bytes: number): Promise<string> {
  const headers = { 'Content-Type': 'application/x-npy', 'Content-Length': bytes };
  const sent = request(url, { method: 'POST', headers });
  const answered = new Promise<string>((resolve, reject) => {
    sent.on('error', reject).on('response', response => {
      let text = '';
      response.setEncoding('utf8').on('data', piece => (text += piece));
      response.on('end', () =>
        response.statusCode === 201 ? resolve(text) : reject(new Error(`${response.statusCode}: ${text}`)),
      );
    });
  });
  const file = await open(path);
  const free = [Buffer.alloc(PIECE_BYTES), Buffer.alloc(PIECE_BYTES)].map(piece => Promise.resolve(piece));
  for (let position = 0; position < bytes; ) {
    const piece = await free.shift()!; // one is given back for each that is taken
    const { bytesRead } = await file.read(piece, 0, PIECE_BYTES, position);
    position += bytesRead;
    free.push(
      new Promise((resolve, reject) =>
        sent.write(piece.subarray(0, bytesRead), error => (error ? reject(error) : resolve(piece))),
      ),
    );
  }
  await file.close();
  sent.end();
  return (JSON.parse(await answered) as { id: string }).id;
}

/** Receives into one piece of memory, for the same reason: a socket, where Node's HTTP client has no such thing. */
async function receive(url: string, bytes: number): Promise<void> {
  const { hostname, port, pathname } = new URL(url);
  const memory = new Uint8Array(PIECE_BYTES);
  let [received, head] = [0, ''];
  await new Promise<void>((resolve, reject) => {
    const take = (count: number) => {
      received += count;
      if (!head.includes(END_OF_HEAD)) head += Buffer.from(memory.subarray(0, count)).toString('latin1');
      return true; // go on
    };
    const socket = connect({
      host: hostname,
      port: Number(port),
      onread: { buffer: memory, callback: take },
    });
    socket.on('error', reject).on('close', () => resolve());
    socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\n\r\n`);
  });
  const headBytes = head.indexOf(END_OF_HEAD) + END_OF_HEAD.length;
  if (received - headBytes !== bytes) throw new Error(`${received - headBytes} bytes of ${bytes} came`);
}
