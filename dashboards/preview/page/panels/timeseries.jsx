// Time series: Grafana's component.

import { TimeSeries, useTheme2 } from '@grafana/ui';

export function TimeSeriesPanel({ frames, options, timeRange, width, height }) {
  const theme = useTheme2();
  const legend = { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [], ...options.legend };
  const common = { theme, frames, width, height, timeRange, timeZone: 'browser', structureRev: 1 };
  return <TimeSeries {...common} legend={legend} options={options} />;
}
