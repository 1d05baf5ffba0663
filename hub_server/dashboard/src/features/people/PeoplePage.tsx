import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";

import { changeProject, putCollaborator, removeCollaborator, restoreProject, trashProject } from "../../api/changes";
import { collaboratorsQuery, keys, projectQuery } from "../../api/queries";
import type { Collaborator, Project, ProjectRole } from "../../api/types";
import { FormError } from "../../components/FormError";
import { Panel } from "../../components/Panel";
import { ErrorPanel, Skeleton } from "../../components/states";
import { useConfirm, useToast } from "../../components/Toasts";
import { useTitle } from "../../lib/hooks";

const ROLES: readonly ProjectRole[] = ["viewer", "editor", "owner"];
const MEANS: Record<ProjectRole, string> = {
  viewer: "reads and comments",
  editor: "also pushes, names, tags and trashes runs",
  owner: "also decides about the project and its people",
};

/** Who works on a project, and what its owners decide about it. */
export function PeoplePage() {
  const { project } = useParams({ from: "/shell/p/$project/people" });
  const query = useQuery(projectQuery(project));
  useTitle("People", query.data?.name);
  return (
    <div className="page narrow">
      <header className="page-header">
        <h1>People</h1>
      </header>
      {query.isPending && <Skeleton what="the project" />}
      {query.isError && <ErrorPanel error={query.error} retry={() => void query.refetch()} />}
      {query.data && <CollaboratorsPanel project={query.data} />}
      {query.data?.role === "owner" && <ProjectPanel project={query.data} />}
    </div>
  );
}

function CollaboratorsPanel({ project }: { project: Project }) {
  const client = useQueryClient();
  const query = useInfiniteQuery(collaboratorsQuery(project.id));
  const stale = () => client.invalidateQueries({ queryKey: keys.collaborators(project.id) });
  const put = useMutation({
    mutationFn: ({ name, role }: { name: string; role: ProjectRole }) => putCollaborator(project.id, name, role),
    onSettled: stale,
  });
  const remove = useMutation({ mutationFn: (name: string) => removeCollaborator(project.id, name), onSettled: stale });
  const people = query.data?.pages.flatMap((page) => page.items) ?? [];
  const isOwner = project.role === "owner";
  return (
    <Panel title="Who works on this project">
      {isOwner && <AddPerson add={(name, role) => put.mutate({ name, role })} />}
      <FormError error={put.error ?? remove.error} />
      {query.isPending && <Skeleton what="people" rows={3} />}
      <ul className="people">
        {people.map((person) => (
          <PersonRow
            key={person.id}
            person={person}
            change={isOwner ? (role) => put.mutate({ name: person.name, role }) : null}
            remove={isOwner ? () => remove.mutate(person.name) : null}
          />
        ))}
      </ul>
      {query.hasNextPage && (
        <button type="button" className="button" onClick={() => void query.fetchNextPage()}>
          Show more people
        </button>
      )}
    </Panel>
  );
}

interface PersonRowProps {
  person: Collaborator;
  change: ((role: ProjectRole) => void) | null;
  remove: (() => void) | null;
}

function PersonRow({ person, change, remove }: PersonRowProps) {
  return (
    <li className="person">
      <span className="grow clip">
        {person.name} <span className="muted">{MEANS[person.role]}</span>
      </span>
      {change ? (
        <select
          className="input small"
          aria-label={`Role of ${person.name}`}
          value={person.role}
          onChange={(event) => change(event.target.value as ProjectRole)}
        >
          {ROLES.map((role) => (
            <option key={role}>{role}</option>
          ))}
        </select>
      ) : (
        <span>{person.role}</span>
      )}
      {remove && (
        <button type="button" className="button" aria-label={`Remove ${person.name}`} onClick={remove}>
          Remove
        </button>
      )}
    </li>
  );
}

function AddPerson({ add }: { add: (name: string, role: ProjectRole) => void }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState<ProjectRole>("viewer");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    add(name.trim(), role);
    setName("");
  };
  return (
    <form className="form-row padded" onSubmit={submit}>
      <label className="grow">
        <span className="visually-hidden">Name of the account</span>
        <input
          className="input"
          value={name}
          onChange={(event) => setName(event.target.value)}
          placeholder="Name of an account"
          required
        />
      </label>
      <label>
        <span className="visually-hidden">Role</span>
        <select className="input small" value={role} onChange={(event) => setRole(event.target.value as ProjectRole)}>
          {ROLES.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </label>
      <button type="submit" className="button">
        Let in
      </button>
    </form>
  );
}

function ProjectPanel({ project }: { project: Project }) {
  const client = useQueryClient();
  const change = useMutation({
    mutationFn: (wanted: { name?: string; is_public?: boolean }) => changeProject(project.id, wanted),
    onSettled: () => client.invalidateQueries({ queryKey: keys.projects }),
  });
  const [confirmation, confirm] = useConfirm();
  const publish = () =>
    confirm(
      "Everybody who reaches this hub will read all runs, files and models of this project, signed in or not.",
      "Make it public",
      () => change.mutate({ is_public: true }),
    );
  return (
    <Panel title="This project" aside={<Link to="/p/$project/audit" params={{ project: project.id }}>Audit log</Link>}>
      <div className="padded form">
        <Rename name={project.name} rename={(name) => change.mutate({ name })} />
        <FormError error={change.error} />
        <p className="form-row">
          <span className="grow">
            {project.is_public ? "Everybody can read this project." : "Its collaborators alone see this project."}
          </span>
          <button
            type="button"
            className="button"
            onClick={project.is_public ? () => change.mutate({ is_public: false }) : publish}
          >
            {project.is_public ? "Make it private" : "Make it public…"}
          </button>
        </p>
        <TrashProject project={project} />
      </div>
      {confirmation}
    </Panel>
  );
}

function Rename({ name, rename }: { name: string; rename: (name: string) => void }) {
  const [wanted, setWanted] = useState(name);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    rename(wanted);
  };
  return (
    <form className="form-row" onSubmit={submit}>
      <label className="grow">
        <span className="visually-hidden">Name of the project</span>
        <input className="input" value={wanted} onChange={(event) => setWanted(event.target.value)} maxLength={200} required />
      </label>
      <button type="submit" className="button" disabled={wanted.trim() === name}>
        Rename
      </button>
    </form>
  );
}

function TrashProject({ project }: { project: Project }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const toast = useToast();
  const stale = () => client.invalidateQueries({ queryKey: keys.projects });
  const trash = useMutation({
    mutationFn: () => trashProject(project.id),
    onSuccess: async () => {
      await navigate({ to: "/" });
      await stale();
      toast({
        text: `${project.name} is in the trash.`,
        undo: () => void restoreProject(project.id).finally(() => void stale()),
      });
    },
  });
  return (
    <p className="form-row">
      <span className="grow">In the trash nobody sees it, committers cannot push to it, and nothing of it is lost.</span>
      <FormError error={trash.error} />
      <button type="button" className="button danger" onClick={() => trash.mutate()}>
        Move to trash
      </button>
    </p>
  );
}
