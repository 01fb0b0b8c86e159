// An upload is never held whole in memory: its size is no concern of the gateway's.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { after, before, test } from 'node:test';
import { encodeNpyHeader } from '../../shared/io/npy.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';
import { type GatewayProcess, startGatewayProcess } from './gateway-process.ts';

const MIB = 1024 * 1024;
const ROWS = 600;
const ROW_ELEMENTS = MIB / 8;
const MEMORY_BYTES_MAX = 250 * MIB;

let redis: TestRedis;
let gateway: GatewayProcess;
before(async () => {
  redis = await startTestRedis();
  gateway = await startGatewayProcess({ FRECHET_REDIS_URL: redis.url });
});
after(async () => {
  await gateway.stop();
  await redis.stop();
});

/** One row of the array, a MiB, each different. */
function row(index: number): Uint8Array {
  return new Uint8Array(new Float64Array(ROW_ELEMENTS).fill(index + 0.5).buffer);
}

function upload(header: Uint8Array): Promise<{ status: number | undefined; id: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      `${gateway.url}/v1/arrays`,
      {
        method: 'POST',
        headers: { 'Content-Type': 'application/x-npy', 'Content-Length': header.length + ROWS * MIB },
      },
      response => {
        let text = '';
        response.setEncoding('utf8').on('data', piece => {
          text += piece;
        });
        response.on('end', () => resolve({ status: response.statusCode, id: JSON.parse(text).id }));
      },
    );
    request.on('error', reject);
    request.write(header);
    let sent = 0;
    const send = () => {
      while (sent < ROWS) {
        const more = request.write(row(sent));
        sent += 1;
        if (!more) return void request.once('drain', send);
      }
      request.end();
    };
    send();
  });
}

test('600 MiB of .npy go in and out with less than 250 MiB of memory', async () => {
  const shape = [ROWS, ROW_ELEMENTS];
  const header = encodeNpyHeader({ shape, dtype: 'float64', order: 'C' });
  const { status, id } = await upload(header);
  assert.equal(status, 201);
  const hash = createHash('sha256').update(`<f8 C ${shape.join(',')}\n`);
  for (let i = 0; i < ROWS; i += 1) hash.update(row(i));
  assert.equal(id, hash.digest('hex'));
  const response = await fetch(`${gateway.url}/v1/arrays/${id}/data`);
  let bytes = 0;
  for await (const piece of response.body ?? []) bytes += piece.byteLength;
  assert.equal(bytes, header.length + ROWS * MIB);
  const { highest } = await gateway.memory();
  assert.ok(highest < MEMORY_BYTES_MAX, `${Math.round(highest / MIB)} MiB at its highest`);
});
