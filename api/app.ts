// The gateway's app: every route of the public listener in the frame of api/http. Nothing listens here.

import type { Application } from 'express';
import type { GatewayDeps } from './deps.ts';
import { createFrame } from './http/frame.ts';
import type { Route } from './http/route.ts';
import { arrayRoutes } from './routes/arrays.ts';
import { batchRoutes } from './routes/batches.ts';
import { docsRoutes } from './routes/docs.ts';
import { eventRoutes } from './routes/events.ts';
import { jobRoutes } from './routes/jobs.ts';
import { planRoutes } from './routes/plan.ts';
import { resultRoutes } from './routes/results.ts';
import { systemRoutes } from './routes/system.ts';

/** Every route of the public listener. */
export function gatewayRoutes(deps: GatewayDeps): readonly Route[] {
  const routes = [
    ...arrayRoutes(deps),
    ...jobRoutes(deps),
    ...batchRoutes(deps),
    ...resultRoutes(deps),
    ...eventRoutes(deps),
    ...planRoutes(deps),
    ...systemRoutes(deps),
  ];
  return [...routes, ...docsRoutes(routes, deps.version)];
}

export function createApp(deps: GatewayDeps): Application {
  return createFrame(gatewayRoutes(deps), deps);
}
