// Dockerfile and compose, read: what a build or a start would only tell a machine with an engine.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { REPOSITORY_ROOT } from '../../../deploy/local/root.ts';
import { RUNTIME_ENVIRONMENT } from '../../../deploy/local/services.ts';
import { SETTINGS } from '../../../shared/io/config.ts';
import { readVersion } from '../../../shared/io/version.ts';
import { buildOverlay } from '../kubernetes/build.ts';
import { containers, workloads } from '../kubernetes/pods.ts';

const DOCKERFILE = readFileSync(join(REPOSITORY_ROOT, 'deploy/docker/Dockerfile'), 'utf8');
const COMPOSE_PATH = join(REPOSITORY_ROOT, 'deploy/docker/compose.yaml');
const VARIABLES = new Set(Object.values(SETTINGS).map(setting => setting.variable));

interface Service {
  readonly image: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly command?: readonly string[];
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly mem_limit?: string;
  readonly stop_grace_period?: string;
  readonly deploy?: { readonly replicas: number };
}

const COMPOSE = parse(readFileSync(COMPOSE_PATH, 'utf8'), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};

test('the image runs without a shell, as a numeric user, and is built from the lockfile alone', () => {
  assert.match(DOCKERFILE, /^USER \d+:\d+$/m);
  assert.match(DOCKERFILE, /^ENTRYPOINT \["node"\]$/m);
  assert.match(DOCKERFILE, /^CMD \["dist\/api\/main\.js"\]$/m);
  assert.match(DOCKERFILE, /^HEALTHCHECK .*\\\n {2}CMD \["node", "-e"/m);
  const installs = DOCKERFILE.match(/^RUN npm .*/gm) ?? [];
  assert.equal(installs.length, 2);
  for (const install of installs) assert.match(install, /^RUN npm ci --ignore-scripts/);
  // Without development packages, where NODE_ENV says so before.
  assert.match(DOCKERFILE, /AS dependencies\nENV NODE_ENV=production\n/);
  assert.doesNotMatch(DOCKERFILE, /:latest|ADD |curl|wget/);
  assert.match(DOCKERFILE, /^ARG NODE_VERSION=\d+\.\d+\.\d+$/m);
  assert.match(DOCKERFILE, new RegExp(`^ARG VERSION=${readVersion().replaceAll('.', '\\.')}$`, 'm'));
});

test('every variable the image sets is one of ours, or of Node', () => {
  const names = [...DOCKERFILE.matchAll(/\b(FRECHET_\w+)=/g)].map(([, name]) => name ?? '');
  assert.ok(names.length >= 4);
  for (const name of names) assert.ok(VARIABLES.has(name), name);
});

test('the image tells the runtime of its roles what npm start tells it', () => {
  const settings = Object.entries(RUNTIME_ENVIRONMENT).map(([name, value]) => `${name}=${value}`);
  assert.ok(settings.length > 0);
  for (const setting of settings) assert.match(DOCKERFILE, new RegExp(`^ {2}${setting}( \\\\)?$`, 'm'));
});

test('what is copied into the image is let through by .dockerignore, and exists', () => {
  const ignore = readFileSync(join(REPOSITORY_ROOT, '.dockerignore'), 'utf8').split('\n');
  assert.ok(ignore.includes('*'), 'everything else is left out');
  const copied = [...DOCKERFILE.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, paths = '']) =>
    paths.split(' '),
  );
  assert.ok(copied.includes('package-lock.json'));
  for (const path of copied) {
    assert.ok(existsSync(join(REPOSITORY_ROOT, path)), path);
    assert.ok(ignore.includes(`!${path}`), `${path} is let through`);
  }
});

test('manifests, compose and package.json name one version of the image', async () => {
  const version = `frechet:${readVersion()}`;
  const images = workloads(await buildOverlay('local')).flatMap(workload =>
    containers(workload).map(container => String((container as { image: string }).image)),
  );
  assert.equal(images.filter(image => image === version).length, 2);
  for (const role of ['gateway', 'worker']) assert.equal(COMPOSE.services[role]?.image, version);
  assert.ok(images.includes(COMPOSE.services.redis?.image ?? ''), 'the same Redis');
  assert.ok(images.includes(COMPOSE.services['redis-exporter']?.image ?? ''), 'the same exporter');
});

test('compose confines every service, and publishes on the loopback only', () => {
  for (const [name, service] of Object.entries(COMPOSE.services)) {
    assert.equal(service.read_only, true, name);
    assert.deepEqual(service.cap_drop, ['ALL'], name);
    assert.deepEqual(service.security_opt, ['no-new-privileges:true'], name);
    assert.match(service.mem_limit ?? '', /^\d+[mg]$/, name);
    assert.match(service.image, /:v?\d+\.\d+\.\d+/, name);
    for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:/, name);
  }
  assert.equal(COMPOSE.services.worker?.deploy?.replicas, 2);
});

test('compose sets variables that exist, mounts what exists, and gives time to stop', () => {
  for (const [name, { environment = {}, volumes = [] }] of Object.entries(COMPOSE.services)) {
    for (const variable of Object.keys(environment).filter(key => key.startsWith('FRECHET_'))) {
      assert.ok(VARIABLES.has(variable), `${name}: ${variable}`);
    }
    for (const volume of volumes) {
      const [source = ''] = volume.split(':');
      const exists = source.startsWith('.')
        ? existsSync(resolve(dirname(COMPOSE_PATH), source))
        : Object.hasOwn(COMPOSE.volumes, source);
      assert.ok(exists, `${name}: ${source}`);
    }
  }
  const { worker, gateway, redis } = COMPOSE.services;
  const seconds = (text: string | undefined) => Number(/^(\d+)s$/.exec(text ?? '')?.[1]);
  assert.ok(seconds(worker?.stop_grace_period) >= Number(worker?.environment?.FRECHET_DRAIN_SECONDS) + 10);
  assert.ok(seconds(gateway?.stop_grace_period) > 10);
  assert.ok(redis?.command?.join(' ').includes('--maxmemory-policy noeviction'));
});

test('Prometheus in compose scrapes the services of compose, at ports they have', () => {
  const path = join(REPOSITORY_ROOT, 'deploy/monitoring/prometheus/prometheus.yaml');
  const { scrape_configs: scrapes } = parse(readFileSync(path, 'utf8'), { merge: true }) as {
    scrape_configs: { job_name: string; dns_sd_configs: { names: string[]; port: number }[] }[];
  };
  assert.deepEqual(
    scrapes.map(({ job_name }) => job_name),
    ['frechet-gateway', 'frechet-worker', 'frechet-redis'],
  );
  for (const { dns_sd_configs: discovery } of scrapes) {
    const [{ names, port }] = discovery as [{ names: string[]; port: number }];
    for (const name of names) {
      assert.ok(Object.hasOwn(COMPOSE.services, name), name);
      assert.equal(port, name === 'redis-exporter' ? 9121 : 8090);
    }
  }
});
