// A real Prometheus with the shipped configuration and rules, adapted to a test: targets on local ports, and every
// range, interval and `for` a matter of seconds.

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import { type Exporter, freePort, startProgram } from './exporters.ts';
import { RULE_FILES } from './expressions.ts';
import { MONITORING_DIR } from './promtool.ts';

/** How long `settle` waits for every answer to be as wanted. */
const WAIT_MS_MAX = 60_000;
/** Long enough for several scrapes, short enough to wait for. */
const RANGE = '15s';

export interface Target {
  readonly job: string;
  readonly namespace: string;
  readonly pod: string;
  readonly address: string;
}

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [time: number, value: string];
}

export interface Prometheus {
  /** The result of an instant query. @throws Error with what Prometheus said of the expression. */
  query(expr: string): Promise<readonly Sample[]>;
  stop(): Promise<void>;
}

/** Ranges in test time; Grafana's variables as its user would set them for one namespace. */
export function adaptExpression(expr: string, namespace: string): string {
  return expr
    .replaceAll('$namespace', namespace)
    .replaceAll(/\$(pod|operation)\b/g, '.*')
    .replaceAll(/\[(\$__rate_interval|\d+[smhd])\]/g, `[${RANGE}]`);
}

export async function startPrometheus(targets: readonly Target[]): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'frechet-prometheus-'));
  await mkdir(join(folder, 'rules'));
  for (const path of RULE_FILES) {
    await writeFile(join(folder, 'rules', basename(path)), adaptRules(await readFile(path, 'utf8')));
  }
  const shipped = await readFile(join(MONITORING_DIR, 'prometheus/prometheus.yaml'), 'utf8');
  await writeFile(join(folder, 'prometheus.yaml'), adaptConfiguration(shipped, targets));
  const port = await freePort();
  const program: Exporter = await startProgram(
    'prometheus',
    [
      `--config.file=${join(folder, 'prometheus.yaml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    port,
  );
  // It listens before it has read its own, empty, data.
  while (!(await fetch(`http://${program.address}/-/ready`)).ok) await sleep(50);
  return {
    query: expr => query(program.address, expr),
    async stop() {
      await program.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The same text but for its durations, so that it is the shipped expressions that Prometheus parses. */
function adaptRules(text: string): string {
  return text
    .replaceAll(/\[\d+[smhd]\]/g, `[${RANGE}]`)
    .replaceAll(/^(\s+)interval: .*$/gm, '$1interval: 1s')
    .replaceAll(/^(\s+)for: .*$/gm, '$1for: 1s');
}

function adaptConfiguration(text: string, targets: readonly Target[]): string {
  const shipped = parse(text, { merge: true }) as { scrape_configs: { job_name: string }[] };
  const jobs = shipped.scrape_configs.map(({ job_name }) => job_name);
  const config = {
    ...shipped,
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    scrape_configs: [...jobs, 'kubelet'].map(job => ({
      job_name: job,
      static_configs: targets
        .filter(target => target.job === job)
        .map(({ address, namespace, pod }) => ({ targets: [address], labels: { namespace, pod } })),
    })),
  };
  return stringify(config);
}

/** Queries until the answer is as wanted. Answers the places of those that never were. */
export async function settle(
  prometheus: Prometheus,
  wanted: readonly {
    readonly place: string;
    readonly expr: string;
    readonly holds: (samples: readonly Sample[]) => boolean;
  }[],
): Promise<string[]> {
  const deadline = Date.now() + WAIT_MS_MAX;
  let open = wanted;
  while (open.length > 0 && Date.now() < deadline) {
    const answers = await Promise.all(open.map(({ expr }) => prometheus.query(expr)));
    open = open.filter(({ holds }, index) => !holds(answers[index] ?? []));
    if (open.length > 0) await sleep(500);
  }
  return open.map(({ place, expr }) => `${place}: ${expr}`);
}

export function isData(samples: readonly Sample[]): boolean {
  return samples.some(({ value }) => value[1] !== 'NaN');
}

async function query(address: string, expr: string): Promise<readonly Sample[]> {
  const response = await fetch(`http://${address}/api/v1/query`, {
    method: 'POST',
    body: new URLSearchParams({ query: expr }),
  });
  const answer = (await response.json()) as { error?: string; data?: { result: Sample[] } };
  if (answer.data === undefined) throw new Error(`${answer.error}: ${expr}`);
  return answer.data.result;
}
