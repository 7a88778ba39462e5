// One panel: its frame with the title, and in it what its type draws, "No data", or what went wrong.

import { Component } from 'react';
import { dateTime } from '@grafana/data';
import { PanelChrome, useTheme2 } from '@grafana/ui';
import { configured } from './fields.js';
import { COMPONENTS } from './panels/index.jsx';

/** How it went with a panel: `state` is drawn, empty, blank (a chart of nothing but NaN, which shows no line) or error. */
export function judged(place, frames, error) {
  const { panel, errors } = place;
  if (panel.type === 'row' || panel.type === 'text') {
    return { state: 'drawn' };
  }
  if (error || errors.length > 0) {
    return { state: 'error', why: [error, ...errors].filter(Boolean).join('; ') };
  }
  if (!COMPONENTS[panel.type]) {
    return { state: 'error', why: `no drawing of a panel of type ${panel.type}` };
  }
  if (!frames.some(frame => frame.length > 0)) {
    return { state: 'empty' };
  }
  if (panel.type !== 'timeseries') {
    return { state: 'drawn' };
  }
  const values = frames.flatMap(({ fields }) => fields.filter(({ type }) => type === 'number')).flatMap(field => field.values);
  return { state: values.some(value => value !== null) ? 'drawn' : 'blank' };
}

export function Panel({ place, annotations, width, height }) {
  const { panel, title, description, verdict } = place;
  const status = verdict.state === 'error' ? verdict.why : undefined;
  const displayMode = panel.transparent ? 'transparent' : 'default';
  return (
    <PanelChrome {...{ title, description, width, height, displayMode }} padding="md" statusMessage={status} hoverHeader={!title}>
      {(inner, innerHeight) => <Content {...{ place, annotations }} width={inner} height={innerHeight} />}
    </PanelChrome>
  );
}

function Content({ place, annotations, width, height }) {
  const theme = useTheme2();
  const { panel, frames, verdict, range } = place;
  if (verdict.state === 'empty' || verdict.state === 'error') {
    const color = verdict.state === 'error' ? theme.colors.error.text : theme.colors.text.secondary;
    return <Notice color={color}>{verdict.why ?? panel.fieldConfig?.defaults?.noValue ?? 'No data'}</Notice>;
  }
  const timeRange = { from: dateTime(range.from * 1000), to: dateTime(range.to * 1000) };
  timeRange.raw = { from: timeRange.from, to: timeRange.to };
  const Drawing = COMPONENTS[panel.type];
  const data = panel.type === 'text' ? {} : configured(panel, frames, theme);
  const options = { ...panel.options, content: place.content };
  return (
    <Fallible title={place.title}>
      <Drawing {...data} {...{ options, timeRange, annotations, width, height }} type={panel.type} />
    </Fallible>
  );
}

function Notice({ color, children }) {
  const style = { height: '100%', display: 'flex', alignItems: 'center', justifyContent: 'center', textAlign: 'center', color };
  return <div style={style}>{children}</div>;
}

/** A panel that cannot be drawn says so and leaves the others alone. */
class Fallible extends Component {
  state = {};

  static getDerivedStateFromError(error) {
    return { error };
  }

  componentDidCatch(error) {
    console.error(`${this.props.title}: ${error.message}`);
  }

  render() {
    return this.state.error ? <Notice color="red">{this.state.error.message}</Notice> : this.props.children;
  }
}
