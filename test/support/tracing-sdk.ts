// A stand-in for an operator's OpenTelemetry SDK, loaded with `node --import`: context over asynchronous calls, W3C trace
// headers, and every ended span as a JSON line in the file FRECHET_TEST_SPANS names. As small as the API allows.

import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import {
  type Attributes,
  type Context,
  type ContextManager,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  type TextMapPropagator,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';

/** A span as it is written down. */
export interface RecordedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | null;
  readonly attributes: Attributes;
  readonly pid: number;
}

const FILE = process.env.FRECHET_TEST_SPANS;

function startContextManager(): ContextManager {
  const storage = new AsyncLocalStorage<Context>();
  const manager: ContextManager = {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (active, run, self, ...args) => storage.run(active, () => run.apply(self as never, args)),
    bind: (active, target) =>
      typeof target === 'function'
        ? (((...args: unknown[]) => storage.run(active, () => target(...args))) as typeof target)
        : target,
    enable: () => manager,
    disable: () => manager,
  };
  return manager;
}

const propagator: TextMapPropagator = {
  fields: () => ['traceparent'],
  inject(active, carrier, setter) {
    const found = trace.getSpanContext(active);
    if (found !== undefined) setter.set(carrier, 'traceparent', `00-${found.traceId}-${found.spanId}-01`);
  },
  extract(active, carrier, getter) {
    const match = /^00-([0-9a-f]{32})-([0-9a-f]{16})-01$/.exec(String(getter.get(carrier, 'traceparent')));
    if (match === null) return active;
    const [, traceId = '', spanId = ''] = match;
    return trace.setSpanContext(active, { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true });
  },
};

function startSpan(name: string, given: Attributes, parent: SpanContext | undefined): Span {
  const spanContext: SpanContext = {
    traceId: parent?.traceId ?? randomBytes(16).toString('hex'),
    spanId: randomBytes(8).toString('hex'),
    traceFlags: TraceFlags.SAMPLED,
  };
  const attributes: Attributes = { ...given };
  let called = name;
  const span: Span = {
    spanContext: () => spanContext,
    setAttribute(key, value) {
      attributes[key] = value;
      return span;
    },
    setAttributes(more) {
      Object.assign(attributes, more);
      return span;
    },
    updateName(next) {
      called = next;
      return span;
    },
    end() {
      const { traceId, spanId } = spanContext;
      const recorded: RecordedSpan = {
        name: called,
        traceId,
        spanId,
        parentId: parent?.spanId ?? null,
        attributes,
        pid: process.pid,
      };
      if (FILE !== undefined) appendFileSync(FILE, `${JSON.stringify(recorded)}\n`);
    },
    addEvent: () => span,
    addLink: () => span,
    addLinks: () => span,
    setStatus: () => span,
    isRecording: () => true,
    recordException: () => undefined,
  };
  return span;
}

const tracer: Tracer = {
  startSpan: (name, options = {}, active = context.active()) =>
    startSpan(name, options.attributes ?? {}, trace.getSpanContext(active)),
  startActiveSpan: () => {
    throw new Error('nobody here calls startActiveSpan');
  },
};

context.setGlobalContextManager(startContextManager());
propagation.setGlobalPropagator(propagator);
trace.setGlobalTracerProvider({ getTracer: () => tracer });
