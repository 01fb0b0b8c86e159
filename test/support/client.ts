// What tests ask of a running Frechet over HTTP.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobDocument } from '../../api/jobs/job-document.ts';
import type { Matrix } from './evaluate.ts';
import { decodeNpy, type NpyArray } from './npy.ts';

export type { JobDocument } from '../../api/jobs/job-document.ts';

const POLL_MS = 50;
/** A worker that died is missed after its locks have lapsed and two looks at them, half a minute apart. */
const FINISH_MS_MAX = 150_000;
const FINAL = new Set(['succeeded', 'failed', 'cancelled']);

export type Client = ReturnType<typeof createClient>;

/** @param url of the public API, without a slash at the end */
export function createClient(url: string) {
  function get(path: string, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(url + path, { headers });
  }

  function post(
    path: string,
    body: RequestInit['body'],
    headers: Record<string, string> = {},
  ): Promise<Response> {
    return fetch(url + path, { method: 'POST', body: body ?? null, headers });
  }

  async function read(id: string): Promise<JobDocument> {
    const response = await get(`/v1/jobs/${id}`);
    assert.equal(response.status, 200);
    return (await response.json()) as JobDocument;
  }

  return {
    url,
    get,
    post,
    read,

    /** Stores an array. Resolves to its id. */
    async upload(npy: Uint8Array<ArrayBuffer>): Promise<string> {
      const response = await post('/v1/arrays', npy, { 'Content-Type': 'application/x-npy' });
      const array = (await response.json()) as { id: string };
      assert.ok(response.ok, JSON.stringify(array));
      return array.id;
    },

    /** Submits a job that must be accepted. */
    async submit(job: object, headers: Record<string, string> = {}): Promise<JobDocument> {
      const response = await post('/v1/jobs', JSON.stringify(job), {
        'Content-Type': 'application/json',
        ...headers,
      });
      const document = (await response.json()) as JobDocument;
      assert.ok(response.ok, JSON.stringify(document));
      return document;
    },

    /** Waits until the job is final, or until `holds` of it, over interruptions of the service. */
    async until(
      id: string,
      holds: (job: JobDocument) => boolean = job => FINAL.has(job.state),
    ): Promise<JobDocument> {
      const deadline = Date.now() + FINISH_MS_MAX;
      for (;;) {
        const job = await read(id).catch(() => undefined);
        if (job !== undefined && (holds(job) || FINAL.has(job.state))) return job;
        assert.ok(Date.now() < deadline, `job ${id} is still ${job?.state ?? 'unreadable'}`);
        await sleep(POLL_MS);
      }
    },

    /** Submits a job and waits for its success. */
    async compute(job: object): Promise<JobDocument> {
      const submitted = await this.submit(job, { Prefer: 'wait=30' });
      const ended = FINAL.has(submitted.state) ? submitted : await this.until(submitted.id);
      assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error));
      return ended;
    },

    /** The whole result of a finished job. */
    async result(id: string): Promise<NpyArray> {
      const response = await get(`/v1/jobs/${id}/result`);
      assert.equal(response.status, 200);
      return decodeNpy(new Uint8Array(await response.arrayBuffer()));
    },

    /** One metric of an admin port: the values of all its series that have the labels, added up. */
    async metric(
      adminUrl: string,
      name: string,
      labels: Readonly<Record<string, string>> = {},
    ): Promise<number> {
      const text = await (await fetch(`${adminUrl}/metrics`)).text();
      return sumSeries(text, name, labels);
    },
  };
}

/** Undefined series count as none; a metric without any is NaN. */
function sumSeries(text: string, name: string, labels: Readonly<Record<string, string>>): number {
  const values = text
    .split('\n')
    .filter(line => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .filter(line => Object.entries(labels).every(([key, value]) => line.includes(`${key}="${value}"`)))
    .map(line => Number(line.slice(line.lastIndexOf(' ') + 1)));
  return values.length === 0 ? Number.NaN : values.reduce((sum, value) => sum + value, 0);
}

/** Inline data of a job. */
export function inline({ rows, cols, data }: Matrix): { data: number[][] } {
  return { data: Array.from({ length: rows }, (_, i) => data.slice(i * cols, (i + 1) * cols)) };
}
