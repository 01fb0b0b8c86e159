// /v1/jobs/{id}/events: a job's life as server-sent events (contract §5).

import type { Response } from 'express';
import type { GatewayDeps } from '../deps.ts';
import { goneSignal } from '../http/gone-signal.ts';
import { negotiate } from '../http/negotiate.ts';
import { pathParameter, type Route } from '../http/route.ts';
import { sendPieces } from '../http/send.ts';
import { findJob } from '../jobs/known-job.ts';
import { type WatchEvent, watchJob } from '../jobs/watch.ts';

/** Proxies close connections that are silent for about a minute. */
const HEARTBEAT_SECONDS = 15;

type EventDeps = Pick<GatewayDeps, 'jobs' | 'live' | 'log' | 'events' | 'clock' | 'draining'>;

export function eventRoutes(deps: EventDeps, heartbeatSeconds = HEARTBEAT_SECONDS): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/jobs/{jobId}/events',
      async handle(request, response) {
        const job = await findJob(deps.jobs, request.tenant, pathParameter(request, 'jobId'));
        // Set by Express, it would name a charset; event streams are UTF-8 and nothing else.
        response.setHeader('Content-Type', negotiate(request, response, ['text/event-stream']));
        // Neither stored nor rewritten (compressed) on the way; and nginx shall not collect it.
        response.set({ 'Cache-Control': 'no-store, no-transform', 'X-Accel-Buffering': 'no' });
        if (request.method === 'HEAD') return void response.end();
        response.flushHeaders();
        const stopHeartbeat = startHeartbeat(response, heartbeatSeconds);
        try {
          const events = watchJob(deps, job, goneSignal(response, deps.draining));
          await sendPieces(response, asText(events));
        } finally {
          stopHeartbeat();
        }
      },
    },
  ];
}

async function* asText(events: AsyncIterable<WatchEvent>): AsyncGenerator<string> {
  for await (const { event, data } of events) yield `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** A client that does not take what was written gets no heartbeat on top. */
function startHeartbeat(response: Response, seconds: number): () => void {
  const timer = setInterval(() => {
    if (!response.writableNeedDrain && !response.writableEnded) response.write(': still here\n\n');
  }, seconds * 1000);
  return () => clearInterval(timer);
}
