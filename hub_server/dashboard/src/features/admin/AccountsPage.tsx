import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { FormEvent } from "react";

import { changeAccount, createAccount, inviteAccount } from "../../api/changes";
import { accountsQuery, keys } from "../../api/queries";
import type { LoginLink, Person } from "../../api/types";
import { FormError } from "../../components/FormError";
import { ListPage } from "../../components/ListPage";
import { Panel } from "../../components/Panel";
import { Snippet } from "../../components/Snippet";
import { Time } from "../../components/Time";
import { useTitle } from "../../lib/hooks";

const ROLES = ["admin", "member", "disabled"] as const;

/** The hub's accounts, for administrators. */
export function AccountsPage() {
  useTitle("Accounts");
  const query = useInfiniteQuery(accountsQuery());
  return (
    <ListPage title="Accounts" noun="account" query={query} more="Show more accounts">
      {(people) => (
        <>
          <p className="muted">
            Who may use this hub. What was changed is in the <Link to="/admin/audit">audit log</Link>.
          </p>
          <NewAccount />
          <AccountTable people={people} />
        </>
      )}
    </ListPage>
  );
}

function NewAccount() {
  const client = useQueryClient();
  const make = useMutation({
    mutationFn: createAccount,
    onSuccess: () => client.invalidateQueries({ queryKey: keys.accounts }),
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const entered = new FormData(form);
    const wanted = { name: String(entered.get("name")), role: entered.get("admin") ? "admin" : "member" };
    make.mutate(wanted, { onSuccess: () => form.reset() });
  };
  return (
    <Panel title="Let somebody in">
      <div className="padded form">
        <form className="form-row" onSubmit={submit}>
          <label className="grow">
            <span className="visually-hidden">Name of a new account</span>
            <input className="input" name="name" placeholder="Name, such as alice" maxLength={64} required />
          </label>
          <label className="check">
            <input type="checkbox" name="admin" /> Administrator
          </label>
          <button type="submit" className="button" disabled={make.isPending}>
            Make an account
          </button>
        </form>
        <FormError error={make.error} />
        {make.data && <LinkFor name={make.data.person.name} link={make.data.link} />}
      </div>
    </Panel>
  );
}

function LinkFor({ name, link }: { name: string; link: LoginLink }) {
  return (
    <div role="status">
      <p>
        Send {name} this link. It works once, for 7 days, and leads to a page to choose a password:
      </p>
      <Snippet code={link.url} label={`Login link of ${name}`} />
    </div>
  );
}

function AccountTable({ people }: { people: Person[] }) {
  const client = useQueryClient();
  const change = useMutation({
    mutationFn: ({ name, role }: { name: string; role: Person["role"] }) => changeAccount(name, role),
    onSettled: () => client.invalidateQueries({ queryKey: keys.accounts }),
  });
  const invite = useMutation({ mutationFn: inviteAccount });
  return (
    <>
      <FormError error={change.error ?? invite.error} />
      {invite.data && <LinkFor name={invite.variables} link={invite.data} />}
      <div className="panel table-scroll">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Role</th>
              <th scope="col">Made</th>
              <th scope="col">
                <span className="visually-hidden">Login link</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {people.map((person) => (
              <tr key={person.id}>
                <th scope="row">
                  {person.name} {!person.has_password && <span className="muted">(no password)</span>}
                </th>
                <td>
                  <select
                    className="input small"
                    aria-label={`Role of ${person.name}`}
                    value={person.role}
                    onChange={(event) => change.mutate({ name: person.name, role: event.target.value as Person["role"] })}
                  >
                    {ROLES.map((role) => (
                      <option key={role}>{role}</option>
                    ))}
                  </select>
                </td>
                <td className="muted">
                  <Time at={person.created_at} />
                </td>
                <td className="row-end">
                  <button
                    type="button"
                    className="button"
                    disabled={person.role === "disabled"}
                    aria-label={`New link for ${person.name}`}
                    onClick={() => invite.mutate(person.name)}
                  >
                    New link
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
