// The meaning of an expression's syntax, told without precedence: every operation in parentheses.

import type { Syntax } from '../../shared/math/parse.ts';

const SIGNS = { sum: '+', difference: '-', product: '*' } as const;

export function parenthesize(syntax: Syntax): string {
  const texts: string[] = [];
  for (const node of syntax.nodes) {
    if (node.kind === 'name') texts.push(node.name);
    else if (node.kind === 'number') texts.push(String(node.value));
    else if ('left' in node) texts.push(`(${texts[node.left]}${SIGNS[node.kind]}${texts[node.right]})`);
    else texts.push(node.kind === 'negation' ? `(-${texts[node.operand]})` : `(${texts[node.operand]}')`);
  }
  return texts.at(-1) ?? '';
}
