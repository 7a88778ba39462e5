// What stands above the panels: the title, the time range, the variables with their values, and the links.

import { dateTimeFormat } from '@grafana/data';
import { Icon, useTheme2 } from '@grafana/ui';

export function Head({ data }) {
  const theme = useTheme2();
  const { title, links, variables, range } = data;
  const format = at => dateTimeFormat(at * 1000, { format: 'YYYY-MM-DD HH:mm' });
  const line = { display: 'flex', gap: 8, alignItems: 'center', flexWrap: 'wrap' };
  return (
    <div style={{ height: data.head, padding: `${data.edge}px ${data.edge}px 0`, overflow: 'hidden' }}>
      <div style={{ ...line, justifyContent: 'space-between' }}>
        <h3 style={{ margin: 0, color: theme.colors.text.primary }}>{title}</h3>
        <div style={line}>
          {links.map(link => (
            <Pill key={link.title} theme={theme}>
              <Icon name={link.icon} /> {link.title}
            </Pill>
          ))}
          <Pill theme={theme}>{`${format(range.from)} to ${format(range.to)}`}</Pill>
        </div>
      </div>
      <div style={{ ...line, marginTop: 12 }}>
        {variables.map(({ label, text }) => (
          <Pill key={label} theme={theme} label={label}>{text.length > 40 ? `${text.slice(0, 39)}…` : text}</Pill>
        ))}
      </div>
    </div>
  );
}

function Pill({ theme, label, children }) {
  const box = { display: 'inline-flex', alignItems: 'center', gap: 4, height: 32, padding: '0 8px', whiteSpace: 'nowrap' };
  const border = `1px solid ${theme.colors.border.medium}`;
  const name = { ...box, background: theme.colors.background.secondary, border, borderRight: 'none', fontWeight: 500 };
  const value = { ...box, background: theme.components.input.background, border };
  return (
    <span style={{ display: 'inline-flex', fontSize: 12, color: theme.colors.text.primary }}>
      {label && <span style={name}>{label}</span>}
      <span style={value}>{children}</span>
    </span>
  );
}
