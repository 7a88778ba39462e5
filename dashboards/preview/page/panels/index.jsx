// Which component draws which type of panel.

import { StatesPanel } from './states.jsx';
import { TablePanel } from './table.jsx';
import { TextPanel } from './text.jsx';
import { TimeSeriesPanel } from './timeseries.jsx';
import { BarGaugePanel, StatPanel } from './values.jsx';

export const COMPONENTS = {
  timeseries: TimeSeriesPanel,
  stat: StatPanel,
  bargauge: BarGaugePanel,
  table: TablePanel,
  text: TextPanel,
  'state-timeline': StatesPanel,
  'status-history': StatesPanel,
};
