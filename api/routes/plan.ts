// /v1/plan: what a job would be (contract §4).

import type { GatewayDeps } from '../deps.ts';
import type { Route } from '../http/route.ts';
import { previewJob } from '../jobs/preview.ts';
import type { StageDeps } from '../jobs/stage-array.ts';
import { withSubmission } from './submission.ts';

export function planRoutes(deps: StageDeps & Pick<GatewayDeps, 'clock' | 'log'>): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/plan',
      async handle(request, response) {
        const preview = await withSubmission(request, deps, sent => previewJob(deps, request.tenant, sent));
        response.json(preview);
      },
    },
  ];
}
