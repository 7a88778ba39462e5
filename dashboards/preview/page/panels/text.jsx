// Text panels: Markdown and HTML as Grafana renders and cleans them.

import { renderMarkdown, textUtil } from '@grafana/data';

export function TextPanel({ options }) {
  const { mode = 'markdown', content = '' } = options;
  const html = mode === 'markdown' ? renderMarkdown(content) : textUtil.sanitize(content);
  const style = { height: '100%', overflow: 'hidden' };
  return <div className="markdown-html" style={style} dangerouslySetInnerHTML={{ __html: html }} />;
}
