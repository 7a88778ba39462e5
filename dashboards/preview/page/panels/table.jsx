// Tables: Grafana's component. A panel shows the first of its frames.

import { TableNG } from '@grafana/ui/unstable';

export function TablePanel({ frames, fieldConfig, options, timeRange, width, height }) {
  return (
    <TableNG
      data={frames[options.frameIndex ?? 0]}
      {...{ width, height, fieldConfig, timeRange }}
      noHeader={options.showHeader === false}
      sortBy={options.sortBy}
      cellHeight={options.cellHeight ?? 'sm'}
      enablePagination={options.footer?.enablePagination}
      enableVirtualization={false}
      structureRev={1}
      getActions={() => []}
    />
  );
}
