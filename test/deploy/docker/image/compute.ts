// Run inside a container, from standard input: computes a derivative through the gateway at the given URL, and checks
// the answer. For F(W) = A·W, dF(I) = A.

const [, , url = 'http://127.0.0.1:8080', kernel = 'native'] = process.argv;
const A = [
  [1, 2],
  [3, 4],
  [5, 6],
];
const IDENTITY = [
  [1, 0],
  [0, 1],
];

async function request(path: string, init: RequestInit = {}): Promise<Record<string, unknown>> {
  const response = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(60_000), ...init });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
  return JSON.parse(text) as Record<string, unknown>;
}

function expectSame(name: string, found: unknown, expected: unknown): void {
  const [foundText, expectedText] = [JSON.stringify(found), JSON.stringify(expected)];
  if (foundText !== expectedText) throw new Error(`${name} is ${foundText}, not ${expectedText}`);
}

const job = await request('/v1/jobs', {
  method: 'POST',
  headers: { 'Content-Type': 'application/json', Prefer: 'wait=50' },
  body: JSON.stringify({
    operation: 'jvp',
    operands: { A: { data: A } },
    direction: { data: IDENTITY },
  }),
});
expectSame('state', job.state, 'succeeded');
expectSame('kernel', job.kernel, kernel);
expectSame('error', job.error, null);
const result = await request(`/v1/jobs/${String(job.id)}/result`, {
  headers: { Accept: 'application/json' },
});
expectSame('the derivative', result, A);
console.log(`computed: kernel ${kernel}, verified, dF(I) = A`);
