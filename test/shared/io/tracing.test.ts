// Tracing within one process; test/system/tracing.test.ts follows a trace through the queue.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '../../../shared/io/logger.ts';
import { queueTelemetry, traceFields, traceRequest } from '../../../shared/io/tracing.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const HEADERS = { traceparent: `00-${TRACE_ID}-b7ad6b7169203331-01` };
const ANSWERED = { method: 'GET', route: '/v1/jobs', status: 200, requestId: 'r' };

function logLine(): Record<string, unknown> {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  createLogger({ level: 'info', role: 'gateway', destination }).info('something');
  assert.equal(lines.length, 1);
  return JSON.parse(lines[0]!) as Record<string, unknown>;
}

test('without an SDK a request runs once, in no trace, and the queue carries nothing', () => {
  let runs = 0;
  traceRequest(HEADERS, end => {
    runs += 1;
    assert.deepEqual(traceFields(), {});
    end(ANSWERED);
  });
  assert.equal(runs, 1);
  assert.deepEqual(queueTelemetry(), {});
  assert.equal('traceId' in logLine(), false);
});

test('with an SDK a request continues the trace of its headers, over asynchronous calls', async () => {
  await import('../../support/tracing-sdk.ts');
  await new Promise<void>(resolve => {
    traceRequest(HEADERS, async end => {
      await new Promise(setImmediate);
      assert.equal(traceFields().traceId, TRACE_ID);
      assert.equal(logLine().traceId, TRACE_ID);
      end(ANSWERED);
      resolve();
    });
  });
  assert.deepEqual(traceFields(), {}, 'outside there is none');
  assert.ok(queueTelemetry().telemetry !== undefined);
});

test('headers that hold no trace, or nonsense, begin a new one', async () => {
  await import('../../support/tracing-sdk.ts');
  for (const headers of [{}, { traceparent: 'nonsense' }]) {
    traceRequest(headers, end => {
      assert.match(traceFields().traceId ?? '', /^[0-9a-f]{32}$/);
      assert.notEqual(traceFields().traceId, TRACE_ID);
      end(ANSWERED);
    });
  }
});
