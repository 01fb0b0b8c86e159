import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '../../../shared/io/logger.ts';

function record(level: string) {
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  return { lines, logger: createLogger({ level, role: 'worker', destination }) };
}

test('a line is one JSON object with level, time, role and message', () => {
  const { lines, logger } = record('info');
  logger.info({ job: 'J' }, 'block stored');
  logger.debug('not this one');
  assert.equal(lines.length, 1);
  const { time, ...line } = lines[0]!;
  assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 10_000);
  assert.deepEqual(line, {
    level: 'info',
    role: 'worker',
    pid: process.pid,
    job: 'J',
    message: 'block stored',
  });
});

test('errors keep their stack and cause, and authorization is never written', () => {
  const { lines, logger } = record('warn');
  logger.error(new Error('outer', { cause: new Error('inner') }));
  logger.warn({ headers: { authorization: 'Bearer secret' } }, 'refused');
  logger.error({ err: new Error('given by name') }, 'it failed');
  assert.match(JSON.stringify(lines[0]), /outer.*inner/);
  assert.match(JSON.stringify(lines[2]), /"message":"given by name".*"stack"/);
  assert.doesNotMatch(JSON.stringify(lines), /secret/);
});

test('the arguments of a failed Redis command, such as a password, are not logged', () => {
  const lines: string[] = [];
  const log = createLogger({
    level: 'info',
    role: 'worker',
    destination: { write: line => void lines.push(line) },
  });
  const command = { name: 'auth', args: ['default', 'a password'] };
  log.warn({ err: Object.assign(new Error('WRONGPASS'), { command }) }, 'Redis connection');
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /WRONGPASS/);
  assert.doesNotMatch(lines[0] ?? '', /a password/);
});
