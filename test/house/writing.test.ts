// Names, lengths and words: the tree keeps the rules, and each rule finds what breaks it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSources } from './source-tree.ts';
import { strayTests, writingFaults } from './writing-rules.ts';

const sources = readSources('.ts', '.mjs', '.md', '.py');
/** This folder must be able to name what it forbids. */
const judged = sources.filter(({ path }) => !path.startsWith('test/house/'));

test('every file is named, sized and written as the house wants it', () => {
  assert.ok(judged.length > 200, 'the tree has been read');
  assert.deepEqual(writingFaults(judged), []);
});

test('a test stands where its source does', () => {
  assert.deepEqual(strayTests(readSources('')), []);
});

const FAULTS: Record<string, readonly [path: string, text: string, fault: RegExp]> = {
  'a name that says nothing': ['api/http/body-utils.ts', '// x\n', /says nothing/],
  'a name with capitals': ['api/http/bodyParts.ts', '// x\n', /kebab case/],
  'too many lines': ['api/http/body.ts', `// x\n${'\n'.repeat(600)}`, /601 lines/],
  'a note of something unfinished': ['api/http/body.ts', '// TODO: later\n', /unfinished/],
  'a skipped test': ['test/api/http/body.test.ts', "test.skip('later');\n", /skips a test/],
  'a test that is to run alone': ['test/api/http/body.test.ts', "test.only('now');\n", /runs one alone/],
  'what Node 20 lacks': ['api/http/body.ts', '// x\nconst m = Map.groupBy(a, b);\n', /Node 20/],
  'a silenced type error': ['api/http/body.ts', '// @ts-expect-error\n', /type checker/],
  'a default export': ['api/http/body.ts', '// x\nexport default 1;\n', /default export/],
  'no word on its idea': ['api/http/body.ts', "import { a } from './a.ts';\n", /its idea/],
};

for (const [name, [path, text, fault]] of Object.entries(FAULTS)) {
  test(`${name} is a fault`, () => {
    const found = writingFaults([{ path, text }]);
    assert.equal(found.length, 1);
    assert.match(found[0] ?? '', fault);
  });
}

test('a file as it should be has no fault', () => {
  const text = '// Reads bodies.\n\nexport const BODY_BYTES_MAX = 1;\n';
  assert.deepEqual(writingFaults([{ path: 'api/http/body.ts', text }]), []);
});

test('a test of what does not exist is found', () => {
  const paths = ['api/http/body.ts', 'test/api/http/body.test.ts', 'test/api/https/body.test.ts'];
  const tree = paths.map(path => ({ path, text: '' }));
  assert.deepEqual(strayTests(tree), ['test/api/https/body.test.ts']);
});
