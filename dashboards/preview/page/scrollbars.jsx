// Stands in for react-custom-scrollbars-2, which does not load beside React 19; a picture needs no scroll bars.

export function Scrollbars({ children, className }) {
  return <div className={className} style={{ overflow: 'hidden', height: '100%' }}>{children}</div>;
}

export const positionValues = {};
export default Scrollbars;
