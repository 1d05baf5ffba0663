import type { ReactNode } from "react";

import { Logo } from "../../components/Logo";

/** A page of its own, without the frame of those who are signed in. */
export function SignInFrame({ children }: { children: ReactNode }) {
  return (
    <main className="login" id="content">
      <h1 className="brand large">
        <Logo />
        Dotscience
      </h1>
      {children}
    </main>
  );
}
