import { useQuery } from "@tanstack/react-query";
import { Navigate, useNavigate, useSearch } from "@tanstack/react-router";

import { isUnauthenticated } from "../../api/problem";
import { sessionQuery } from "../../api/queries";
import type { Session } from "../../api/types";
import { ErrorPanel } from "../../components/states";
import { useTitle } from "../../lib/hooks";
import { NewPasswordForm } from "./NewPasswordForm";
import { localPath } from "./next";
import { SignInFrame } from "./SignInFrame";

/** Where a login link leads whoever could not come back without another one. */
export function ChoosePasswordPage() {
  useTitle("Choose a password");
  const session = useQuery(sessionQuery());
  if (session.isError && isUnauthenticated(session.error)) {
    return <Navigate to="/login" search={{ next: "/password" }} replace />;
  }
  return (
    <SignInFrame>
      {session.isError && <ErrorPanel error={session.error} retry={() => void session.refetch()} />}
      {session.data && <ChoosePassword session={session.data} />}
    </SignInFrame>
  );
}

function ChoosePassword({ session }: { session: Session }) {
  const navigate = useNavigate();
  const { next } = useSearch({ from: "/password" });
  const leave = () => void navigate({ href: localPath(next), replace: true });
  return (
    <section className="notice">
      <h2>{session.has_password ? "Choose a new password" : "Choose a password"}</h2>
      <p>
        You are signed in as <strong>{session.account.name}</strong>. The link that brought you works only once: next
        time you sign in with this name and a password.
      </p>
      <NewPasswordForm session={session} done={leave} />
      {canSkip(session) && (
        <button type="button" className="button quiet" onClick={leave}>
          Not now
        </button>
      )}
    </section>
  );
}

/** Whether they can come back all the same: with the password that they have, or a link from their own machine. */
function canSkip(session: Session): boolean {
  return session.has_password || session.is_operator;
}
