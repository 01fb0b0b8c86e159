// Jobs: documents of the wrong form, expressions of every bad kind, shapes that do not fit, bombs priced from shapes.

import type { ErrorCode } from '../../../shared/errors.ts';
import { type HostileCase, json, testHostile } from './hostile.ts';

/** 1×2 by 2×1. */
const JOB = { operation: 'value', operands: { A: { data: [[1, 2]] }, W: { data: [[1], [2]] } } };
const JVP = { operation: 'jvp', operands: { A: { data: [[1, 2]] } }, direction: { data: [[1], [2]] } };

const nested = (depth: number, inner = '1') => '['.repeat(depth) + inner + ']'.repeat(depth);

const documents: readonly (readonly [string, unknown, ErrorCode])[] = [
  ['no body', '', 'json-syntax'],
  ['a body that is cut', '{"operation":', 'json-syntax'],
  ['two documents', '{}{}', 'json-syntax'],
  ['a comment', '{} // x', 'json-syntax'],
  ['single quotes', "{'operation':'value'}", 'json-syntax'],
  ['NaN as a number', '{"operation":"value","priority":NaN}', 'json-syntax'],
  ['a trailing comma', '{"operation":"value",}', 'json-syntax'],
  ['a control character in a string', '{"operation":"va\u0001lue"}', 'json-syntax'],
  ['a lone byte order mark', '\ufeff', 'json-syntax'],
  ['null', 'null', 'schema'],
  ['a number', '7', 'schema'],
  ['a string', '"value"', 'schema'],
  ['a list', '[]', 'schema'],
  ['lists a hundred thousand deep', nested(100_000), 'schema'],
  ['objects a hundred thousand deep', '{"a":'.repeat(100_000) + '1' + '}'.repeat(100_000), 'schema'],
  ['an empty object', {}, 'schema'],
  ['an unknown operation', { ...JOB, operation: 'delete' }, 'schema'],
  ['an operation in capitals', { ...JOB, operation: 'VALUE' }, 'schema'],
  ['an operation that is a list', { ...JOB, operation: ['value'] }, 'schema'],
  ['an operation that is null', { ...JOB, operation: null }, 'schema'],
  ['an unknown property', { ...JOB, tenant: 'other' }, 'schema'],
  ['a property that is an id', { ...JOB, id: '01JE0000000000000000000000' }, 'schema'],
  ['block limits of its own', { ...JOB, blockLimits: { bytes: 1 } }, 'schema'],
  ['__proto__ at the top', '{"operation":"value","__proto__":{"operands":{}}}', 'schema'],
  ['__proto__ as an operand', '{"operation":"value","operands":{"__proto__":{"data":1}}}', 'schema'],
  ['__proto__ as a label', '{"operation":"value","labels":{"__proto__":"x"}}', 'schema'],
  ['constructor as a property', { ...JOB, constructor: {} }, 'schema'],
  ['an operand with a dash', { ...JOB, operands: { 'a-b': { data: 1 } } }, 'schema'],
  ['an operand without a name', { ...JOB, operands: { '': { data: 1 } } }, 'schema'],
  ['operands as a list', { ...JOB, operands: [] }, 'schema'],
  ['an operand that is null', { ...JOB, operands: { ...JOB.operands, A: null } }, 'schema'],
  [
    'an operand with two sources',
    { ...JOB, operands: { ...JOB.operands, A: { data: 1, shape: [1, 1] } } },
    'schema',
  ],
  ['an array id in capitals', { ...JOB, operands: { ...JOB.operands, A: 'F'.repeat(64) } }, 'schema'],
  ['an array id that is a path', { ...JOB, operands: { ...JOB.operands, A: '../../etc/passwd' } }, 'schema'],
  ['an array id that is too short', { ...JOB, operands: { ...JOB.operands, A: 'f'.repeat(63) } }, 'schema'],
  [
    'a shape with a negative side',
    { ...JVP, operands: { ...JVP.operands, W: { shape: [-1, 2] } } },
    'schema',
  ],
  ['a shape with a fraction', { ...JVP, operands: { ...JVP.operands, W: { shape: [1.5, 2] } } }, 'schema'],
  ['a shape of rank three', { ...JVP, operands: { ...JVP.operands, W: { shape: [1, 2, 3] } } }, 'schema'],
  ['a shape beyond 2^32', { ...JVP, operands: { ...JVP.operands, W: { shape: [2 ** 33, 2] } } }, 'schema'],
  ['a shape of text', { ...JVP, operands: { ...JVP.operands, W: { shape: ['2', '1'] } } }, 'schema'],
  ['a variable that is no name', { ...JOB, wrt: 'W;drop' }, 'schema'],
  ['an empty variable', { ...JOB, wrt: '' }, 'schema'],
  ['a dtype of integers', { ...JOB, dtype: 'int64' }, 'schema'],
  ['reproducible as text', { ...JOB, reproducible: 'true' }, 'schema'],
  ['a negative priority', { ...JOB, priority: -1 }, 'schema'],
  ['a priority of ten', { ...JOB, priority: 10 }, 'schema'],
  ['a fractional priority', { ...JOB, priority: 0.5 }, 'schema'],
  ['a priority beyond float64', '{"operation":"value","priority":1e999}', 'schema'],
  ['an expiry of a minute less a second', { ...JOB, expiresIn: 59 }, 'schema'],
  ['an expiry of more than thirty days', { ...JOB, expiresIn: 2_592_001 }, 'schema'],
  ['a negative seed', { ...JOB, seed: -1 }, 'schema'],
  ['a seed beyond 32 bits', { ...JOB, seed: 2 ** 32 }, 'schema'],
  ['a label that is too long', { ...JOB, labels: { a: 'x'.repeat(65) } }, 'schema'],
  ['a label’s key that is too long', { ...JOB, labels: { ['x'.repeat(65)]: '' } }, 'schema'],
  ['a label without a key', { ...JOB, labels: { '': 'x' } }, 'schema'],
  ['a label that is a number', { ...JOB, labels: { a: 1 } }, 'schema'],
  [
    'seventeen labels',
    { ...JOB, labels: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`l${i}`, ''])) },
    'schema',
  ],
  ['columns without a Jacobian', { ...JOB, jacobian: { columns: [0, 1] } }, 'schema'],
  ['a direction without need', { ...JOB, direction: { data: [[1], [2]] } }, 'schema'],
  ['a derivative without direction', { ...JVP, direction: undefined }, 'schema'],
  ['an adjoint without cotangent', { operation: 'vjp', operands: JVP.operands }, 'schema'],
  [
    'columns that are three',
    { operation: 'jacobian', operands: JOB.operands, jacobian: { columns: [0, 1, 2] } },
    'schema',
  ],
  [
    'columns that are negative',
    { operation: 'jacobian', operands: JOB.operands, jacobian: { columns: [-1, 1] } },
    'schema',
  ],
  [
    'columns that go backwards',
    { operation: 'jacobian', operands: JOB.operands, jacobian: { columns: [2, 1] } },
    'columns-out-of-range',
  ],
  [
    'columns past the end',
    { operation: 'jacobian', operands: JOB.operands, jacobian: { columns: [0, 3] } },
    'columns-out-of-range',
  ],
];

const expressions: readonly (readonly [string, string, ErrorCode])[] = [
  ['an empty one', '', 'expression-syntax'],
  ['only spaces', '   ', 'expression-syntax'],
  ['a missing factor', 'A*', 'expression-syntax'],
  ['a leading operator', '*A', 'expression-syntax'],
  ['two operators', 'A**W', 'expression-syntax'],
  ['two names', 'A W', 'expression-syntax'],
  ['an open parenthesis', '(A*W', 'expression-syntax'],
  ['a closing parenthesis', 'A*W)', 'expression-syntax'],
  ['empty parentheses', '()', 'expression-syntax'],
  ['a statement', 'A*W; process.exit()', 'expression-syntax'],
  ['a call', 'require("fs")', 'expression-syntax'],
  ['a template', '$' + '{A}', 'expression-syntax'],
  ['a newline and a header', 'A*W\r\nX: y', 'expression-syntax'],
  ['a null byte', 'A*W\u0000', 'expression-syntax'],
  ['a name of another alphabet', 'Α*W', 'expression-syntax'],
  ['an operator of another alphabet', 'A×W', 'expression-syntax'],
  ['a number with two points', '1.2.3*A*W', 'expression-syntax'],
  ['a quote alone', "'", 'expression-syntax'],
  ['more than 4,096 characters', `A*W${' '.repeat(4_094)}`, 'expression-too-large'],
  ['sixty-five levels', `${'('.repeat(65)}A*W${')'.repeat(65)}`, 'expression-too-large'],
  ['two thousand levels', `${'('.repeat(2_000)}A*W${')'.repeat(2_000)}`, 'expression-too-large'],
  ['two thousand minus signs', `${'-'.repeat(2_000)}A*W`, 'expression-too-large'],
  ['two thousand transposes', `A*W${"'".repeat(2_000)}`, 'expression-too-large'],
  ['more than a thousand nodes', `A*W${'+A*W'.repeat(800)}`, 'expression-too-large'],
  ['a variable that does not occur', 'A*A', 'unknown-symbol'],
  ['an operand that is missing', 'A*W*B', 'operand-missing'],
  ['an operand that is not used', 'W', 'operand-unused'],
  ['a name of Object', 'A*W*constructor', 'operand-missing'],
  ['a name of its prototype', 'A*W*__proto__', 'operand-missing'],
  ['shapes that do not fit', 'A*W+A', 'shape-mismatch'],
  ['a product that does not fit', 'W*A*A', 'shape-mismatch'],
];

const values: readonly (readonly [string, unknown, ErrorCode])[] = [
  ['ragged rows', [[1, 2], [3]], 'array-syntax'],
  ['rows that are no rows', [[1, 2], 3], 'array-syntax'],
  ['text among numbers', [[1, 'x']], 'schema'],
  ['a number as text', [['1', '2']], 'schema'],
  ['null among numbers', [[1, null]], 'schema'],
  ['booleans', [[true, false]], 'schema'],
  ['objects', [[{}, {}]], 'schema'],
  ['null', null, 'schema'],
  ['text', 'AAAA', 'schema'],
  ['an object', { length: 2 }, 'schema'],
];

const bombs: readonly (readonly [string, unknown, ErrorCode])[] = [
  [
    'a result of eight exabytes',
    {
      operation: 'jacobian',
      expression: 'A*W',
      operands: { A: { shape: [2 ** 20, 2 ** 20] }, W: { shape: [2 ** 20, 1] } },
    },
    'operand-value-needed',
  ],
  [
    'a Jacobian of a matrix that exists, for a variable of four billion rows',
    { operation: 'jacobian', operands: { A: { data: [[1]] }, W: { shape: [1, 2 ** 32] } } },
    'job-too-large',
  ],
  [
    'an outer product of two vectors with four billion rows each',
    {
      operation: 'jvp',
      expression: "W*W'*A",
      operands: { A: { shape: [2 ** 32, 2 ** 32] }, W: { shape: [2 ** 32, 1] } },
      direction: { shape: [2 ** 32, 1] },
    },
    'operand-value-needed',
  ],
  [
    'a check of four billion rows',
    { operation: 'check', operands: { A: { data: [[1]] }, W: { shape: [1, 2 ** 32] } } },
    'operand-value-needed',
  ],
  ['a direction without a value', { ...JVP, direction: { shape: [2, 1] } }, 'operand-value-needed'],
  ['a factor without a value', { ...JVP, operands: { A: { shape: [1, 2] } } }, 'operand-value-needed'],
  ['a part where there are none', { ...JVP, operands: { A: { part: 'a' } } }, 'operand-unknown'],
  ['an array that does not exist', { ...JVP, operands: { A: 'f'.repeat(64) } }, 'operand-unknown'],
  ['a stack for an operand', { ...JVP, operands: { A: { data: [[[1, 2]]] } } }, 'shape-mismatch'],
  ['a direction of another shape', { ...JVP, direction: { data: [[1, 2, 3]] } }, 'shape-mismatch'],
  ['rank four', { ...JVP, direction: { data: [[[[1]]]] } }, 'array-syntax'],
  [
    'lists ten thousand deep as data',
    `{"operation":"jvp","operands":{"A":{"data":${nested(10_000)}}},"direction":{"data":[[1]]}}`,
    'schema',
  ],
  [
    'an operand twice',
    '{"operation":"value","operands":{"A":{"data":1},"W":{"data":2},"A":{"data":3}}}',
    'schema',
  ],
  [
    'an operand twice, spelt otherwise',
    '{"operation":"value","operands":{"A":{"data":1},"W":{"data":2},"\\u0041":{"data":3}}}',
    'schema',
  ],
  ['an operation twice, alike', '{"operation":"value","operation":"value"}', 'schema'],
  [
    'a prototype inside an operand',
    '{"operation":"value","operands":{"A":{"data":1,"\\u005f_proto__":{}},"W":{"data":2}}}',
    'schema',
  ],
  ['a property of a mebibyte', JSON.stringify({ ...JOB, ['x'.repeat(1024 * 1024)]: 1 }), 'schema'],
];

const cases: HostileCase[] = [
  ...documents.map(([what, body, code]): HostileCase => [`a job: ${what}`, json('/v1/jobs', body), code]),
  ...expressions.map(
    ([what, expression, code]): HostileCase => [
      `an expression: ${what}`,
      json('/v1/jobs', { ...JOB, expression }),
      code,
    ],
  ),
  ...values.map(
    ([what, data, code]): HostileCase => [
      `inline data: ${what}`,
      json('/v1/jobs', { ...JOB, operands: { ...JOB.operands, A: { data } } }),
      code,
    ],
  ),
  ...bombs.map(([what, body, code]): HostileCase => [`a bomb: ${what}`, json('/v1/jobs', body), code]),
  // Planning refuses what submitting refuses.
  ...bombs.map(([what, body, code]): HostileCase => [`a plan: ${what}`, json('/v1/plan', body), code]),
];

testHostile(() => cases);
