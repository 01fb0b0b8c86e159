// Every PromQL expression that is shipped, with where it stands.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { DASHBOARDS } from '../../../deploy/monitoring/grafana/dashboards/index.ts';
import { RULES_DIR } from './promtool.ts';

export interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Expression {
  /** `Frechet / Workers: Threads`, or the name of a rule. */
  readonly place: string;
  readonly expr: string;
  /** Whether data are expected from a healthy installation. */
  readonly emptyWhenHealthy: boolean;
  readonly isAlert: boolean;
}

export const RULE_FILES: readonly string[] = ['recording.yaml', 'alerts.yaml'].map(name =>
  join(RULES_DIR, name),
);

export function readRules(): Rule[] {
  return RULE_FILES.flatMap(path => {
    const { groups } = parse(readFileSync(path, 'utf8')) as { groups: { rules: Rule[] }[] };
    return groups.flatMap(group => group.rules);
  });
}

/** An alert says something only when it must; so does the time until a store is full. */
export function ruleExpressions(): Expression[] {
  return readRules().map(({ alert, record, expr }) => ({
    place: alert ?? record ?? '',
    expr,
    emptyWhenHealthy: alert !== undefined || record === 'frechet:store_seconds_to_full',
    isAlert: alert !== undefined,
  }));
}

export function panelExpressions(): Expression[] {
  return DASHBOARDS.flatMap(dashboard =>
    dashboard.rows.flatMap(row =>
      row.panels.flatMap(panel =>
        panel.queries.map(({ expr }) => ({
          place: `${dashboard.title}: ${panel.title}`,
          expr,
          emptyWhenHealthy: panel.emptyWhenHealthy !== undefined,
          isAlert: false,
        })),
      ),
    ),
  );
}
