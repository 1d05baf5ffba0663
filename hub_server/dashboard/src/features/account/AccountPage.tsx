import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";

import { createToken, deleteToken, endSession } from "../../api/changes";
import { keys, sessionQuery, sessionsQuery, tokensQuery } from "../../api/queries";
import type { BrowserSession, Session, Token } from "../../api/types";
import { Badge } from "../../components/Badge";
import { FormError } from "../../components/FormError";
import { Panel } from "../../components/Panel";
import { Snippet } from "../../components/Snippet";
import { ErrorPanel, Skeleton } from "../../components/states";
import { Time } from "../../components/Time";
import { NewPasswordForm } from "../session/NewPasswordForm";
import { formatTime } from "../../lib/format";
import { useTitle } from "../../lib/hooks";

/** The reader's own account: password, browsers that are signed in, tokens. */
export function AccountPage() {
  useTitle("Account");
  const session = useQuery(sessionQuery());
  return (
    <div className="page narrow">
      <header className="page-header">
        <h1>Account</h1>
        {session.data && <span className="muted">{session.data.account.name}</span>}
      </header>
      {session.data && <PasswordPanel session={session.data} />}
      <SessionsPanel />
      {session.data && <TokensPanel scopes={session.data.scopes} />}
    </div>
  );
}

function PasswordPanel({ session }: { session: Session }) {
  return (
    <Panel title="Password">
      <div className="padded">
        {!session.has_password && (
          <p className="muted">You have none yet, and can sign in with login links only.</p>
        )}
        <NewPasswordForm session={session} />
      </div>
    </Panel>
  );
}

function SessionsPanel() {
  const client = useQueryClient();
  const query = useQuery(sessionsQuery());
  const end = useMutation({
    mutationFn: endSession,
    onSettled: () => client.invalidateQueries({ queryKey: keys.sessions }),
  });
  return (
    <Panel title="Signed-in browsers">
      {query.isPending && <Skeleton what="browsers" rows={2} />}
      {query.isError && <ErrorPanel error={query.error} retry={() => void query.refetch()} />}
      {query.data && (
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Since</th>
              <th scope="col">Last used</th>
              <th scope="col">Ends</th>
              <th scope="col">
                <span className="visually-hidden">Sign out</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {query.data.map((session) => (
              <SessionRow key={session.id} session={session} end={() => end.mutate(session.id)} />
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  );
}

function SessionRow({ session, end }: { session: BrowserSession; end: () => void }) {
  return (
    <tr>
      <td>
        <Time at={session.created_at} />
      </td>
      <td>
        <Time at={session.last_used_at} />
      </td>
      <td className="muted">{formatTime(session.expires_at)}</td>
      <td className="row-end">
        {session.is_current ? (
          <Badge tone="good">this one</Badge>
        ) : (
          <button type="button" className="button" onClick={end}>
            Sign out
          </button>
        )}
      </td>
    </tr>
  );
}

function TokensPanel({ scopes }: { scopes: string[] }) {
  const client = useQueryClient();
  const query = useInfiniteQuery(tokensQuery());
  const stale = () => client.invalidateQueries({ queryKey: keys.tokens });
  const revoke = useMutation({ mutationFn: deleteToken, onSettled: stale });
  const tokens = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Panel title="Tokens">
      <NewToken scopes={scopes} made={() => void stale()} />
      {query.isError && <ErrorPanel error={query.error} retry={() => void query.refetch()} />}
      {tokens.length > 0 && (
        <div className="table-scroll">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">Token</th>
                <th scope="col">May</th>
                <th scope="col">Last used</th>
                <th scope="col">
                  <span className="visually-hidden">Revoke</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {tokens.map((token) => (
                <TokenRow key={token.id} token={token} revoke={() => revoke.mutate(token.id)} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {query.hasNextPage && (
        <button type="button" className="button" onClick={() => void query.fetchNextPage()}>
          Show more tokens
        </button>
      )}
    </Panel>
  );
}

function TokenRow({ token, revoke }: { token: Token; revoke: () => void }) {
  return (
    <tr>
      <th scope="row" className="clip">
        {token.name}
      </th>
      <td className="muted scopes">
        {token.scopes.join(", ")}
        {token.project_id && " · one project"}
      </td>
      <td>{token.last_used_at ? <Time at={token.last_used_at} /> : "never"}</td>
      <td className="row-end">
        <button type="button" className="button" onClick={revoke} aria-label={`Revoke ${token.name}`}>
          Revoke
        </button>
      </td>
    </tr>
  );
}

/** Makes a token that can do all that the account can; others come from the API. */
function NewToken({ scopes, made }: { scopes: string[]; made: () => void }) {
  const [name, setName] = useState("");
  const make = useMutation({
    mutationFn: createToken,
    onSuccess: () => {
      setName("");
      made();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    make.mutate({ name, scopes });
  };
  return (
    <div className="padded form">
      <form className="form-row" onSubmit={submit}>
        <label className="grow">
          <span className="visually-hidden">Name of a new token</span>
          <input
            className="input"
            value={name}
            onChange={(event) => setName(event.target.value)}
            placeholder="What the token is for"
            maxLength={200}
            required
          />
        </label>
        <button type="submit" className="button" disabled={make.isPending}>
          Make a token
        </button>
      </form>
      <FormError error={make.error} />
      {make.data && (
        <div role="status">
          <p>This is the token. It is shown this once, and can do all that you can:</p>
          <Snippet code={make.data.token} label="The new token" />
        </div>
      )}
    </div>
  );
}
