import { useMutation, useQuery } from "@tanstack/react-query";
import { useLocation, useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useEffect, useRef } from "react";

import { sessionQuery } from "../../api/queries";
import { HubError } from "../../api/problem";
import { signIn } from "../../api/changes";
import { Snippet } from "../../components/Snippet";
import { ErrorPanel } from "../../components/states";
import { useTitle } from "../../lib/hooks";
import { localPath } from "./next";
import { PasswordForm } from "./PasswordForm";
import { SignInFrame } from "./SignInFrame";

/** Signs in with the one-time code in the fragment, which no server log ever sees. */
export function LoginPage() {
  useTitle("Sign in");
  const { attempt, enter } = useLoginCode();
  const isRefused = attempt.error instanceof HubError && attempt.error.status < 500;
  return (
    <SignInFrame>
      {attempt.isPending ? (
        <p role="status">Signing in…</p>
      ) : attempt.error && !isRefused ? (
        <ErrorPanel error={attempt.error} />
      ) : (
        <>
          {!isRefused && <PasswordForm done={enter} />}
          <NewLinkHelp isRefused={isRefused} />
        </>
      )}
    </SignInFrame>
  );
}

function NewLinkHelp({ isRefused }: { isRefused: boolean }) {
  return (
    <section className="notice">
      <h2>{isRefused ? "This link does not work any more" : "Sign in with a link"}</h2>
      <p role={isRefused ? "alert" : undefined}>
        {isRefused
          ? "A sign-in link works once, and not for long. This one was used, or it is too old."
          : "An administrator of the hub makes one for you. On the hub’s own machine a command prints one:"}
      </p>
      <Snippet code="ds hub login-link" label="Command that prints a new link" />
      <p>
        On your own machine <code>ds up</code> starts everything and prints a link. Where the shell does not find{" "}
        <code>ds</code>, call it by its path, such as <code>.venv/bin/ds</code> in the folder where you ran{" "}
        <code>make up</code>.
      </p>
    </section>
  );
}

/**
 * Posts a code as soon as there is one in the fragment, and leaves for `next` once there is a session.
 *
 * Whoever came with a code and could not come back without another one is asked for a password on the way.
 */
function useLoginCode() {
  const navigate = useNavigate();
  const { next } = useSearch({ from: "/login" });
  const hash = useLocation({ select: (location) => location.hash });
  const posted = useRef<string | null>(null);
  const attempt = useMutation({ mutationFn: signIn });
  const { mutate } = attempt;
  const session = useQuery({ ...sessionQuery(), retry: false, enabled: !attempt.isPending && codeIn(hash) === null });
  useEffect(() => {
    const code = codeIn(hash);
    if (code === null || code === posted.current) return;
    posted.current = code;
    // The code leaves the address bar and the history at once, whatever becomes of it.
    void navigate({ to: "/login", search: (search) => search, hash: "", replace: true });
    mutate(code);
  }, [hash, mutate, navigate]);
  const enter = useCallback(() => void navigate({ href: localPath(next), replace: true }), [navigate, next]);
  const choosePassword = useCallback(
    () => void navigate({ to: "/password", search: next === undefined ? {} : { next }, replace: true }),
    [navigate, next],
  );
  const signedIn = session.data;
  const needsPassword = attempt.isSuccess && signedIn !== undefined && !signedIn.has_password && !signedIn.is_operator;
  useEffect(() => {
    if (needsPassword) choosePassword();
    else if (signedIn) enter();
  }, [signedIn, needsPassword, choosePassword, enter]);
  return { attempt, enter };
}

function codeIn(hash: string): string | null {
  return new URLSearchParams(hash).get("code");
}
