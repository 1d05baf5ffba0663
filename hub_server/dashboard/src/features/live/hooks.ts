import { useQuery, useQueryClient, type QueryClient } from "@tanstack/react-query";
import { createContext, useContext, useEffect, useRef, useSyncExternalStore } from "react";

import { keys, sessionQuery } from "../../api/queries";
import { LiveFeed, type LiveEvent, type LiveState } from "./feed";

const BATCH_MS = 200;

export const LiveContext = createContext<LiveFeed>(new LiveFeed());

export function useLiveState(): LiveState {
  const feed = useContext(LiveContext);
  return useSyncExternalStore(
    (listener) => feed.onState(listener),
    () => feed.state,
  );
}

/**
 * Calls `onEvents` with what happened on the topics, at most five times a second; "resync" stands for anything.
 *
 * A burst (a committer that pushes 200 runs) thus costs a few requests, not one per run.
 */
export function useLiveEvents(topics: readonly string[], onEvents: (events: LiveEvent[] | "resync") => void): void {
  const feed = useContext(LiveContext);
  const latest = useRef(onEvents);
  const isSignedIn = useQuery(sessionQuery()).isSuccess; // the hub has no events for others
  const subject = isSignedIn ? topics.join("\n") : "";
  useEffect(() => {
    latest.current = onEvents;
  });
  useEffect(() => {
    if (subject === "") return;
    let batch: LiveEvent[] | "resync" = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const flush = () => {
      timer = undefined;
      const events = batch;
      batch = [];
      latest.current(events);
    };
    const unsubscribe = feed.subscribe(subject.split("\n"), (event) => {
      if (event === "resync" || batch === "resync") batch = "resync";
      else batch.push(event);
      timer ??= setTimeout(flush, BATCH_MS);
    });
    return () => {
      unsubscribe();
      if (timer === undefined) return;
      clearTimeout(timer);
      flush();
    };
  }, [feed, subject]);
}

/** Keeps the project list true: the hub says in `projects` when a project is made and when a commit reaches one. */
export function useLiveProjects(): void {
  const client = useQueryClient();
  useLiveEvents(["projects"], () => void client.invalidateQueries({ queryKey: keys.projectList }));
}

/**
 * Keeps what is shown of a project true, except its runs table, which decides for itself when rows may move
 * (`useLiveRuns`).
 */
export function useLiveProject(project: string): void {
  const client = useQueryClient();
  useLiveEvents([topicOf(project)], (events) => {
    if (events === "resync") void client.invalidateQueries({ queryKey: keys.project(project) });
    else for (const type of new Set(events.map((event) => event.type))) invalidate(client, project, type);
  });
}

export function topicOf(project: string): string {
  return `project:${project}`;
}

function invalidate(client: QueryClient, project: string, type: string): void {
  void client.invalidateQueries({ queryKey: keys.details(project) });
  if (type === "run.created") {
    void client.invalidateQueries({ queryKey: keys.columns(project) });
    void client.invalidateQueries({ queryKey: keys.runs(project), refetchType: "none" });
  }
  if (type === "run.changed") {
    void client.invalidateQueries({ queryKey: keys.project(project) });
  }
  if (type === "commit.created") void client.invalidateQueries({ queryKey: keys.commits(project) });
}
