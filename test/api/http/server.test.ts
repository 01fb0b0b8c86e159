import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { closeServer, createHttpServer, listen } from '../../../api/http/server.ts';

test('a body without end is not read for ever once the answer is out', async () => {
  const server = createHttpServer((_request, response) => void response.end('done'), 0.3);
  const { port } = new URL(await listen(server, '127.0.0.1', 0));
  try {
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume();
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    const drip = setInterval(() => socket.write('1\r\nx\r\n'), 20);
    const startedAt = performance.now();
    await once(socket, 'close');
    clearInterval(drip);
    const seconds = (performance.now() - startedAt) / 1000;
    assert.ok(seconds > 0.25 && seconds < 5, `${seconds} s`);
  } finally {
    await closeServer(server, 1);
  }
});

test('a connection whose body ends in time is kept', async () => {
  const server = createHttpServer((_request, response) => void response.end('done'), 0.3);
  const { port } = new URL(await listen(server, '127.0.0.1', 0));
  try {
    const socket = connect(Number(port), '127.0.0.1');
    let received = '';
    socket.setEncoding('latin1').on('data', text => {
      received += text;
    });
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n');
    await new Promise(resolve => setTimeout(resolve, 100));
    socket.write('0\r\n\r\n');
    await new Promise(resolve => setTimeout(resolve, 600));
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await new Promise(resolve => setTimeout(resolve, 100));
    assert.equal(received.split('HTTP/1.1 200').length - 1, 2);
    socket.destroy();
  } finally {
    await closeServer(server, 1);
  }
});

test('closing waits for the answer under way, and not longer than it may', async () => {
  const server = createHttpServer((request, response) => {
    if (request.url === '/slow') setTimeout(() => response.end('done'), 200);
  });
  const url = await listen(server, '127.0.0.1', 0);
  const slow = fetch(`${url}/slow`).then(response => response.text());
  const never = fetch(`${url}/never`);
  never.catch(() => undefined);
  await new Promise(resolve => setTimeout(resolve, 100));
  const startedAt = performance.now();
  await closeServer(server, 1);
  const seconds = (performance.now() - startedAt) / 1000;
  assert.equal(await slow, 'done');
  await assert.rejects(never);
  assert.ok(seconds > 0.8 && seconds < 3, `${seconds} s`);
});

test('a client that resets its connection, whatever it sent, ends nothing but that', async () => {
  const server = createHttpServer((_request, response) => void response.end('done'));
  const url = await listen(server, '127.0.0.1', 0);
  const requests = [
    'CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx',
    'no HTTP\r\n\r\n',
    'GET / HT',
  ];
  try {
    for (const request of requests) {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      await once(socket, 'connect');
      socket.write(request);
      await new Promise(resolve => setTimeout(resolve, 50));
      socket.resetAndDestroy();
      await new Promise(resolve => setTimeout(resolve, 50));
      assert.equal(await (await fetch(url)).text(), 'done', request);
    }
  } finally {
    await closeServer(server, 1);
  }
});

test('an answer in line behind another is closed with its connection, and every answer once', async () => {
  const closes = new Map<string, number>();
  const server = createHttpServer((request, response) => {
    const name = request.url ?? '';
    closes.set(name, 0);
    response.on('close', () => closes.set(name, (closes.get(name) ?? 0) + 1));
    if (name === '/quick' || name === '/written') response.end('done');
    if (name === '/begun') response.write('some');
  });
  const { port } = new URL(await listen(server, '127.0.0.1', 0));
  try {
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume();
    const names = ['/quick', '/never', '/silent', '/written', '/begun'];
    socket.write(names.map(name => `GET ${name} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''));
    await new Promise(resolve => setTimeout(resolve, 100));
    assert.deepEqual([...closes.values()], [1, 0, 0, 0, 0]);
    socket.resetAndDestroy();
    await new Promise(resolve => setTimeout(resolve, 100));
    assert.deepEqual(
      [...closes],
      names.map(name => [name, 1]),
    );
  } finally {
    await closeServer(server, 1);
  }
});

test('answers on a connection that is kept are closed once each, and leave no listener behind', async () => {
  let closes = 0;
  const listeners: number[] = [];
  const server = createHttpServer((request, response) => {
    listeners.push(request.socket.listenerCount('close'));
    response.on('close', () => {
      closes += 1;
    });
    response.end('done');
  });
  const { port } = new URL(await listen(server, '127.0.0.1', 0));
  try {
    const socket = connect(Number(port), '127.0.0.1').resume();
    for (let i = 0; i < 20; i += 1) {
      socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await new Promise(resolve => setTimeout(resolve, 10));
    }
    assert.equal(closes, 20);
    assert.equal(listeners.at(-1), listeners[0]);
    socket.destroy();
    await new Promise(resolve => setTimeout(resolve, 50));
    assert.equal(closes, 20);
  } finally {
    await closeServer(server, 1);
  }
});
