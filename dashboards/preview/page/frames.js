// Answers of Prometheus as data frames, named as Grafana's Prometheus data source names them.

import { FieldType } from '@grafana/data';

/** The data frames of a panel's answers. */
export function framesOf(answers) {
  const tables = answers.filter(answer => answer.format === 'table');
  const refIds = [...new Set(tables.map(answer => answer.refId))];
  const series = answers.filter(answer => answer.format !== 'table').flatMap(seriesFrames);
  return [...series, ...refIds.map(refId => tableFrame(refId, tables, refIds.length))];
}

function seriesFrames(answer) {
  return answer.series.map(({ metric, values }) => {
    const { __name__: _, ...labels } = metric;
    const name = nameOf(answer, metric);
    const interval = answer.instant ? undefined : answer.step * 1000;
    const config = name ? { displayNameFromDS: name } : {};
    return {
      refId: answer.refId,
      name: name || undefined,
      length: values.length,
      fields: [
        { name: 'Time', type: FieldType.time, config: { interval }, values: values.map(([at]) => at * 1000) },
        { name: 'Value', type: FieldType.number, config, labels, values: values.map(([, value]) => number(value)) },
      ],
    };
  });
}

function nameOf({ legend, expr }, metric) {
  const { __name__: metricName = '', ...labels } = metric;
  if (legend === '__auto') {
    return Object.keys(labels).length > 0 ? '' : metricName || expr;
  }
  if (legend) {
    return legend.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => metric[label] ?? '');
  }
  const written = Object.entries(labels).map(([label, value]) => `${label}="${value}"`).join(', ');
  return written || metricName ? `${metricName}${written ? `{${written}}` : ''}` : expr;
}

/** One frame of all series of a target: time, a column for each label in alphabetical order, and the value. */
function tableFrame(refId, answers, frames) {
  const series = answers.filter(answer => answer.refId === refId).flatMap(answer => answer.series);
  const rows = series.flatMap(({ metric, values }) => values.map(([at, value]) => ({ metric, at, value })));
  const labels = [];
  for (const { metric } of series) {
    labels.push(...Object.keys(metric).sort().filter(label => !labels.includes(label)));
  }
  const column = label => rows.map(({ metric }) => metric[label] ?? '');
  const text = label => ({ name: label, type: FieldType.string, config: { filterable: true }, values: column(label) });
  return {
    refId,
    length: rows.length,
    meta: { preferredVisualisationType: 'table' },
    fields: [
      { name: 'Time', type: FieldType.time, config: {}, values: rows.map(({ at }) => at * 1000) },
      ...labels.map(text),
      {
        name: frames > 1 ? `Value #${refId}` : 'Value',
        type: FieldType.number,
        config: {},
        values: rows.map(({ value }) => number(value)),
      },
    ],
  };
}

function number(text) {
  const infinite = { '+Inf': Infinity, '-Inf': -Infinity, NaN: null };
  return text in infinite ? infinite[text] : Number(text);
}
