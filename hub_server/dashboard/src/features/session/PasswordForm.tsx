import { useMutation } from "@tanstack/react-query";
import type { FormEvent } from "react";

import { signInWithPassword } from "../../api/changes";
import { FormError } from "../../components/FormError";

/** Signs in with name and password; whoever has none gets a link from an administrator. */
export function PasswordForm({ done }: { done: () => void }) {
  const attempt = useMutation({ mutationFn: signInWithPassword, onSuccess: done });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const entered = new FormData(event.currentTarget);
    attempt.mutate({ name: String(entered.get("name")), password: String(entered.get("password")) });
  };
  return (
    <form className="notice form" onSubmit={submit}>
      <h2>Sign in</h2>
      <label>
        Name
        <input className="input" name="name" autoComplete="username" required autoFocus />
      </label>
      <label>
        Password
        <input className="input" name="password" type="password" autoComplete="current-password" required />
      </label>
      <FormError error={attempt.error} />
      <button type="submit" className="button primary" disabled={attempt.isPending}>
        {attempt.isPending ? "Signing in…" : "Sign in"}
      </button>
    </form>
  );
}
