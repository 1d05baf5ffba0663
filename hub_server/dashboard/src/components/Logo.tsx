/** A branch with three dots: two commits and a run. The same drawing is `public/logo.svg`. */
export function Logo() {
  return <img className="logo" src="/logo.svg" width="22" height="22" alt="" />;
}
