export default function Callout({ kind, children }) {
  return <div className={`callout callout--${kind}`}>{children}</div>;
}
