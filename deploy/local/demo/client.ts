// The few requests the demo makes, as any HTTP client would make them: JSON in, JSON or `.npy` out, server-sent events
// for progress.

const MEDIA_TYPE_NPY = 'application/x-npy';
const POLL_MS = 200;

/** The parts of a job's document that the demo reads. */
export interface Job {
  readonly id: string;
  readonly state: 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';
  readonly derivative: { readonly differential: string; readonly adjoint: string; readonly jacobian: string };
  readonly result: { readonly shape: readonly number[]; readonly bytes: number } | null;
  readonly progress: Progress;
  readonly verification: {
    readonly method: string;
    readonly rounds: number;
    readonly maxError: number;
    readonly bound: number;
  } | null;
  readonly kernel: string | null;
  readonly timings: { readonly computeSeconds: number } | null;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly error: { readonly title: string; readonly detail: string } | null;
}

export interface Progress {
  readonly blocksDone: number;
  readonly blocksTotal: number;
  readonly flopsDone: number | string;
  readonly flopsTotal: number | string;
}

export interface Check {
  readonly passed: boolean;
  readonly linear: boolean;
  readonly taylor: {
    readonly steps: readonly number[];
    readonly remainders: readonly number[];
    readonly bound: number;
  };
  readonly adjoint: {
    readonly forward: number;
    readonly reverse: number;
    readonly relativeDefect: number;
    readonly bound: number;
  };
}

export type DemoClient = ReturnType<typeof createClient>;

/**
 * @param url of the API, without a slash at the end
 * @param signal breaks off every request
 */
export function createClient(url: string, signal: AbortSignal) {
  /** @throws what the service says is wrong */
  async function request(path: string, init: RequestInit = {}): Promise<Response> {
    const response = await fetch(`${url}${path}`, { ...init, signal });
    if (response.ok) return response;
    const problem = await response.text();
    throw new Error(`${init.method ?? 'GET'} ${path} answered ${response.status}: ${problem}`);
  }

  async function readJob(id: string): Promise<Job> {
    return (await (await request(`/v1/jobs/${id}`)).json()) as Job;
  }

  /** Waits for a job's end. @throws where it is not success */
  async function finish(job: Job): Promise<Job> {
    let latest = job;
    while (latest.state === 'queued' || latest.state === 'running') {
      await new Promise(resolve => setTimeout(resolve, POLL_MS));
      latest = await readJob(job.id);
    }
    if (latest.state === 'succeeded') return latest;
    throw new Error(`job ${job.id} ${latest.state}: ${latest.error?.detail ?? latest.error?.title ?? ''}`);
  }

  return {
    /** Stores an array; resolves to its id. */
    async upload(npy: Uint8Array<ArrayBuffer>): Promise<string> {
      const headers = { 'Content-Type': MEDIA_TYPE_NPY };
      const response = await request('/v1/arrays', { method: 'POST', headers, body: npy });
      return ((await response.json()) as { id: string }).id;
    },

    async submit(job: object, waitSeconds = 0): Promise<Job> {
      const headers = { 'Content-Type': 'application/json', Prefer: `wait=${waitSeconds}` };
      const response = await request('/v1/jobs', { method: 'POST', headers, body: JSON.stringify(job) });
      return (await response.json()) as Job;
    },

    finish,

    /** Submits a small job and reads its whole result as JSON. */
    async compute<Result>(job: object): Promise<{ readonly job: Job; readonly result: Result }> {
      const finished = await finish(await this.submit(job, 30));
      const response = await request(`/v1/jobs/${finished.id}/result`, {
        headers: { Accept: 'application/json' },
      });
      return { job: finished, result: (await response.json()) as Result };
    },

    /** Follows a job to its end, calling `onProgress` as blocks are finished. */
    async follow(job: Job, onProgress: (progress: Progress) => void): Promise<Job> {
      const response = await request(`/v1/jobs/${job.id}/events`, {
        headers: { Accept: 'text/event-stream' },
      });
      if (response.body === null) throw new Error('the event stream is empty');
      for await (const { event, data } of parseEvents(response.body)) {
        if (event === 'progress') onProgress(JSON.parse(data) as Progress);
      }
      return finish(await readJob(job.id)); // a stream may break off early; the job does not
    },

    /** Bytes [start, stop) of a result's `.npy` file. */
    async readRange(job: Job, start: number, stop: number): Promise<ArrayBuffer> {
      const headers = { Accept: MEDIA_TYPE_NPY, Range: `bytes=${start}-${stop - 1}` };
      const response = await request(`/v1/jobs/${job.id}/result`, { headers });
      if (response.status !== 206) throw new Error(`a range was answered with ${response.status}`);
      return response.arrayBuffer();
    },
  };
}

/** The events of a `text/event-stream`: blocks of `event:` and `data:` lines, an empty line after each. */
async function* parseEvents(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<{ event: string; data: string }> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const bytes of body) {
    const blocks = (text + decoder.decode(bytes, { stream: true })).split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const field = (name: string) =>
        block
          .split('\n')
          .filter(line => line.startsWith(`${name}:`))
          .map(line => line.slice(name.length + 1).trimStart())
          .join('\n');
      if (field('data') !== '') yield { event: field('event'), data: field('data') };
    }
  }
}
