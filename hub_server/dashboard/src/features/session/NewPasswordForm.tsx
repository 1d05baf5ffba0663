import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";

import { setPassword } from "../../api/changes";
import { keys } from "../../api/queries";
import type { Session } from "../../api/types";
import { FormError } from "../../components/FormError";

interface Props {
  session: Session;
  /** Called once the hub has taken the password. */
  done?: () => void;
}

/** Chooses a password, or another one. Whoever came with a login link need not know the one before. */
export function NewPasswordForm({ session, done }: Props) {
  const client = useQueryClient();
  const [isShown, setShown] = useState(false);
  const change = useMutation({
    mutationFn: setPassword,
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: keys.session });
      done?.();
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const entered = new FormData(form);
    const password = String(entered.get("password"));
    const current = entered.get("current");
    change.mutate(current === null ? { password } : { password, current: String(current) }, {
      onSuccess: () => form.reset(),
    });
  };
  return (
    <form className="form" onSubmit={submit}>
      {/* For password managers, which keep a password under a name. */}
      <input name="username" autoComplete="username" value={session.account.name} readOnly hidden />
      {session.has_password && !session.by_login_link && (
        <label>
          Current password
          <input className="input" name="current" type="password" autoComplete="current-password" required />
        </label>
      )}
      <label>
        New password
        <input
          className="input"
          name="password"
          type={isShown ? "text" : "password"}
          autoComplete="new-password"
          minLength={10}
          maxLength={1000}
          required
        />
        <small className="muted">At least 10 characters.</small>
      </label>
      <label className="check">
        <input type="checkbox" checked={isShown} onChange={(event) => setShown(event.target.checked)} /> Show the new
        password
      </label>
      <FormError error={change.error} />
      {change.isSuccess && <p role="status">Your password is changed. Other browsers are signed out.</p>}
      <button type="submit" className="button primary" disabled={change.isPending}>
        {session.has_password ? "Change password" : "Choose password"}
      </button>
    </form>
  );
}
