// Reading a dashboard: classic JSON to a flat list of panels at their places. It asks nobody anything.

import { readFileSync } from 'node:fs';

/** Columns of Grafana's grid, and pixels of one of its rows and of the gap between two. */
export const GRID = { columns: 24, cell: 30, gap: 8 };

/** The classic JSON of a dashboard; what is no dashboard is an error that names the file. */
export function readDashboard(file) {
  let dashboard;
  try {
    dashboard = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`${file}: ${error.message}`);
  }
  if (!Array.isArray(dashboard.panels)) {
    throw new Error(`${file}: no "panels": this is no dashboard in the classic format`);
  }
  return dashboard;
}

/**
 * The panels to draw, in the order of the page. Rows are opened: what is below a closed one moves down. What is
 * repeated is there once for each of the values that `valuesOf(name)` gives: each copy carries `scoped`, the values that
 * the variable has there.
 */
export function layOut(dashboard, valuesOf) {
  const placed = [];
  let shift = 0;
  for (const section of sections(dashboard.panels)) {
    const values = section.row?.repeat ? valuesOf(section.row.repeat) : [undefined];
    for (const [index, value] of values.entries()) {
      const scoped = value === undefined ? {} : { [section.row.repeat]: [value] };
      const members = section.row ? [section.row, ...section.panels] : section.panels;
      const top = Math.min(...members.map(panel => panel.gridPos.y));
      const bottom = Math.max(...members.map(panel => panel.gridPos.y + panel.gridPos.h));
      if (index > 0) {
        shift += bottom - top;
      }
      shift += place(members, scoped, shift, valuesOf, placed);
    }
    if (section.row?.collapsed) {
      const below = section.row.gridPos.y + section.row.gridPos.h;
      shift += Math.max(0, ...section.panels.map(({ gridPos }) => gridPos.y + gridPos.h - below));
    }
  }
  return placed;
}

/** A row with the panels below it up to the next row; what comes before the first row is a section without one. */
function sections(panels) {
  const found = [{ row: undefined, panels: [] }];
  for (const panel of panels) {
    if (panel.type === 'row') {
      found.push({ row: panel, panels: [...(panel.panels ?? [])] });
    } else {
      found.at(-1).panels.push(panel);
    }
  }
  return found.filter(section => section.row || section.panels.length > 0);
}

/** Puts the members of a section down and says by how many rows their repetitions have made it longer. */
function place(members, scoped, shift, valuesOf, placed) {
  let longer = 0;
  for (const panel of members) {
    const at = { ...panel.gridPos, y: panel.gridPos.y + shift + longer };
    if (panel.type === 'row' || !panel.repeat) {
      placed.push({ panel, at, scoped });
      continue;
    }
    const values = valuesOf(panel.repeat);
    const perRow = panel.repeatDirection === 'v' ? 1 : Math.min(values.length, panel.maxPerRow ?? 4);
    const w = panel.repeatDirection === 'v' ? at.w : GRID.columns / perRow;
    for (const [index, value] of values.entries()) {
      const [line, column] = [Math.floor(index / perRow), index % perRow];
      const x = panel.repeatDirection === 'v' ? at.x : column * w;
      const there = { x, y: at.y + line * at.h, w, h: at.h };
      placed.push({ panel, at: there, scoped: { ...scoped, [panel.repeat]: [value] } });
    }
    longer += (Math.ceil(values.length / perRow) - 1) * at.h;
  }
  return longer;
}
