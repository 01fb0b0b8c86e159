// The gateway's settings, checked together: what a single variable cannot say is said here.

import { isIP } from 'node:net';
import { type Config, ConfigError, type Environment, readConfig } from '../shared/io/config.ts';

const NAMES = [
  'host',
  'port',
  'gatewayAdminPort',
  'redisUrl',
  'dataDir',
  'store',
  'apiKeysFile',
  'allowAnonymous',
  'memoryBytes',
  'logLevel',
] as const;

export type GatewayConfig = Config<(typeof NAMES)[number]>;

/** @throws ConfigError where a variable is wrong, or the gateway would be open to a network without keys. */
export function readGatewayConfig(environment: Environment): GatewayConfig {
  const config = readConfig(environment, NAMES);
  if (config.apiKeysFile === undefined && !isLoopback(config.host) && !config.allowAnonymous) {
    throw new ConfigError(
      `FRECHET_HOST is ${JSON.stringify(config.host)}, which others can reach, and there are no API keys; ` +
        'set FRECHET_API_KEYS_FILE, listen on 127.0.0.1, or set FRECHET_ALLOW_ANONYMOUS=true.',
    );
  }
  return config;
}

/** Whether only this machine can reach the host. A name other than localhost may be anything. */
function isLoopback(host: string): boolean {
  if (isIP(host) === 4) return host.startsWith('127.');
  return host === '::1' || host === 'localhost';
}
