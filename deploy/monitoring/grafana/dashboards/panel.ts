// One panel in Grafana's terms.

import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import {
  GraphGradientMode,
  ReduceDataOptionsBuilder,
  StackingConfigBuilder,
  StackingMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  type Panel,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { PanelBuilder as HeatmapBuilder, YAxisConfigBuilder } from '@grafana/grafana-foundation-sdk/heatmap';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table';
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';
import type { PanelSpec } from './spec.ts';

/** Whatever the variable `source` names. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's notation, filled in by Grafana
export const SOURCE = { type: 'prometheus', uid: '${source}' };

const COLUMNS = 24;
const HEIGHTS = { stat: 4, timeseries: 8, stacked: 8, heatmap: 8, table: 8 } as const;

/** @param panelsInRow decides the width where the spec does not. */
export function buildPanel(spec: PanelSpec, id: number, panelsInRow: number): Builder<Panel> {
  const panel = kindOf(spec)
    .id(id)
    .title(spec.title)
    .description(spec.description)
    .datasource(SOURCE)
    .unit(spec.unit)
    .height(HEIGHTS[spec.kind])
    .span(spec.width ?? Math.floor(COLUMNS / panelsInRow));
  if (spec.max !== undefined) panel.max(spec.max);
  if (spec.emptyWhenHealthy !== undefined) panel.noValue('none');
  if (spec.thresholds !== undefined) panel.thresholds(buildThresholds(spec.thresholds));
  for (const [index, query] of spec.queries.entries()) {
    const target = new DataqueryBuilder()
      .expr(query.expr)
      .legendFormat(query.legend)
      .refId(String.fromCharCode(65 + index));
    if (spec.kind === 'heatmap') target.format(PromQueryFormat.Heatmap);
    if (spec.kind === 'table') target.format(PromQueryFormat.Table).instant();
    if (spec.kind === 'stat') target.instant();
    panel.withTarget(target);
  }
  return panel;
}

function kindOf(spec: PanelSpec): StatBuilder | TimeseriesBuilder | HeatmapBuilder | TableBuilder {
  if (spec.kind === 'stat') {
    return new StatBuilder().reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']));
  }
  if (spec.kind === 'table') return new TableBuilder();
  if (spec.kind === 'heatmap') return new HeatmapBuilder().yAxis(new YAxisConfigBuilder().unit(spec.unit));
  const panel = new TimeseriesBuilder()
    .min(0)
    .lineWidth(1)
    .showPoints(VisibilityMode.Never)
    .legend(new VizLegendOptionsBuilder().showLegend(true));
  if (spec.kind === 'timeseries') return panel;
  return panel
    .fillOpacity(40)
    .gradientMode(GraphGradientMode.None)
    .stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'));
}

function buildThresholds({
  warning,
  error,
  direction = 'above',
}: NonNullable<PanelSpec['thresholds']>): ThresholdsConfigBuilder {
  const steps =
    direction === 'above'
      ? [
          { value: null, color: 'green' },
          { value: warning, color: 'orange' },
          { value: error, color: 'red' },
        ]
      : [
          { value: null, color: 'red' },
          { value: error, color: 'orange' },
          { value: warning, color: 'green' },
        ];
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps);
}
