// What Grafana publishes as the types of its dashboards (@grafana/schema), put together for the kinds of panels that
// ours has. check.sh makes a JSON Schema of it.
import type { Dashboard, FieldConfig, Panel, RowPanel } from '@grafana/schema/dist/types/raw/dashboard/x/dashboard_types.gen';
import type { Options as Stat } from '@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type { FieldConfig as Drawn, Options as Series } from '@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// The types leave these open, and a threshold's value may not be null in them, though Grafana stores the lowest so.
type Source = { type: 'prometheus'; uid: string };
type Query = { refId: string; datasource: Source; expr: string; legendFormat: string };
type Steps = { mode: 'absolute'; steps: { color: string; value: number | null }[] };
type Field<Custom> = Omit<FieldConfig, 'custom' | 'thresholds'> & { custom?: Partial<Custom>; thresholds?: Steps };
type Shown<Kind, Options, Custom> = Omit<Panel, 'type' | 'options' | 'targets' | 'fieldConfig' | 'datasource'> & {
  type: Kind;
  options: Partial<Options>;
  targets: Query[];
  datasource: Source;
  fieldConfig: { defaults: Field<Custom>; overrides: never[] };
};
export type Ours = Omit<Dashboard, 'panels'> & {
  panels: (RowPanel | Shown<'stat', Stat, object> | Shown<'timeseries', Series, Drawn>)[];
};
