// Traces, for operators who bring an OpenTelemetry SDK (`node --import ./sdk.mjs dist/api/main.js`). The context of a
// request goes through the queue to the block. Without an SDK the API does nothing, and the queue is given nothing to
// carry. Deliberately absent: an SDK, an exporter, settings; and array values, keys and tenants in any attribute.

import { type Attributes, context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Telemetry } from 'bullmq';
import { BullMQOtel } from 'bullmq-otel';
import { readVersion } from './version.ts';

const TRACER_NAME = 'frechet';
const FIRST_SERVER_ERROR = 500;

/** Whether somebody has registered an SDK: the API by itself propagates no headers. */
function isTraced(): boolean {
  return propagation.fields().length > 0;
}

/** What to spread into the options of a queue, a flow producer or a consumer. */
export function queueTelemetry(): { readonly telemetry?: Telemetry } {
  return isTraced() ? { telemetry: new BullMQOtel({ tracerName: TRACER_NAME, version: readVersion() }) } : {};
}

export interface AnsweredRequest {
  readonly method: string;
  /** As in the table of routes, never a path with ids in it. */
  readonly route: string;
  readonly status: number;
  readonly requestId: string;
}

/**
 * Runs what answers a request under a span that continues the client's trace.
 *
 * @param run is given the function that ends the span, to be called once, when the answer has ended
 */
export function traceRequest(
  headers: Readonly<Record<string, unknown>>,
  run: (end: (answered: AnsweredRequest) => void) => void,
): void {
  if (!isTraced()) {
    run(() => undefined);
    return;
  }
  // An operator's own instrumentation of HTTP has read the headers already.
  const parent =
    trace.getActiveSpan() === undefined ? propagation.extract(context.active(), headers) : context.active();
  const span = trace.getTracer(TRACER_NAME).startSpan('request', { kind: SpanKind.SERVER }, parent);
  context.with(trace.setSpan(parent, span), () =>
    run(({ method, route, status, requestId }) => {
      span.updateName(`${method} ${route}`);
      span.setAttributes({
        'http.request.method': method,
        'http.route': route,
        'http.response.status_code': status,
        'frechet.request.id': requestId,
      } satisfies Attributes);
      if (status >= FIRST_SERVER_ERROR) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    }),
  );
}

/** Whether what is done now is being recorded: its trace is to lead to everything that follows from it. */
export function isRecorded(): boolean {
  return trace.getActiveSpan()?.isRecording() === true;
}

/** What ties a log line to its trace; empty outside of one. */
export function traceFields(): { readonly traceId?: string; readonly spanId?: string } {
  const { traceId, spanId } = trace.getActiveSpan()?.spanContext() ?? {};
  return traceId === undefined || spanId === undefined ? {} : { traceId, spanId };
}
