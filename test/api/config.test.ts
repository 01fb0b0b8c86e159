import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readGatewayConfig } from '../../api/config.ts';

test('the defaults are those of the contract', () => {
  const config = readGatewayConfig({});
  assert.equal(config.host, '127.0.0.1');
  assert.equal(config.port, 8080);
  assert.equal(config.gatewayAdminPort, 8090);
  assert.equal(config.allowAnonymous, false);
});

test('without keys a gateway listens on loopback only, unless anonymous clients are allowed', () => {
  for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost']) {
    assert.equal(readGatewayConfig({ FRECHET_HOST: host }).host, host);
  }
  for (const host of [
    '0.0.0.0',
    '::',
    '10.0.0.1',
    '128.0.0.1',
    '127.evil.example',
    'frechet.example',
    '::ffff:0.0.0.0',
  ]) {
    assert.throws(() => readGatewayConfig({ FRECHET_HOST: host }), /FRECHET_ALLOW_ANONYMOUS/, host);
    const open = { FRECHET_HOST: host, FRECHET_ALLOW_ANONYMOUS: 'true' };
    assert.equal(readGatewayConfig(open).host, host);
  }
});

test('with a key file any host will do', () => {
  const environment = { FRECHET_API_KEYS_FILE: 'keys.json', FRECHET_HOST: '0.0.0.0' };
  assert.equal(readGatewayConfig(environment).apiKeysFile, 'keys.json');
});
