// A dashboard's spec in Grafana's own terms, through its Foundation SDK. What all dashboards share is here: variables,
// links between them, annotations.

import {
  AnnotationQueryBuilder,
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { buildPanel, SOURCE } from './panel.ts';
import type { DashboardSpec, VariableName } from './spec.ts';

/** All dashboards carry it, and their links find each other by it. */
const TAG = 'frechet';

export function buildDashboard(spec: DashboardSpec): Dashboard {
  const builder = new DashboardBuilder(spec.title)
    .uid(spec.uid)
    .description(spec.description)
    .tags([TAG])
    .readonly()
    .tooltip(DashboardCursorSync.Crosshair)
    .time({ from: 'now-3h', to: 'now' })
    .timezone('browser')
    .refresh('30s')
    .withVariable(new DatasourceVariableBuilder('source').label('Data source').type('prometheus'))
    .withVariable(namespaceVariable())
    .link(dashboardLinks())
    .annotation(firingAlerts())
    .annotation(deployments());
  for (const name of spec.variables) builder.withVariable(VARIABLES[name]());
  let id = 1;
  for (const row of spec.rows) {
    builder.withRow(new RowBuilder(row.title).id(id++));
    for (const panel of row.panels) builder.withPanel(buildPanel(panel, id++, row.panels.length));
  }
  return withoutPlacement(builder.build());
}

/** The SDK's default would hide links and annotations in a menu that older versions of Grafana do not have. */
function withoutPlacement(dashboard: Dashboard): Dashboard {
  for (const item of [...(dashboard.links ?? []), ...(dashboard.annotations?.list ?? [])])
    delete item.placement;
  return dashboard;
}

function namespaceVariable(): QueryVariableBuilder {
  return labelVariable('namespace', 'Namespace', 'label_values(frechet_build_info, namespace)');
}

const VARIABLES: Record<VariableName, () => QueryVariableBuilder> = {
  pod: () =>
    labelVariable('pod', 'Pod', 'label_values(frechet_build_info{namespace="$namespace"}, pod)')
      .multi(true)
      .includeAll(true)
      .allValue('.*'),
  operation: () =>
    labelVariable(
      'operation',
      'Operation',
      'label_values(frechet_jobs_submitted_total{namespace="$namespace"}, operation)',
    )
      .multi(true)
      .includeAll(true)
      .allValue('.*'),
};

function labelVariable(name: string, label: string, query: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(SOURCE)
    .query(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc);
}

function dashboardLinks(): DashboardLinkBuilder {
  return new DashboardLinkBuilder('Frechet')
    .type(DashboardLinkType.Dashboards)
    .tags([TAG])
    .includeVars(true)
    .keepTime(true);
}

function firingAlerts(): AnnotationQueryBuilder {
  return new AnnotationQueryBuilder()
    .name('Alerts')
    .datasource(SOURCE)
    .enable(true)
    .iconColor('red')
    .expr('ALERTS{alertname=~"Frechet.*", alertstate="firing", namespace=~"$namespace|"}')
    .titleFormat('{{alertname}}')
    .textFormat('{{severity}} {{pod}}');
}

/** A version that was not there five minutes before. */
function deployments(): AnnotationQueryBuilder {
  return new AnnotationQueryBuilder()
    .name('Deployments')
    .datasource(SOURCE)
    .enable(true)
    .iconColor('blue')
    .expr(
      'count by (version) (frechet_build_info{namespace="$namespace"}) unless count by (version) (frechet_build_info{namespace="$namespace"} offset 5m)',
    )
    .titleFormat('version {{version}}');
}
