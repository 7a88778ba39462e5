// State timeline and status history, which Grafana does not publish: drawn by hand with its colours and texts.

import { FieldType, colorManipulator, dateTimeFormat, getFieldDisplayName } from '@grafana/data';
import { VizLegend, useTheme2 } from '@grafana/ui';

const AXIS = 24;
const LABEL_MAX = 0.3;
const FONT = 12;
/** Null has a place in the picture only where a mapping gives it a text or a colour. */
const mapsNull = ({ type, options }) => type === 'special' && options.match.startsWith('null');

/** One row for each series, its states from left to right. */
export function StatesPanel({ frames, options, timeRange, width, height, type }) {
  const theme = useTheme2();
  const rows = frames.flatMap(frame => rowsOf(frame, frames, options, type));
  const legend = options.legend?.showLegend === false ? [] : legendOf(rows);
  const legendHeight = legend.length > 0 ? 28 : 0;
  const label = Math.min(width * LABEL_MAX, 7.2 * Math.max(...rows.map(({ name }) => name.length)) + 12);
  const plot = { left: label, width: width - label - 8, height: height - AXIS - legendHeight };
  const [from, to] = [timeRange.from.valueOf(), timeRange.to.valueOf()];
  const x = at => plot.left + ((Math.min(Math.max(at, from), to) - from) / (to - from)) * plot.width;
  const each = plot.height / rows.length;
  const bar = each * (options.rowHeight ?? 0.9);
  return (
    <div style={{ width, height, overflow: 'hidden' }}>
      <svg width={width} height={plot.height + AXIS} style={{ display: 'block', fontFamily: theme.typography.fontFamily }}>
        {rows.map((row, index) => (
          <Row key={index} {...{ row, x, theme, label, options, bar, type }} top={index * each + (each - bar) / 2} />
        ))}
        <Axis {...{ from, to, x, theme }} y={plot.height} />
      </svg>
      {legend.length > 0 && <VizLegend placement="bottom" displayMode="list" items={legend} readonly />}
    </div>
  );
}

/** Runs of equal values; in a status history, or where they shall not be merged, each sample is its own. */
function rowsOf(frame, frames, options, type) {
  const time = frame.fields.find(field => field.type === FieldType.time);
  const merges = type === 'state-timeline' && options.mergeValues !== false;
  const width = type === 'state-timeline' ? 1 : (options.colWidth ?? 0.9);
  return frame.fields.filter(field => field !== time).map(field => {
    const step = time.config.interval ?? 60000;
    const drawsNull = field.config.mappings?.some(mapsNull);
    const spans = [];
    for (const [index, value] of field.values.entries()) {
      const at = time.values[index];
      if (value === null && !drawsNull) {
        continue;
      }
      const last = spans.at(-1);
      const joins = last && at - last.to <= step * 1.5;
      if (merges && joins && last.value === value) {
        last.to = at + step;
        continue;
      }
      if (joins) {
        last.to = Math.min(last.to, at);
      }
      const { text, suffix = '', prefix = '', color } = field.display(value);
      spans.push({ from: at, to: at + step * width, value, text: `${prefix}${text}${suffix}`, color });
    }
    return { name: getFieldDisplayName(field, frame, frames), spans, opacity: (field.config.custom?.fillOpacity ?? 70) / 100 };
  });
}

function legendOf(rows) {
  const states = new Map();
  for (const { text, color } of rows.flatMap(({ spans }) => spans)) {
    states.set(text, color);
  }
  return [...states].map(([text, color]) => ({ label: text, color, yAxis: 1 }));
}

function Row({ row, x, theme, label, options, top, bar }) {
  const middle = top + bar / 2 + FONT / 3;
  const shows = options.showValue ?? 'auto';
  return (
    <g>
      <text x={label - 8} y={middle} textAnchor="end" fontSize={FONT} fill={theme.colors.text.primary}>
        {shortened(row.name, label - 8)}
      </text>
      {row.spans.map((span, index) => {
        const [left, right] = [x(span.from), x(span.to)];
        const background = theme.isDark ? theme.colors.background.primary : '#ffffff';
        const readable = theme.colors.getContrastText(row.opacity > 0.5 ? span.color : background);
        const fits = right - left > span.text.length * 7 + 8 && bar > FONT;
        const fill = colorManipulator.alpha(span.color, row.opacity);
        return (
          <g key={index}>
            <rect x={left} y={top} width={Math.max(right - left - 0.5, 1)} height={bar} fill={fill} />
            {shows !== 'never' && fits && (
              <text {...anchored(options.alignValue, left, right)} y={middle} fontSize={FONT} fill={readable}>{span.text}</text>
            )}
          </g>
        );
      })}
    </g>
  );
}

function anchored(align, left, right) {
  const at = { left: [left + 4, 'start'], right: [right - 4, 'end'] }[align] ?? [(left + right) / 2, 'middle'];
  return { x: at[0], textAnchor: at[1] };
}

function shortened(text, width) {
  const room = Math.floor(width / 6.6);
  return text.length > room ? `${text.slice(0, room - 1)}…` : text;
}

function Axis({ from, to, x, y, theme }) {
  const minutes = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080];
  const every = 60000 * (minutes.find(step => (to - from) / (step * 60000) <= 8) ?? minutes.at(-1));
  const ticks = [];
  for (let at = Math.ceil(from / every) * every; at <= to; at += every) {
    ticks.push(at);
  }
  const format = to - from > 86400000 ? 'MM/DD HH:mm' : 'HH:mm';
  return ticks.map(at => (
    <text key={at} x={x(at)} y={y + 16} textAnchor="middle" fontSize={FONT} fill={theme.colors.text.primary}>
      {dateTimeFormat(at, { format })}
    </text>
  ));
}
