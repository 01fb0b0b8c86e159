// The description of the API in OpenAPI 3.1, made of the table of routes, the table of operations and the schemas that
// validate. Nothing in it is written twice.

import { ERRORS, type ErrorCode } from '../../shared/errors.ts';
import { PROBLEM_MEDIA_TYPE } from '../http/problem.ts';
import type { Route } from '../http/route.ts';
import {
  COMMON_PROBLEMS,
  type Content,
  KEYED_PROBLEMS,
  OPERATION_TABLE,
  type Operation,
} from './operations.ts';
import { componentSchemas } from './schemas.ts';

/** @param routes those of the gateway; pages for people are left out */
export function openApiDocument(routes: readonly Route[], version: string) {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const operation = OPERATION_TABLE[`${route.method} ${route.path}`];
    if (operation === undefined) continue;
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: describe(route, operation) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Frechet',
      version,
      description: 'Fréchet derivatives of matrix expressions, computed in verified blocks.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    security: [{ key: [] }],
    paths,
    components: {
      schemas: componentSchemas(),
      securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
    },
  };
}

function describe(route: Route, operation: Operation): object {
  const { summary, parameters = [], body, answers, problems = [] } = operation;
  const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const all = [...COMMON_PROBLEMS, ...(route.isOpen ? [] : KEYED_PROBLEMS), ...problems];
  return {
    operationId: operationId(route),
    summary,
    ...(route.isOpen ? { security: [] } : {}),
    parameters: [...inPath, ...parameters],
    ...(body && { requestBody: { required: true, content: contentOf(body) } }),
    responses: { ...answersOf(answers), ...problemsOf(all) },
  };
}

/** `POST /v1/jobs/{jobId}/cancel` is `postJobsCancel`. */
function operationId({ method, path }: Route): string {
  const words = path
    .replace('/v1', '')
    .split(/[^A-Za-z]+/)
    .filter(Boolean);
  const names = words.map(word => word.charAt(0).toUpperCase() + word.slice(1));
  return method.toLowerCase() + names.join('');
}

function answersOf(answers: Operation['answers']): Record<string, object> {
  return Object.fromEntries(
    Object.entries(answers).map(([status, { description, content }]) => [
      status,
      { description, ...(content && { content: contentOf(content) }) },
    ]),
  );
}

function contentOf(content: Content): Record<string, object> {
  return Object.fromEntries(
    Object.entries(content).map(([type, schema]) => {
      if (schema === 'binary') return [type, {}];
      if (schema === 'text') return [type, { schema: { type: 'string' } }];
      return [type, { schema: { $ref: `#/components/schemas/${schema}` } }];
    }),
  );
}

/** One answer for each status, which names every problem that has it. */
function problemsOf(codes: readonly ErrorCode[]): Record<string, object> {
  const byStatus = new Map<number, Set<ErrorCode>>();
  for (const code of codes) {
    const { status } = ERRORS[code];
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(code));
  }
  return Object.fromEntries(
    [...byStatus].map(([status, ofStatus]) => [
      status,
      {
        description: [...ofStatus].map(code => `${code}: ${ERRORS[code].title}`).join('\n\n'),
        ...(status === 429 || status === 503 || status === 507 ? { headers: RETRY_AFTER } : {}),
        content: { [PROBLEM_MEDIA_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    ]),
  );
}

const RETRY_AFTER = {
  'Retry-After': { description: 'seconds until it is worth asking again', schema: { type: 'integer' } },
};
