// Time series: Grafana's component, and the annotations upon it.

import { useLayoutEffect } from 'react';
import { colorManipulator } from '@grafana/data';
import { TimeSeries, useTheme2 } from '@grafana/ui';

export function TimeSeriesPanel({ frames, options, timeRange, annotations, width, height }) {
  const theme = useTheme2();
  const legend = { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [], ...options.legend };
  const common = { theme, frames, width, height, timeRange, timeZone: 'browser', structureRev: 1 };
  return (
    <TimeSeries {...common} legend={legend} options={options}>
      {builder => <Annotations builder={builder} annotations={annotations} theme={theme} />}
    </TimeSeries>
  );
}

/** A dashed line where something began and where it ended, and a shade between. */
function Annotations({ builder, annotations, theme }) {
  useLayoutEffect(() => {
    builder.addHook('draw', plot => {
      const { left, top, width, height } = plot.bbox;
      const x = at => Math.min(Math.max(plot.valToPos(at * 1000, 'x', true), left), left + width);
      plot.ctx.save();
      for (const { from, to, color } of annotations) {
        const painted = theme.visualization.getColorByName(color);
        const [begin, end] = [x(from), x(to)];
        plot.ctx.fillStyle = colorManipulator.alpha(painted, 0.1);
        plot.ctx.fillRect(begin, top, end - begin, height);
        plot.ctx.strokeStyle = painted;
        plot.ctx.setLineDash([3, 3]);
        for (const at of new Set([begin, end])) {
          plot.ctx.beginPath();
          plot.ctx.moveTo(at, top);
          plot.ctx.lineTo(at, top + height);
          plot.ctx.stroke();
        }
      }
      plot.ctx.restore();
    });
  }, [builder, annotations, theme]);
  return null;
}
