// The page: takes what was asked at Prometheus, draws the dashboard, and tells the server of every panel.

import '@fontsource/inter/400.css';
import '@fontsource/inter/500.css';
import '@fontsource/roboto-mono/400.css';
import 'uplot/dist/uPlot.min.css';

import { ThemeContext, createTheme } from '@grafana/data';
import { GlobalStyles, Icon, PortalContainer } from '@grafana/ui';
import { createRoot } from 'react-dom/client';
import { framesOf } from './frames.js';
import { Head } from './head.jsx';
import { Panel, judged } from './panel.jsx';
import { transformed } from './transform.js';

const tell = (path, said) => fetch(path, { method: 'POST', body: JSON.stringify(said) });

window.addEventListener('error', event => tell('/problems', [String(event.message)]));
window.addEventListener('unhandledrejection', event => tell('/problems', [String(event.reason)]));
const log = console.error;
console.error = (...said) => {
  log(...said);
  tell('/problems', [said.map(String).join(' ').slice(0, 500)]);
};

async function prepared(place) {
  try {
    const frames = await transformed(place.panel.transformations ?? [], framesOf(place.answers));
    return { ...place, frames, verdict: judged(place, frames) };
  } catch (error) {
    return { ...place, frames: [], verdict: judged(place, [], error.message) };
  }
}

function Row({ title, theme }) {
  const style = { display: 'flex', alignItems: 'center', gap: 8, height: '100%', color: theme.colors.text.primary };
  return <div style={style}><Icon name="angle-down" /><span style={{ fontSize: 16, fontWeight: 500 }}>{title}</span></div>;
}

function Dashboard({ data, places, theme }) {
  const { columns, cell, gap } = data.grid;
  const column = (data.width - 2 * data.edge + gap) / columns;
  return (
    <>
      <Head data={data} />
      <div style={{ position: 'relative', margin: `0 ${data.edge}px` }}>
        {places.map((place, index) => {
          const { x, y, w, h } = place.at;
          const [width, height] = [w * column - gap, h * (cell + gap) - gap];
          const style = { position: 'absolute', left: x * column, top: y * (cell + gap), width, height };
          const panel = <Panel {...{ place, width, height }} annotations={data.annotations} />;
          const row = <Row title={place.title} theme={theme} />;
          return <div key={index} style={style}>{place.panel.type === 'row' ? row : panel}</div>;
        })}
      </div>
    </>
  );
}

async function main() {
  const data = await (await fetch('/data.json')).json();
  const theme = createTheme({ colors: { mode: data.theme } });
  const places = await Promise.all(data.panels.map(prepared));
  const panels = places.filter(({ panel }) => panel.type !== 'row');
  document.body.style.background = theme.colors.background.canvas;
  createRoot(document.getElementById('page')).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <Dashboard {...{ data, places, theme }} />
      <PortalContainer />
    </ThemeContext.Provider>,
  );
  await tell('/panels', panels.map(({ title, verdict }) => ({ title, ...verdict })));
}

main();
