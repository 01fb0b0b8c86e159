// What a dashboard says, apart from how Grafana writes it down: tables of panels, each with its question, its queries
// and what to do when the answer looks bad.

/** Grafana's names of units. */
export type Unit = 'short' | 'percentunit' | 's' | 'bytes' | 'Bps' | 'flops' | 'ops' | 'reqps';

export interface Query {
  /** PromQL; `$namespace`, `$pod`, `$operation` and `$__rate_interval` are filled in by Grafana. */
  readonly expr: string;
  /** `{{label}}` stands for a label's value. */
  readonly legend: string;
}

export interface PanelSpec {
  readonly kind: 'stat' | 'timeseries' | 'stacked' | 'heatmap' | 'table';
  readonly title: string;
  /** What is shown, and what to do when it looks bad. */
  readonly description: string;
  readonly unit: Unit;
  readonly queries: readonly Query[];
  /** Of 24 columns. */
  readonly width?: number;
  readonly max?: number;
  /** From this value on the panel is coloured as a warning and as an error. Falling values: `below`. */
  readonly thresholds?: {
    readonly warning: number;
    readonly error: number;
    readonly direction?: 'above' | 'below';
  };
  /** Why the panel shows nothing while all is well. */
  readonly emptyWhenHealthy?: string;
}

export interface RowSpec {
  readonly title: string;
  readonly panels: readonly PanelSpec[];
}

export type VariableName = 'pod' | 'operation';

export interface DashboardSpec {
  /** Also the file's name and the last part of the URL. */
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  /** Besides the data source and the namespace, which all have. */
  readonly variables: readonly VariableName[];
  readonly rows: readonly RowSpec[];
}
