// Single values, repeated for each series: stat and bar gauge. Grafana's components in Grafana's repeater.

import { VizOrientation, getDisplayValueAlignmentFactors, getFieldDisplayValues } from '@grafana/data';
import { BarGauge, BigValue, VizRepeater, useTheme2 } from '@grafana/ui';
import { replaceFieldReferences } from '../fields.js';

const REDUCE = { calcs: ['lastNotNull'], fields: '', values: false };

function Values({ frames, fieldConfig, options, width, height, sparkline, repeater, children }) {
  const theme = useTheme2();
  const reduceOptions = { ...REDUCE, ...options.reduceOptions };
  const common = { fieldConfig, reduceOptions, replaceVariables: replaceFieldReferences, theme, data: frames, sparkline };
  const values = getFieldDisplayValues({ ...common, timeZone: 'browser' });
  return (
    <VizRepeater
      getValues={() => values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={place => children({ ...place, theme })}
      source={frames}
      renderCounter={1}
      width={width}
      height={height}
      orientation={options.orientation ?? VizOrientation.Auto}
      {...repeater}
    />
  );
}

export function StatPanel(props) {
  const { options, timeRange } = props;
  const { graphMode = 'area', colorMode = 'value', justifyMode = 'auto', textMode = 'auto', text } = options;
  return (
    <Values {...props} sparkline={graphMode !== 'none'} repeater={{ itemSpacing: 3, autoGrid: true }}>
      {({ value, count, width, height, alignmentFactors, theme }) => (
        <BigValue
          {...{ count, width, height, alignmentFactors, theme, graphMode, colorMode, justifyMode, textMode, text }}
          value={value.display}
          sparkline={value.sparkline && { ...value.sparkline, timeRange }}
          disableWideLayout={options.wideLayout === false}
        />
      )}
    </Values>
  );
}

export function BarGaugePanel(props) {
  const { options } = props;
  const { displayMode = 'gradient', minVizWidth = 8, minVizHeight = 16, maxVizHeight = 300 } = options;
  return (
    <Values {...props} repeater={{ itemSpacing: displayMode === 'lcd' ? 2 : 10, minVizWidth, minVizHeight, maxVizHeight }}>
      {({ value, count, width, height, orientation, alignmentFactors, theme }) => (
        <BarGauge
          {...{ width, height, orientation, alignmentFactors, theme, displayMode }}
          value={count === 1 && !value.field.displayName ? { ...value.display, title: undefined } : value.display}
          field={value.field}
          display={value.view?.getFieldDisplayProcessor(value.colIndex)}
          text={options.text}
          showUnfilled={options.showUnfilled ?? true}
          valueDisplayMode={options.valueMode ?? 'color'}
          namePlacement={options.namePlacement ?? 'auto'}
        />
      )}
    </Values>
  );
}
