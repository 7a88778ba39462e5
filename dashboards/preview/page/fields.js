// Field configuration: units, thresholds, mappings and overrides, put in force by Grafana's own code.

import {
  FieldConfigOptionsRegistry,
  FieldType,
  applyFieldOverrides,
  cacheFieldDisplayNames,
  displayNameOverrideProcessor,
  identityOverrideProcessor,
} from '@grafana/data';

const numeric = field => field.type === FieldType.number;
const always = () => true;

const STANDARD = [
  ['unit', always],
  ['min', numeric],
  ['max', numeric],
  ['fieldMinMax', numeric],
  ['decimals', numeric],
  ['noValue', always],
  ['color', always],
  ['thresholds', numeric],
  ['mappings', always],
  ['links', always],
  ['actions', always],
  ['filterable', always],
  ['description', always],
];

/** What Grafana assumes of a field in a panel of this type where the dashboard is silent. */
const CUSTOM = {
  timeseries: {
    drawStyle: 'line',
    lineInterpolation: 'linear',
    lineWidth: 1,
    fillOpacity: 0,
    gradientMode: 'none',
    spanNulls: false,
    insertNulls: false,
    showPoints: 'auto',
    pointSize: 5,
    stacking: { mode: 'none', group: 'A' },
    axisPlacement: 'auto',
    axisColorMode: 'text',
    axisBorderShow: false,
    axisCenteredZero: false,
    axisLabel: '',
    barAlignment: 0,
    scaleDistribution: { type: 'linear' },
    thresholdsStyle: { mode: 'off' },
    hideFrom: { legend: false, tooltip: false, viz: false },
  },
  table: { align: 'auto', cellOptions: { type: 'auto' }, inspect: false },
  'state-timeline': { lineWidth: 0, fillOpacity: 70 },
  'status-history': { lineWidth: 1, fillOpacity: 70 },
};
const COLOR = { timeseries: 'palette-classic', barchart: 'palette-classic', 'state-timeline': 'continuous-GrYlRd' };
const THRESHOLDS = { mode: 'absolute', steps: [{ value: null, color: 'green' }, { value: 80, color: 'red' }] };

/** The frames with the field configuration of the panel in force, ready to be drawn. */
export function configured(panel, frames, theme) {
  const fieldConfig = withDefaults(panel);
  const data = applyFieldOverrides({
    data: frames,
    fieldConfig,
    fieldConfigRegistry: registry(fieldConfig),
    replaceVariables: replaceFieldReferences,
    theme,
    timeZone: 'browser',
  });
  // Tables read the names that are kept in the fields.
  cacheFieldDisplayNames(data);
  return { fieldConfig, frames: data };
}

function withDefaults({ type, fieldConfig = {} }) {
  const given = fieldConfig.defaults ?? {};
  const thresholds = given.thresholds ?? THRESHOLDS;
  const steps = thresholds.steps.map((step, index) => (index === 0 ? { ...step, value: -Infinity } : step));
  const defaults = {
    ...given,
    mappings: given.mappings ?? [],
    color: given.color ?? { mode: COLOR[type] ?? 'thresholds' },
    thresholds: { ...thresholds, steps },
    custom: { ...CUSTOM[type], ...given.custom },
  };
  return { defaults, overrides: fieldConfig.overrides ?? [] };
}

function registry({ defaults, overrides }) {
  const set = overrides.flatMap(({ properties }) => properties.map(({ id }) => id));
  const custom = [...Object.keys(defaults.custom).map(key => `custom.${key}`), ...set.filter(id => id.startsWith('custom.'))];
  const standard = STANDARD.map(([id, shouldApply]) => ({ id, path: id, process: identityOverrideProcessor, shouldApply }));
  const name = {
    id: 'displayName',
    path: 'displayName',
    process: displayNameOverrideProcessor,
    settings: { expandTemplateVars: true },
    shouldApply: always,
  };
  const own = [...new Set(custom)].map(id => {
    const path = id.slice('custom.'.length);
    return { id, path, isCustom: true, process: identityOverrideProcessor, shouldApply: always };
  });
  return new FieldConfigOptionsRegistry(() => [...standard, name, ...own]);
}

/** Puts in what a display name may refer to: `${__field.labels.mx}`, `${__field.name}`, `${__series.name}`. */
export function replaceFieldReferences(text, scoped) {
  const { field, frame } = scoped?.__dataContext?.value ?? {};
  return String(text).replace(/\$\{__(field|series)\.([\w.]+)\}/g, (whole, kind, path) => {
    const label = /^labels\.(\w+)$/.exec(path)?.[1];
    const name = kind === 'series' ? frame?.name : field?.name;
    return (label ? field?.labels?.[label] : name) ?? '';
  });
}
