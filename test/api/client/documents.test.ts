// The client's types and the service's describe one wire. Most of it the compiler decides: this file does not compile
// where a document of the service is none of the client's.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BatchDocument } from '../../../api/batches/read.ts';
import type {
  Batch,
  BlockDescription,
  Job,
  JobEvent,
  Operation,
  Plan,
} from '../../../api/client/documents.ts';
import { jobText } from '../../../api/client/job-text.ts';
import type { ProblemDocument } from '../../../api/client/problem.ts';
import type { ProblemDocument as ServiceProblem } from '../../../api/http/problem.ts';
import type { BlockDocument } from '../../../api/jobs/block-document.ts';
import type { JobDocument } from '../../../api/jobs/job-document.ts';
import type { PlanDocument } from '../../../api/jobs/preview.ts';
import type { WatchEvent } from '../../../api/jobs/watch.ts';
import { jobRequest, type OPERATIONS } from '../../../shared/job/spec.ts';

/** True where every value of the service's type is one of the client's. */
type Fits<Service, Ours> = [Service] extends [Ours] ? true : false;
/** True where they also have the same properties. */
type SameKeys<Service, Ours> = [keyof Service, keyof Ours] extends [keyof Ours, keyof Service] ? true : false;

const AGREED: [
  Fits<JobDocument, Job>,
  SameKeys<JobDocument, Job>,
  Fits<PlanDocument, Plan>,
  SameKeys<PlanDocument, Plan>,
  Fits<BlockDocument, BlockDescription>,
  SameKeys<BlockDocument, BlockDescription>,
  Fits<WatchEvent, JobEvent>,
  Fits<BatchDocument, Batch>,
  Fits<ServiceProblem, ProblemDocument>,
  SameKeys<ServiceProblem, ProblemDocument>,
  Fits<(typeof OPERATIONS)[number], Operation>,
  Fits<Operation, (typeof OPERATIONS)[number]>,
] = [true, true, true, true, true, true, true, true, true, true, true, true];

test('the types agree', () => {
  assert.ok(AGREED.every(Boolean));
});

test('a job with every field is one that the service accepts, field by field', async () => {
  const id = 'a'.repeat(64);
  const text = await jobText(
    {
      operation: 'jacobian',
      expression: 'A*W',
      wrt: 'W',
      operands: { A: id, B: { id }, C: [[1]], W: { shape: [2, 3] } },
      direction: 1,
      cotangent: Float64Array.of(1, 2),
      jacobian: { columns: [0, 1] },
      dtype: 'float32',
      reproducible: true,
      seed: 4,
      labels: { run: '1' },
      priority: 3,
      expiresIn: 60,
    },
    { upload: () => Promise.reject(new Error('nothing is to be uploaded')) },
    {},
  );
  const parsed = jobRequest.parse(JSON.parse(text));
  assert.deepEqual(Object.keys(parsed).sort(), Object.keys(jobRequest.shape).sort());
  assert.deepEqual(parsed.operands, { A: id, B: id, C: { data: [[1]] }, W: { shape: [2, 3] } });
  assert.deepEqual(parsed.cotangent, { data: [1, 2] });
});
